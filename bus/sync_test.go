package bus_test

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"omnibus/bus"
	"omnibus/payload"
	"omnibus/topic"
)

func TestPublishSyncWaitsForEveryHandler(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBus(t, bus.Options{})
		var handled atomic.Int32
		slow := func(d time.Duration) bus.Handler[int] {
			return func(context.Context, bus.Event[int]) {
				time.Sleep(d)
				handled.Add(1)
			}
		}
		subscribe(t, b, "x", slow(time.Second))
		subscribe(t, b, "x", slow(2*time.Second), bus.Workers(3))
		subscribe(t, b, "+", slow(3*time.Second), bus.Direct())
		subscribe(t, b, "x", slow(4*time.Second), bus.Spawn())
		subscribe(t, b, "x", func(_ context.Context, _ bus.Event[float64]) {
			time.Sleep(10 * time.Second) // a handler of another type
			handled.Add(1)
		})
		start := time.Now()
		if err := bus.PublishSync(t.Context(), b, "x", 1); err != nil {
			t.Fatal(err)
		}
		if handled.Load() != 5 {
			t.Errorf("%d of 5 handlers had returned", handled.Load())
		}
		if d := time.Since(start); d < 10*time.Second {
			t.Errorf("returned after %v", d)
		}
	})
}

func TestPublishSyncKeepsTheOrder(t *testing.T) {
	b := newBus(t, bus.Options{})
	var got []int
	subscribe(t, b, "x", func(_ context.Context, e bus.Event[int]) { got = append(got, e.Value) })
	var want []int
	for i := range 200 {
		want = append(want, i)
		if i%10 != 9 {
			publish(t, b, "x", i)
			continue
		}
		if err := bus.PublishSync(t.Context(), b, "x", i); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(got, want) { // no lock: everything has been handled
			t.Fatalf("handled %v, want %v", got, want)
		}
	}
}

func TestPublishSyncRunsSpawnedHandlersOneAfterTheOther(t *testing.T) {
	b := newBus(t, bus.Options{})
	var got []int
	s := subscribe(t, b, "x", func(_ context.Context, e bus.Event[int]) { got = append(got, e.Value) }, bus.Spawn())
	for i := range 5 {
		if err := bus.PublishSync(t.Context(), b, "x", i); err != nil {
			t.Fatal(err)
		}
	}
	if err := bus.PublishSync(t.Context(), b, "x", 5.0); err != nil { // converted
		t.Fatal(err)
	}
	if !slices.Equal(got, []int{0, 1, 2, 3, 4, 5}) || s.Stats().Handled != 6 {
		t.Errorf("handled %v, the counter says %d", got, s.Stats().Handled)
	}
}

func TestPublishSyncEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBus(t, bus.Options{})
		var inner, outer error
		var took time.Duration
		subscribe(t, b, "x", func(ctx context.Context, e bus.Event[int]) {
			if e.Value != 0 {
				return
			}
			// To its own subscription: it would wait for itself.
			start := time.Now()
			ctx, cancel := context.WithTimeout(ctx, time.Minute)
			defer cancel()
			inner = bus.PublishSync(ctx, b, "x", 1)
			took = time.Since(start)
		})
		outer = bus.PublishSync(t.Context(), b, "x", 0)
		if !errors.Is(inner, context.DeadlineExceeded) || took != time.Minute {
			t.Errorf("the inner one returned %v after %v", inner, took)
		}
		if outer != nil {
			t.Errorf("the outer one returned %v", outer)
		}
	})
}

func TestPublishSyncReturnsWhatWentWrong(t *testing.T) {
	b := newBus(t, bus.Options{})
	boom := errors.New("boom")
	nop := func(context.Context, bus.Event[string]) {}
	fail := func(context.Context, bus.Event[string]) { panic(boom) }
	subscribe(t, b, "x", nop)
	subscribe(t, b, "x", fail)
	subscribe(t, b, "x", fail, bus.Direct())
	subscribe(t, b, "x", fail, bus.Direct())
	subscribe(t, b, "x", nop, bus.Direct())
	subscribe(t, b, "x", fail, bus.Spawn())
	subscribe(t, b, "x", func(context.Context, bus.Event[int]) {}) // "text" is no int
	err := bus.PublishSync(t.Context(), b, "x", "text")
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		t.Fatalf("got %v", err)
	}
	panics, conversions := 0, 0
	for _, e := range joined.Unwrap() {
		p, isPanic := errors.AsType[*bus.PanicError](e)
		switch {
		case isPanic && p.Value == any(boom) && strings.Contains(string(p.Stack), "sync_test.go"):
			panics++
		case bus.KindOf(e) == bus.Invalid && errors.Is(e, payload.ErrForm):
			conversions++
		default:
			t.Errorf("unexpected: %v", e)
		}
	}
	if panics != 4 || conversions != 1 {
		t.Errorf("%d panics and %d conversion errors, want 4 and 1", panics, conversions)
	}
}

