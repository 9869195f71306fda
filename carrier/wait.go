package carrier

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"time"
)

// urgent is about the writes that somebody waits for in commitNow. Few outboxes have it.
type urgent struct {
	by      time.Time // bounds them
	waiting int       // how many wait
}

// Flush waits until everything queued before is written, and does not wait for a Kick. It returns the failure when
// writing failed, an error wrapping ErrClosed when the outbox was closed first, and the context's error when that ends
// first.
func (o *Outbox) Flush(ctx context.Context) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.waits() {
		o.start()
	}
	if o.lost {
		return o.waitLocked(ctx, math.MaxUint64)
	}
	return o.waitLocked(ctx, o.queued)
}

// commitNow is Commit by a caller that wants the message written before it returns.
func (o *Outbox) commitNow(buf []byte) error {
	defer o.mu.Unlock()
	u := o.hurry()
	if !u.by.IsZero() && !time.Now().Before(u.by) {
		_, err := o.take(buf[:len(o.last.buf)])
		return errors.Join(err, os.ErrDeadlineExceeded)
	}
	if _, err := o.take(buf); err != nil {
		return err
	}
	u.waiting++
	defer func() { u.waiting-- }()
	target := o.queued
	if !o.flushing && o.first != nil {
		o.flushing, o.promised = true, false
		o.flushLocked()
	}
	return o.waitLocked(context.Background(), target)
}

// setDeadline bounds commitNow, in addition to WriteTimeout; also the one under way. Other writes are not concerned.
func (o *Outbox) setDeadline(t time.Time) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	u := o.hurry()
	u.by = t
	if u.waiting == 0 || !o.flushing || o.closed {
		return nil
	}
	return o.arm()
}

// hurry returns urgent. Like all below it is called with the lock held.
func (o *Outbox) hurry() *urgent {
	if o.urgent == nil {
		o.urgent = &urgent{}
	}
	return o.urgent
}

// waitLocked waits until the first target bytes are written.
func (o *Outbox) waitLocked(ctx context.Context, target uint64) error {
	for o.written() < target {
		if o.err != nil {
			return o.err
		}
		if o.closed {
			return ErrClosed
		}
		progress := o.nextProgress()
		select {
		case <-progress:
			o.mu.Lock()
		case <-ctx.Done():
			o.mu.Lock()
			if o.written() < target {
				return fmt.Errorf("flushing: %w", ctx.Err())
			}
		}
	}
	return nil
}

// written is how many bytes were ever written.
func (o *Outbox) written() uint64 { return o.queued - uint64(o.bytes) }

// nextProgress unlocks and returns a channel that is closed by the next wake.
func (o *Outbox) nextProgress() <-chan struct{} {
	if o.progress == nil {
		o.progress = make(chan struct{})
	}
	progress := o.progress
	o.mu.Unlock()
	return progress
}

func (o *Outbox) wake() {
	if o.progress != nil {
		close(o.progress)
		o.progress = nil
	}
}
