package mqtt

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"omnibus/carrier"
	"omnibus/dialect/mqtt/packet"
)

// Publish sends a message. With QoS 0 it returns when the message is queued for writing, with 1 and 2 when the broker
// has taken it. A refusal is a *RefusedError.
//
// With QoS 1 and 2 it is as Post and Token.Wait in one: when ctx ends, or Options.Timeout has passed, the message stays
// in flight and may still arrive.
func (c *Client) Publish(ctx context.Context, m Message) error {
	if err := m.check(); err != nil {
		return err
	}
	if m.QoS == 0 {
		return c.publishNow(ctx, &m)
	}
	t := c.token()
	if err := c.post(ctx, &m, t, true); err != nil {
		return err
	}
	settled, err := t.wait(ctx, c.o.Timeout)
	if settled {
		c.drop(t)
	}
	return err
}

// Post takes a message for delivery. With QoS 1 and 2 it returns before the broker has it, and waits only for room in
// flight, at most until ctx ends; the token tells when the broker has taken it, and may be ignored. The messages of
// one caller keep their order. The token of QoS 0 is settled.
func (c *Client) Post(ctx context.Context, m Message) (*Token, error) {
	if err := m.check(); err != nil {
		return nil, err
	}
	t := &Token{c: c, done: make(chan error, 1)}
	if m.QoS == 0 {
		if err := c.publishNow(ctx, &m); err != nil {
			return nil, err
		}
		t.finish(nil)
		return t, nil
	}
	if err := c.post(ctx, &m, t, false); err != nil {
		return nil, err
	}
	return t, nil
}

// publishNow queues a message of QoS 0.
func (c *Client) publishNow(ctx context.Context, m *Message) error {
	p := m.packet()
	for {
		if ctx.Err() != nil {
			return fmt.Errorf("publishing: %w", context.Cause(ctx))
		}
		l := c.link.Load()
		if l == nil {
			return c.gone()
		}
		if err := l.fits(&p); err != nil {
			return err
		}
		_, err := l.publish(&p, false)
		switch {
		case err == nil:
			return nil
		case errors.Is(err, carrier.ErrFull):
			if err := c.flush(ctx, l); err != nil {
				return err
			}
		case errors.Is(err, carrier.ErrClosed):
			return lost(err)
		default:
			return err
		}
	}
}

// Flush returns when everything published before it is written, but for messages of QoS 1 and 2 that wait for their
// turn. Written is not arrived.
func (c *Client) Flush(ctx context.Context) error {
	l := c.link.Load()
	if l == nil {
		return c.gone()
	}
	return c.flush(ctx, l)
}

// flush waits until what is queued is written.
func (c *Client) flush(ctx context.Context, l *link) error {
	c.nowWaiting()
	defer c.waiting.Add(-1)
	err := l.out.Flush(ctx)
	if errors.Is(err, carrier.ErrClosed) {
		return lost(err)
	}
	return err
}

// post takes a message of QoS 1 or 2 into flight, with the token that is settled by its acknowledgement. direct is for
// a caller that has nothing else to do than to write.
func (c *Client) post(ctx context.Context, m *Message, t *Token, direct bool) error {
	if ctx.Err() != nil {
		return fmt.Errorf("publishing: %w", context.Cause(ctx))
	}
	p := m.packet()
	c.mu.Lock()
	if err := c.awaitRoom(ctx); err != nil {
		c.mu.Unlock()
		return err
	}
	l := c.link.Load()
	err := c.admit(l, &p, t)
	kick := false
	if err == nil && l != nil {
		kick = c.pump(l, direct)
	}
	c.wakeNext()
	c.mu.Unlock()
	if kick {
		l.out.Kick()
	}
	return err
}

// admit puts a message in flight. Like all below it is called with mu held.
func (c *Client) admit(l *link, p *packet.Publish, t *Token) error {
	version := V5
	switch {
	case c.over != nil:
		return c.over
	case l == nil && !c.o.Reconnect:
		return ErrDisconnected
	case l != nil:
		version = l.server.Version
		if err := l.fits(p); err != nil {
			return err
		}
	}
	id, e := c.flight.add()
	p.PacketID = id
	data := borrow()
	*data = p.Append((*data)[:0], version)
	err := error(nil)
	if len(*data) == 0 {
		err = &tooLarge{p.Topic, len(p.Payload), packet.MaxSize}
	} else if c.o.Store != nil {
		err = c.o.Store.Put(Record{Kind: Outgoing, ID: id, Version: version, Packet: *data})
	}
	if err != nil {
		giveBack(data)
		c.flight.takeBack()
		return err
	}
	*e = entry{stage: queued, qos: p.QoS, version: version, token: t}
	c.flight.keep(e, data)
	c.flight.messages++
	return nil
}

// crowded tells that no message is to be put in flight.
func (c *Client) crowded() bool {
	f := &c.flight
	return f.full() || f.messages >= c.o.MaxInFlight || f.messages > 0 && f.bytes >= c.o.MaxInFlightBytes
}

// awaitRoom waits until a message may be put in flight, unlocking meanwhile. Who came first goes first.
func (c *Client) awaitRoom(ctx context.Context) error {
	for c.over == nil && (c.crowded() || len(c.waiters) > 0) {
		t := c.token()
		c.waiters = append(c.waiters, t)
		l, stuck := c.link.Load(), c.flight.full()
		c.mu.Unlock()
		if stuck && l != nil {
			l.fail(lost(errStuck))
		}
		settled, err := t.wait(ctx, c.o.Timeout)
		c.mu.Lock()
		if !settled {
			if i := slices.Index(c.waiters, t); i >= 0 {
				c.waiters = slices.Delete(c.waiters, i, i+1)
			} else {
				c.wakeNext() // it was this one's turn
			}
			return err
		}
		c.drop(t)
		if !c.crowded() {
			return nil
		}
	}
	return nil
}

// wakeNext lets the first who waits for room go on, if there is room.
func (c *Client) wakeNext() {
	if len(c.waiters) > 0 && (c.over != nil || !c.crowded()) {
		t := c.waiters[0]
		c.waiters = slices.Delete(c.waiters, 0, 1)
		t.finish(nil)
	}
}

// errStuck ends a connection on which the oldest packet was not acknowledged while all other identifiers were used.
var errStuck = fmt.Errorf("%w for one packet during %d others", ErrNoAnswer, maxIDs-1)

func (c *Client) wakeAll() {
	for _, t := range c.waiters {
		t.finish(nil)
	}
	c.waiters = nil
}
