package bench

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// stage holds the connections and goroutines of one measurement. The first that
// fails ends it.
type stage struct {
	dialer
	prefix string // of topics and client identifiers

	fail    context.CancelCauseFunc
	closing atomic.Bool
	running sync.WaitGroup
	clients []*client
}

// newStage returns a stage and a context that ends with ctx or with the failure
// of a part. It must be closed.
func newStage(ctx context.Context, d dialer, prefix string) (*stage, context.Context) {
	ctx, fail := context.WithCancelCause(ctx)
	return &stage{dialer: d, prefix: prefix, fail: fail}, ctx
}

// client connects one.
func (s *stage) client(ctx context.Context) (*client, error) {
	c, err := s.connect(ctx, fmt.Sprintf("%s-%d", s.prefix, len(s.clients)))
	if err != nil {
		return nil, err
	}
	s.clients = append(s.clients, c)
	return c, nil
}

// run runs a part that works until its connection is closed.
func (s *stage) run(part func() error) {
	s.running.Go(func() {
		if err := part(); err != nil && !s.closing.Load() {
			s.fail(err)
		}
	})
}

// close closes all connections and waits for all parts.
func (s *stage) close() {
	s.closing.Store(true)
	s.fail(nil)
	var all sync.WaitGroup
	gate := make(chan struct{}, 64)
	for _, c := range s.clients {
		gate <- struct{}{}
		all.Go(func() { c.close(); <-gate })
	}
	all.Wait()
	s.running.Wait()
}

// failure is why a context ended: what failed, or that it was interrupted.
func failure(ctx context.Context) error {
	if err := context.Cause(ctx); err != nil {
		return err
	}
	return errors.New("nothing has failed")
}

// pause waits, and fails when the context ends before.
func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return failure(ctx)
	}
}
