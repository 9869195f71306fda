package mycroft

import (
	"encoding/json"
	"log/slog"
	"slices"
	"strings"
	"unicode/utf8"

	"omnibus/bus"
	"omnibus/dialect/mycroft/mapping"
	"omnibus/dialect/mycroft/packet"
)

// handle is one frame, text or binary.
func (s *session) handle(frame []byte) {
	h := s.hub
	m, err := packet.Parse(frame)
	switch {
	case err != nil && h.config.RelayAnything && utf8.Valid(frame):
		s.relayFrame("", frame, nil) // in a text frame, which must be UTF-8
		return
	case err != nil:
		h.count.invalid.Add(1)
		s.dropped("it is not a Mycroft message", "err", err, "bytes", len(frame))
		return
	case isLocalEvent(m.Type) && !h.config.RelayAnything:
		h.count.rejected.Add(1)
		s.dropped("clients take its type for a local event", "type", m.Type)
		return
	case h.config.CheckSessions && !isSession(m):
		h.count.rejected.Add(1)
		s.dropped("its context.session is no object (mycroft.check_sessions)", "type", m.Type)
		s.rejectSession(m)
		return
	case m.Type == "":
		s.relayFrame("", frame, nil) // no topic, so the clients' business alone
		return
	case s.control(m):
		return
	}
	s.publish(frame, m)
}

// dropped logs the first frame of a client that goes nowhere; a client that
// sends many must not fill the log, and the counters have them all.
func (s *session) dropped(why string, attributes ...any) {
	level := slog.LevelInfo
	if s.complained {
		level = slog.LevelDebug
	}
	s.complained = true
	s.log().Log(s.ctx, level, "a frame was dropped; further ones of this client are only counted", append(attributes, "why", why)...)
}

// isSession reports whether a message has a session that newer OVOS accepts.
func isSession(m packet.Message) bool {
	value := member(m.Context, "session")
	return value == nil || value[0] == '{' || string(value) == "null"
}

// member is the value of a key of an object, nil if it has none.
func member(object json.RawMessage, key string) (value json.RawMessage) {
	for k, v := range packet.Members(object) {
		if k == key {
			value = v // the last counts
		}
	}
	return value
}

// rejectSession tells everybody, as OVOS does, that a message was dropped because
// of its session.
func (s *session) rejectSession(m packet.Message) {
	const typ = "ovos.session.rejected"
	d := packet.AppendString([]byte(`{"msg_type":`), m.Type)
	d = append(d, `,"reason":"malformed_carrier"}`...)
	var context []byte
	if id := member(m.Context, "utterance_id"); id != nil {
		context = mapping.Member("utterance_id", id)
	}
	_ = s.hub.broadcast(typ, packet.Append(nil, typ, d, context), nil, s.batch) // shorter than the message
}

// publish sends a frame to the other clients and into the bus, and calls the
// service of its type if there is one outside the hub.
func (s *session) publish(frame []byte, m packet.Message) {
	h := s.hub
	s.frame = frame
	s.to = h.answerTo(m.Type, m.Context, s)
	s.message.Reset()
	s.message.Topic = m.Type
	s.message.Batch = s.batch
	mapping.SetPayload(&s.message.Payload, m.Data)
	if len(m.Context) > 2 {
		s.message.Headers = bus.LazyHeaders(func() []bus.Header { return mapping.Headers(m.Context) })
	}
	if _, err := s.peer.Publish(&s.message); err != nil {
		s.reject(m, err)
		return
	}
	if h.unlogged != nil && !h.unlogged[m.Type] {
		s.log().Info("a message", "type", m.Type, "source", text(m.Context, "source"), "destination", text(m.Context, "destination"),
			"session", text(member(m.Context, "session"), "session_id"))
	}
	if h.config.AnswersTo {
		s.learn(m)
	}
	h.calls.answered(m)
	if s.peer.Callable(m.Type) {
		s.serve(m)
	}
}

func text(object json.RawMessage, key string) string { return packet.Text(member(object, key)) }

// relay is called by the broker when it has admitted the message.
func (s *session) relay(m *bus.Message) { s.relayFrame(m.Topic, s.frame, s.to) }

// relayFrame sends a frame to the clients as it is.
func (s *session) relayFrame(typ string, frame []byte, to *address) {
	s.hub.count.relayed.Add(1)
	_ = s.hub.broadcast(typ, frame, to, s.batch) // max_message is no more than max_queue
}

// reject tells the sender alone that its message went nowhere.
func (s *session) reject(m packet.Message, err error) {
	s.hub.count.rejected.Add(1)
	s.log().Info("a message was rejected", "type", m.Type, "err", err)
	d := packet.AppendString([]byte(`{"type":`), m.Type)
	d = packet.AppendString(append(d, `,"kind":`...), bus.KindOf(err).String())
	d = packet.AppendString(append(d, `,"reason":`...), err.Error())
	s.send(packet.Append(nil, "omnibus.rejected", append(d, '}'), m.Context))
}

// isAnswer tells the types of messages that answer another one.
func isAnswer(typ string) bool {
	return strings.HasSuffix(typ, responseSuffix) || strings.HasSuffix(typ, ".handling")
}

// answerTo is where a message goes that is an answer, when answers go to their
// destination; nil for all others, which go to all. Of self see address.
func (h *hub) answerTo(typ string, context json.RawMessage, self *session) *address {
	if !h.config.AnswersTo || !isAnswer(typ) {
		return nil
	}
	return &address{names: packet.Texts(member(context, "destination")), self: self}
}

// learn remembers the names under which a client sends, which are those that the
// client libraries give as the destination of an answer. Of an answer they are
// those that its request had as destination, and may be many programs'.
func (s *session) learn(m packet.Message) {
	if isAnswer(m.Type) {
		return
	}
	for _, name := range packet.Texts(member(m.Context, "source")) {
		if !slices.Contains(s.seat.names, name) { // nobody else changes them
			s.hub.learn(s, strings.Clone(name))
		}
	}
}
