package mycroft

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"omnibus/auth"
	"omnibus/bus"
	"omnibus/carrier"
	"omnibus/dialect"
	"omnibus/dialect/mycroft/mapping"
	"omnibus/dialect/mycroft/packet"
)

// session is one client of the hub.
type session struct {
	hub    *hub
	conn   net.Conn
	ws     *carrier.WebSocket
	peer   dialect.Peer
	log    *slog.Logger
	ctx    context.Context // ends with the connection
	failed atomic.Bool
	calls  sync.WaitGroup

	// Of the frame that is being handled, on the reading goroutine.
	frame      []byte
	message    bus.Message
	complained bool // the log has a frame that was dropped

	exposed map[string]*bus.Exposure
}

// frameOverhead is more than the header of a frame takes: a queue holds at least
// one message of its size.
const frameOverhead = 16

// connection serves one client from its handshake to its end.
func (h *hub) connection(ctx context.Context, c net.Conn) {
	ws, err := carrier.Upgrade(c, carrier.WebSocketOptions{
		Path:        h.config.Route,
		CheckOrigin: h.pages,
		MaxMessage:  int(h.config.MaxMessage),
		Outbox:      carrier.OutboxOptions{MaxBytes: int(h.config.MaxQueue) + frameOverhead},
	})
	log := h.log.With("remote", c.RemoteAddr())
	if err != nil {
		h.count.handshakes.Add(1)
		if errors.Is(err, carrier.ErrOrigin) {
			h.count.crossSite.Add(1)
			log.Warn("a page of another web site was refused; its origin can be allowed under mycroft.origins", "err", err)
			return
		}
		log.Info("a WebSocket handshake failed", "err", err)
		return
	}
	s := &session{hub: h, conn: c, ws: ws, log: log, exposed: make(map[string]*bus.Exposure)}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	s.ctx = ctx
	if err := s.join(ctx); err != nil {
		h.count.refused.Add(1)
		log.Info("a client was refused", "err", err)
		_ = ws.Close(carrier.ClosePolicy, bus.KindOf(err).String())
		return
	}
	defer s.calls.Wait()
	defer cancel()
	defer s.peer.Leave()
	s.run(ctx)
}

// join makes the session a peer. A hub is one room, so all its clients are of
// the hub's own tenant.
func (s *session) join(ctx context.Context) error {
	p, err := dialect.Join(ctx, s.hub.env.Port, &dialect.Hello{
		Credentials: auth.Credentials{
			Dialect: "mycroft", Remote: s.conn.RemoteAddr(), Loopback: carrier.IsLoopback(s.conn.LocalAddr()),
		},
		Origin:     s.hub.origin,
		Subscriber: s,
		Relay:      s.relay,
	})
	if err != nil {
		return err
	}
	if its, ours := p.Principal().Tenant, s.hub.peer.Principal().Tenant; its != ours {
		p.Leave()
		return bus.Errorf(bus.Refused, "", "the client's tenant is %q, the hub's %q", its, ours)
	}
	s.peer = p
	return nil
}

// run greets the client and handles its frames until the connection ends.
func (s *session) run(ctx context.Context) {
	h := s.hub
	h.count.connections.Add(1)
	if err := h.enter(s); err != nil {
		s.ended(err)
		return
	}
	stop := context.AfterFunc(ctx, s.leave)
	defer stop()
	for {
		_, frame, err := s.ws.Read()
		if err != nil {
			h.leave(s)
			s.ended(err)
			return
		}
		s.handle(frame)
	}
}

// leave makes the reading goroutine end; what is queued is still written.
func (s *session) leave() { _ = s.ws.SetReadDeadline(time.Unix(1, 0)) }

// interrupt makes reading and writing end.
func (s *session) interrupt() { _ = s.conn.SetDeadline(time.Unix(1, 0)) }

