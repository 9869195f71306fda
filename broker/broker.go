// Package broker makes a bus a server: peers that join by a door, permission
// and limit checks, retained values, services across links, counters. It knows
// no wire protocol (dialects reach it through dialect.Port) and no storage
// (engine.Engine).
//
// # Promises
//
// Every tenant is a bus of its own; nothing crosses. What a peer publishes is
// checked (limits, name, access rules) before anybody sees it, and a refusal
// tells the kind of error that the peer's dialect has a code for. Access is
// asked again for each delivered message, so that no pattern gets round a rule.
//
// A retained value is stored before its message is routed. A subscription gets
// the retained values that match it while it is being made, no faster than its
// session has room for them (dialect.Pacer); when one changes at that very
// moment it may come twice, and the newest comes last.
//
// In a group (dialect.Terms.Group) a peer that may not receive a topic, or has
// left, is passed over: another member gets the message.
//
// A session that panics over a message is expelled; the publisher and the other
// receivers go on.
//
// While a link to another broker is there (dialect.Hello.Link) every message has an
// identity, and one that comes by a link is routed once, by whatever ways it comes,
// as long as its identity is among the last that were seen: 65,536 at least.
//
// A peer that leaves, or is expelled, takes its subscriptions and services with
// it at once; calls that wait for its answers end as unavailable.
package broker

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"omnibus/auth"
	"omnibus/bus"
	"omnibus/dialect"
	"omnibus/engine"
	"omnibus/engine/memory"
	"omnibus/payload"
	"omnibus/topic"
)

// Options are the settings of a Broker. The zero value is an open broker that
// keeps nothing beyond the process.
type Options struct {
	Engine engine.Engine      // nil: engine/memory
	Auth   auth.Authenticator // nil: auth.Open
	Access auth.Authorizer    // nil: auth.Open
	Codecs *payload.Codecs
	Log    *slog.Logger // nil: discard
	Limits Limits
	// CallTimeout bounds calls that bring no deadline.
	CallTimeout time.Duration
	// Policy chooses among several providers of one service.
	Policy  bus.Policy
	Version string
}

// Broker joins the peers of all dialects.
type Broker struct {
	opts     Options
	log      *slog.Logger
	open     bool // everything is allowed: access is not asked
	counters Counters
	started  time.Time
	instance string   // begins the identities that it gives
	count    struct { // what bites, looked up once
		refused, denied, oversize, limited, panics, dropped, undecodable, expelled, known *counter
	}

	mu     sync.Mutex // taken before a peer's, never after
	closed bool
	spaces map[string]*space
	peers  map[*peer]struct{} // connected or not
	absent int                // those whose connection is gone
	named  map[peerKey]*peer
}

// space is what one tenant has.
type space struct {
	tenant   string
	bus      *bus.Bus
	retained retained
	known    known
}

type peerKey struct{ tenant, dialect, name string }

// New returns a broker that is ready for peers. It reads what its engine has
// kept.
func New(o Options) (*Broker, error) {
	if o.Engine == nil {
		o.Engine = memory.New(memory.Options{})
	}
	if o.Auth == nil {
		o.Auth = auth.Open{}
	}
	if o.Access == nil {
		o.Access = auth.Open{}
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	o.Limits.defaults()
	b := &Broker{
		opts:     o,
		log:      o.Log,
		started:  time.Now(),
		instance: rand.Text()[:16],
		spaces:   make(map[string]*space),
		peers:    make(map[*peer]struct{}),
		named:    make(map[peerKey]*peer),
	}
	_, b.open = o.Access.(auth.Open)
	c := b.counters.group("broker")
	b.count.refused = c("logins_refused")
	b.count.denied = c("access_denied")
	b.count.oversize = c("messages_too_large")
	b.count.limited = c("limits_reached")
	b.count.panics = c("handler_panics")
	b.count.dropped = c("messages_dropped")
	b.count.undecodable = c("messages_undecodable")
	b.count.expelled = c("peers_expelled")
	b.count.known = c("messages_known")
	if err := b.load(); err != nil {
		return nil, fmt.Errorf("reading what the engine has kept: %w", err)
	}
	if err := b.exposeStatus(); err != nil {
		return nil, err
	}
	return b, nil
}

// Bus returns the bus of a tenant ("" is the default one), for functions of
// this process. It is trusted: access rules do not apply to it.
func (b *Broker) Bus(tenant string) *bus.Bus { return b.space(tenant).bus }

func (b *Broker) space(tenant string) *space {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := b.spaces[tenant]
	if s == nil {
		s = &space{tenant: tenant}
		s.known.init(b.instance)
		s.retained.init(tenant, b.opts.Engine, b.opts.Limits, b.count.limited)
		s.bus = bus.New(bus.Options{
			Observer:    b.observer(),
			Codecs:      b.opts.Codecs,
			Keeper:      &s.retained,
			CallTimeout: b.opts.CallTimeout,
			Policy:      b.opts.Policy,
			Identify:    s.known.identify,
		})
		if b.closed {
			_ = s.bus.Close(context.Background()) // it has nothing to wait for
		}
		b.spaces[tenant] = s
	}
	return s
}

// observer counts and logs what happens on a bus.
func (b *Broker) observer() bus.Observer {
	return bus.Observer{
		Panic: func(name string, p *bus.PanicError) {
			b.count.panics.Add(1)
			b.log.Error("a handler panicked", "topic", name, "panic", p.Value, "stack", string(p.Stack))
		},
		Dropped: func(pattern topic.Pattern, name string) {
			b.count.dropped.Add(1)
			b.log.Debug("a full queue lost a message", "subscription", pattern, "topic", name)
		},
		Undecodable: func(pattern topic.Pattern, name string, err error) {
			b.count.undecodable.Add(1)
			b.log.Debug("a handler cannot take a message", "subscription", pattern, "topic", name, "err", err)
		},
	}
}

// Counters returns the broker's counters, for dialects and for people.
func (b *Broker) Counters() *Counters { return &b.counters }

// Close expels every peer, lets the functions of this process finish, and
// closes the engine. When ctx ends first it returns without waiting further.
func (b *Broker) Close(ctx context.Context) error {
	b.mu.Lock()
	b.closed = true
	peers := make([]*peer, 0, len(b.peers))
	for p := range b.peers {
		peers = append(peers, p)
	}
	spaces := make([]*space, 0, len(b.spaces))
	for _, s := range b.spaces {
		spaces = append(spaces, s)
	}
	b.mu.Unlock()

	for _, p := range peers {
		p.expel(bus.ErrClosed)
	}
	var errs []error
	for _, s := range spaces {
		errs = append(errs, s.bus.Close(ctx))
	}
	return errors.Join(append(errs, b.opts.Engine.Close())...)
}

var _ dialect.Port = (*Broker)(nil)
