package bus

import (
	"context"

	"omnibus/topic"
)

// Receiver is handed the messages of its subscriptions.
type Receiver interface {
	// Deliver runs on the publisher's goroutine and never blocks. m, its
	// payload and its strings are valid only until it returns; a receiver
	// that needs them longer takes m.Keep(). Messages of one publishing
	// goroutine arrive in order; several goroutines may call at once.
	Deliver(m *Message, s *Subscription)
}

// AttachOptions are the terms of a subscription.
type AttachOptions struct {
	// Origin is the link that subscribes. Messages that came in by it are
	// not delivered to it.
	Origin *Origin
	// Echo delivers them all the same.
	Echo bool
	// SkipRetained asks for news only, without the values kept for new
	// subscribers.
	SkipRetained bool
	// Group, when it is not empty, shares messages: of all subscriptions of a
	// bus with the same group and an Equal pattern, exactly one gets each
	// message. They take turns; see Member and Selective for who is passed
	// over. A member gets no values kept for new subscribers. It may be handed
	// a message that was under way when it ended: one that cannot use it gives
	// it back with Redeliver.
	Group string
	// Tag is the receiver's own; the bus carries it.
	Tag any
}

// Subscription is a pattern and who receives what matches it.
type Subscription struct {
	// What every publish looks at comes first, to be in one cache line.
	to      Receiver
	direct  any // the function of a Direct handler
	opts    AttachOptions
	bus     *Bus
	pattern topic.Pattern
}

// Attach subscribes a receiver. It gets every message whose Publish begins
// after Attach returns, and what is kept for new subscribers.
func (b *Bus) Attach(p topic.Pattern, to Receiver, o AttachOptions) (*Subscription, error) {
	if p.IsZero() {
		return nil, errNoPattern()
	}
	s := &Subscription{bus: b, pattern: p, to: to, opts: o}
	if err := b.attach(s); err != nil {
		return nil, err
	}
	return s, nil
}

func errNoPattern() error { return Errorf(Invalid, "", "a subscription needs a pattern") }

func (b *Bus) attach(s *Subscription) error {
	if b.closed.Load() {
		return ErrClosed
	}
	if s.opts.Group != "" {
		b.join(s)
	} else {
		b.index.Insert(s.pattern, s)
	}
	if b.opts.Keeper != nil {
		b.opts.Keeper.Attached(s)
	}
	return nil
}

// Pattern returns what s subscribes to.
func (s *Subscription) Pattern() topic.Pattern { return s.pattern }

// Tag returns what the receiver gave it in the options.
func (s *Subscription) Tag() any { return s.opts.Tag }

// Options returns the terms that s was made with.
func (s *Subscription) Options() AttachOptions { return s.opts }

// Deliver hands m to the receiver, as Publish would.
func (s *Subscription) Deliver(m *Message) { s.to.Deliver(m, s) }

// Pacer is what a Receiver may be, too: one that can be waited for.
type Pacer interface {
	// Room waits until the receiver has room for more, and fails when it has
	// ended.
	Room() error
}

// Room waits until the receiver has room for what is kept for it. A receiver
// that is no Pacer always has.
func (s *Subscription) Room() error {
	if p, ok := s.to.(Pacer); ok {
		return p.Room()
	}
	return nil
}

// Unsubscribe ends the subscription: no message whose Publish begins after it
// returns is delivered, what waits in a queue is discarded, or handed to the
// other members of a group as far as they have room. It does not wait for a
// running handler. It reports whether there was something to end.
func (s *Subscription) Unsubscribe() bool { return s.end(false) }

// Drain ends the subscription after the messages in its queue have been
// handled, or when ctx ends.
func (s *Subscription) Drain(ctx context.Context) error {
	s.end(true)
	w, ok := s.to.(worker)
	if !ok {
		return nil
	}
	select {
	case <-w.done():
		return nil
	default:
	}
	select {
	case <-w.done():
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s *Subscription) end(drain bool) bool {
	var found bool
	if s.opts.Group != "" {
		found = s.bus.leave(s)
	} else {
		found = s.bus.index.Remove(s.pattern, s)
	}
	if found && s.bus.opts.Keeper != nil {
		s.bus.opts.Keeper.Detached(s)
	}
	if w, ok := s.to.(worker); ok {
		w.shut(drain)
	}
	return found
}

// wants reports whether a message of this origin may go to s.
func (s *Subscription) wants(o *Origin) bool {
	return o == nil || o != s.opts.Origin || s.opts.Echo
}

// Stats are the counters of one subscription.
type Stats struct {
	Queued      int    // waiting now
	Handled     uint64 // handler calls that ended, panics included; Direct ones are not counted
	Dropped     uint64 // lost to a full queue
	Undecodable uint64 // not what the handler takes
}

// Stats returns the counters; those of a Receiver attached by its own means
// are zero.
func (s *Subscription) Stats() Stats {
	if w, ok := s.to.(worker); ok {
		return w.stats()
	}
	return Stats{}
}
