package bus

import (
	"context"
	"runtime/debug"
	"strings"
	"sync/atomic"

	"omnibus/payload"
)

// Event is a message as a typed handler gets it. It may be kept.
type Event[T any] struct {
	Topic   string
	Value   T
	Headers Headers
}

// Handler handles the messages of one subscription. ctx ends when the bus gives
// up waiting for it; a Direct handler's is the publisher's.
type Handler[T any] func(ctx context.Context, e Event[T])

// SubscribeOption changes the terms of a subscription.
type SubscribeOption func(*terms)

type terms struct {
	max     int
	policy  Overflow
	workers int
	mode    mode
	attach  AttachOptions
}

type mode uint8

const (
	modeQueue mode = iota
	modeDirect
	modeSpawn
)

// DefaultQueue is how many messages wait for a handler unless Queue says
// otherwise.
const DefaultQueue = 1024

// Queue bounds the messages that wait for the handler and says what happens
// beyond. A bound below one is one.
func Queue(bound int, policy Overflow) SubscribeOption {
	return func(t *terms) { t.max, t.policy = max(bound, 1), policy }
}

// Workers lets n handlers run at a time; the order of messages is given up.
func Workers(n int) SubscribeOption {
	return func(t *terms) { t.workers = max(n, 1) }
}

// Direct runs the handler on the publishing goroutine: nothing is queued and
// Publish returns after the handler. It must not block, since it holds up
// whoever publishes.
func Direct() SubscribeOption {
	return func(t *terms) { t.mode = modeDirect }
}

// maxSpawned bounds the goroutines of a Spawn subscription that publishers
// outside the process can cause.
const maxSpawned = 10 * DefaultQueue

// Spawn runs the handler in a new goroutine for each message: no order, no
// queue, and for publishers of this process no bound. Messages with an Origin
// are lost, counted and reported while 10,240 handlers run.
func Spawn() SubscribeOption {
	return func(t *terms) { t.mode = modeSpawn }
}

// NewsOnly leaves out the values that are kept for new subscribers.
func NewsOnly() SubscribeOption {
	return func(t *terms) { t.attach.SkipRetained = true }
}

// handler is the receiver behind Subscribe.
type handler[T any] struct {
	sub    Subscription // in place, since both are needed together
	fn     Handler[T]
	gate   *gate           // modeSpawn
	only   string          // modeSpawn: the one name that it subscribes to, if there is one
	queue  *queue[item[T]] // modeQueue
	mode   mode
	shared *shared       // nil when it is in no group
	ended  chan struct{} // closed when the last handler has returned

	handled, dropped, undecodable atomic.Uint64
}

// item is a message that waits for its handler: a value, or a kept message
// that is decoded when its turn comes.
type item[T any] struct {
	name  string
	value T
	m     *Message
	sync  *waiter
}

func (x *item[T]) topic() string {
	if x.m != nil {
		return x.m.Topic
	}
	return x.name
}

// publish hands over a value of the handler's own type; nothing is converted.
// Direct handlers are run by direct.
func (h *handler[T]) publish(ctx context.Context, name string, v T, w *waiter) error {
	if h.mode == modeQueue {
		return h.push(ctx, item[T]{name: name, value: v, sync: w}, true)
	}
	if !h.gate.enter() {
		return h.refused(ctx, item[T]{name: name, value: v, sync: w}, true)
	}
	if w != nil { // a synchronous publish runs spawned handlers in order
		defer h.gate.leave()
		w.fail(h.run(ctx, Event[T]{Topic: name, Value: v}))
		return nil
	}
	if name == h.only {
		go h.spawnedOnly(v) // holds less memory
	} else {
		go h.spawned(name, v)
	}
	return nil
}

func (h *handler[T]) spawnedOnly(v T) { h.spawned(h.only, v) }

// spawned is the goroutine of a published value.
func (h *handler[T]) spawned(name string, v T) {
	defer h.left(name)
	h.fn(h.sub.bus.ctx, Event[T]{Topic: name, Value: v})
}

// left is deferred by spawned: all that it has to do, at the price of one.
func (h *handler[T]) left(name string) {
	if r := recover(); r != nil {
		_ = h.sub.bus.panicked(name, r)
	}
	h.gate.leave()
}

// Deliver is Receiver's: the message is converted to T.
func (h *handler[T]) Deliver(m *Message, _ *Subscription) { _ = h.deliver(h.sub.bus.ctx, m, nil, true) }

func (h *handler[T]) deliver(ctx context.Context, m *Message, w *waiter, wait bool) error {
	switch {
	case h.mode == modeQueue:
		return h.push(ctx, item[T]{m: m.Keep(), sync: w}, wait && m.Origin == nil)
	case h.mode == modeDirect:
		w.fail(h.decode(ctx, m))
		return nil
	case m.Origin != nil && h.gate.inside() >= maxSpawned:
		h.drop(item[T]{m: m}, nil)
		return nil
	case !h.gate.enter():
		return h.refused(ctx, item[T]{m: m, sync: w}, wait)
	case w != nil:
		defer h.gate.leave()
		w.fail(h.decode(ctx, m))
		return nil
	}
	k := m.Keep()
	go func() {
		defer h.gate.leave()
		_ = h.decode(h.sub.bus.ctx, k)
	}()
	return nil
}

