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
		return nil, b.refuse(h, err)
	}
	return &joining{broker: b, hello: h, talk: c}, nil
}

// refuse counts and logs a login that failed.
func (b *Broker) refuse(h *dialect.Hello, err error) error {
	b.count.refused.Add(1)
	b.log.Warn("a login was refused", "dialect", h.Dialect, "name", h.Name, "remote", h.Remote, "err", err)
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
		return nil, nil, j.broker.refuse(j.hello, err)
	}
	p, err := j.broker.admit(j.hello, principal)
	if err != nil {
		return nil, nil, err
	}
	return nil, p, nil
}

// admit makes the peer. A peer it takes the name from is expelled first.
func (b *Broker) admit(h *dialect.Hello, principal *auth.Principal) (*peer, error) {
	p := &peer{broker: b, hello: h, principal: principal, space: b.space(principal.Tenant), ended: make(chan struct{})}
	p.ctx, p.cancel = context.WithCancelCause(context.Background())
	key := peerKey{principal.Tenant, h.Dialect, h.Name}
	for {
		old, err := b.enter(p, key)
		if err != nil {
			return nil, err
		}
		if old == nil {
			return p, nil
		}
		if old.expel(dialect.ErrTakenOver) {
			b.count.expelled.Add(1)
		}
		<-old.ended // somebody else may have been first
	}
}

// enter lists the peer, or returns the one that must go first.
func (b *Broker) enter(p *peer, key peerKey) (old *peer, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return nil, bus.ErrClosed
	}
	unique := key.name != "" && p.hello.Duplicate != dialect.AllowDuplicate
	if old := b.named[key]; unique && old != nil {
		if p.hello.Duplicate == dialect.RefuseDuplicate {
			b.count.refused.Add(1)
			return nil, &bus.Error{Kind: bus.Refused, Text: fmt.Sprintf("%q: %v", key.name, dialect.ErrDuplicate), Err: dialect.ErrDuplicate}
		}
		return old, nil
	}
	if len(b.peers) >= b.opts.Limits.Peers {
		b.count.limited.Add(1)
		return nil, bus.Errorf(bus.Full, "", "%d peers are connected, which is the limit (broker.limits.peers)", len(b.peers))
	}
	b.peers[p] = struct{}{}
	if unique {
		p.key = &key
		b.named[key] = p
	}
	return nil, nil
}

// remove strikes a peer off the lists.
func (b *Broker) remove(p *peer) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.peers, p)
	if p.key != nil && b.named[*p.key] == p {
		delete(b.named, *p.key)
	}
}
