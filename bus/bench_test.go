package bus_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"

	"omnibus/bus"
	"omnibus/payload"
)

func nop(context.Context, bus.Event[string]) {}

func BenchmarkPublishDirect(b *testing.B) {
	for _, n := range []int{1, 10, 100} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			x := newBus(b, bus.Options{})
			for range n {
				subscribe(b, x, "room/kitchen", nop, bus.Direct())
			}
			ctx := b.Context()
			b.ReportAllocs()
			for b.Loop() {
				_ = bus.Publish(ctx, x, "room/kitchen", "text")
			}
		})
	}
}

func BenchmarkPublishDirectParallel(b *testing.B) {
	x := newBus(b, bus.Options{})
	subscribe(b, x, "room/kitchen", nop, bus.Direct())
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			_ = bus.Publish(context.Background(), x, "room/kitchen", "text")
		}
	})
}

func BenchmarkPublishToNobody(b *testing.B) {
	x := newBus(b, bus.Options{})
	subscribe(b, x, "room/cellar", nop, bus.Direct())
	ctx := b.Context()
	b.ReportAllocs()
	for b.Loop() {
		_ = bus.Publish(ctx, x, "room/kitchen", "text")
	}
}

// BenchmarkPublishQueued includes the handling of what it publishes.
func BenchmarkPublishQueued(b *testing.B) {
	for _, n := range []int{1, 100} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			x := bus.New(bus.Options{})
			for range n {
				subscribe(b, x, "room/kitchen", nop)
			}
			ctx := b.Context()
			b.ReportAllocs()
			for b.Loop() {
				_ = bus.Publish(ctx, x, "room/kitchen", "text")
			}
			b.StopTimer()
			if err := x.Close(context.Background()); err != nil {
				b.Fatal(err)
			}
		})
	}
}

func BenchmarkPublishSync(b *testing.B) {
	x := newBus(b, bus.Options{})
	subscribe(b, x, "room/kitchen", nop)
	ctx := b.Context()
	b.ReportAllocs()
	for b.Loop() {
		_ = bus.PublishSync(ctx, x, "room/kitchen", "text")
	}
}

// BenchmarkPublishMessage is the path of a server: bytes to receivers.
func BenchmarkPublishMessage(b *testing.B) {
	for _, n := range []int{1, 100} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			x := newBus(b, bus.Options{})
			var bytes atomic.Int64
			for range n {
				attach(b, x, "room/kitchen", bus.AttachOptions{}, func(m *bus.Message, _ *bus.Subscription) {
					bytes.Add(int64(len(m.Payload.Data())))
				})
			}
			m := message("room/kitchen", payload.Text, "21.5")
			b.ReportAllocs()
			for b.Loop() {
				_, _ = x.Publish(m)
			}
		})
	}
}

// BenchmarkPublishConverted decodes JSON for each of the subscribers.
func BenchmarkPublishConverted(b *testing.B) {
	x := newBus(b, bus.Options{})
	subscribe(b, x, "room/kitchen", func(context.Context, bus.Event[point]) {}, bus.Direct())
	m := message("room/kitchen", payload.JSON, `{"X":1,"Y":2}`)
	b.ReportAllocs()
	for b.Loop() {
		_, _ = x.Publish(m)
	}
}

func BenchmarkCall(b *testing.B) {
	x := newBus(b, bus.Options{})
	if _, err := bus.Expose(x, "s", func(_ context.Context, n int) (int, error) { return n, nil }); err != nil {
		b.Fatal(err)
	}
	ctx := b.Context()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := bus.Call[int](ctx, x, "s", 1); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkPublishToGroup hands each message to one of four members.
func BenchmarkPublishToGroup(b *testing.B) {
	b.Run("direct", func(b *testing.B) {
		x := newBus(b, bus.Options{})
		for range 4 {
			subscribe(b, x, "room/kitchen", nop, bus.Direct(), bus.Group("g"))
		}
		ctx := b.Context()
		b.ReportAllocs()
		for b.Loop() {
			_ = bus.Publish(ctx, x, "room/kitchen", "text")
		}
	})
	x := newBus(b, bus.Options{})
	for range 4 {
		attach(b, x, "room/kitchen", bus.AttachOptions{Group: "g"}, func(*bus.Message, *bus.Subscription) {})
	}
	b.Run("message", func(b *testing.B) {
		m := message("room/kitchen", payload.Text, "21.5")
		b.ReportAllocs()
		for b.Loop() {
			_, _ = x.Publish(m)
		}
	})
	b.Run("parallel", func(b *testing.B) {
		b.ReportAllocs()
		b.RunParallel(func(pb *testing.PB) {
			m := message("room/kitchen", payload.Text, "21.5")
			for pb.Next() {
				_, _ = x.Publish(m)
			}
		})
	})
	b.Run("queued", func(b *testing.B) {
		x := bus.New(bus.Options{})
		for range 4 {
			subscribe(b, x, "room/kitchen", nop, bus.Group("g"))
		}
		ctx := b.Context()
		b.ReportAllocs()
		for b.Loop() {
			_ = bus.Publish(ctx, x, "room/kitchen", "text")
		}
		b.StopTimer()
		if err := x.Close(context.Background()); err != nil {
			b.Fatal(err)
		}
	})
}
