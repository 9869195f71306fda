package bus_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"omnibus/bus"
	"omnibus/payload"
)

func TestUnsubscribeDiscardsWhatWaitsAndDoesNotWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBus(t, bus.Options{})
		h := hold(t, b, 10, bus.Block)
		publish(t, b, "x", 1)
		if !h.Unsubscribe() { // returns though the handler runs
			t.Error("Unsubscribe found nothing to end")
		}
		if h.Unsubscribe() {
			t.Error("the second Unsubscribe found something to end")
		}
		publish(t, b, "x", 2)
		if err := bus.PublishSync(t.Context(), b, "x", 3); err != nil {
			t.Errorf("publishing to nobody: %v", err)
		}
		if got := h.release(); !slices.Equal(got, []int{0}) {
			t.Errorf("handled %v, want only what was being handled", got)
		}
		if s := h.Stats(); s.Queued != 0 || s.Dropped != 0 || s.Handled != 1 {
			t.Errorf("stats are %+v: what Unsubscribe discards is not dropped by a full queue", s)
		}
	})
}

func TestUnsubscribeFromInsideTheHandler(t *testing.T) {
	for name, mode := range map[string]bus.SubscribeOption{
		"queue": bus.Queue(10, bus.Block), "workers": bus.Workers(3), "direct": bus.Direct(), "spawn": bus.Spawn(),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBus(t, bus.Options{})
				var self atomic.Pointer[bus.Subscription]
				var calls atomic.Int32
				self.Store(subscribe(t, b, "x", func(context.Context, bus.Event[int]) {
					self.Load().Unsubscribe()
					calls.Add(1)
				}, mode))
				publish(t, b, "x", 1)
				synctest.Wait()
				publish(t, b, "x", 2)
				synctest.Wait()
				if calls.Load() != 1 {
					t.Errorf("%d calls, want 1", calls.Load())
				}
			})
		})
	}
}

func TestUnsubscribeReleasesAHeldUpPublisher(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBus(t, bus.Options{})
		h := hold(t, b, 1, bus.Block)
		publish(t, b, "x", 1)
		async, sync := make(chan error, 1), make(chan error, 1)
		go func() { async <- bus.Publish(t.Context(), b, "x", 2) }()
		go func() { sync <- bus.PublishSync(t.Context(), b, "x", 3) }()
		synctest.Wait()
		h.Unsubscribe()
		if err := <-async; err != nil {
			t.Errorf("Publish returns %v", err)
		}
		if err := <-sync; err != nil {
			t.Errorf("PublishSync returns %v", err)
		}
		h.release()
	})
}

func TestDrainHandlesWhatWaitsThenEnds(t *testing.T) {
	for name, mode := range map[string]bus.SubscribeOption{
		"queue": bus.Queue(100, bus.Block), "workers": bus.Workers(3), "spawn": bus.Spawn(),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBus(t, bus.Options{})
				var handled atomic.Int32
				s := subscribe(t, b, "x", func(context.Context, bus.Event[int]) {
					time.Sleep(time.Second)
					handled.Add(1)
				}, mode)
				for i := range 9 {
					publish(t, b, "x", i)
				}
				ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
				defer cancel()
				if err := s.Drain(ctx); !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("Drain with a short deadline returns %v", err)
				}
				publish(t, b, "x", 100) // it takes no more
				if err := s.Drain(t.Context()); err != nil {
					t.Error(err)
				}
				if handled.Load() != 9 {
					t.Errorf("%d handled, want 9", handled.Load())
				}
			})
		})
	}
}

func TestDrainOfWhatHasNoQueueReturnsAtOnce(t *testing.T) {
	b := newBus(t, bus.Options{})
	calls := 0
	direct := subscribe(t, b, "x", func(context.Context, bus.Event[int]) { calls++ }, bus.Direct())
	attached := attach(t, b, "x", bus.AttachOptions{}, func(*bus.Message, *bus.Subscription) { calls++ })
	for _, s := range []*bus.Subscription{direct, attached} {
		if err := s.Drain(t.Context()); err != nil {
			t.Error(err)
		}
	}
	publish(t, b, "x", 1)
	if calls != 0 {
		t.Errorf("%d calls after Drain", calls)
	}
}

func TestCloseDrainsAndWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := bus.New(bus.Options{})
		var handled atomic.Int32
		slow := func(context.Context, bus.Event[int]) {
			time.Sleep(time.Second)
			handled.Add(1)
		}
		subscribe(t, b, "x", slow)
		subscribe(t, b, "x", slow, bus.Workers(2))
		subscribe(t, b, "x", slow, bus.Spawn())
		if _, err := bus.Expose(b, "s", func(context.Context, struct{}) (string, error) {
			time.Sleep(20 * time.Second)
			handled.Add(1)
			return "answer", nil
		}); err != nil {
			t.Fatal(err)
		}
		for i := range 5 {
			publish(t, b, "x", i)
		}
		called := make(chan string, 1)
		go func() {
			answer, err := bus.Call[string](t.Context(), b, "s")
			if err != nil {
				t.Error(err)
			}
			called <- answer
		}()
		synctest.Wait()
		for range 2 { // closing again waits again, at the same time or later
			go func() { _ = b.Close(t.Context()) }()
		}
		if err := b.Close(t.Context()); err != nil {
			t.Errorf("Close: %v", err)
		}
		if handled.Load() != 16 {
			t.Errorf("%d of 16 handlers had returned", handled.Load())
		}
		if a := <-called; a != "answer" {
			t.Errorf("the call under way was answered %q", a)
		}
		if err := b.Close(t.Context()); err != nil {
			t.Errorf("the second Close: %v", err)
		}
	})
}

func TestCloseGivesUpWithItsContextAndCancelsHandlers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := bus.New(bus.Options{})
		var cancelled atomic.Int32
		stuck := func(ctx context.Context, _ bus.Event[int]) {
			<-ctx.Done()
			time.Sleep(time.Second)
			cancelled.Add(1)
		}
		subscribe(t, b, "x", stuck)
		subscribe(t, b, "x", stuck, bus.Spawn())
		if _, err := bus.Expose(b, "s", func(ctx context.Context, _ struct{}) (int, error) {
			stuck(ctx, bus.Event[int]{})
			return 0, ctx.Err()
		}); err != nil {
			t.Fatal(err)
		}
		publish(t, b, "x", 1)
		called := make(chan error, 1)
		go func() {
			_, err := bus.Call[int](t.Context(), b, "s")
			called <- err
		}()
		synctest.Wait()
		if cancelled.Load() != 0 {
			t.Fatal("contexts end before Close")
		}
		if err := b.Close(ended(t)); !errors.Is(err, context.Canceled) {
			t.Errorf("Close returns %v, want its context's error", err)
		}
		if err := <-called; !errors.Is(err, bus.ErrClosed) {
			t.Errorf("the call under way ends with %v, want ErrClosed", err)
		}
		if err := b.Close(t.Context()); err != nil {
			t.Errorf("the second Close: %v", err)
		}
		if cancelled.Load() != 3 {
			t.Errorf("the second Close returned before %d of 3 handlers", 3-cancelled.Load())
		}
	})
}

func TestAfterCloseEverythingAnswersErrClosed(t *testing.T) {
	b := bus.New(bus.Options{})
	s := subscribe(t, b, "x", func(context.Context, bus.Event[int]) {})
	subscribe(t, b, "x", func(context.Context, bus.Event[int]) { t.Error("called") }, bus.Direct())
	if _, err := bus.Expose(b, "s", func(context.Context, struct{}) (int, error) { return 0, nil }); err != nil {
		t.Fatal(err)
	}
	if err := b.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	for name, f := range map[string]func() error{
		"Publish":     func() error { return bus.Publish(ctx, b, "x", 1) },
		"PublishSync": func() error { return bus.PublishSync(ctx, b, "x", 1) },
		"Bus.Publish": func() error { _, err := b.Publish(message("x", payload.Text, "")); return err },
		"Call":        func() error { _, err := bus.Call[int](ctx, b, "s"); return err },
		"Call, ended": func() error { _, err := bus.Call[int](ended(t), b, "s"); return err },
		"Expose": func() error {
			_, err := bus.Expose(b, "t", func(context.Context, int) (int, error) { return 0, nil })
			return err
		},
		"Attach":    func() error { _, err := b.Attach(pattern(t, "x"), receiverFunc(nil), bus.AttachOptions{}); return err },
		"Subscribe": func() error { _, err := bus.Subscribe(b, "x", func(context.Context, bus.Event[int]) {}); return err },
		"Subscribe Spawn": func() error {
			_, err := bus.Subscribe(b, "x", func(context.Context, bus.Event[int]) {}, bus.Spawn())
			return err
		},
		"Subscribe Direct": func() error {
			_, err := bus.Subscribe(b, "x", func(context.Context, bus.Event[int]) {}, bus.Direct())
			return err
		},
	} {
		for range 2 {
			if err := f(); !errors.Is(err, bus.ErrClosed) || bus.KindOf(err) != bus.Closed {
				t.Errorf("%s returns %v, want ErrClosed", name, err)
			}
		}
	}
	if err := s.Drain(ctx); err != nil {
		t.Errorf("Drain: %v", err)
	}
}

