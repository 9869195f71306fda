package broker

import (
	"context"
	"runtime/debug"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"omnibus/auth"
	"omnibus/bus"
	"omnibus/dialect"
	"omnibus/payload"
	"omnibus/topic"
)

// peer is an admitted session, as the dialect sees the broker and as the bus
// sees the dialect.
type peer struct {
	broker    *Broker
	hello     *dialect.Hello
	principal atomic.Pointer[auth.Principal] // changes when a session is continued
	space     *space
	key       *peerKey // nil when its name is no identity

	gone   atomic.Bool
	ended  chan struct{}   // closed when nothing of it is left and its session was told
	ctx    context.Context // of its calls; ends when it leaves
	cancel context.CancelCauseFunc
	calls  atomic.Int64

	mu          sync.Mutex // guards what follows
	subs        map[*bus.Subscription]struct{}
	exposures   map[*bus.Exposure]struct{}
	subscribing int // places taken by subscriptions that are being made
	exposing    int
	will        *bus.Message
	willLife    time.Duration
	suspended   bool // its connection is gone
}

func (p *peer) Principal() *auth.Principal { return p.principal.Load() }

// Publish admits and routes a message; see dialect.Publisher.
func (p *peer) Publish(m *bus.Message) (bus.Receipt, error) {
	if p.gone.Load() {
		return bus.Receipt{}, bus.ErrClosed
	}
	return p.publish(m)
}

// publish is Publish also for one that is leaving.
func (p *peer) publish(m *bus.Message) (bus.Receipt, error) {
	if n := len(m.Payload.Data()); n > p.broker.opts.Limits.MessageBytes {
		p.broker.count.oversize.Add(1)
		return bus.Receipt{}, bus.Errorf(bus.TooLarge, m.Topic,
			"the payload has %d bytes, the limit is %d (broker.limits.message_bytes)", n, p.broker.opts.Limits.MessageBytes)
	}
	if err := p.allow(auth.Publish, m.Topic); err != nil {
		return bus.Receipt{}, err
	}
	m.Origin = p.hello.Origin
	k := &p.space.known
	switch {
	case !p.hello.Link || m.ID == "": // only a link knows identities
		m.ID = k.identify()
	case !k.first(m.ID):
		p.broker.count.known.Add(1)
		return bus.Receipt{Known: true}, nil
	}
	r, err := p.space.bus.PublishVia(m, p.hello.Relay)
	if err != nil && m.ID != "" {
		k.forget(m.ID) // it may be sent again
	}
	return r, err
}

// allow asks the access rules.
func (p *peer) allow(a auth.Action, name string) error {
	if p.broker.open || p.broker.opts.Access.Allow(p.principal.Load(), a, name) {
		return nil
	}
	p.broker.count.denied.Add(1)
	return bus.Errorf(bus.Refused, name, "%s may not %s this", p.who(), a)
}

func (p *peer) who() string {
	if name := p.principal.Load().Name; name != "" {
		return name
	}
	return "an anonymous peer"
}

// Deliver hands a message to the session if it may have it. A session that
// panics is expelled: the publisher and the other receivers go on.
func (p *peer) Deliver(m *bus.Message, s *bus.Subscription) {
	if p.gone.Load() {
		s.Redeliver(m) // chosen from its group before it went
		return
	}
	defer p.recovered(m.Topic)
	if !p.broker.open && !p.broker.opts.Access.Allow(p.principal.Load(), auth.Receive, m.Topic) {
		p.broker.count.denied.Add(1)
		return
	}
	p.hello.Subscriber.Deliver(m, s)
}

// recovered ends a peer whose session panicked over a message.
func (p *peer) recovered(name string) {
	r := recover()
	if r == nil {
		return
	}
	p.broker.count.panics.Add(1)
	p.broker.log.Error("a session panicked and was expelled", "dialect", p.hello.Dialect, "name", p.hello.Name,
		"remote", p.hello.Remote, "topic", strings.Clone(name), "panic", r, "stack", string(debug.Stack()))
	p.expel(bus.Errorf(bus.Failed, name, "the session failed over a message"))
}

// Room waits for the session, if it can be waited for, until the peer leaves.
func (p *peer) Room() error {
	if s, ok := p.hello.Subscriber.(dialect.Pacer); ok {
		return s.Room(p.ctx)
	}
	return p.ctx.Err()
}

// Subscribe adds a subscription; see dialect.Subscriptions.
func (p *peer) Subscribe(pattern topic.Pattern, t dialect.Terms) (*bus.Subscription, error) {
	if err := p.allow(auth.Subscribe, pattern.Text()); err != nil {
		return nil, err
	}
	held := func() int { return len(p.subs) }
	if err := p.take(&p.subscribing, held, p.broker.opts.Limits.Subscriptions, "subscriptions"); err != nil {
		return nil, err
	}
	s, err := p.space.bus.Attach(pattern, p, bus.AttachOptions{
		Origin: p.hello.Origin, Echo: t.Echo, SkipRetained: t.NewsOnly, Group: t.Group, Tag: t.Tag,
	})
	p.mu.Lock()
	defer p.mu.Unlock()
	p.subscribing--
	if err != nil {
		return nil, err
	}
	if p.gone.Load() {
		s.Unsubscribe()
		return nil, bus.ErrClosed
	}
	if p.subs == nil {
		p.subs = make(map[*bus.Subscription]struct{})
	}
	p.subs[s] = struct{}{}
	return s, nil
}

