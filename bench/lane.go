package bench

import (
	"math"
	"sync/atomic"
)

// never is a number of messages that no lane gets to.
const never = math.MaxUint64

// lane counts what came back of the messages of one publisher: those that its
// subscriber got, or the acknowledgements that it got itself. Several
// subscribers that share the messages count on one lane.
type lane struct {
	n atomic.Uint64 // messages

	// Whoever brings n to watch wakes the publisher, once.
	watch atomic.Uint64
	wake  chan struct{}

	// The rest is the publisher's alone.
	window   uint64 // how many may be underway
	forgiven uint64 // how many it has given up

	_ [64]byte // the next lane is counted by another goroutine
}

func newLane(window int, wake chan struct{}) *lane {
	l := &lane{window: uint64(window), wake: wake}
	l.watch.Store(never)
	return l
}

// add counts n messages more.
func (l *lane) add(n uint64) {
	if l.n.Add(n) >= l.watch.Load() {
		l.watch.Store(never)
		select {
		case l.wake <- struct{}{}:
		default: // it is awake already
		}
	}
}

// underway is how many of the messages that were sent have not come back.
func (l *lane) underway(sent uint64) uint64 {
	if back := l.n.Load() + l.forgiven; back < sent {
		return sent - back
	}
	return 0 // some have been given up too early
}

// room is how many more may be sent.
func (l *lane) room(sent uint64) uint64 {
	if u := l.underway(sent); u < l.window {
		return l.window - u
	}
	return 0
}

// await asks for a wake-up when no more than most messages are underway, and
// reports whether there is something to wait for.
func (l *lane) await(sent, most uint64) bool {
	if l.underway(sent) <= most {
		return false
	}
	target := sent - most - l.forgiven
	l.watch.Store(target)
	if l.n.Load() >= target { // it may have happened before somebody could see watch
		l.watch.Store(never)
		return false
	}
	return true
}
