package bus

import (
	"context"
	"errors"
	"sync"

	"omnibus/topic"
)

// Subscribe calls fn for every message whose topic matches pattern, in the
// text form of topic.Parse ("room/kitchen", "room/+/temperature", "log/**",
// "regex:/robot/.*"). Values published as T are handed over as they are;
// messages in any other form are converted to T, and those that cannot be are
// counted and reported to the Observer.
func Subscribe[T any](b *Bus, pattern string, fn Handler[T], options ...SubscribeOption) (*Subscription, error) {
	p, err := topic.Parse(pattern)
	if err != nil {
		return nil, &Error{Kind: Invalid, Topic: pattern, Text: err.Error(), Err: err}
	}
	return SubscribePattern(b, p, fn, options...)
}

// SubscribePattern is Subscribe for a pattern that has been parsed.
func SubscribePattern[T any](b *Bus, p topic.Pattern, fn Handler[T], options ...SubscribeOption) (*Subscription, error) {
	if p.IsZero() {
		return nil, errNoPattern()
	}
	t := terms{max: DefaultQueue, workers: 1}
	for _, o := range options {
		o(&t)
	}
	h := &handler[T]{fn: fn, mode: t.mode, ended: make(chan struct{})}
	h.sub = Subscription{bus: b, pattern: p, to: h, opts: t.attach}
	if t.attach.Group != "" {
		h.shared = &shared{workers: int64(t.workers), max: int64(t.max)}
	}
	if t.mode == modeDirect {
		h.sub.direct = fn
	}
	if err := h.start(t); err != nil {
		return nil, err
	}
	if err := b.attach(&h.sub); err != nil {
		h.shut(false)
		return nil, err
	}
	return &h.sub, nil
}

// start makes the goroutines of the handler's mode; the last that ends tells the
// bus.
func (h *handler[T]) start(t terms) error {
	switch h.mode {
	case modeDirect:
		close(h.ended)
		return nil
	case modeSpawn:
		h.only, _ = h.sub.pattern.Literal()
		h.gate = newGate(func() { h.sub.bus.stopped(h) })
		h.ended = h.gate.done
		if !h.sub.bus.start(h) {
			return ErrClosed
		}
		return nil
	}
	h.queue = newQueue[item[T]](t.max, t.policy)
	if !h.sub.bus.start(h) {
		return ErrClosed
	}
	var workers sync.WaitGroup
	for range t.workers - 1 {
		workers.Go(h.work)
	}
	go func() { // deferred, because a handler may end its goroutine
		defer h.sub.bus.stopped(h)
		defer close(h.ended)
		defer h.shut(false) // nobody is held up by a queue without workers
		defer workers.Wait()
		h.work()
	}()
	return nil
}

// Publish hands v to every matching subscription. Handlers of Direct
// subscriptions have run when it returns. It blocks only for subscriptions
// whose queue is full and whose policy is Block, until there is room or ctx
// ends. That nobody subscribes is no error.
func Publish[T any](ctx context.Context, b *Bus, name string, v T) error {
	return publish(ctx, b, name, v, nil)
}

// PublishSync is Publish that returns when every handler has handled v, or
// when ctx ends. Order is kept: a subscription handles v after what its queue
// holds already. It returns the joined panics, conversion errors and losses of
// those handlers. A handler that publishes synchronously to its own
// subscription would wait for itself: give it a context that ends.
func PublishSync[T any](ctx context.Context, b *Bus, name string, v T) error {
	w := newWaiter()
	if err := publish(ctx, b, name, v, w); err != nil {
		return err
	}
	return w.wait(ctx)
}

func publish[T any](ctx context.Context, b *Bus, name string, v T, w *waiter) error {
	if err := b.check(name); err != nil {
		return err
	}
	var m *Message // made for those who need more than the value
	if b.opts.Keeper != nil {
		m = b.message(name, v)
		if _, err := b.opts.Keeper.Keep(m); err != nil {
			return err
		}
	}
	var failed error
	var scratch [8]*topic.Leaf[*Subscription]
	for _, leaf := range b.index.Match(name, scratch[:0]) {
		subs := leaf.Values()
		for len(subs) > 0 {
			s := subs[0]
			if s.direct != nil {
				if n := direct(ctx, subs, name, v, w); n > 0 {
					subs = subs[n:]
					continue
				}
			}
			subs = subs[1:]
			var err error
			if h, ok := s.to.(*handler[T]); ok {
				err = h.publish(ctx, name, v, w)
			} else if g, ok := s.to.(*group); ok {
				err = publishShared(ctx, g, name, v, &m, w)
			} else {
				if m == nil {
					m = b.message(name, v)
				}
				err = deliver(ctx, s, m, w, true)
			}
			if err != nil {
				failed = errors.Join(failed, err)
			}
		}
	}
	if m != nil {
		m.finish()
	}
	return failed
}

// direct runs the Direct handlers of T that subs begins with, up to the first
// that panics, and returns how many that were. One recover for all is what makes
// a call through the bus cost little more than a call.
func direct[T any](ctx context.Context, subs []*Subscription, name string, v T, w *waiter) (n int) {
	defer func() {
		if r := recover(); r != nil {
			w.fail(subs[n].bus.panicked(name, r))
			n++
		}
	}()
	e := Event[T]{Topic: name, Value: v}
	for ; n < len(subs); n++ {
		fn, ok := subs[n].direct.(Handler[T])
		if !ok {
			break
		}
		fn(ctx, e)
	}
	return n
}

// deliver hands m to a subscription of another type. Only with wait it may be
// held up by a full queue.
func deliver(ctx context.Context, s *Subscription, m *Message, w *waiter, wait bool) error {
	if h, ok := s.to.(interface {
		deliver(context.Context, *Message, *waiter, bool) error
	}); ok {
		return h.deliver(ctx, m, w, wait)
	}
	s.to.Deliver(m, s)
	return nil
}

// message wraps a value of this process, to be routed. Nobody changes it
// afterwards, so it is its own kept copy.
func (b *Bus) message(name string, v any) *Message {
	m := &Message{Topic: name}
	if b.opts.Identify != nil {
		m.ID = b.opts.Identify()
	}
	m.Payload.SetGo(v)
	m.use(b.opts.Codecs)
	m.kept = m
	m.begin()
	return m
}
