package bus_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"omnibus/bus"
	"omnibus/payload"
	"omnibus/topic"
)

// held is a subscription whose handler waits until it is released.
type held struct {
	*bus.Subscription
	gate chan struct{}

	mu  sync.Mutex
	got []int
}

func hold(t *testing.T, b *bus.Bus, bound int, policy bus.Overflow) *held {
	h := &held{gate: make(chan struct{})}
	h.Subscription = subscribe(t, b, "x", func(_ context.Context, e bus.Event[int]) {
		<-h.gate
		h.mu.Lock()
		defer h.mu.Unlock()
		h.got = append(h.got, e.Value)
	}, bus.Queue(bound, policy))
	publish(t, b, "x", 0)
	synctest.Wait() // 0 is being handled, the queue is empty
	return h
}

// release lets the handler go on and returns all that it was called with.
func (h *held) release() []int {
	close(h.gate)
	synctest.Wait()
	return h.got
}

func TestAFullQueueLosesByItsPolicy(t *testing.T) {
	tests := []struct {
		name          string
		policy        bus.Overflow
		origin        *bus.Origin
		handled, lost []int
	}{
		{"DropOldest", bus.DropOldest, nil, []int{0, 3, 4, 5}, []int{1, 2}},
		{"DropNewest", bus.DropNewest, nil, []int{0, 1, 2, 3}, []int{4, 5}},
		{"Block towards a link", bus.Block, &bus.Origin{Name: "link"}, []int{0, 1, 2, 3}, []int{4, 5}},
		{"DropOldest towards a link", bus.DropOldest, &bus.Origin{Name: "link"}, []int{0, 3, 4, 5}, []int{1, 2}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var dropped []string
				b := newBus(t, bus.Options{Observer: bus.Observer{Dropped: func(p topic.Pattern, name string) {
					dropped = append(dropped, p.String()+" "+name)
				}}})
				h := hold(t, b, 3, tt.policy)
				for i := 1; i <= 5; i++ {
					if tt.origin == nil {
						publish(t, b, "x", i)
						continue
					}
					m := &bus.Message{Topic: "x", Origin: tt.origin}
					m.Payload.SetGo(i)
					if _, err := b.Publish(m); err != nil {
						t.Fatal(err)
					}
				}
				if s := h.Stats(); s.Queued != 3 || s.Dropped != uint64(len(tt.lost)) || s.Handled != 0 {
					t.Errorf("stats are %+v, want 3 queued and %d dropped", s, len(tt.lost))
				}
				if want := slices.Repeat([]string{"x x"}, len(tt.lost)); !slices.Equal(dropped, want) {
					t.Errorf("the observer was told %q, want %q", dropped, want)
				}
				if got := h.release(); !slices.Equal(got, tt.handled) {
					t.Errorf("handled %v, want %v", got, tt.handled)
				}
				if s := h.Stats(); s.Queued != 0 || s.Handled != 4 {
					t.Errorf("afterwards stats are %+v, want none queued and 4 handled", s)
				}
			})
		})
	}
}

func TestBlockHoldsUpThePublisherUntilThereIsRoom(t *testing.T) {
	for _, how := range []string{"typed", "message"} {
		t.Run(how, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBus(t, bus.Options{})
				h := hold(t, b, 1, bus.Block)
				publish(t, b, "x", 1)
				done := make(chan error, 1)
				go func() {
					if how == "typed" {
						done <- bus.Publish(t.Context(), b, "x", 2)
						return
					}
					_, err := b.Publish(message("x", payload.JSON, "2"))
					done <- err
				}()
				time.Sleep(time.Hour) // of the bubble's clock
				if isClosed(done) {
					t.Fatal("Publish did not wait for room")
				}
				if got := h.release(); !slices.Equal(got, []int{0, 1, 2}) {
					t.Errorf("handled %v", got)
				}
				if err := <-done; err != nil {
					t.Error(err)
				}
				if d := h.Stats().Dropped; d != 0 {
					t.Errorf("%d dropped", d)
				}
			})
		})
	}
}

func TestBlockHoldsUpThePublisherUntilItsContextEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dropped := 0
		b := newBus(t, bus.Options{Observer: bus.Observer{Dropped: func(topic.Pattern, string) { dropped++ }}})
		h := hold(t, b, 1, bus.Block)
		publish(t, b, "x", 1)
		start := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		if err := bus.Publish(ctx, b, "x", 2); !errors.Is(err, context.DeadlineExceeded) || bus.KindOf(err) != bus.TimedOut {
			t.Errorf("Publish returns %v, want the context's error", err)
		}
		if waited := time.Since(start); waited != 3*time.Second {
			t.Errorf("Publish returned after %v, want 3s", waited)
		}
		if err := bus.PublishSync(ctx, b, "x", 3); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("PublishSync returns %v, want the context's error", err)
		}
		if got := h.release(); !slices.Equal(got, []int{0, 1}) {
			t.Errorf("handled %v", got)
		}
		if h.Stats().Dropped != 2 || dropped != 2 {
			t.Errorf("%d dropped, the observer was told of %d, want 2", h.Stats().Dropped, dropped)
		}
	})
}

func TestManyHeldUpPublishersAllGetThrough(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBus(t, bus.Options{})
		h := hold(t, b, 2, bus.Block)
		for i := range 50 {
			go func() {
				if err := bus.Publish(t.Context(), b, "x", i+1); err != nil {
					t.Error(err)
				}
			}()
		}
		synctest.Wait()
		got := h.release()
		slices.Sort(got)
		if len(got) != 51 || got[50] != 50 {
			t.Errorf("handled %v", got)
		}
	})
}

func TestAQueueGrowsAndWrapsWithoutMixingUpTheOrder(t *testing.T) {
	for _, bound := range []int{-1, 1, 7, 8, 9, 100} {
		synctest.Test(t, func(t *testing.T) {
			b := newBus(t, bus.Options{})
			h := hold(t, b, bound, bus.DropOldest)
			for i := range 250 {
				publish(t, b, "x", i+1)
			}
			got := h.release()
			n := max(bound, 1)
			if len(got) != n+1 || got[1] != 251-n || !slices.IsSorted(got) {
				t.Errorf("bound %d: handled %v", bound, got)
			}
		})
	}
}