func TestPublishSyncReportsLosses(t *testing.T) {
	tests := []struct {
		policy bus.Overflow
		first  bus.Kind // of the message that was in the queue
		second bus.Kind // of the one that came to a full queue
	}{
		{bus.DropOldest, bus.Full, bus.Closed},
		{bus.DropNewest, bus.Closed, bus.Full},
	}
	for _, tt := range tests {
		synctest.Test(t, func(t *testing.T) {
			b := newBus(t, bus.Options{})
			h := hold(t, b, 1, tt.policy)
			first, second := make(chan error, 1), make(chan error, 1)
			go func() { first <- bus.PublishSync(t.Context(), b, "x", 1) }()
			synctest.Wait()
			go func() { second <- bus.PublishSync(t.Context(), b, "x", 2) }()
			synctest.Wait()
			h.Unsubscribe() // discards what is still queued
			if k := bus.KindOf(<-first); k != tt.first {
				t.Errorf("policy %d: the first ended as %v, want %v", tt.policy, k, tt.first)
			}
			if k := bus.KindOf(<-second); k != tt.second {
				t.Errorf("policy %d: the second ended as %v, want %v", tt.policy, k, tt.second)
			}
			h.release()
		})
	}
}

func TestAPanicEndsThatCallOnly(t *testing.T) {
	modes := map[string]bus.SubscribeOption{
		"queue": bus.Queue(10, bus.Block), "workers": bus.Workers(2), "direct": bus.Direct(), "spawn": bus.Spawn(),
	}
	for name, mode := range modes {
		for _, how := range []string{"typed", "converted"} {
			t.Run(name+" "+how, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					var reported atomic.Int32
					b := newBus(t, bus.Options{Observer: bus.Observer{Panic: func(name string, p *bus.PanicError) {
						if name == "x" && p.Value == "odd" && p.Error() == "handler panicked: odd" {
							reported.Add(1)
						}
					}}})
					var handled, others atomic.Int32
					s := subscribe(t, b, "x", func(_ context.Context, e bus.Event[int]) {
						if e.Value%2 == 1 {
							panic("odd")
						}
						handled.Add(1)
					}, mode)
					subscribe(t, b, "x", func(context.Context, bus.Event[int]) { others.Add(1) }, mode)
					for i := range 10 {
						if how == "typed" {
							publish(t, b, "x", i)
						} else {
							publish(t, b, "x", float64(i))
						}
					}
					synctest.Wait()
					if handled.Load() != 5 || others.Load() != 10 || reported.Load() != 5 {
						t.Errorf("%d handled, %d by the other, %d panics reported; want 5, 10, 5",
							handled.Load(), others.Load(), reported.Load())
					}
					if n := s.Stats().Handled; n != 10 && name != "direct" {
						t.Errorf("the counter says %d, want 10", n)
					}
				})
			})
		}
	}
}

func TestAHandlerThatEndsItsGoroutineHoldsUpNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBus(t, bus.Options{})
		subscribe(t, b, "x", func(context.Context, bus.Event[int]) { runtime.Goexit() }, bus.Queue(1, bus.Block))
		if err := bus.PublishSync(t.Context(), b, "x", 1); bus.KindOf(err) != bus.Failed || err == nil {
			t.Errorf("PublishSync returns %v", err)
		}
		for i := range 5 {
			publish(t, b, "x", i)
		}
	})
}

func TestWhatCannotBeConvertedIsCountedAndReported(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var told []string
		b := newBus(t, bus.Options{Observer: bus.Observer{Undecodable: func(p topic.Pattern, name string, err error) {
			if !errors.Is(err, payload.ErrForm) {
				t.Errorf("told of %v", err)
			}
			mu.Lock()
			defer mu.Unlock()
			told = append(told, p.String()+" "+name)
		}}})
		s := subscribe(t, b, "+", func(_ context.Context, e bus.Event[int]) { t.Errorf("called with %v", e) })
		d := subscribe(t, b, "x", func(_ context.Context, e bus.Event[int]) { t.Errorf("called with %v", e) }, bus.Direct())
		publish(t, b, "x", "no number")
		synctest.Wait()
		slices.Sort(told)
		if !slices.Equal(told, []string{"+ x", "x x"}) {
			t.Errorf("told of %q", told)
		}
		for _, s := range []*bus.Subscription{s, d} {
			if st := s.Stats(); st.Undecodable != 1 || st.Handled != 0 || st.Dropped != 0 {
				t.Errorf("stats are %+v", st)
			}
		}
	})
}
