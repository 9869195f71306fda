package mqtt

import (
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"omnibus/bus"
	"omnibus/dialect"
	"omnibus/dialect/mqtt/packet"
)

// session is what the server knows of a client, connected or not. It is the
// Subscriber of a peer.
type session struct {
	server *server
	id     string
	origin *bus.Origin
	peer   dialect.Peer

	conn    atomic.Pointer[conn] // nil while the client is away; changes under mu
	overlap atomic.Bool          // several filters may match one message

	mu       sync.Mutex // taken before an outbox's lock, never after
	ended    bool       // the broker has let it go
	changing bool       // a connection, or its time, is being dealt with
	changed  chan struct{}
	expiry   time.Duration
	delay    time.Duration // of the will
	willDue  time.Time     // of a client that is away; zero is never
	endDue   time.Time
	timer    *time.Timer

	filters  filters
	flight   flight              // sent and not acknowledged
	backlog  backlog             // not yet sent
	received map[uint16]struct{} // identifiers of QoS 2 that came in and are not released
	merging  []merging           // messages that are being routed
	roomy    chan struct{}       // closed when there may be room for replays
	provides *provides           // nil until the client provides a service
}

// attach gives the session its connection, which has been admitted. The connection
// it had ends first. False when the session has ended.
func (s *session) attach(c *conn, t *terms) bool {
	if t.ack.SessionPresent && !s.claim() { // a new one is this connection's already
		return false
	}
	alive := s.peer.Resume()
	if alive {
		s.peer.Will(t.will, t.willLife)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	defer s.settled()
	if s.ended || !alive {
		return false
	}
	s.stopTimer()
	s.expiry, s.delay = t.expiry, t.willDelay
	c.session = s
	ack := t.ack.AppendWithin(nil, c.version, c.limits)
	// It is written when the session has its connection: what is published once the
	// client has seen it, is the client's.
	if _, err := c.out.AppendParts(ack, nil, true); err != nil || len(ack) == 0 { // MQTT-3.2.0-1
		c.end(packet.PacketTooLarge, "") // the client's maximum leaves no room for CONNACK, which cannot be told
	}
	c.joined.Store(true)
	s.conn.Store(c)
	s.flight.age()
	s.pump(c)
	c.batch.Add(c.out)
	return true
}

// claim waits until the session has no connection and nobody deals with it, and
// makes the caller the one who does; a connection that it has ends. False when the
// session has ended.
func (s *session) claim() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for !s.ended {
		if s.conn.Load() == nil && !s.changing {
			s.changing = true
			return true
		}
		s.fence()
	}
	return false
}

// nextChange is closed by settled. The caller holds mu.
func (s *session) nextChange() <-chan struct{} {
	if s.changed == nil {
		s.changed = make(chan struct{})
	}
	return s.changed
}

// settled tells those who wait in claim. The caller holds mu.
func (s *session) settled() {
	s.changing = false
	if s.changed != nil {
		close(s.changed)
		s.changed = nil
	}
}