func TestCloseReleasesAHeldUpPublisher(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := bus.New(bus.Options{})
		h := hold(t, b, 1, bus.Block)
		publish(t, b, "x", 1)
		async, sync := make(chan error, 1), make(chan error, 1)
		go func() { async <- bus.Publish(t.Context(), b, "x", 2) }()
		go func() { sync <- bus.PublishSync(t.Context(), b, "x", 3) }()
		synctest.Wait()
		closed := make(chan error, 1)
		go func() { closed <- b.Close(t.Context()) }()
		if err := <-async; !errors.Is(err, bus.ErrClosed) {
			t.Errorf("Publish returns %v, want ErrClosed", err)
		}
		if err := <-sync; !errors.Is(err, bus.ErrClosed) {
			t.Errorf("PublishSync returns %v, want ErrClosed", err)
		}
		if got := h.release(); !slices.Equal(got, []int{0, 1}) {
			t.Errorf("handled %v, want what was accepted", got)
		}
		if err := <-closed; err != nil {
			t.Error(err)
		}
	})
}

func TestPublishSyncIsAnsweredWhenTheBusClosesMeanwhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := bus.New(bus.Options{})
		h := hold(t, b, 10, bus.Block)
		done := make(chan error, 1)
		go func() { done <- bus.PublishSync(t.Context(), b, "x", 1) }()
		synctest.Wait()
		go func() { _ = b.Close(t.Context()) }()
		synctest.Wait()
		if got := h.release(); !slices.Equal(got, []int{0, 1}) {
			t.Errorf("handled %v", got)
		}
		if err := <-done; err != nil {
			t.Errorf("PublishSync returns %v though the queue was drained", err)
		}
	})
}

// TestCloseRacesWithEverything has all kinds of use going on while the bus is
// closed. Each must succeed or answer that it is closed; whatever was accepted
// must have been handled when Close returns.
func TestCloseRacesWithEverything(t *testing.T) {
	for range 50 {
		b := bus.New(bus.Options{})
		var accepted, handled atomic.Int64
		count := func(context.Context, bus.Event[int]) { handled.Add(1) }
		subscribe(t, b, "x", count, bus.Queue(4, bus.Block))
		if _, err := bus.Expose(b, "s", func(context.Context, int) (int, error) { return 1, nil }); err != nil {
			t.Fatal(err)
		}
		check := func(err error) bool {
			if err != nil && !errors.Is(err, bus.ErrClosed) {
				t.Error(err)
			}
			return err == nil
		}
		actions := []func() error{
			func() error {
				err := bus.Publish(t.Context(), b, "x", 1)
				if err == nil {
					accepted.Add(1)
				}
				return err
			},
			func() error {
				err := bus.PublishSync(t.Context(), b, "x", 1)
				if err == nil {
					accepted.Add(1)
				}
				return err
			},
			func() error {
				s, err := bus.Subscribe(b, "y", count)
				if err == nil {
					s.Unsubscribe()
				}
				return err
			},
			func() error {
				_, err := bus.Subscribe(b, "z", count, bus.Spawn())
				return err
			},
			func() error { _, err := bus.Call[int](t.Context(), b, "s", 1); return err },
		}
		var wg sync.WaitGroup
		started := make(chan struct{}, len(actions))
		for _, act := range actions {
			wg.Go(func() {
				started <- struct{}{}
				for n := 0; check(act()) && n < 100_000; n++ {
				}
			})
		}
		for range actions {
			<-started
		}
		if err := b.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		after := handled.Load()
		wg.Wait()
		if handled.Load() != after {
			t.Fatal("a handler ran after Close had returned")
		}
		if accepted.Load() > after {
			t.Fatalf("%d accepted, %d handled", accepted.Load(), after)
		}
	}
}
