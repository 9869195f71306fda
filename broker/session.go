package broker

import (
	"context"
	"fmt"
	"time"

	"omnibus/auth"
	"omnibus/bus"
	"omnibus/dialect"
)

// resumed is a peer as a connection sees it that continues its session.
type resumed struct{ *peer }

// Resumed returns the session's own subscriber; see dialect.Sessions.
func (r resumed) Resumed() dialect.Subscriber { return r.hello.Subscriber }

// Resumed is for a session that begins.
func (p *peer) Resumed() dialect.Subscriber { return nil }

// resume reports whether a new connection may continue the session of this peer:
// not if it is none, is another's, or has ended.
func (p *peer) resume(h *dialect.Hello, principal *auth.Principal) bool {
	if h.Session == nil || h.Session.Clean || p.hello.Session == nil || p.principal.Load().Name != principal.Name || p.gone.Load() {
		return false
	}
	p.principal.Store(principal)
	return true
}

// Resume is told that the session has a connection again; see dialect.Sessions.
func (p *peer) Resume() bool {
	b := p.broker
	b.mu.Lock()
	defer b.mu.Unlock()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.suspended && !p.gone.Load() {
		p.suspended = false
		b.absent--
	}
	return !p.gone.Load()
}

// Suspend keeps the session without its connection; see dialect.Sessions.
func (p *peer) Suspend() error {
	err := p.suspend()
	if err != nil {
		p.Leave()
	}
	return err
}

func (p *peer) suspend() error {
	b := p.broker
	b.mu.Lock()
	defer b.mu.Unlock()
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.gone.Load() || b.closed:
		return bus.ErrClosed
	case p.key == nil || p.hello.Session == nil:
		return bus.Errorf(bus.Invalid, "", "a peer without a session of its own name cannot be suspended")
	case p.suspended:
		return nil
	case b.absent >= b.opts.Limits.Sessions:
		b.count.limited.Add(1)
		return bus.Errorf(bus.Full, "", "%d sessions wait for their clients, which is the limit (broker.limits.sessions)", b.absent)
	}
	p.suspended = true
	b.absent++
	return nil
}

func (p *peer) isSuspended() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.suspended
}

// Will sets what is published when the peer ends; see dialect.Sessions.
func (p *peer) Will(m *bus.Message, life time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.will, p.willLife = m, life
}

// PublishWill publishes it now, under the limits and rules of Publish.
func (p *peer) PublishWill() {
	p.mu.Lock()
	m, life := p.will, p.willLife
	p.will = nil
	p.mu.Unlock()
	if m == nil {
		return
	}
	// What is kept is read by many, and not routed as one: a receiver with several
	// subscriptions would get it for each.
	once := &bus.Message{Topic: m.Topic, ID: m.ID, Headers: m.Headers, QoS: m.QoS, Retain: m.Retain, Expires: m.Expires}
	m.Payload.KeepIn(&once.Payload)
	if life > 0 {
		once.Expires = time.Now().Add(life).UnixNano()
	}
	if _, err := p.publish(once); err != nil {
		p.broker.log.Warn("a will was refused", "dialect", p.hello.Dialect, "name", p.hello.Name, "topic", m.Topic, "err", err)
	}
}

// reauthentication is a login of a peer that is there already.
type reauthentication struct {
	peer *peer
	talk auth.Conversation
	c    *auth.Credentials
}

// Reauthenticate opens it; see dialect.Sessions.
func (p *peer) Reauthenticate(ctx context.Context, c *auth.Credentials) (dialect.Joining, error) {
	talk, err := p.broker.opts.Auth.Begin(ctx, c)
	if err != nil {
		return nil, p.broker.refuse(c, err)
	}
	return &reauthentication{p, talk, c}, nil
}

// Next is one step of the conversation; see dialect.Joining.
func (r *reauthentication) Next(ctx context.Context, proof []byte) ([]byte, dialect.Peer, error) {
	b := r.peer.broker
	challenge, principal, err := r.talk.Next(ctx, proof)
	switch {
	case err != nil:
		return nil, nil, b.refuse(r.c, err)
	case principal == nil:
		return challenge, nil, nil
	}
	if was := r.peer.principal.Load(); was.Name != principal.Name || was.Tenant != principal.Tenant {
		return nil, nil, b.refuse(r.c, fmt.Errorf("it was %q and cannot become %q: %w", was.Name, principal.Name, auth.ErrDenied))
	}
	r.peer.principal.Store(principal)
	return challenge, r.peer, nil
}
