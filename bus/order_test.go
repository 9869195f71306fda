package bus_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"omnibus/bus"
	"omnibus/payload"
)

func TestEachPublisherIsHandledInItsOrder(t *testing.T) {
	const publishers, each = 8, 500
	type numbered struct{ from, n int }
	b := newBus(t, bus.Options{})
	var got [2][]numbered // one for each subscription
	var subs []*bus.Subscription
	for i := range got {
		subs = append(subs, subscribe(t, b, "n", func(_ context.Context, e bus.Event[numbered]) {
			got[i] = append(got[i], e.Value) // racy if the handler ran concurrently with itself
		}, bus.Queue(16, bus.Block)))
	}
	var wg sync.WaitGroup
	for p := range publishers {
		wg.Go(func() {
			for n := range each {
				if err := bus.Publish(t.Context(), b, "n", numbered{p, n}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	for i, s := range subs {
		if err := s.Drain(t.Context()); err != nil {
			t.Fatal(err)
		}
		var next [publishers]int
		for _, x := range got[i] {
			if x.n != next[x.from] {
				t.Fatalf("subscription %d: message %d of publisher %d came when %d was due", i, x.n, x.from, next[x.from])
			}
			next[x.from]++
		}
		if len(got[i]) != publishers*each {
			t.Errorf("subscription %d handled %d messages, want %d", i, len(got[i]), publishers*each)
		}
	}
}

func TestConvertedMessagesKeepTheOrderToo(t *testing.T) {
	b := newBus(t, bus.Options{})
	var got []int
	s := subscribe(t, b, "n", func(_ context.Context, e bus.Event[int]) { got = append(got, e.Value) })
	var want []int
	for i := range 300 {
		want = append(want, i)
		switch i % 3 {
		case 0:
			publish(t, b, "n", i)
		case 1:
			publish(t, b, "n", float64(i))
		default:
			if _, err := b.Publish(message("n", payload.JSON, fmt.Sprint(i))); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := s.Drain(t.Context()); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %v", got)
	}
}

func TestASlowSubscriptionDoesNotDelayAnother(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBus(t, bus.Options{})
		gate := make(chan struct{})
		subscribe(t, b, "x", func(context.Context, bus.Event[int]) { <-gate })
		var fast atomic.Int32
		subscribe(t, b, "x", func(context.Context, bus.Event[int]) { fast.Add(1) })
		for i := range 10 {
			publish(t, b, "x", i)
		}
		synctest.Wait()
		if fast.Load() != 10 {
			t.Errorf("the fast subscription handled %d of 10", fast.Load())
		}
		close(gate)
	})
}

// TestHandlersAtATime counts how many of 20 published messages are being
// handled when every handler waits.
func TestHandlersAtATime(t *testing.T) {
	tests := []struct {
		name    string
		options []bus.SubscribeOption
		want    int32
	}{
		{"one by default", nil, 1},
		{"as many as there are workers", []bus.SubscribeOption{bus.Workers(7)}, 7},
		{"less than one worker is one", []bus.SubscribeOption{bus.Workers(0)}, 1},
		{"all of them when spawned", []bus.SubscribeOption{bus.Spawn()}, 20},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBus(t, bus.Options{})
				gate := make(chan struct{})
				var running, handled atomic.Int32
				s := subscribe(t, b, "x", func(context.Context, bus.Event[int]) {
					running.Add(1)
					<-gate
					handled.Add(1)
				}, tt.options...)
				for i := range 20 {
					publish(t, b, "x", i)
				}
				synctest.Wait()
				if got := running.Load(); got != tt.want {
					t.Errorf("%d handlers run, want %d", got, tt.want)
				}
				close(gate)
				synctest.Wait()
				if handled.Load() != 20 || s.Stats().Handled != 20 {
					t.Errorf("%d handled, the counter says %d, want 20", handled.Load(), s.Stats().Handled)
				}
			})
		})
	}
}

// TestNoWorkerSleepsOverAMessage publishes in bursts from several goroutines
// to workers that fall asleep in between.
func TestNoWorkerSleepsOverAMessage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBus(t, bus.Options{})
		var handled atomic.Int32
		subscribe(t, b, "x", func(context.Context, bus.Event[int]) { handled.Add(1) },
			bus.Workers(4), bus.Queue(3, bus.Block))
		sent := int32(0)
		for burst := range int32(200) {
			var wg sync.WaitGroup
			for range 3 {
				wg.Go(func() {
					for range burst % 5 {
						publish(t, b, "x", 1)
					}
				})
			}
			wg.Wait()
			sent += 3 * (burst % 5)
			synctest.Wait() // everybody sleeps
			if handled.Load() != sent {
				t.Fatalf("burst %d: all workers sleep, %d of %d handled", burst, handled.Load(), sent)
			}
		}
	})
}

func TestDirectRunsOnThePublisherBeforePublishReturns(t *testing.T) {
	b := newBus(t, bus.Options{})
	type key struct{}
	ctx := context.WithValue(t.Context(), key{}, "the publisher's")
	var typed, converted any
	var order []string
	subscribe(t, b, "x", func(ctx context.Context, e bus.Event[int]) {
		typed = ctx.Value(key{})
		order = append(order, fmt.Sprintf("%s=%d", e.Topic, e.Value))
	}, bus.Direct())
	subscribe(t, b, "x", func(ctx context.Context, e bus.Event[float64]) { converted = ctx.Value(key{}) }, bus.Direct())
	for i := range 3 {
		if err := bus.Publish(ctx, b, "x", i); err != nil {
			t.Fatal(err)
		}
		order = append(order, "published")
	}
	if want := []string{"x=0", "published", "x=1", "published", "x=2", "published"}; !slices.Equal(order, want) {
		t.Errorf("order is %q", order)
	}
	if typed != "the publisher's" || converted != "the publisher's" {
		t.Errorf("contexts carry %v and %v, want the publisher's", typed, converted)
	}
}

func TestADirectHandlerMaySubscribePublishAndUnsubscribe(t *testing.T) {
	b := newBus(t, bus.Options{})
	var once *bus.Subscription
	calls, inner := 0, 0
	once = subscribe(t, b, "x", func(ctx context.Context, e bus.Event[int]) {
		calls++
		subscribe(t, b, "y", func(context.Context, bus.Event[int]) { inner++ }, bus.Direct())
		publish(t, b, "y", e.Value)
		if !once.Unsubscribe() {
			t.Error("Unsubscribe found nothing to end")
		}
	}, bus.Direct())
	publish(t, b, "x", 1)
	publish(t, b, "x", 2)
	if calls != 1 || inner != 1 {
		t.Errorf("%d calls and %d of the inner one, want 1 and 1", calls, inner)
	}
}

func TestSpawnedHandlersSeeTheMessageAsItWas(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBus(t, bus.Options{})
		var mu sync.Mutex
		got := map[string]int{}
		subscribe(t, b, "x", func(_ context.Context, e bus.Event[string]) {
			mu.Lock()
			defer mu.Unlock()
			got[e.Topic+" "+e.Value]++
		}, bus.Spawn())
		buf := []byte("0")
		m := &bus.Message{Topic: "x"}
		for i := range byte(5) {
			buf[0] = '0' + i
			m.Payload.Set(payload.Text, buf)
			if _, err := b.Publish(m); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		for i := range 5 {
			if got[fmt.Sprintf("x %d", i)] != 1 {
				t.Fatalf("got %v", got)
			}
		}
	})
}
