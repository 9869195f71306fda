package inproc

import (
	"context"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/asaskevich/EventBus"
	"github.com/cskr/pubsub/v2"
	mustafa "github.com/mustafaturan/bus/v3"
	"omnibus/bus"
	"omnibus/bus/sysbus"
)

const name = "room/kitchen/temperature"

// contender is one way to hand a message to n handlers.
type contender struct {
	name string
	// setup returns the function that publishes once, and one that waits
	// until all handlers of all publishes have counted; nil when publish
	// does so.
	setup func(tb testing.TB, n int) (publish func(msg string), wait func())
}

// inCaller are those whose handlers run in the publishing goroutine.
var inCaller = []contender{
	{"bus", busDirect},
	{"bus PublishSync", busSync},
	{"direct call", directCall},
	{"copy-on-write map", cowMap},
	{"mustafaturan/bus", mustafaturan},
	{"asaskevich/EventBus", eventBus},
	{"cskr/pubsub", cskr}, // it has no other way than channels
}

// queued are those with a queue for each subscriber.
var queued = []contender{
	{"bus queued", busQueued},
	{"channel send", channels},
	{"cskr/pubsub", cskr},
}

// spawned are those with a goroutine for each handler and message.
var spawned = []contender{
	{"sysbus", sysbusSpawn},
	{"goroutine per handler", cowMapSpawn},
	{"asaskevich/EventBus async", eventBusAsync},
}

func must[T any](tb testing.TB) func(T, error) T {
	return func(v T, err error) T {
		tb.Helper()
		if err != nil {
			tb.Fatal(err)
		}
		return v
	}
}

func busDirect(tb testing.TB, n int) (func(string), func()) {
	b, ctx, count := bus.New(bus.Options{}), context.Background(), 0
	for range n {
		must[*bus.Subscription](tb)(bus.Subscribe(b, name, func(context.Context, bus.Event[string]) { count++ }, bus.Direct()))
	}
	return func(msg string) { _ = bus.Publish(ctx, b, name, msg) }, nil
}

func busSync(tb testing.TB, n int) (func(string), func()) {
	b, ctx, count := bus.New(bus.Options{}), context.Background(), 0
	for range n {
		must[*bus.Subscription](tb)(bus.Subscribe(b, name, func(context.Context, bus.Event[string]) { count++ }, bus.Direct()))
	}
	return func(msg string) { _ = bus.PublishSync(ctx, b, name, msg) }, nil
}

func directCall(_ testing.TB, n int) (func(string), func()) {
	count := 0
	handlers := make([]func(string, any), n)
	for i := range handlers {
		handlers[i] = func(string, any) { count++ }
	}
	return func(msg string) {
		var boxed any = msg
		for _, h := range handlers {
			h(name, boxed)
		}
	}, nil
}

// cow is the least that a bus can be: a map of handlers that is copied when
// somebody subscribes.
type cow struct {
	table atomic.Pointer[map[string][]func(string, any)]
}

func newCow(n int, handler func() func(string, any)) *cow {
	c, list := new(cow), []func(string, any){}
	for range n {
		list = append(list, handler())
	}
	c.table.Store(&map[string][]func(string, any){name: list})
	return c
}

//go:noinline
func (c *cow) publish(topic string, msg any) {
	for _, h := range (*c.table.Load())[topic] {
		h(topic, msg)
	}
}

//go:noinline
func (c *cow) spawn(topic string, msg any) {
	for _, h := range (*c.table.Load())[topic] {
		go h(topic, msg)
	}
}

func cowMap(_ testing.TB, n int) (func(string), func()) {
	count := 0
	c := newCow(n, func() func(string, any) { return func(string, any) { count++ } })
	return func(msg string) { c.publish(name, msg) }, nil
}

func mustafaturan(tb testing.TB, n int) (func(string), func()) {
	id, ctx, count := 0, context.Background(), 0
	b := must[*mustafa.Bus](tb)(mustafa.NewBus(mustafa.Next(func() string {
		id++
		return "id"
	})))
	b.RegisterTopics(name)
	for i := range n {
		b.RegisterHandler(strconv.Itoa(i), mustafa.Handler{Matcher: ".*", Handle: func(context.Context, mustafa.Event) { count++ }})
	}
	return func(msg string) { _ = b.Emit(ctx, name, msg) }, nil
}

func eventBus(tb testing.TB, n int) (func(string), func()) {
	b, count := EventBus.New(), 0
	for range n {
		if err := b.Subscribe(name, func(string) { count++ }); err != nil {
			tb.Fatal(err)
		}
	}
	return func(msg string) { b.Publish(name, msg) }, nil
}

// counter lets the publisher wait for handlers in other goroutines.
type counter struct {
	n       int
	pending sync.WaitGroup
}

func (c *counter) add()  { c.pending.Add(c.n) }
func (c *counter) one()  { c.pending.Done() }
func (c *counter) wait() { c.pending.Wait() }

func busQueued(tb testing.TB, n int) (func(string), func()) {
	b, ctx, c := bus.New(bus.Options{}), context.Background(), &counter{n: n}
	for range n {
		must[*bus.Subscription](tb)(bus.Subscribe(b, name, func(context.Context, bus.Event[string]) { c.one() }))
	}
	tb.Cleanup(func() { _ = b.Close(ctx) })
	return func(msg string) {
		c.add()
		_ = bus.Publish(ctx, b, name, msg)
	}, c.wait
}

func channels(tb testing.TB, n int) (func(string), func()) {
	c := &counter{n: n}
	all := make([]chan string, n)
	for i := range all {
		all[i] = make(chan string, bus.DefaultQueue)
		go func() {
			for range all[i] {
				c.one()
			}
		}()
		tb.Cleanup(func() { close(all[i]) })
	}
	return func(msg string) {
		c.add()
		for _, ch := range all {
			ch <- msg
		}
	}, c.wait
}

func cskr(tb testing.TB, n int) (func(string), func()) {
	b, c := pubsub.New[string, string](bus.DefaultQueue), &counter{n: n}
	for range n {
		ch := b.Sub(name)
		go func() {
			for range ch {
				c.one()
			}
		}()
	}
	tb.Cleanup(b.Shutdown)
	return func(msg string) {
		c.add()
		b.Pub(msg, name)
	}, c.wait
}

func sysbusSpawn(tb testing.TB, n int) (func(string), func()) {
	s, c, topic := sysbus.New(nil, sysbus.Options{}), &counter{n: n}, sysbus.Text(name)
	for range n {
		if err := s.Subscribe(topic, sysbus.Func(func(sysbus.Topic, any) { c.one() })); err != nil {
			tb.Fatal(err)
		}
	}
	tb.Cleanup(func() { _ = s.Close(context.Background()) })
	return func(msg string) {
		c.add()
		_ = s.Publish(topic, msg)
	}, c.wait
}

func cowMapSpawn(_ testing.TB, n int) (func(string), func()) {
	c := &counter{n: n}
	m := newCow(n, func() func(string, any) { return func(string, any) { c.one() } })
	return func(msg string) {
		c.add()
		m.spawn(name, msg)
	}, c.wait
}

func eventBusAsync(tb testing.TB, n int) (func(string), func()) {
	b, c := EventBus.New(), &counter{n: n}
	for range n {
		if err := b.SubscribeAsync(name, func(string) { c.one() }, false); err != nil {
			tb.Fatal(err)
		}
	}
	return func(msg string) {
		c.add()
		b.Publish(name, msg)
	}, c.wait
}
