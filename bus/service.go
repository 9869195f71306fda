package bus

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"omnibus/payload"
	"omnibus/topic"
)

// DefaultCallTimeout bounds calls that bring no deadline of their own.
const DefaultCallTimeout = 30 * time.Second

// Request is a call of a service.
type Request struct {
	// Service is the name that is called.
	Service string
	// Args are the arguments; one value is one argument.
	Args payload.Value
	// Headers is metadata of the caller.
	Headers Headers
	// Origin is the link of the caller, nil for this process. Its own
	// services are not considered unless Echo is set.
	Origin *Origin
	// Echo lets a link call the services it exposes itself.
	Echo bool
}

// Service answers requests. It runs on a goroutine of the call, several at a
// time; ctx ends when nobody waits for the answer any more. The value it
// returns is the caller's from then on. An error that is an *Error keeps its
// kind, any other is Failed.
type Service func(ctx context.Context, r *Request) (*payload.Value, error)

// Policy chooses among several providers of one service.
type Policy uint8

// The policies.
const (
	// FirstUp takes the provider that was there first.
	FirstUp Policy = iota
	// RoundRobin takes them in turn.
	RoundRobin
	// LeastBusy takes the one with the fewest calls under way, the first of
	// several.
	LeastBusy
)

var policyNames = [...]string{"first-up", "round-robin", "least-busy"}

// String returns the policy's name, as the configuration writes it.
func (p Policy) String() string {
	if int(p) < len(policyNames) {
		return policyNames[p]
	}
	return "unknown policy"
}

// ParsePolicy is the inverse of String.
func ParsePolicy(name string) (Policy, bool) {
	i := slices.Index(policyNames[:], name)
	return Policy(max(i, 0)), i >= 0
}

// Exposure is a service that is being provided.
type Exposure struct {
	name   string
	serve  Service
	origin *Origin
	busy   atomic.Int64
	from   *registry
	gone   chan struct{}
	once   sync.Once
}

// registry holds the services of a bus.
type registry struct {
	policy Policy

	mu     sync.RWMutex
	byName map[string]*providers
}

// providers are those of one name, in the order in which they came.
type providers struct {
	list []*Exposure
	turn int
}

// Register provides a service under a name until the Exposure is withdrawn.
// Several providers of one name share the calls by the bus's policy. origin is
// the link that answers, nil for this process.
func (b *Bus) Register(name string, serve Service, origin *Origin) (*Exposure, error) {
	if err := b.check(name); err != nil {
		return nil, err
	}
	e := &Exposure{name: strings.Clone(name), serve: serve, origin: origin, from: &b.services, gone: make(chan struct{})}
	r := &b.services
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.byName == nil {
		r.byName = make(map[string]*providers)
	}
	p := r.byName[e.name]
	if p == nil {
		p = new(providers)
		r.byName[e.name] = p
	}
	p.list = append(p.list, e)
	return e, nil
}

// Name returns the name it is provided under.
func (e *Exposure) Name() string { return e.name }

// Withdraw ends the service: no new call reaches it, and calls that wait for
// its answer end as Unavailable. It reports whether there was something to
// end.
func (e *Exposure) Withdraw() bool {
	r := e.from
	r.mu.Lock()
	p := r.byName[e.name]
	found := false
	if p != nil {
		if i := slices.Index(p.list, e); i >= 0 {
			p.list = slices.Delete(p.list, i, i+1)
			found = true
		}
		if len(p.list) == 0 {
			delete(r.byName, e.name)
		}
	}
	r.mu.Unlock()
	e.once.Do(func() { close(e.gone) })
	return found
}

// Withdrawn reports whether the service has ended.
func (e *Exposure) Withdrawn() bool {
	select {
	case <-e.gone:
		return true
	default:
		return false
	}
}

// Exposed reports whether anybody but the link except provides the service.
func (b *Bus) Exposed(name string, except *Origin) bool {
	r := &b.services
	r.mu.RLock()
	defer r.mu.RUnlock()
	p := r.byName[name]
	return p != nil && slices.ContainsFunc(p.list, func(e *Exposure) bool {
		return except == nil || e.origin != except
	})
}

// ServiceInfo describes one service for people.
type ServiceInfo struct {
	Name      string
	Providers int
	Busy      int64 // calls under way
}

// Services lists what is exposed, by name.
func (b *Bus) Services() []ServiceInfo {
	r := &b.services
	r.mu.RLock()
	defer r.mu.RUnlock()
	var all []ServiceInfo
	for name, p := range r.byName {
		info := ServiceInfo{Name: name, Providers: len(p.list)}
		for _, e := range p.list {
			info.Busy += e.busy.Load()
		}
		all = append(all, info)
	}
	slices.SortFunc(all, func(a, b ServiceInfo) int { return strings.Compare(a.Name, b.Name) })
	return all
}

