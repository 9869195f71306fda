package bus_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"omnibus/bus"
	"omnibus/payload"
)

func TestFunctionsShareMessages(t *testing.T) {
	modes := map[string][]bus.SubscribeOption{
		"queue":   nil,
		"workers": {bus.Workers(3)},
		"direct":  {bus.Direct()},
		"spawn":   {bus.Spawn()},
	}
	publishers := map[string]func(*testing.T, *bus.Bus, int){
		"Publish": func(t *testing.T, b *bus.Bus, n int) { publish(t, b, "job/1", n) },
		"PublishSync": func(t *testing.T, b *bus.Bus, n int) {
			if err := bus.PublishSync(t.Context(), b, "job/1", n); err != nil {
				t.Error(err)
			}
		},
		"PublishVia": func(t *testing.T, b *bus.Bus, n int) {
			r, err := b.PublishVia(message("job/1", payload.JSON, fmt.Sprint(n)), nil)
			if err != nil || r.Receivers != 1 {
				t.Errorf("%+v, %v", r, err)
			}
		},
		"another type": func(t *testing.T, b *bus.Bus, n int) { publish(t, b, "job/1", int64(n)) },
	}
	for mode, options := range modes {
		for by, send := range publishers {
			t.Run(mode+" by "+by, func(t *testing.T) {
				b := bus.New(bus.Options{})
				var counts [4]atomic.Int32
				var sum atomic.Int64
				for i := range counts {
					subscribe(t, b, "job/+", func(_ context.Context, e bus.Event[int]) {
						counts[i].Add(1)
						sum.Add(int64(e.Value))
					}, append(options, bus.Group("team"))...)
				}
				for n := range 400 {
					send(t, b, n)
				}
				if err := b.Close(t.Context()); err != nil {
					t.Fatal(err)
				}
				if total := counts[0].Load() + counts[1].Load() + counts[2].Load() + counts[3].Load(); total != 400 || sum.Load() != 400*399/2 {
					t.Errorf("%d messages with the sum %d were handled, want 400 with %d", total, sum.Load(), 400*399/2)
				}
				for i := range counts {
					if n := counts[i].Load(); (mode == "direct" || mode == "spawn") && n != 100 {
						t.Errorf("member %d got %d, want 100", i, n)
					}
				}
			})
		}
	}
}

func TestADirectMemberIsNotRunByItsNeighbours(t *testing.T) {
	b := newBus(t, bus.Options{})
	var log []string
	note := func(who string) bus.Handler[string] {
		return func(context.Context, bus.Event[string]) { log = append(log, who) }
	}
	subscribe(t, b, "x", note("before"), bus.Direct())
	subscribe(t, b, "x", note("A"), bus.Direct(), bus.Group("g"))
	subscribe(t, b, "x", note("B"), bus.Direct(), bus.Group("g"))
	subscribe(t, b, "x", note("after"), bus.Direct())
	for range 3 {
		publish(t, b, "x", "v")
	}
	if got, want := strings.Join(log, " "), "before A after before B after before A after"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestTheFailuresOfAMemberAreToldAsUsual(t *testing.T) {
	var told int
	b := newBus(t, bus.Options{Observer: bus.Observer{Panic: func(string, *bus.PanicError) { told++ }}})
	for _, o := range []bus.SubscribeOption{bus.Direct(), bus.Queue(1, bus.Block)} {
		s := subscribe(t, b, "x", func(context.Context, bus.Event[string]) { panic("no") }, o, bus.Group("g"))
		err := bus.PublishSync(t.Context(), b, "x", "v")
		if _, ok := errors.AsType[*bus.PanicError](err); !ok {
			t.Errorf("PublishSync returned %v", err)
		}
		s.Unsubscribe()
	}
	if told != 2 {
		t.Errorf("%d panics were reported, want 2", told)
	}
}

// TestABusyHandlerIsPassedOver: a handler with one worker is busy from the
// first message on, one with three from the third.
func TestABusyHandlerIsPassedOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := bus.New(bus.Options{})
		release := make(chan struct{})
		var single, triple atomic.Int32
		hold := func(n *atomic.Int32) bus.Handler[int] {
			return func(context.Context, bus.Event[int]) { n.Add(1); <-release }
		}
		one := subscribe(t, b, "x", hold(&single), bus.Group("g"))
		three := subscribe(t, b, "x", hold(&triple), bus.Group("g"), bus.Workers(3))
		for n := range 4 {
			publish(t, b, "x", n)
			synctest.Wait()
		}
		if single.Load() != 1 || triple.Load() != 3 {
			t.Errorf("%d and %d are handled, want 1 and 3", single.Load(), triple.Load())
		}
		for n := range 6 { // all are busy: the shorter queue
			publish(t, b, "x", n)
		}
		if q1, q3 := one.Stats().Queued, three.Stats().Queued; q1 != 3 || q3 != 3 {
			t.Errorf("%d and %d wait, want 3 and 3", q1, q3)
		}
		close(release)
		if err := b.Close(t.Context()); err != nil {
			t.Error(err)
		}
		if got := single.Load() + triple.Load(); got != 10 {
			t.Errorf("%d were handled, want 10", got)
		}
	})
}

