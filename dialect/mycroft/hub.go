package mycroft

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"sync"

	"omnibus/auth"
	"omnibus/bus"
	"omnibus/carrier"
	"omnibus/dialect"
	"omnibus/dialect/mycroft/mapping"
	"omnibus/dialect/mycroft/packet"
)

// greeting is the first frame a client gets, in the form that both
// generations of clients accept.
var greeting = []byte(`{"type":"connected","data":{},"context":{"session":{"session_id":"default"}}}`)

// hub is all the clients together: towards the bus they are one link.
type hub struct {
	config Config
	env    dialect.Env
	log    *slog.Logger
	export *dialect.Selection
	pages  func(carrier.Handshake) bool // which may connect
	origin *bus.Origin
	peer   dialect.Peer // subscribes and answers for the hub as a whole
	calls  pending
	count  struct {
		connections, handshakes, crossSite, refused      dialect.Counter
		relayed, exported, invalid, unexported, rejected dialect.Counter
		slow, silent, lost                               dialect.Counter
	}
	unlogged map[string]bool // types that are not logged; nil when nothing is

	mu       sync.Mutex // guards audience, and orders what it is sent
	audience audience

	batches sync.Pool // of *bus.Batch, empty
}

func newHub(c Config, env dialect.Env, export *dialect.Selection, pages func(carrier.Handshake) bool) *hub {
	h := &hub{
		config: c,
		env:    env,
		log:    env.Log,
		export: export,
		pages:  pages,
		origin: &bus.Origin{Dialect: "mycroft", Name: "hub"},
	}
	h.count.connections = env.Counter("connections")
	h.count.handshakes = env.Counter("handshakes_failed")
	h.count.crossSite = env.Counter("handshakes_cross_site")
	h.count.refused = env.Counter("clients_refused")
	h.count.relayed = env.Counter("frames_relayed")
	h.count.exported = env.Counter("messages_exported")
	h.count.unexported = env.Counter("messages_not_expressible")
	h.count.invalid = env.Counter("frames_invalid")
	h.count.rejected = env.Counter("frames_rejected")
	h.count.slow = env.Counter("slow_clients_disconnected")
	h.count.silent = env.Counter("silent_clients_disconnected")
	h.count.lost = env.Counter("clients_lost")
	h.batches.New = func() any { return new(bus.Batch) }
	if c.Filter {
		h.unlogged = make(map[string]bool)
		for _, typ := range c.FilterLogs {
			h.unlogged[typ] = true
		}
	}
	return h
}

// serve runs the hub on a bound listener.
func (h *hub) serve(ctx context.Context, l net.Listener) error {
	peer, err := dialect.Join(ctx, h.env.Port, &dialect.Hello{
		Credentials: auth.Credentials{Dialect: "mycroft", Name: "hub", Remote: l.Addr()},
		Internal:    true,
		Origin:      h.origin,
		Subscriber:  h,
	})
	if err != nil {
		return errors.Join(err, l.Close())
	}
	defer peer.Leave()
	h.peer = peer
	if err := h.export.Subscribe(peer, dialect.Terms{NewsOnly: true}); err != nil {
		return errors.Join(err, l.Close())
	}
	for _, name := range h.config.Services {
		if _, err := peer.Expose(name, h.call); err != nil {
			return errors.Join(err, l.Close())
		}
	}
	full, panics := h.env.Counter("connections_refused"), h.env.Counter("session_panics")
	return carrier.Serve(ctx, l, carrier.ServeOptions{
		MaxConns: h.config.MaxClients,
		Grace:    h.config.Grace,
		Refused:  func() { full.Add(1) },
		AcceptError: func(err error) {
			h.log.Warn("a connection could not be accepted", "err", err)
		},
		Panicked: func(value any, stack []byte) {
			panics.Add(1)
			h.log.Error("a client's session panicked", "panic", value, "stack", string(stack))
		},
	}, h.connection)
}

// enter greets a client and adds it: nothing comes before the greeting, and
// nothing that is sent after it is missed.
func (h *hub) enter(s *session) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if err := s.ws.Send(carrier.Text, greeting); err != nil {
		return err
	}
	h.audience.enter(s)
	return nil
}

func (h *hub) leave(s *session) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.audience.leave(s)
}

// choose changes what a client gets from now on, and tells it so.
func (h *hub) choose(s *session, chosen *selection, answer []byte) {
	h.mu.Lock()
	defer h.mu.Unlock()
	s.send(answer)
	h.audience.choose(s, chosen)
}

func (h *hub) learn(s *session, name string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.audience.learn(name, s)
}

// broadcast sends one message to every client that is to have it. The hub's lock
// gives all clients the same order. With a batch the message is written when that
// is flushed. What no queue can hold is sent to nobody.
func (h *hub) broadcast(typ string, message []byte, to *address, batch *bus.Batch) error {
	if n := len(message); n > int(h.config.MaxQueue) {
		return bus.Errorf(bus.TooLarge, "", "the frame has %d bytes, clients' queues hold %d (mycroft.max_queue)", n, h.config.MaxQueue)
	}
	frame := carrier.CompileFrame(carrier.Text, message)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.audience.send(typ, to, func(s *session) { s.sendFrame(frame, batch) })
	return nil
}

// sendFrame is called under the hub's lock.
func (s *session) sendFrame(frame []byte, batch *bus.Batch) {
	var err error
	if batch == nil {
		err = s.ws.SendFrame(frame)
	} else {
		var kick bool
		if kick, err = s.ws.SendFrameLater(frame); kick {
			batch.Add(s.ws)
		}
	}
	s.sent(err)
}

// Deliver sends a message of the rest of the bus to the clients.
func (h *hub) Deliver(m *bus.Message, s *bus.Subscription) {
	if isLocalEvent(m.Topic) || !h.export.First(s, m.Topic) {
		return
	}
	d, err := mapping.Data(&m.Payload)
	if err == nil {
		context := mapping.Context(m.Headers)
		err = h.broadcast(m.Topic, packet.Append(nil, m.Topic, d, context), h.answerTo(m.Topic, context, nil), m.Batch)
	}
	if err != nil {
		h.count.unexported.Add(1)
		h.log.Debug("a message cannot be written as a Mycroft frame", "topic", m.Topic, "err", err)
		return
	}
	h.count.exported.Add(1)
}

// Expelled: the hub's own peer has no name that could be taken over; the
// broker is closing.
func (h *hub) Expelled(error) {}