// pick chooses a provider for r by the policy and counts the call as its own.
func (g *registry) pick(r *Request) (*Exposure, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	e, err := g.choose(r)
	if err != nil {
		return nil, err
	}
	e.busy.Add(1)
	return e, nil
}

// choose is pick with the lock held.
func (g *registry) choose(r *Request) (*Exposure, error) {
	p := g.byName[r.Service]
	if p == nil {
		return nil, Errorf(Unknown, r.Service, "no such service: nobody exposes it")
	}
	fit := func(e *Exposure) bool { return r.Echo || r.Origin == nil || e.origin != r.Origin }
	var best *Exposure
	for i := range p.list {
		switch g.policy {
		case RoundRobin:
			e := p.list[(p.turn+i)%len(p.list)]
			if fit(e) {
				p.turn = (p.turn + i + 1) % len(p.list)
				return e, nil
			}
		case LeastBusy:
			if e := p.list[i]; fit(e) && (best == nil || e.busy.Load() < best.busy.Load()) {
				best = e
			}
		default:
			if e := p.list[i]; fit(e) {
				return e, nil
			}
		}
	}
	if best == nil {
		return nil, Errorf(Unavailable, r.Service, "the caller is the only one that exposes it")
	}
	return best, nil
}

// answer is what a service returned.
type answer struct {
	v   *payload.Value
	err error
}

// Call calls a service and returns its answer. It always returns by ctx's
// deadline, or by the bus's CallTimeout when ctx has none, with an *Error that
// says which of Unknown, Unavailable, TimedOut, Refused, Failed, Invalid or
// Closed happened. r belongs to the call until the service has returned, which
// may be later.
func (b *Bus) Call(ctx context.Context, r *Request) (*payload.Value, error) {
	if err := topic.CheckName(r.Service); err != nil {
		return nil, &Error{Kind: Invalid, Topic: r.Service, Text: err.Error(), Err: err}
	}
	start := time.Now()
	if !b.calls.enter() {
		return nil, ErrClosed
	}
	if ctx.Err() != nil {
		b.calls.leave()
		return nil, gaveUp(ctx, r.Service, start)
	}
	e, err := b.services.pick(r)
	if err != nil {
		b.calls.leave()
		return nil, err
	}
	var cancel context.CancelFunc
	if _, ok := ctx.Deadline(); ok {
		ctx, cancel = context.WithCancel(ctx)
	} else {
		ctx, cancel = context.WithTimeout(ctx, b.opts.CallTimeout)
	}
	defer cancel()
	r.Args.Use(b.opts.Codecs)
	done := make(chan answer, 1)
	go func() {
		defer b.calls.leave()
		done <- b.serve(ctx, e, r, start)
	}()
	select {
	case a := <-done:
		return a.v, a.err
	case <-e.gone:
		err = Errorf(Unavailable, r.Service, "who exposes it went away before it answered")
	case <-ctx.Done():
		err = gaveUp(ctx, r.Service, start)
	case <-b.ctx.Done():
		err = ErrClosed
	}
	select {
	case a := <-done: // both at once: the answer counts
		return a.v, a.err
	default:
		return nil, err
	}
}

// gaveUp is the error of a call whose context has ended.
func gaveUp(ctx context.Context, name string, start time.Time) error {
	if err := ctx.Err(); !errors.Is(err, context.DeadlineExceeded) {
		return &Error{Kind: Closed, Topic: name, Text: "the caller gave up", Err: err}
	}
	return &Error{
		Kind: TimedOut, Topic: name, Err: ctx.Err(),
		Text: fmt.Sprintf("no answer within %s", time.Since(start).Round(time.Millisecond)),
	}
}

// serve runs the service; the answer is never both nil.
func (b *Bus) serve(ctx context.Context, e *Exposure, r *Request, start time.Time) (a answer) {
	defer e.busy.Add(-1) // before the caller has the answer, and calls again
	defer func() {
		if p := recover(); p != nil {
			a = answer{err: b.panicked(r.Service, p)}
		}
	}()
	v, err := e.serve(ctx, r)
	if ended := ctx.Err(); ended != nil && errors.Is(err, ended) {
		return answer{err: gaveUp(ctx, r.Service, start)} // in the same words whoever noticed first
	}
	if err != nil {
		kind := KindOf(err)
		if errors.Is(ctx.Err(), context.DeadlineExceeded) {
			kind = TimedOut
		}
		return answer{err: &Error{Kind: kind, Topic: r.Service, Text: text(err), Err: err}}
	}
	if v == nil {
		v = new(payload.Value)
	}
	v.Use(b.opts.Codecs)
	return answer{v: v}
}

// text is an error's text without a topic that the caller adds anyway.
func text(err error) string {
	e, ok := err.(*Error) //nolint:errorlint // only the outermost
	if !ok {
		return err.Error()
	}
	bare := *e
	bare.Topic = ""
	return bare.Error()
}