// detach takes the connection away when it has ended, for whatever reason.
func (s *session) detach(c *conn) {
	s.mu.Lock()
	if s.conn.Load() != c {
		s.mu.Unlock()
		return
	}
	s.changing = true
	last := s.expiry == 0 && !s.ended
	s.mu.Unlock()
	if c.clean {
		s.peer.Will(nil, 0)
	}
	if last { // while it has its connection, so that what groups choose it for until then is handed over
		s.leave()
	}
	s.mu.Lock()
	s.conn.Store(nil)
	s.wakeReplays()
	s.provides.abandon()
	shared := s.shared()
	ended, expiry, delay := s.ended, s.expiry, s.delay
	s.mu.Unlock()

	s.dropShared(handOver(shared))
	switch {
	case ended:
	default:
		if delay == 0 {
			s.peer.PublishWill() // MQTT-3.1.2-8
		}
		if c.ending.Load() != uint32(packet.SessionTakenOver)+1 { // otherwise the next connection is here
			s.suspend(expiry, delay)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.settled()
}

// suspend lets the session wait for its client.
func (s *session) suspend(expiry, delay time.Duration) {
	if err := s.peer.Suspend(); err != nil {
		if !errors.Is(err, bus.ErrClosed) {
			s.server.log.Warn("a session could not be kept", "client", s.id, "err", err)
		}
		s.leave()
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	if expiry != forever {
		s.endDue = now.Add(expiry)
	}
	if delay > 0 && delay < expiry { // otherwise it is published when the session ends
		s.willDue = now.Add(delay)
	}
	s.arm()
}

// arm sets the timer for what is due next. The caller holds mu.
func (s *session) arm() {
	next := s.willDue
	if next.IsZero() || !s.endDue.IsZero() && s.endDue.Before(next) {
		next = s.endDue
	}
	if !next.IsZero() && !s.ended {
		s.timer = time.AfterFunc(time.Until(next), s.due)
	}
}

func (s *session) stopTimer() {
	s.willDue, s.endDue = time.Time{}, time.Time{}
	if s.timer != nil {
		s.timer.Stop()
		s.timer = nil
	}
}

// due does what the time has come for.
func (s *session) due() {
	s.mu.Lock()
	if s.ended || s.changing || s.conn.Load() != nil {
		s.mu.Unlock()
		return
	}
	now := time.Now()
	reached := func(t time.Time) bool { return !t.IsZero() && !now.Before(t) }
	will, end := reached(s.willDue), reached(s.endDue)
	if will {
		s.willDue = time.Time{}
	}
	s.changing = true
	s.mu.Unlock()
	if will {
		s.peer.PublishWill()
	}
	if end {
		s.leave()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !end {
		s.arm()
	}
	s.settled()
}

// leave ends the session. Its will is published by the broker, if it still has one.
func (s *session) leave() {
	s.peer.Leave()
	s.over()
}

// Fence ends the connection, if there is one, before the session is taken from it;
// see dialect.Fencer. What that means for the session and its will is no different
// from any other end of a connection.
func (s *session) Fence() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.conn.Load() != nil {
		s.fence()
	}
}

// fence ends the connection and waits until that, or whatever else is being done to
// the session, is done. The caller holds mu, which is given up meanwhile.
func (s *session) fence() {
	c, changed := s.conn.Load(), s.nextChange()
	s.mu.Unlock()
	if c != nil && c.end(packet.SessionTakenOver, "another connection uses the client identifier") { // MQTT-3.1.4-3
		s.server.count.takenOver.Add(1)
	}
	<-changed
	s.mu.Lock()
}

// Expelled ends the session by the broker's will.
func (s *session) Expelled(why error) {
	c := s.over()
	if c == nil {
		return
	}
	switch {
	case errors.Is(why, dialect.ErrTakenOver):
		c.end(packet.SessionTakenOver, "another connection uses the client identifier")
	case errors.Is(why, bus.ErrClosed):
		c.end(packet.ServerShuttingDown, "the server is shutting down")
	default:
		c.end(packet.AdministrativeAction, why.Error())
	}
}

// over marks the session as ended, lets go of all that waits, and returns its
// connection, if it has one.
func (s *session) over() *conn {
	s.mu.Lock()
	s.ended = true
	s.stopTimer()
	shared := s.shared()
	s.flight, s.backlog, s.received = flight{}, backlog{}, nil
	watched := s.filters.watching()
	s.filters = filters{}
	s.wakeReplays()
	s.provides.abandon()
	c := s.conn.Load()
	s.mu.Unlock()
	s.server.status.unwatch(watched)
	for _, taken := range handOver(shared) {
		if !taken {
			s.server.count.lost.Add(1)
		}
	}
	return c
}

// expireAfter is the session expiry interval of DISCONNECT.
func (s *session) expireAfter(interval uint32) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.expiry == 0 && interval > 0 { // MQTT-3.14.2-2
		return breach(packet.ProtocolError, "DISCONNECT gives a session an expiry that CONNECT gave none")
	}
	s.expiry = seconds(interval)
	if most := s.server.config.MaxSessionExpiry; most > 0 {
		s.expiry = min(s.expiry, most)
	}
	return nil
}
