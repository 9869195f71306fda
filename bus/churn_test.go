package bus_test

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"

	"omnibus/bus"
)

// TestMembersThatComeAndGoLoseNothing publishes from several goroutines while
// members of every kind join and end: one stays, and so every message is
// handled by exactly one.
func TestMembersThatComeAndGoLoseNothing(t *testing.T) {
	each := 4000
	if testing.Short() {
		each = 500
	}
	const publishers = 4
	handled := make([]atomic.Int32, publishers*each)
	handle := func(_ context.Context, e bus.Event[int]) { handled[e.Value].Add(1) }
	receive := func(m *bus.Message, _ *bus.Subscription) {
		n, ok := m.Payload.GoValue().(int)
		if !ok {
			t.Errorf("got %v", m.Payload.GoValue())
			return
		}
		handled[n].Add(1)
	}
	// Nothing may be lost to a full queue.
	room := bus.Queue(len(handled)+1, bus.Block)
	comers := map[string]func(b *bus.Bus) *bus.Subscription{
		"queue": func(b *bus.Bus) *bus.Subscription { return subscribe(t, b, "job/+", handle, bus.Group("g"), room) },
		"direct": func(b *bus.Bus) *bus.Subscription {
			return subscribe(t, b, "job/+", handle, bus.Group("g"), bus.Direct())
		},
		"spawn": func(b *bus.Bus) *bus.Subscription {
			return subscribe(t, b, "job/+", handle, bus.Group("g"), bus.Spawn())
		},
		"workers": func(b *bus.Bus) *bus.Subscription {
			return subscribe(t, b, "job/+", handle, bus.Group("g"), bus.Workers(2), room)
		},
		"receiver": func(b *bus.Bus) *bus.Subscription {
			return attach(t, b, "job/+", bus.AttachOptions{Group: "g"}, receive)
		},
	}
	b := bus.New(bus.Options{})
	stays := comers["queue"](b)
	var done atomic.Bool
	var churn, publishing sync.WaitGroup
	var rounds atomic.Int64
	for _, come := range comers {
		churn.Go(func() {
			for drain := false; !done.Load(); drain = !drain {
				s := come(b)
				if drain {
					if err := s.Drain(t.Context()); err != nil {
						t.Error(err)
					}
				} else {
					s.Unsubscribe()
				}
				rounds.Add(1)
			}
		})
	}
	for p := range publishers {
		publishing.Go(func() {
			for n := p; n < len(handled); n += publishers {
				var err error
				if n%8 < 4 {
					err = bus.Publish(t.Context(), b, "job/1", n)
				} else {
					m := &bus.Message{Topic: "job/1"}
					m.Payload.SetGo(n)
					var r bus.Receipt
					if r, err = b.Publish(m); r.Receivers != 1 {
						t.Errorf("%d receivers", r.Receivers)
					}
				}
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	publishing.Wait()
	done.Store(true)
	churn.Wait()
	if n := b.SubscriptionCount(); n != 1 {
		t.Errorf("%d subscriptions are left", n)
	}
	if err := b.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	for n := range handled {
		if got := handled[n].Load(); got != 1 {
			t.Fatalf("message %d was handled %d times", n, got)
		}
	}
	t.Logf("%d members came and went; the one that stayed handled %d of %d", rounds.Load(), stays.Stats().Handled, len(handled))
}

// TestNothingReachesAMemberThatHasEnded is about publishes that begin after
// Unsubscribe has returned.
func TestNothingReachesAMemberThatHasEnded(t *testing.T) {
	b := newBus(t, bus.Options{})
	var stop atomic.Bool
	var wg sync.WaitGroup
	wg.Go(func() { // others come and go meanwhile
		for !stop.Load() {
			attach(t, b, "x", bus.AttachOptions{Group: "g"}, func(*bus.Message, *bus.Subscription) {}).Unsubscribe()
		}
	})
	for range 2000 {
		var ended bool
		s := attach(t, b, "x", bus.AttachOptions{Group: "g"}, func(*bus.Message, *bus.Subscription) {
			if ended {
				t.Error("it got a message after its end")
			}
		})
		publish(t, b, "x", 1)
		s.Unsubscribe()
		ended = true
		publish(t, b, "x", 2)
	}
	stop.Store(true)
	wg.Wait()
}
