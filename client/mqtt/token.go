package mqtt

import (
	"context"
	"fmt"
	"time"
)

// Token is a message of QoS 1 or 2 that was taken for delivery.
type Token struct {
	c     *Client
	done  chan error // one place: the result, which stays there for the next who asks
	timer *time.Timer
	code  ReasonCode // of a SUBACK or UNSUBACK
	text  string     // what the broker says of it
}

// Wait returns when the broker has taken the message, which is when its PUBACK or PUBCOMP has come, or with the reason
// why it has not. When ctx ends first the message stays in flight: it may still arrive. It may be called again, by one
// goroutine at a time.
func (t *Token) Wait(ctx context.Context) error {
	settled, err := t.wait(ctx, t.c.o.Timeout)
	if settled {
		t.done <- err
	}
	return err
}

// Settled tells whether Wait would return at once.
func (t *Token) Settled() bool { return len(t.done) > 0 }

// finish settles a token, once.
func (t *Token) finish(err error) {
	if t != nil {
		t.done <- err
	}
}

// wait waits for the result; not settled, the error is why it was not waited for any longer.
func (t *Token) wait(ctx context.Context, limit time.Duration) (settled bool, err error) {
	select {
	case err := <-t.done:
		return true, err
	default:
	}
	t.c.nowWaiting()
	defer t.c.waiting.Add(-1)
	var late <-chan time.Time
	if limit > 0 {
		if t.timer == nil {
			t.timer = time.NewTimer(limit)
		} else {
			t.timer.Reset(limit)
		}
		defer t.timer.Stop()
		late = t.timer.C
	}
	select {
	case err := <-t.done:
		return true, err
	case <-ctx.Done():
		return false, fmt.Errorf("waiting for the broker: %w", context.Cause(ctx))
	case <-late:
		return false, fmt.Errorf("%w within %s", ErrNoAnswer, limit)
	}
}

// token returns a token that is free.
func (c *Client) token() *Token {
	if t, ok := c.tokens.Get().(*Token); ok {
		return t
	}
	return &Token{c: c, done: make(chan error, 1)}
}

// drop gives a settled token back, whose result was taken.
func (c *Client) drop(t *Token) {
	t.code, t.text = 0, ""
	c.tokens.Put(t)
}

// nowWaiting notes that a call waits for the broker. The reader must not pause then: the call may be that of a handler,
// and the pause would last until the handler ends.
func (c *Client) nowWaiting() {
	c.waiting.Add(1)
	if c.paused.Load() {
		c.mu.Lock()
		c.resumed.Broadcast()
		c.mu.Unlock()
	}
}
