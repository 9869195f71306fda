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

func TestAllWhoKeepShareOneCopy(t *testing.T) {
	b := newBus(t, bus.Options{})
	var kept []*bus.Message
	for range 3 {
		attach(t, b, "x", bus.AttachOptions{}, func(m *bus.Message, _ *bus.Subscription) { kept = append(kept, m.Keep()) })
	}
	m := message("x", payload.Text, "one")
	if _, err := b.Publish(m); err != nil {
		t.Fatal(err)
	}
	if len(kept) != 3 || kept[0] != kept[1] || kept[1] != kept[2] || kept[0] == m || kept[0].Keep() != kept[0] {
		t.Errorf("kept %p, of %p", kept, m)
	}
}

// TestAKeptMessageStaysAsItWas has one Message and one set of buffers used
// again for each publish, with and without Reset.
func TestAKeptMessageStaysAsItWas(t *testing.T) {
	for _, reset := range []bool{false, true} {
		b := newBus(t, bus.Options{})
		var kept []*bus.Message
		attach(t, b, "#", bus.AttachOptions{}, func(m *bus.Message, _ *bus.Subscription) { kept = append(kept, m.Keep()) })
		m := new(bus.Message)
		header := "h0"
		for i := range 3 {
			if reset {
				m.Reset()
			}
			header = fmt.Sprint("h", i)
			m.Topic, m.ID, m.QoS, m.Retain, m.Expires = fmt.Sprint("t", i), fmt.Sprint("id", i), uint8(i), i == 1, int64(i)
			m.Payload.Set(payload.Text, fmt.Append(nil, i))
			m.Headers = bus.LazyHeaders(func() []bus.Header { return []bus.Header{{Key: "k", Value: header}} })
			if _, err := b.Publish(m); err != nil {
				t.Fatal(err)
			}
		}
		header = "changed"
		for i, k := range kept {
			v, _ := k.Headers.Get("k")
			got := fmt.Sprint(k.Topic, k.ID, k.QoS, k.Retain, k.Expires, string(k.Payload.Data()), v)
			want := fmt.Sprint(fmt.Sprint("t", i), fmt.Sprint("id", i), i, i == 1, i, fmt.Sprint(i), fmt.Sprint("h", i))
			if got != want {
				t.Errorf("reset %v: message %d is %q, want %q", reset, i, got, want)
			}
		}
	}
}

// TestAPublisherMayOverwriteItsBuffersAfterPublish is for the race detector as
// much as for its own checks.
func TestAPublisherMayOverwriteItsBuffersAfterPublish(t *testing.T) {
	type value struct{ A, B int }
	b := newBus(t, bus.Options{})
	var handled atomic.Int32
	check := func(_ context.Context, e bus.Event[value]) {
		if name := fmt.Sprint("t/", e.Value.A); e.Value.A != e.Value.B || e.Topic != name {
			t.Errorf("%s got %+v", e.Topic, e.Value)
		}
		if v, _ := e.Headers.Get("key"); v != fmt.Sprint(e.Value.A) {
			t.Errorf("header is %q, value %d", v, e.Value.A)
		}
		handled.Add(1)
	}
	var events []bus.Event[value] // a Direct handler may keep its event, too
	options := [][]bus.SubscribeOption{nil, {bus.Workers(3)}, {bus.Spawn()}}
	var subs []*bus.Subscription
	for _, o := range options {
		subs = append(subs, subscribe(t, b, "t/+", check, o...))
	}
	subscribe(t, b, "t/+", func(_ context.Context, e bus.Event[value]) { events = append(events, e) }, bus.Direct())
	buf := make([]byte, 64)
	m := new(bus.Message)
	const n = 200
	for i := range n {
		buf = fmt.Appendf(buf[:0], `{"A":%d,"B":%d}`, i, i)
		m.Topic = fmt.Sprint("t/", i)
		m.Payload.Set(payload.JSON, buf)
		m.Headers = bus.MakeHeaders(bus.Header{Key: "key", Value: fmt.Sprint(i)})
		if _, err := b.Publish(m); err != nil {
			t.Fatal(err)
		}
		clear(buf)
	}
	for _, s := range subs {
		if err := s.Drain(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if handled.Load() != n*int32(len(options)) {
		t.Errorf("%d handled, want %d", handled.Load(), n*len(options))
	}
	for _, e := range events {
		check(t.Context(), e)
	}
}

func TestAKeptMessageMayBeReadAndPublishedByMany(t *testing.T) {
	b, other := newBus(t, bus.Options{Codecs: new(payload.Codecs)}), newBus(t, bus.Options{})
	var received atomic.Int32
	subscribe(t, other, "x", func(_ context.Context, e bus.Event[[]int]) {
		if slices.Equal(e.Value, []int{1, 2}) {
			received.Add(1)
		}
	})
	var wg sync.WaitGroup
	for range 8 {
		attach(t, b, "x", bus.AttachOptions{}, func(m *bus.Message, _ *bus.Subscription) {
			k := m.Keep()
			wg.Go(func() {
				if _, err := k.Payload.As(payload.Text); err != nil {
					t.Error(err)
				}
				if _, err := other.Publish(k.Clone()); err != nil {
					t.Error(err)
				}
			})
		})
	}
	if _, err := b.Publish(message("x", payload.JSON, "[1,2]")); err != nil {
		t.Fatal(err)
	}
	wg.Wait()
	if err := other.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if received.Load() != 8 {
		t.Errorf("%d received, want 8", received.Load())
	}
}

// TestAPayloadIsConvertedOnceForAThousand counts the calls of a converter.
func TestAPayloadIsConvertedOnceForAThousand(t *testing.T) {
	const subscribers = 1000
	for _, mode := range []string{"queue", "direct", "spawn"} {
		t.Run(mode, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var conversions, handled atomic.Int32
				codecs := new(payload.Codecs)
				codecs.Add(payload.CBOR, payload.JSON, func([]byte) ([]byte, error) {
					conversions.Add(1)
					return []byte(`{"N":42}`), nil
				})
				b := newBus(t, bus.Options{Codecs: codecs})
				options := map[string][]bus.SubscribeOption{"direct": {bus.Direct()}, "spawn": {bus.Spawn()}}[mode]
				for range subscribers {
					subscribe(t, b, "x", func(_ context.Context, e bus.Event[struct{ N int }]) {
						if e.Value.N == 42 {
							handled.Add(1)
						}
					}, options...)
				}
				if _, err := b.Publish(message("x", payload.CBOR, "not looked at")); err != nil {
					t.Fatal(err)
				}
				synctest.Wait()
				if conversions.Load() != 1 || handled.Load() != subscribers {
					t.Errorf("%d conversions for %d handled", conversions.Load(), handled.Load())
				}
			})
		})
	}
}