// ended closes the connection and says why it ended, where that is news.
func (s *session) ended(err error) {
	switch {
	case s.ctx.Err() != nil:
		// The hub is closing. Older clients come back by themselves when the
		// connection is dropped, not when it is closed in order.
		_ = s.ws.Drop()
		return
	case s.failed.Load():
		_ = s.ws.Drop()
		return
	case errors.Is(err, carrier.ErrTooLarge):
		s.hub.count.invalid.Add(1)
		s.log.Warn("a client sent a frame above mycroft.max_message and was disconnected", "limit", s.hub.config.MaxMessage)
	case errors.Is(err, carrier.ErrProtocol):
		s.hub.count.invalid.Add(1)
		s.log.Info("a client was disconnected", "err", err)
	default:
		s.log.Debug("a client left", "err", err)
	}
	_ = s.ws.Close(carrier.CloseNormal, "")
}

// handle is one frame, text or binary.
func (s *session) handle(frame []byte) {
	h := s.hub
	m, err := packet.Parse(frame)
	switch {
	case err != nil && h.config.RelayAnything && utf8.Valid(frame):
		h.relay(frame) // in a text frame, which must be UTF-8
		return
	case err != nil:
		h.count.invalid.Add(1)
		s.dropped("it is not a Mycroft message", "err", err, "bytes", len(frame))
		return
	case isLocalEvent(m.Type) && !h.config.RelayAnything:
		h.count.rejected.Add(1)
		s.dropped("clients take its type for a local event", "type", m.Type)
		return
	case m.Type == "":
		h.relay(frame) // no topic, so the clients' business alone
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
	s.log.Log(s.ctx, level, "a frame was dropped; further ones of this client are only counted", append(attributes, "why", why)...)
}

// publish sends a frame to the other clients and into the bus, and calls the
// service of its type if there is one outside the hub.
func (s *session) publish(frame []byte, m packet.Message) {
	h := s.hub
	s.frame = frame
	s.message.Reset()
	s.message.Topic = m.Type
	mapping.SetPayload(&s.message.Payload, m.Data)
	if len(m.Context) > 2 {
		s.message.Headers = bus.LazyHeaders(func() []bus.Header { return mapping.Headers(m.Context) })
	}
	if _, err := s.peer.Publish(&s.message); err != nil {
		s.reject(m, err)
		return
	}
	h.calls.answered(m)
	if s.peer.Callable(m.Type) {
		s.serve(m)
	}
}

// relay is called by the broker when it has admitted the message.
func (s *session) relay(*bus.Message) { s.hub.relay(s.frame) }

func (h *hub) relay(frame []byte) {
	h.count.relayed.Add(1)
	_ = h.broadcast(frame) // max_message is no more than max_queue
}

// reject tells the sender alone that its message went nowhere.
func (s *session) reject(m packet.Message, err error) {
	s.hub.count.rejected.Add(1)
	s.log.Info("a message was rejected", "type", m.Type, "err", err)
	d := packet.AppendString([]byte(`{"type":`), m.Type)
	d = packet.AppendString(append(d, `,"kind":`...), bus.KindOf(err).String())
	d = packet.AppendString(append(d, `,"reason":`...), err.Error())
	s.send(packet.Append(nil, "omnibus.rejected", append(d, '}'), m.Context))
}

// fail disconnects a client that cannot be written to. It is called under the
// hub's lock and does not wait.
func (s *session) fail(err error) {
	if !s.failed.CompareAndSwap(false, true) {
		return
	}
	if errors.Is(err, carrier.ErrFull) {
		s.hub.count.slow.Add(1)
		s.log.Warn("a client reads too slowly and was disconnected", "limit", s.hub.config.MaxQueue)
	}
	s.interrupt()
}

// Deliver is never called: clients subscribe to nothing, the hub does.
func (s *session) Deliver(*bus.Message, *bus.Subscription) {}

// Expelled drops the connection.
func (s *session) Expelled(why error) {
	s.log.Info("a client was expelled", "err", why)
	s.fail(why)
}

// send sends one message to this client alone.
func (s *session) send(message []byte) {
	if err := s.ws.Send(carrier.Text, message); err != nil {
		s.fail(err)
	}
}