// take takes a place for what is being made, or refuses what would pass a limit
// of this peer.
func (p *peer) take(places *int, held func() int, most int, what string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.gone.Load() {
		return bus.ErrClosed
	}
	if held()+*places < most {
		*places++
		return nil
	}
	p.broker.count.limited.Add(1)
	return bus.Errorf(bus.Full, "", "%d %s, which is the limit of one peer (broker.limits.%s)", most, what, what)
}

// Unsubscribe ends a subscription; see dialect.Subscriptions.
func (p *peer) Unsubscribe(s *bus.Subscription) bool {
	p.mu.Lock()
	_, mine := p.subs[s]
	delete(p.subs, s)
	p.mu.Unlock()
	return mine && s.Unsubscribe()
}

// Expose provides a service; see dialect.Services.
func (p *peer) Expose(name string, serve bus.Service) (*bus.Exposure, error) {
	if err := p.allow(auth.Expose, name); err != nil {
		return nil, err
	}
	if strings.HasPrefix(name, ownPrefix) {
		return nil, bus.Errorf(bus.Refused, name, "names that begin with %s are the broker's own", ownPrefix)
	}
	if err := p.take(&p.exposing, p.exposed, p.broker.opts.Limits.Services, "services"); err != nil {
		return nil, err
	}
	e, err := p.space.bus.Register(name, serve, p.hello.Origin)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.exposing--
	if err != nil {
		return nil, err
	}
	if p.gone.Load() {
		e.Withdraw()
		return nil, bus.ErrClosed
	}
	if p.exposures == nil {
		p.exposures = make(map[*bus.Exposure]struct{})
	}
	p.exposures[e] = struct{}{}
	return e, nil
}

// exposed counts the services that have not been withdrawn, and forgets the
// others. The caller holds mu.
func (p *peer) exposed() int {
	for e := range p.exposures {
		if e.Withdrawn() {
			delete(p.exposures, e)
		}
	}
	return len(p.exposures)
}

// Call calls a service; see dialect.Services.
func (p *peer) Call(ctx context.Context, name string, args *payload.Value, o dialect.CallOptions) (*payload.Value, error) {
	if p.gone.Load() {
		return nil, bus.ErrClosed
	}
	if err := p.allow(auth.Call, name); err != nil {
		return nil, err
	}
	defer p.calls.Add(-1)
	if n := p.calls.Add(1); n > int64(p.broker.opts.Limits.Calls) {
		p.broker.count.limited.Add(1)
		return nil, bus.Errorf(bus.Full, name, "%d calls are under way, which is the limit of one peer (broker.limits.calls)", n-1)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(p.ctx, func() { cancel(context.Cause(p.ctx)) })()
	r := &bus.Request{Service: name, Headers: o.Headers, Origin: p.hello.Origin, Echo: o.Echo}
	args.KeepIn(&r.Args)
	return p.space.bus.Call(ctx, r)
}

// Callable reports whether another link exposes a service
// that it may call.
func (p *peer) Callable(name string) bool {
	return p.space.bus.Exposed(name, p.hello.Origin) &&
		(p.broker.open || p.broker.opts.Access.Allow(p.principal.Load(), auth.Call, name))
}

// Replay delivers what is kept; see dialect.Subscriptions.
func (p *peer) Replay(s *bus.Subscription) func() bool { return p.space.retained.replay(s) }

// Leave ends all that the peer holds; see dialect.Peer.
func (p *peer) Leave() { p.end(bus.ErrClosed, func(error) {}) }

// expel is Leave by the broker's will; the session is told. It reports whether
// the peer had not been leaving already.
func (p *peer) expel(why error) bool {
	if p.hello.Subscriber == nil {
		return p.end(why, func(error) {})
	}
	return p.end(why, p.hello.Subscriber.Expelled)
}

// end does it once. The name is free for others when the session was told.
func (p *peer) end(why error, tell func(error)) bool {
	if !p.gone.CompareAndSwap(false, true) {
		return false
	}
	defer close(p.ended)
	defer p.broker.remove(p)
	p.cancel(why)
	p.mu.Lock()
	subs, exposures := p.subs, p.exposures
	p.subs, p.exposures = nil, nil
	p.mu.Unlock()
	p.PublishWill()
	for s := range subs {
		s.Unsubscribe()
	}
	for e := range exposures {
		e.Withdraw()
	}
	tell(why)
	return true
}
