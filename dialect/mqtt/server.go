package mqtt

import (
	"context"
	"log/slog"
	"net"
	"sync"
	"time"

	"omnibus/bus"
	"omnibus/carrier"
	"omnibus/dialect"
	"omnibus/dialect/mqtt/packet"
)

// server is the opened dialect: what all connections and sessions share.
type server struct {
	config  Config
	env     dialect.Env
	log     *slog.Logger
	origins func(carrier.Handshake) bool
	count   counters
	status  statusTree

	mu      sync.Mutex
	conns   map[*conn]struct{}
	serving int  // listeners that run
	closing bool // a listener has been told to end
}

// counters are the dialect's events.
type counters struct {
	connections, received, sent, malformed, timeouts, refused, crossSite,
	dropped, slow, expired, unwritable, takenOver, rejected, lost dialect.Counter
}

func newServer(c Config, env dialect.Env, origins func(carrier.Handshake) bool) *server {
	s := &server{
		config: c, env: env, log: env.Log, origins: origins, conns: make(map[*conn]struct{}),
		count: counters{
			connections: env.Counter("connections"),
			received:    env.Counter("messages_received"),
			sent:        env.Counter("messages_sent"),
			malformed:   env.Counter("packets_invalid"),
			timeouts:    env.Counter("keep_alive_timeouts"),
			refused:     env.Counter("connections_refused"),
			crossSite:   env.Counter("cross_site_refused"),
			dropped:     env.Counter("messages_dropped_queue_full"),
			slow:        env.Counter("clients_too_slow"),
			expired:     env.Counter("messages_expired"),
			unwritable:  env.Counter("messages_unwritable"),
			takenOver:   env.Counter("sessions_taken_over"),
			rejected:    env.Counter("publications_rejected"),
			lost:        env.Counter("messages_dropped_session_full"),
		},
	}
	s.status.server = s
	return s
}

// serveWith is how a listener is served whose connections begin with open.
func (s *server) serveWith(open func(net.Conn) (net.Conn, error)) func(context.Context, net.Listener) error {
	return func(ctx context.Context, l net.Listener) error {
		s.mu.Lock()
		s.serving++
		s.mu.Unlock()
		ended := make(chan struct{})
		stop := context.AfterFunc(ctx, func() {
			defer close(ended)
			s.shutdown()
		})
		err := carrier.Serve(ctx, l, carrier.ServeOptions{
			MaxConns: s.config.MaxClients,
			Grace:    s.config.Grace,
			Refused: func() {
				s.count.refused.Add(1)
				s.log.Warn("a connection was refused: there are too many", "limit", s.config.MaxClients, "setting", "mqtt.max_clients")
			},
			AcceptError: func(err error) { s.log.Warn("accepting a connection failed; trying again", "err", err) },
			Panicked: func(v any, stack []byte) {
				s.log.Error("a connection panicked and was closed", "panic", v, "stack", string(stack))
			},
		}, func(_ context.Context, nc net.Conn) { s.connection(nc, open) })
		if !stop() {
			<-ended
		}
		s.mu.Lock()
		s.serving--
		last := s.serving == 0
		s.mu.Unlock()
		if last {
			s.status.end()
		}
		return err
	}
}

// stream is the opening of connections that carry MQTT as they are.
func (s *server) stream(nc net.Conn) (net.Conn, error) { return nc, nil }

// subprotocols are the names of MQTT over WebSocket; the second is that of 3.1.
var subprotocols = []string{"mqtt", "mqttv3.1"} // MQTT-6.0.0-3, MQTT-6.0.0-4

// webSocket is the opening of connections that carry MQTT in binary messages.
func (s *server) webSocket(nc net.Conn) (net.Conn, error) {
	ws, err := carrier.Upgrade(nc, carrier.WebSocketOptions{
		Path:             s.config.WebSocket.Path,
		Subprotocols:     subprotocols,
		CheckOrigin:      s.origins,
		MaxMessage:       int(s.config.MaxPacket) + 1<<20, // a message may hold several packets
		HandshakeTimeout: s.config.ConnectTimeout,
	})
	if err != nil {
		return nil, err
	}
	return ws.Stream(), nil
}

// enter lists a connection; false when the server ends.
func (s *server) enter(c *conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closing {
		return false
	}
	s.conns[c] = struct{}{}
	return true
}

func (s *server) leave(c *conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, c)
}

// shutdown tells every client that the server ends, and ends its connection.
func (s *server) shutdown() {
	s.mu.Lock()
	s.closing = true
	all := make([]*conn, 0, len(s.conns))
	for c := range s.conns {
		all = append(all, c)
	}
	s.mu.Unlock()
	for _, c := range all {
		c.end(packet.ServerShuttingDown, "the server is shutting down")
	}
}

// origin names a link for the bus.
func origin(id string) *bus.Origin { return &bus.Origin{Dialect: "mqtt", Name: id} }

// longAgo is a deadline that interrupts.
func longAgo() time.Time { return time.Unix(1, 0) }
