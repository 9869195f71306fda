package sysbus

import (
	"context"
	"errors"
	"maps"
	"reflect"
	"slices"
	"sync"
	"sync/atomic"

	"omnibus/bus"
	"omnibus/topic"
)

// Handler handles the messages of the topics it is subscribed to. Handlers are
// told apart by ==, which must not panic: pointers do best.
type Handler interface {
	// Handle is called in a goroutine of its own, or in that of PublishSync.
	Handle(topic Topic, msg any)
}

// FuncHandler makes a function a Handler that can be told from others.
type FuncHandler struct {
	fn func(topic Topic, msg any)
}

// Func returns a Handler that calls fn. Two of the same function are two
// handlers: keep the one that you want to unsubscribe.
func Func(fn func(topic Topic, msg any)) *FuncHandler { return &FuncHandler{fn} }

// Handle calls the function.
func (f *FuncHandler) Handle(topic Topic, msg any) { f.fn(topic, msg) }

// Options are the settings of a Bus. The zero value works.
type Options struct {
	// Set keeps a handler at most once in the list of a topic. Without it a
	// handler that subscribes twice is in the list, and is called, twice.
	Set bool
	// Observer is told of panics in topics that never leave this sysbus, by
	// a name that describes the topic, and of those in all topics when the
	// bus is the sysbus's own. A shared bus has an observer already.
	Observer bus.Observer
}

// Bus is a table of topics and their handlers. Its methods may be called from
// any goroutine, handlers included.
type Bus struct {
	set     bool
	own     bool // the shared bus is nobody else's
	shared  *bus.Bus
	private *bus.Bus

	closed atomic.Bool
	mu     sync.Mutex // guards table and the closing
	table  map[Topic][]entry
}

// entry is one handler in the list of a topic.
type entry struct {
	handler Handler
	sub     *bus.Subscription
}

// New returns a sysbus on a bus that it shares, or on one of its own when b is
// nil.
func New(b *bus.Bus, o Options) *Bus {
	s := &Bus{
		set: o.Set, own: b == nil, shared: b,
		private: bus.New(bus.Options{Observer: o.Observer}),
		table:   make(map[Topic][]entry),
	}
	if s.own {
		s.shared = bus.New(bus.Options{Observer: o.Observer})
	}
	return s
}

// on returns the bus where a topic is published.
func (s *Bus) on(t Topic) *bus.Bus {
	if t.kind == shared {
		return s.shared
	}
	return s.private
}

// Subscribe appends h to the list of a topic.
func (s *Bus) Subscribe(t Topic, h Handler) error {
	if h == nil || !reflect.ValueOf(h).Comparable() {
		return bus.Errorf(bus.Invalid, t.String(), "a handler of type %T cannot be told from others: use a pointer, or Func", h)
	}
	p, err := topic.NewExact(t.name())
	if err != nil {
		return &bus.Error{Kind: bus.Invalid, Topic: t.String(), Err: err}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed.Load() {
		return bus.ErrClosed
	}
	if s.set && find(s.table[t], h) >= 0 {
		return nil
	}
	// With the lock held, so that the bus has the handlers in the list's order.
	sub, err := bus.SubscribePattern(s.on(t), p, func(_ context.Context, e bus.Event[any]) {
		h.Handle(t, e.Value)
	}, bus.Spawn(), bus.NewsOnly())
	if err != nil {
		return err
	}
	s.table[t] = append(s.table[t], entry{h, sub})
	return nil
}

// Publish hands msg to every handler of a topic, each in a goroutine of its
// own, and returns. That there is none is no error; that the bus is closed, or
// that its keeper refuses the message, is.
func (s *Bus) Publish(t Topic, msg any) error {
	if s.closed.Load() {
		return bus.ErrClosed
	}
	return bus.Publish(context.Background(), s.on(t), t.name(), msg)
}

// PublishAsync is Publish, under the name that newer firmware has for it.
func (s *Bus) PublishAsync(t Topic, msg any) error { return s.Publish(t, msg) }

// PublishSync calls every handler of a topic in the calling goroutine, in the
// order of the list, and returns after the last. What handlers panicked with is
// joined in the error.
func (s *Bus) PublishSync(t Topic, msg any) error {
	if s.closed.Load() {
		return bus.ErrClosed
	}
	return bus.PublishSync(context.Background(), s.on(t), t.name(), msg)
}

// Unsubscribe removes a topic and all its handlers from the table. It reports
// whether the topic was there.
func (s *Bus) Unsubscribe(t Topic) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	list, ok := s.table[t]
	for _, e := range list {
		e.sub.Unsubscribe()
	}
	delete(s.table, t)
	return ok
}

// UnsubscribeHandler removes the first entry of h from the list of a topic,
// which stays in the table even when it was the last. A nil h removes the topic,
// as Unsubscribe does. It reports whether there was something to remove.
func (s *Bus) UnsubscribeHandler(t Topic, h Handler) bool {
	if h == nil {
		return s.Unsubscribe(t)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	list := s.table[t]
	i := find(list, h)
	if i < 0 {
		return false
	}
	list[i].sub.Unsubscribe()
	s.table[t] = slices.Delete(list, i, i+1)
	return true
}

// find returns the index of the first entry of h, or -1. An h that cannot be
// compared is in no list.
func find(list []entry, h Handler) int {
	if !reflect.ValueOf(h).Comparable() {
		return -1
	}
	return slices.IndexFunc(list, func(e entry) bool { return e.handler == h })
}

// Table returns a copy of the table: every topic with the list of its handlers.
func (s *Bus) Table() map[Topic][]Handler {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make(map[Topic][]Handler, len(s.table))
	for t, list := range s.table {
		all[t] = handlers(list)
	}
	return all
}

// TableOf returns a copy of the list of a topic, nil when the topic is not in
// the table.
func (s *Bus) TableOf(t Topic) []Handler {
	s.mu.Lock()
	defer s.mu.Unlock()
	list, ok := s.table[t]
	if !ok {
		return nil
	}
	return handlers(list)
}

func handlers(list []entry) []Handler {
	out := make([]Handler, len(list))
	for i, e := range list {
		out[i] = e.handler
	}
	return out
}

// Close ends all subscriptions, empties the table, waits for the handlers in it
// that run, and closes the bus if it is the sysbus's own. (Runs of handlers that
// unsubscribed before are waited for when their bus is closed.) When ctx ends
// first, Close returns its error. A handler must not call it.
func (s *Bus) Close(ctx context.Context) error {
	s.mu.Lock()
	s.closed.Store(true)
	all := slices.Concat(slices.Collect(maps.Values(s.table))...)
	clear(s.table)
	s.mu.Unlock()
	for _, e := range all {
		e.sub.Unsubscribe()
	}
	var errs []error
	for _, e := range all {
		errs = append(errs, e.sub.Drain(ctx))
	}
	errs = append(errs, s.private.Close(ctx))
	if s.own {
		errs = append(errs, s.shared.Close(ctx))
	}
	return errors.Join(errs...)
}