// push puts x in the queue. What goes wrong is told to whoever waits for x, and
// returned when nobody does.
func (h *handler[T]) push(ctx context.Context, x item[T], wait bool) error {
	x.sync.add()
	what, old, err := h.queue.push(ctx, x, wait)
	switch what {
	case queued:
		if h.shared != nil {
			h.shared.pending.Add(1)
		}
	case lost:
		h.drop(x, err)
	case replaced:
		h.drop(old, nil)
	case refused:
		err = h.refused(ctx, x, wait)
		x.sync.one(nil)
	}
	if x.sync != nil {
		return nil
	}
	return err
}

// refused ends a publish that found the subscription just ended: another member
// of the group gets the message, or the bus is closed, or there is nobody to
// hand it to.
func (h *handler[T]) refused(ctx context.Context, x item[T], wait bool) error {
	if took, err := h.handOn(ctx, x, wait); took {
		return err
	}
	if !h.sub.bus.closed.Load() {
		return nil
	}
	if x.sync != nil {
		x.sync.fail(ErrClosed)
		return nil
	}
	return ErrClosed
}

// drop counts a message that this handler will not get.
func (h *handler[T]) drop(x item[T], err error) {
	h.dropped.Add(1)
	if f := h.sub.bus.opts.Observer.Dropped; f != nil {
		f(h.sub.pattern, x.topic())
	}
	if err == nil && x.sync != nil {
		err = Errorf(Full, x.topic(), "the queue of the subscription to %s is full", h.sub.pattern)
	}
	x.sync.one(err)
}

// work is the goroutine of a queue, one of them with Workers.
func (h *handler[T]) work() {
	for {
		x, ok := h.queue.pop()
		if !ok {
			return
		}
		h.handle(x)
	}
}

func (h *handler[T]) handle(x item[T]) {
	err := errExited
	defer func() {
		if h.shared != nil {
			h.shared.pending.Add(-1) // first: who waited may publish the next
		}
		x.sync.one(err)
	}()
	if x.m != nil {
		err = h.decode(h.sub.bus.ctx, x.m)
	} else {
		err = h.run(h.sub.bus.ctx, Event[T]{Topic: x.name, Value: x.value})
	}
}

// errExited is what PublishSync is told when a handler calls runtime.Goexit.
var errExited error = &Error{Kind: Failed, Text: "the handler ended its goroutine"}

// decode runs the handler on a message in whatever form.
func (h *handler[T]) decode(ctx context.Context, m *Message) error {
	if m.kept != nil {
		m = m.kept // share what others convert
	}
	v, err := payload.To[T](&m.Payload)
	if err != nil {
		h.undecodable.Add(1)
		if f := h.sub.bus.opts.Observer.Undecodable; f != nil {
			f(h.sub.pattern, m.Topic, err)
		}
		return &Error{Kind: Invalid, Topic: m.Topic, Err: err}
	}
	if m.kept == m {
		return h.run(ctx, Event[T]{Topic: m.Topic, Value: v, Headers: m.Headers})
	}
	// A direct handler sees the publisher's own message, and may keep what
	// it gets: the cheap parts are copied.
	return h.run(ctx, Event[T]{Topic: strings.Clone(m.Topic), Value: v, Headers: m.Headers.keep()})
}

func (h *handler[T]) run(ctx context.Context, e Event[T]) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = h.sub.bus.panicked(e.Topic, r)
		}
		if h.mode == modeQueue {
			h.handled.Add(1)
		}
	}()
	h.fn(ctx, e)
	return nil
}

// panicked reports a recovered panic.
func (b *Bus) panicked(name string, value any) error {
	p := &PanicError{Value: value, Stack: debug.Stack()}
	if f := b.opts.Observer.Panic; f != nil {
		f(name, p)
	}
	return &Error{Kind: Failed, Topic: name, Text: p.Error(), Err: p}
}

func (h *handler[T]) shut(drain bool) {
	if h.shared != nil {
		h.shared.ended.Store(true)
	}
	switch h.mode {
	case modeQueue:
		for _, x := range h.queue.close(drain) {
			if took, _ := h.handOn(h.sub.bus.ctx, x, false); took {
				x.sync.one(nil)
			} else {
				x.sync.one(h.discarded(x))
			}
		}
	case modeSpawn:
		h.gate.shut()
	}
}

// discarded is what PublishSync is told of a message that Unsubscribe discards.
func (h *handler[T]) discarded(x item[T]) error {
	if x.sync == nil {
		return nil
	}
	return Errorf(Closed, x.topic(), "the subscription to %s ended before its handler ran", h.sub.pattern)
}

func (h *handler[T]) done() <-chan struct{} { return h.ended }

func (h *handler[T]) stats() Stats {
	s := Stats{Handled: h.handled.Load(), Dropped: h.dropped.Load(), Undecodable: h.undecodable.Load()}
	switch h.mode {
	case modeQueue:
		s.Queued = h.queue.len()
	case modeSpawn:
		left := h.gate.left.Load() // one that cannot be decoded is counted before it leaves
		s.Handled = left - min(left, s.Undecodable)
	}
	return s
}
