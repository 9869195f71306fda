package broker_test

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"testing"

	"omnibus/broker"
	"omnibus/bus"
	"omnibus/dialect"
	"omnibus/engine"
	"omnibus/engine/memory"
	"omnibus/payload"
)

func TestCloseEndsEverything(t *testing.T) {
	e := &durable{Engine: memory.New(memory.Options{})}
	b := newBroker(t, broker.Options{Engine: e})
	p := join(t, b, hello())
	p.subscribe(t, "#", dialect.Terms{})
	if _, err := p.Expose("svc", answering("")); err != nil {
		t.Fatal(err)
	}
	handled := 0
	if _, err := bus.Subscribe(b.Bus(""), "a", func(context.Context, bus.Event[int]) { handled++ }); err != nil {
		t.Fatal(err)
	}
	const n = 500
	for i := range n {
		if err := bus.Publish(t.Context(), b.Bus(""), "a", i); err != nil {
			t.Fatal(err)
		}
	}
	p.seen()
	j, err := b.Hello(t.Context(), hello())
	if err != nil {
		t.Fatal(err)
	}
	closeBroker(t, b)
	if handled != n {
		t.Errorf("%d messages were handled, want all %d", handled, n)
	}
	if why := p.why(); len(why) != 1 || bus.KindOf(why[0]) != bus.Closed {
		t.Errorf("the peer was told %v, want once that the bus is closed", why)
	}
	if e.closed != 1 {
		t.Errorf("the engine was closed %d times", e.closed)
	}

	_, err = p.Publish(plain("a", "1"))
	refused(t, err, bus.Closed)
	_, err = p.Subscribe(pattern(t, "a"), dialect.Terms{})
	refused(t, err, bus.Closed)
	_, err = p.Expose("x", answering(""))
	refused(t, err, bus.Closed)
	_, err = p.call(t.Context(), "omnibus.status")
	refused(t, err, bus.Closed)
	_, _, err = j.Next(t.Context(), nil)
	refused(t, err, bus.Closed)
	_, err = tryJoin(b, hello())
	refused(t, err, bus.Closed)
	for _, tenant := range []string{"", "a new one"} {
		refused(t, bus.Publish(t.Context(), b.Bus(tenant), "a", 1), bus.Closed)
		_, err = bus.Subscribe(b.Bus(tenant), "a", func(context.Context, bus.Event[int]) {})
		refused(t, err, bus.Closed)
		_, err = bus.Call[any](t.Context(), b.Bus(tenant), "omnibus.status")
		refused(t, err, bus.Closed)
	}
	p.expect(t)
	p.Leave()
	closeBroker(t, b)
	if len(p.why()) != 1 {
		t.Error("closing again expelled it again")
	}
}

func TestCloseDoesNotWaitForEver(t *testing.T) {
	b, err := broker.New(broker.Options{})
	if err != nil {
		t.Fatal(err)
	}
	running := make(chan struct{})
	if _, err := bus.Subscribe(b.Bus(""), "a", func(ctx context.Context, _ bus.Event[int]) {
		close(running)
		<-ctx.Done()
	}); err != nil {
		t.Fatal(err)
	}
	if err := bus.Publish(t.Context(), b.Bus(""), "a", 1); err != nil {
		t.Fatal(err)
	}
	within(t, running, "the handler")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := b.Close(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want the context's error", err)
	}
	closeBroker(t, b) // the handler's context has ended, so it has, too
}

func TestTenantsAreKeptApart(t *testing.T) {
	b := newBroker(t, broker.Options{Auth: tenants})
	red, blue := join(t, b, of("red")), join(t, b, of("blue"))
	none := join(t, b, hello())
	all := []*session{red, blue, none}
	for _, p := range all {
		p.subscribe(t, "#", dialect.Terms{Echo: true})
	}
	publish(t, red, kept("a", "red"))
	red.expect(t, "a=red")
	blue.expect(t)
	none.expect(t)
	publish(t, b.Bus(""), plain("a", "default"))
	red.expect(t)
	none.expect(t, "a=default")
	publish(t, b.Bus("blue"), plain("a", "blue"))
	blue.expect(t, "a=blue")

	for _, p := range all {
		p.subscribe(t, "a", dialect.Terms{})
	}
	red.expect(t, "a=red*")
	blue.expect(t)
	none.expect(t)

	if _, err := red.Expose("svc", answering("red's")); err != nil {
		t.Fatal(err)
	}
	for _, p := range []*session{blue, none} {
		if p.Callable("svc") {
			t.Error("a service of another tenant is callable")
		}
		_, err := p.call(t.Context(), "svc")
		refused(t, err, bus.Unknown)
	}
	if got, err := join(t, b, of("red")).call(t.Context(), "svc"); err != nil || got != "red's" {
		t.Errorf("within the tenant: %q, %v", got, err)
	}
	if st := b.Status(); st.Peers["test"] != 1 || st.Retained != 0 || slices.Contains(st.Services, "svc") {
		t.Errorf("the default tenant's status tells of others: %+v", st)
	}
}