func TestWhatWaitsForAMemberThatEndsGoesToTheOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := bus.New(bus.Options{})
		release := make(chan struct{})
		var got [3]atomic.Int32
		var subs [3]*bus.Subscription
		join := func(i int, o ...bus.SubscribeOption) {
			subs[i] = subscribe(t, b, "x", func(context.Context, bus.Event[int]) { got[i].Add(1); <-release }, append(o, bus.Group("g"))...)
		}
		join(0)
		failed := make(chan error, 1)
		for n := range 8 {
			publish(t, b, "x", n)
		}
		go func() { failed <- bus.PublishSync(t.Context(), b, "x", 8) }()
		synctest.Wait() // one is handled, eight wait
		join(1, bus.Queue(3, bus.Block))
		join(2, bus.Queue(100, bus.Block))
		if !subs[0].Unsubscribe() {
			t.Error("it was there")
		}
		close(release)
		if err := <-failed; err != nil {
			t.Errorf("PublishSync: %v", err)
		}
		if err := b.Close(t.Context()); err != nil {
			t.Error(err)
		}
		if one, two, three := got[0].Load(), got[1].Load(), got[2].Load(); one != 1 || two < 2 || three < 5 || one+two+three != 9 {
			t.Errorf("handled %d, %d and %d of 9; want 1, about 3, and the rest", one, two, three)
		}
		for i, s := range subs {
			if n := s.Stats().Dropped; n != 0 {
				t.Errorf("member %d lost %d", i, n)
			}
		}
	})
}

func TestWhatNoMemberHasRoomForIsLostAndCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := bus.New(bus.Options{})
		release := make(chan struct{})
		hold := func(context.Context, bus.Event[int]) { <-release }
		first := subscribe(t, b, "x", hold, bus.Group("g"))
		for n := range 6 {
			publish(t, b, "x", n)
		}
		synctest.Wait() // one is handled, five wait
		rest := subscribe(t, b, "x", hold, bus.Group("g"), bus.Queue(2, bus.Block))
		first.Unsubscribe() // does not wait for room, which never comes
		close(release)
		if err := b.Close(t.Context()); err != nil {
			t.Error(err)
		}
		if s := rest.Stats(); s.Handled+s.Dropped != 5 || s.Dropped < 2 || s.Dropped > 3 {
			t.Errorf("%+v, want five handled or dropped", s)
		}
		if s := first.Stats(); s.Handled != 1 {
			t.Errorf("the first: %+v", s)
		}
	})
}

func TestAPublisherHeldUpByAMemberThatEndsGoesToAnother(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := bus.New(bus.Options{})
		release := make(chan struct{})
		var got atomic.Int32
		full := subscribe(t, b, "x", func(context.Context, bus.Event[int]) { got.Add(1); <-release }, bus.Group("g"), bus.Queue(1, bus.Block))
		publish(t, b, "x", 0)
		synctest.Wait()
		publish(t, b, "x", 1)
		var held sync.WaitGroup
		held.Go(func() { publish(t, b, "x", 2) })
		held.Go(func() {
			if err := bus.PublishSync(t.Context(), b, "x", int8(3)); err != nil {
				t.Error(err)
			}
		})
		synctest.Wait()
		var other atomic.Int32
		subscribe(t, b, "x", func(_ context.Context, e bus.Event[string]) { other.Add(1) }, bus.Group("g"))
		full.Unsubscribe()
		held.Wait()
		close(release)
		if err := b.Close(t.Context()); err != nil {
			t.Error(err)
		}
		if got.Load() != 1 || other.Load() != 3 {
			t.Errorf("the one that ended handled %d, the other %d; want 1 and 3", got.Load(), other.Load())
		}
	})
}

func TestAHandlerWithoutGoroutinesIsPassedOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := bus.New(bus.Options{})
		var exited, got atomic.Int32
		for range 2 {
			subscribe(t, b, "x", func(context.Context, bus.Event[int]) { exited.Add(1); runtime.Goexit() }, bus.Group("g"))
		}
		publish(t, b, "x", 0)
		publish(t, b, "x", 0)
		synctest.Wait()
		publish(t, b, "x", 0) // nobody can take it
		subscribe(t, b, "x", func(context.Context, bus.Event[int]) { got.Add(1) }, bus.Group("g"))
		for range 5 {
			publish(t, b, "x", 0)
		}
		if err := b.Close(t.Context()); err != nil {
			t.Error(err)
		}
		if exited.Load() != 2 || got.Load() != 5 {
			t.Errorf("%d exited, the other handled %d; want 2 and 5", exited.Load(), got.Load())
		}
	})
}

func TestAGroupOfAClosedBusTakesNothing(t *testing.T) {
	b := bus.New(bus.Options{})
	subscribe(t, b, "x", func(context.Context, bus.Event[int]) {}, bus.Group("g"))
	if err := b.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := bus.Publish(t.Context(), b, "x", 1); !errors.Is(err, bus.ErrClosed) {
		t.Errorf("Publish: %v", err)
	}
	if _, err := b.Attach(pattern(t, "x"), receiverFunc(func(*bus.Message, *bus.Subscription) {}), bus.AttachOptions{Group: "g"}); !errors.Is(err, bus.ErrClosed) {
		t.Errorf("Attach: %v", err)
	}
}
