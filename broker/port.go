package broker

import (
	"context"
	"errors"
	"fmt"

	"omnibus/auth"
	"omnibus/bus"
	"omnibus/dialect"
)

// Hello opens the conversation with a peer; see dialect.Port.
func (b *Broker) Hello(ctx context.Context, h *dialect.Hello) (dialect.Joining, error) {
	if h.Internal {
		return &joining{broker: b, hello: h, talk: auth.Admitted(auth.Principal{Name: h.Dialect})}, nil
	}
	c, err := b.opts.Auth.Begin(ctx, &h.Credentials)
	if err != nil {
		return nil, b.refuse(&h.Credentials, err)
	}
	return &joining{broker: b, hello: h, talk: c}, nil
}

// refuse counts and logs a login that failed.
func (b *Broker) refuse(c *auth.Credentials, err error) error {
	b.count.refused.Add(1)
	b.log.Warn("a login was refused", "dialect", c.Dialect, "name", c.Name, "remote", c.Remote, "err", err)
	if errors.Is(err, auth.ErrDenied) {
		return &bus.Error{Kind: bus.Refused, Text: err.Error(), Err: err}
	}
	return err
}

type joining struct {
	broker *Broker
	hello  *dialect.Hello
	talk   auth.Conversation
	over   bool // somebody was admitted or refused
}

// Next is one step of the conversation; see dialect.Joining.
func (j *joining) Next(ctx context.Context, proof []byte) ([]byte, dialect.Peer, error) {
	if j.over {
		return nil, nil, bus.Errorf(bus.Refused, "", "the conversation is over: %w", auth.ErrDenied)
	}
	challenge, principal, err := j.talk.Next(ctx, proof)
	if err == nil && principal == nil {
		return challenge, nil, nil
	}
	j.over = true
	if err != nil {
		return nil, nil, j.broker.refuse(&j.hello.Credentials, err)
	}
	p, err := j.broker.admit(j.hello, principal)
	if err != nil {
		return nil, nil, err
	}
	return challenge, p, nil
}

// admit makes the peer, or finds the session that it continues. Any other peer it
// takes the name from is expelled first.
func (b *Broker) admit(h *dialect.Hello, principal *auth.Principal) (dialect.Peer, error) {
	p := &peer{broker: b, hello: h, space: b.space(principal.Tenant), ended: make(chan struct{})}
	p.principal.Store(principal)
	p.ctx, p.cancel = context.WithCancelCause(context.Background())
	key := peerKey{principal.Tenant, h.Dialect, h.Name}
	for {
		old, continues, err := b.enter(p, key)
		switch {
		case err != nil:
			return nil, err
		case old == nil:
			return p, nil
		}
		if f, ok := old.hello.Subscriber.(dialect.Fencer); ok {
			f.Fence()
		}
		if continues && !old.gone.Load() { // it may have ended with its connection
			return resumed{old}, nil
		}
		if old.expel(dialect.ErrTakenOver) {
			b.count.expelled.Add(1)
		}
		<-old.ended // somebody else may have been first
	}
}

// enter lists the peer, or returns the one that it continues or that must go
// first.
func (b *Broker) enter(p *peer, key peerKey) (old *peer, continues bool, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return nil, false, bus.ErrClosed
	}
	unique := key.name != "" && p.hello.Duplicate != dialect.AllowDuplicate
	old = b.named[key]
	full := len(b.peers)-b.absent >= b.opts.Limits.Peers && (old == nil || old.isSuspended())
	if unique && old != nil && !full {
		if p.hello.Duplicate == dialect.RefuseDuplicate {
			b.count.refused.Add(1)
			return nil, false, &bus.Error{Kind: bus.Refused, Text: fmt.Sprintf("%q: %v", key.name, dialect.ErrDuplicate), Err: dialect.ErrDuplicate}
		}
		return old, old.resume(p.hello, p.principal.Load()), nil
	}
	if full {
		b.count.limited.Add(1)
		return nil, false, bus.Errorf(bus.Full, "", "%d peers are connected, which is the limit (broker.limits.peers)", len(b.peers)-b.absent)
	}
	b.peers[p] = struct{}{}
	if p.hello.Link {
		p.space.known.links.Add(1)
	}
	if unique {
		p.key = &key
		b.named[key] = p
	}
	return nil, false, nil
}

// remove strikes a peer off the lists.
func (b *Broker) remove(p *peer) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.peers, p)
	if p.hello.Link {
		p.space.known.links.Add(-1)
	}
	if p.isSuspended() {
		b.absent--
	}
	if p.key != nil && b.named[*p.key] == p {
		delete(b.named, *p.key)
	}
}