func TestNothingIsConvertedForThoseWhoTakeItAsItIs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		codecs := new(payload.Codecs)
		codecs.Add(payload.JSON, payload.Text, func(b []byte) ([]byte, error) {
			t.Error("converted")
			return b, nil
		})
		b := newBus(t, bus.Options{Codecs: codecs})
		type local struct{ ch chan int } // cannot be encoded
		sent := &local{make(chan int)}
		var got atomic.Pointer[local]
		subscribe(t, b, "x", func(_ context.Context, e bus.Event[*local]) { got.Store(e.Value) })
		attach(t, b, "x", bus.AttachOptions{}, func(m *bus.Message, _ *bus.Subscription) {
			if m.Payload.GoValue() != any(sent) {
				t.Errorf("the receiver got %v", m.Payload.GoValue())
			}
		})
		publish(t, b, "x", sent)
		synctest.Wait()
		if got.Load() != sent {
			t.Error("the handler did not get the very value")
		}
		// As an interface value, too.
		got.Store(nil)
		publish[any](t, b, "x", sent)
		synctest.Wait()
		if got.Load() != sent {
			t.Error("published as any, the handler did not get the very value")
		}
	})
}

func TestHeaders(t *testing.T) {
	list := []bus.Header{{Key: "a", Value: "1"}, {Key: "b", Value: "2"}, {Key: "a", Value: "3"}}
	for name, h := range map[string]bus.Headers{
		"made": bus.MakeHeaders(list...),
		"lazy": bus.LazyHeaders(func() []bus.Header { return list }),
	} {
		if h.IsEmpty() || !slices.Equal(h.List(), list) {
			t.Errorf("%s: the list is %v", name, h.List())
		}
		if v, ok := h.Get("a"); v != "1" || !ok {
			t.Errorf("%s: the first a is %q, %v", name, v, ok)
		}
		if v, ok := h.Get("c"); v != "" || ok {
			t.Errorf("%s: c is %q, %v", name, v, ok)
		}
		for k := range h.All() {
			if k != "a" {
				t.Errorf("%s: went on after a break", name)
			}
			break
		}
	}
	var none bus.Headers
	if !none.IsEmpty() || none.List() != nil {
		t.Error("the zero value has headers")
	}
}

func TestLazyHeadersAreReadOnlyWhenAskedFor(t *testing.T) {
	b := newBus(t, bus.Options{})
	reads := 0
	m := message("x", payload.Text, "")
	m.Headers = bus.LazyHeaders(func() []bus.Header {
		reads++
		return []bus.Header{{Key: "k", Value: "v"}}
	})
	attach(t, b, "x", bus.AttachOptions{}, func(*bus.Message, *bus.Subscription) {})
	if _, err := b.Publish(m); err != nil {
		t.Fatal(err)
	}
	if reads != 0 {
		t.Errorf("%d reads, nobody asked", reads)
	}
	for range 5 {
		attach(t, b, "x", bus.AttachOptions{}, func(m *bus.Message, _ *bus.Subscription) {
			if v, _ := m.Keep().Headers.Get("k"); v != "v" {
				t.Errorf("the header is %q", v)
			}
		})
	}
	if _, err := b.Publish(m); err != nil {
		t.Fatal(err)
	}
	if reads != 1 {
		t.Errorf("%d reads for five who keep it, want 1", reads)
	}
}
