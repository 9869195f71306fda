package bridge

import (
	"hash/maphash"
	"sync"
	"time"
)

// maxEchoes is how many messages are remembered at a time.
const maxEchoes = 16_384

// echo is a message that was sent and may come back.
type echo struct {
	hash uint64
	back bool
	due  time.Time // when it is forgotten; zero while it is under way
}

// echoes remembers what was sent to topics from which the same broker sends it
// back, so that it is known when it comes. Only topic and payload are compared: the
// other broker may change the QoS on the way.
type echoes struct {
	window time.Duration
	seed   maphash.Seed
	full   func() // one was forgotten before its time

	mu    sync.Mutex
	known map[uint64][]*echo // not back yet, the oldest first
	queue []*echo            // that have a due time, the soonest first
	n     int                // in known
}

func newEchoes(window time.Duration, full func()) *echoes {
	return &echoes{window: window, seed: maphash.MakeSeed(), full: full, known: make(map[uint64][]*echo)}
}

func (e *echoes) hash(topic string, payload []byte) uint64 {
	var h maphash.Hash
	h.SetSeed(e.seed)
	_, _ = h.WriteString(topic) // it never fails
	_ = h.WriteByte(0)          // no topic holds one
	_, _ = h.Write(payload)
	return h.Sum64()
}

// sending notes a message that is about to be sent. nil when there are too many.
func (e *echoes) sending(topic string, payload []byte) *echo {
	x := &echo{hash: e.hash(topic, payload)}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.forget(time.Now())
	if e.n >= maxEchoes {
		if len(e.queue) == 0 {
			e.full()
			return nil
		}
		e.full()
		e.drop(e.queue[0])
		e.queue = e.queue[1:]
	}
	e.known[x.hash] = append(e.known[x.hash], x)
	e.n++
	return x
}

// sent starts the time of a message: the other broker has it, or it is only known
// that it was written.
func (e *echoes) sent(x *echo) {
	if x == nil {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if !x.back {
		x.due = time.Now().Add(e.window)
		e.queue = append(e.queue, x)
	}
}

// unsent takes back what was not sent after all.
func (e *echoes) unsent(x *echo) {
	if x == nil {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.drop(x)
}

// returns tells whether a message is one that was sent, once for each.
func (e *echoes) returns(topic string, payload []byte) bool {
	h := e.hash(topic, payload)
	e.mu.Lock()
	defer e.mu.Unlock()
	e.forget(time.Now())
	list := e.known[h]
	if len(list) == 0 {
		return false
	}
	e.drop(list[0])
	return true
}

// forget drops those whose time is over. The caller holds mu.
func (e *echoes) forget(now time.Time) {
	for len(e.queue) > 0 && (e.queue[0].back || !now.Before(e.queue[0].due)) {
		e.drop(e.queue[0])
		e.queue = e.queue[1:]
	}
}

// drop takes one out of known, if it is there. The caller holds mu.
func (e *echoes) drop(x *echo) {
	if x.back {
		return
	}
	x.back = true
	list := e.known[x.hash]
	for i, other := range list {
		if other == x {
			e.n--
			if len(list) == 1 {
				delete(e.known, x.hash)
			} else {
				e.known[x.hash] = append(list[:i:i], list[i+1:]...)
			}
			return
		}
	}
}
