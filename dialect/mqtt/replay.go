package mqtt

import "sync"

// replays are those of one connection that wait for room: one after the other, on a
// goroutine of its own, so that the client's answers are read meanwhile. A filter
// waits once, however often the client subscribes to it, and what is kept for it is
// looked up when its turn comes.
type replays struct {
	wait sync.WaitGroup

	mu      sync.Mutex
	running bool
	queue   []*filter
	queued  map[*filter]struct{}
}

// replay delivers what is kept for a filter: at once as far as there is room and no
// other waits for it.
func (c *conn) replay(f *filter) {
	if c.replays.add(f) {
		return
	}
	next := c.session.peer.Replay(f.sub)
	for {
		if backlog, outbox := c.session.crowded(c); backlog || outbox {
			break
		}
		if !next() {
			return
		}
	}
	c.replays.begin(func() {
		for f != nil && c.session.waitForRoom(c) {
			if c.session.holds(f) && next() {
				continue
			}
			if f = c.replays.take(); f != nil {
				next = c.session.peer.Replay(f.sub)
			}
		}
	})
}

// holds tells whether the client is still subscribed to a filter (MQTT-3.10.4-2).
func (s *session) holds(f *filter) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.filters.find(f.text) == f
}

// add lets a filter wait; false when it need not.
func (r *replays) add(f *filter) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.running {
		return false
	}
	if _, ok := r.queued[f]; ok {
		return true
	}
	if r.queued == nil {
		r.queued = make(map[*filter]struct{})
	}
	r.queued[f] = struct{}{}
	r.queue = append(r.queue, f)
	return true
}

func (r *replays) begin(run func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.running = true
	r.wait.Go(run)
}

// take returns the filter that has waited longest; nil when there is none, and the
// goroutine ends.
func (r *replays) take() *filter {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.queue) == 0 {
		r.running, r.queue, r.queued = false, nil, nil
		return nil
	}
	f := r.queue[0]
	r.queue = r.queue[1:]
	delete(r.queued, f)
	return f
}

// fullReplay is how many messages may wait in the backlog while a replay goes on.
const fullReplay = 64

// crowded tells whether a replay must wait for the client's answers, or for the
// outbox. At half of its bound that calls OnRoom, too.
func (s *session) crowded(c *conn) (backlog, outbox bool) {
	bytes, _ := c.out.Pending()
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.backlog.n >= fullReplay, bytes > int(s.server.config.MaxQueue)/2
}

// waitForRoom waits until there is room; false when the connection ends.
func (s *session) waitForRoom(c *conn) bool {
	for {
		roomy, ok := s.nextRoom(c)
		if !ok {
			return false
		}
		backlog, outbox := s.crowded(c)
		if !backlog && !outbox {
			return true
		}
		if outbox { // only then, since one that has room says so at once, again and again
			c.out.Kick()
			c.out.NeedRoom()
		}
		<-roomy
	}
}

// nextRoom is closed when there may be more room; false when the connection ends.
func (s *session) nextRoom(c *conn) (<-chan struct{}, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.conn.Load() != c {
		return nil, false
	}
	if s.roomy == nil {
		s.roomy = make(chan struct{})
	}
	return s.roomy, true
}

// wakeReplays has them look again. The caller holds mu.
func (s *session) wakeReplays() {
	if s.roomy != nil {
		close(s.roomy)
		s.roomy = nil
	}
}