func TestStatus(t *testing.T) {
	b := newBroker(t, broker.Options{Version: "1.2.3"})
	p := join(t, b, hello())
	other := hello()
	other.Dialect = "other"
	_ = join(t, b, other)
	p.subscribe(t, "a", dialect.Terms{})
	p.subscribe(t, "b", dialect.Terms{})
	publish(t, p, kept("x", "1"))
	if _, err := p.Expose("svc", answering("")); err != nil {
		t.Fatal(err)
	}
	b.Counters().Group("test")("things").Add(3)
	v, err := join(t, b, other).Call(t.Context(), broker.StatusService, new(payload.Value), dialect.CallOptions{})
	if err != nil {
		t.Fatal(err)
	}
	data, err := v.As(payload.JSON)
	if err != nil {
		t.Fatal(err)
	}
	var st broker.Status
	if err := json.Unmarshal(data, &st); err != nil {
		t.Fatal(err)
	}
	if st.Version != "1.2.3" || st.Engine != "memory" || st.Durability != engine.Process.String() || st.UptimeSeconds < 0 {
		t.Errorf("%+v", st)
	}
	if !maps.Equal(st.Peers, map[string]int{"test": 1, "other": 2}) || st.Subscriptions != 2 || st.Retained != 1 {
		t.Errorf("%+v", st)
	}
	if !slices.Equal(st.Services, []string{"omnibus.status", "svc"}) {
		t.Errorf("services %q", st.Services)
	}
	if st.Counters["test"]["things"] != 3 {
		t.Errorf("counters %v", st.Counters)
	}
	for _, name := range []string{
		"logins_refused", "access_denied", "messages_too_large", "limits_reached", "handler_panics",
		"messages_dropped", "messages_undecodable", "peers_expelled",
	} {
		if n, ok := st.Counters["broker"][name]; !ok || n != 0 {
			t.Errorf("counter %s is %d (there: %v)", name, n, ok)
		}
	}
}

func TestWhatHandlersSufferIsCounted(t *testing.T) {
	b := newBroker(t, broker.Options{})
	direct := func(name string, fn bus.Handler[int], o ...bus.SubscribeOption) {
		t.Helper()
		if _, err := bus.Subscribe(b.Bus(""), name, fn, o...); err != nil {
			t.Fatal(err)
		}
	}
	number := func(name string, n int) {
		t.Helper()
		if err := bus.Publish(t.Context(), b.Bus(""), name, n); err != nil {
			t.Fatal(err)
		}
	}
	direct("panic", func(context.Context, bus.Event[int]) { panic("no") }, bus.Direct())
	counts(t, b, "handler_panics", 1, func() { number("panic", 1) })

	direct("decode", func(context.Context, bus.Event[int]) {}, bus.Direct())
	counts(t, b, "messages_undecodable", 1, func() { publish(t, b.Bus(""), plain("decode", "no number")) })

	busy, release := make(chan struct{}, 1), make(chan struct{})
	direct("full", func(context.Context, bus.Event[int]) { busy <- struct{}{}; <-release }, bus.Queue(1, bus.DropNewest))
	number("full", 1)
	within(t, busy, "the handler")
	number("full", 2)
	counts(t, b, "messages_dropped", 1, func() { number("full", 3) })
	close(release)
	within(t, busy, "the handler")
}

func TestACounterIsOne(t *testing.T) {
	b := newBroker(t, broker.Options{})
	b.Counters().Group("x")("n").Add(1)
	b.Counters().Group("x")("n").Add(2)
	b.Counters().Group("y")("n").Add(4)
	got := b.Counters().Snapshot()
	if got["x"]["n"] != 3 || got["y"]["n"] != 4 {
		t.Errorf("%v", got)
	}
	got["x"]["n"] = 100
	if n := b.Counters().Snapshot()["x"]["n"]; n != 3 {
		t.Errorf("a snapshot is not a copy: %d", n)
	}
}
