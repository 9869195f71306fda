package bus

import (
	"context"
	"errors"
	"sync"
)

// waiter is what PublishSync waits on. The methods that handlers call do
// nothing when there is none.
type waiter struct {
	done chan struct{} // closed when pending is 0

	mu      sync.Mutex
	pending int // handlers that have not run yet, and the publisher itself
	errs    []error
}

func newWaiter() *waiter { return &waiter{done: make(chan struct{}), pending: 1} }

// add makes it wait for one handler more.
func (w *waiter) add() {
	if w == nil {
		return
	}
	w.mu.Lock()
	w.pending++
	w.mu.Unlock()
}

// one ends the wait for one handler.
func (w *waiter) one(err error) {
	if w == nil {
		return
	}
	w.fail(err)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.pending--
	if w.pending == 0 {
		close(w.done)
	}
}

func (w *waiter) fail(err error) {
	if w == nil || err == nil {
		return
	}
	w.mu.Lock()
	w.errs = append(w.errs, err)
	w.mu.Unlock()
}

// wait is called when all handlers have been added. It returns what they
// failed with, or ctx's error when that ends first.
func (w *waiter) wait(ctx context.Context) error {
	w.one(nil)
	select {
	case <-w.done:
		return errors.Join(w.errs...)
	default:
	}
	select {
	case <-w.done:
		return errors.Join(w.errs...)
	case <-ctx.Done():
		return ctx.Err()
	}
}
