package bus

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"omnibus/payload"
	"omnibus/topic"
)

// Options are the settings of a Bus. The zero value works.
type Options struct {
	// Observer is told what nobody else is.
	Observer Observer
	// Codecs are the payload converters beyond the built-in ones.
	Codecs *payload.Codecs
	// Keeper, when there is one, sees every message before it is routed.
	Keeper Keeper
	// CallTimeout bounds calls whose context has no deadline; 0 is
	// DefaultCallTimeout.
	CallTimeout time.Duration
	// Policy chooses among several providers of one service.
	Policy Policy
	// Identify, when it is set, gives a message that has none the identity it
	// keeps through bridges, before anybody sees it; empty gives it none.
	Identify func() string
}

// Observer is told of what happens on a bus and is nobody's return value.
// Every function may be nil; they are called on the goroutine where it
// happened and must not block.
type Observer struct {
	// Panic: the handler of a subscription or service panicked.
	Panic func(name string, p *PanicError)
	// Dropped: a full queue lost a message for the subscription to pattern.
	Dropped func(pattern topic.Pattern, name string)
	// Undecodable: a message on name is not what the handler of the
	// subscription to pattern takes.
	Undecodable func(pattern topic.Pattern, name string, err error)
}

// Keeper is what makes a bus remember: a broker's retained values, journal and
// schemas.
type Keeper interface {
	// Keep runs on the publisher's goroutine before m is routed. An error
	// refuses the message: nobody gets it. The position is that of the
	// message in the journal, zero when nobody durable wants it.
	Keep(m *Message) (Position, error)
	// Attached is told of every subscription that is in place, on the
	// goroutine that made it, so that it gets what is kept for it unless its
	// options say otherwise. It may deliver to it, no faster than it has
	// Room.
	Attached(s *Subscription)
	// Detached is told once of each that has ended.
	Detached(s *Subscription)
}

// Bus joins publishers and subscribers, callers and services. Its methods may
// be called from any goroutine.
type Bus struct {
	opts     Options
	index    topic.Index[*Subscription]
	groups   groups
	services registry

	closed  atomic.Bool
	ctx     context.Context // of handlers; ends when Close gives up waiting
	cancel  context.CancelFunc
	mu      sync.Mutex // guards live and the closing of the bus
	live    map[worker]struct{}
	working sync.WaitGroup // one for each in live
	calls   *gate
}

// worker is a subscription that runs goroutines of its own.
type worker interface {
	// shut takes no more messages; with drain those it has are handled,
	// otherwise discarded.
	shut(drain bool)
	// done is closed when the last handler has returned after shut.
	done() <-chan struct{}
	stats() Stats
}

// New returns a bus that is ready to use.
func New(o Options) *Bus {
	if o.CallTimeout <= 0 {
		o.CallTimeout = DefaultCallTimeout
	}
	b := &Bus{opts: o, live: make(map[worker]struct{})}
	b.ctx, b.cancel = context.WithCancel(context.Background())
	b.services.policy = o.Policy
	b.calls = newGate(nil)
	return b
}

// Receipt says what became of a published message.
type Receipt struct {
	// Receivers is how many subscriptions it was handed to. A receiver with
	// a full queue counts.
	Receivers int
	// Position is where the journal has it; the publisher may be told "kept"
	// once the journal is flushed up to there. Zero: nothing to wait for.
	Position Position
	// Known tells that the message was here before, by another way: nobody was
	// handed it, and nothing else is to come of it.
	Known bool
}

// Publish routes m to every matching subscription. It never waits for a slow
// subscriber when m has an Origin; without one it waits for a full queue whose
// policy is Block, until there is room or the bus is closed. m is the caller's
// again when it returns.
func (b *Bus) Publish(m *Message) (Receipt, error) { return b.PublishVia(m, nil) }

// PublishVia is Publish with relay called once m is accepted and before it is
// routed: a link that echoes to its own side does so there, and echoes nothing
// that is refused. A nil relay is none.
func (b *Bus) PublishVia(m *Message, relay func(*Message)) (Receipt, error) {
	if m.kept != m {
		m.kept = nil // a copy of what m was before
	}
	m.use(b.opts.Codecs)
	if m.ID == "" && m.kept != m && b.opts.Identify != nil {
		m.ID = b.opts.Identify()
	}
	pos, err := b.accept(m)
	if err != nil {
		return Receipt{}, err
	}
	if relay != nil {
		relay(m)
	}
	shared := m.kept == m // others may publish it at the same time
	if !shared {
		m.begin()
	}
	n := 0
	var scratch [8]*topic.Leaf[*Subscription]
	for _, leaf := range b.index.Match(m.Topic, scratch[:0]) {
		for _, s := range leaf.Values() {
			if g, ok := s.to.(*group); ok {
				if s = g.choose(m.Topic, m.Origin, nil); s == nil {
					continue
				}
			} else if !s.wants(m.Origin) {
				continue
			}
			s.to.Deliver(m, s)
			n++
		}
	}
	if !shared {
		m.finish()
	}
	return Receipt{Receivers: n, Position: pos}, nil
}

// accept does what precedes routing.
func (b *Bus) accept(m *Message) (Position, error) {
	if err := b.check(m.Topic); err != nil {
		return 0, err
	}
	if b.opts.Keeper == nil {
		return 0, nil
	}
	return b.opts.Keeper.Keep(m)
}

func (b *Bus) check(name string) error {
	if b.closed.Load() {
		return ErrClosed
	}
	if err := topic.CheckName(name); err != nil {
		return &Error{Kind: Invalid, Topic: name, Text: err.Error(), Err: err}
	}
	return nil
}

// Wanted reports whether any subscription matches the name.
func (b *Bus) Wanted(name string) bool {
	var scratch [8]*topic.Leaf[*Subscription]
	for _, leaf := range b.index.Match(name, scratch[:0]) {
		if len(leaf.Values()) > 0 {
			return true
		}
	}
	return false
}

// Close refuses new messages and calls, lets every queue drain and every call
// end, and returns when the last handler has. When ctx ends first, the contexts
// of handlers and calls are cancelled and Close returns ctx's error. Closing
// again waits again. A handler must not wait for it.
func (b *Bus) Close(ctx context.Context) error {
	b.mu.Lock()
	b.closed.Store(true)
	workers := slices.Collect(maps.Keys(b.live)) // none comes any more
	b.mu.Unlock()
	for _, w := range workers {
		w.shut(true)
	}
	b.calls.shut()

	idle := make(chan struct{})
	go func() {
		defer close(idle)
		b.working.Wait()
		<-b.calls.done
	}()
	select {
	case <-idle:
		b.cancel()
		return nil
	case <-ctx.Done():
		b.cancel() // also ends the wait of callers
		return errors.Join(errors.New("closing the bus: handlers are still running"), ctx.Err())
	}
}

// start admits a worker; false when the bus is closed.
func (b *Bus) start(w worker) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed.Load() {
		return false
	}
	b.live[w] = struct{}{}
	b.working.Add(1)
	return true
}

// stopped is told by a worker that its last handler has returned.
func (b *Bus) stopped(w worker) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.live, w)
	b.working.Done()
}
