package bus

import (
	"context"
	"sync/atomic"
)

// Group lets the subscriptions to one pattern that have the same non-empty name
// share its messages: each message goes to one of them, see
// AttachOptions.Group. A handler counts as busy while all its workers are.
func Group(name string) SubscribeOption {
	return func(t *terms) { t.attach.Group = name }
}

// shared is what a handler knows of itself for its group.
type shared struct {
	workers int64
	max     int64        // of its queue
	pending atomic.Int64 // messages in its queue, and those being handled
	ended   atomic.Bool  // it takes no more
}

// Load is Member's.
func (h *handler[T]) Load() (waiting int, present bool) {
	if h.mode != modeQueue {
		return 0, true
	}
	const full = 1 << 30 // after all those that have room
	pending := h.shared.pending.Load()
	waiting = int(max(0, pending-h.shared.workers+1))
	if pending >= h.shared.max {
		waiting += full
	}
	return waiting, true
}

// Admits is Selective's.
func (h *handler[T]) Admits(string) bool { return !h.shared.ended.Load() }

// publishShared hands v to one member of a group. *m is the message made from
// it, if somebody has needed that.
func publishShared[T any](ctx context.Context, g *group, name string, v T, m **Message, w *waiter) error {
	s := g.choose(name, nil, nil)
	if s == nil {
		if g.head.bus.closed.Load() {
			return ErrClosed // its members have ended because of that
		}
		return nil
	}
	if s.direct != nil {
		one := [...]*Subscription{s}
		if direct(ctx, one[:], name, v, w) > 0 {
			return nil
		}
	}
	if h, ok := s.to.(*handler[T]); ok {
		return h.publish(ctx, name, v, w)
	}
	if *m == nil {
		*m = s.bus.message(name, v)
	}
	return deliver(ctx, s, *m, w, true)
}

// handOn gives what a handler has refused or must discard, since it ends, to
// another member of its group. It reports whether there was one.
func (h *handler[T]) handOn(ctx context.Context, x item[T], wait bool) (took bool, err error) {
	if h.shared == nil {
		return false, nil
	}
	var from *Origin
	if x.m != nil {
		from = x.m.Origin
	}
	s := h.sub.bus.another(&h.sub, x.topic(), from)
	if s == nil {
		return false, nil
	}
	if other, ok := s.to.(*handler[T]); ok && other.mode == modeQueue {
		return true, other.push(ctx, x, wait && from == nil)
	}
	if x.m == nil {
		x.m = s.bus.message(x.name, x.value)
	}
	return true, deliver(ctx, s, x.m, x.sync, wait)
}
