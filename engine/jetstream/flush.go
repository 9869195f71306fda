package jetstream

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// flusher makes durable what is stored. One flush serves all who wait.
type flusher struct {
	e       *Engine
	kick    chan struct{}
	dirty   atomic.Bool // for Interval: something was stored since the last flush
	flushes atomic.Uint64

	mu      sync.Mutex
	waiters []chan error
	broken  error     // the last flush failed: what another one says is no proof
	good    time.Time // when the last flush that did not fail began
}

func (f *flusher) init(e *Engine) {
	f.e, f.kick, f.good = e, make(chan struct{}, 1), time.Now()
}

func (f *flusher) wake() {
	select {
	case f.kick <- struct{}{}:
	default:
	}
}

// run flushes whenever it is asked to, until ctx is done.
func (f *flusher) run(ctx context.Context) {
	var tick <-chan time.Time
	if f.e.opts.Flush == Interval && f.e.opts.Dir != "" {
		t := time.NewTicker(f.e.opts.Every)
		defer t.Stop()
		tick = t.C
	}
	for {
		select {
		case <-f.kick:
			f.round()
		case <-tick:
			if f.dirty.Swap(false) {
				f.round()
			}
		case <-ctx.Done():
			f.answer(f.take(), context.Cause(ctx))
			return
		}
	}
}

func (f *flusher) round() {
	waiters := f.take()
	upto := f.e.journal.ackedNow()
	if err := f.flush(false); err != nil {
		f.answer(waiters, err)
		f.e.fail(flushing, err)
		return
	}
	f.e.journal.flushedTo(upto)
	f.answer(waiters, nil)
}

// flush flushes the store. After a failure only repaired, whose caller has
// written everything again, makes it try.
func (f *flusher) flush(repaired bool) error {
	f.mu.Lock()
	broken := f.broken
	f.mu.Unlock()
	if broken != nil && !repaired {
		return broken
	}
	began := time.Now()
	err := f.e.syncDisk()
	f.flushes.Add(1)
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.broken = err; err == nil {
		f.good = began
	}
	return err
}

func (f *flusher) lastGood() time.Time {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.good
}

func (f *flusher) take() []chan error {
	f.mu.Lock()
	defer f.mu.Unlock()
	w := f.waiters
	f.waiters = nil
	return w
}

func (f *flusher) answer(waiters []chan error, err error) {
	for _, w := range waiters {
		w <- err
	}
}

// wait returns when a flush that began after the call has ended.
func (f *flusher) wait(ctx context.Context) error {
	if !f.e.flushes() {
		return nil
	}
	done := make(chan error, 1)
	f.mu.Lock()
	f.waiters = append(f.waiters, done)
	f.mu.Unlock()
	f.wake()
	select {
	case err := <-done:
		return err
	case <-f.e.over.Done():
		select {
		case err := <-done:
			return err
		default:
			return context.Cause(f.e.over)
		}
	case <-ctx.Done():
		return ctx.Err()
	}
}
