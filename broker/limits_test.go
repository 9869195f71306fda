package broker_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"

	"omnibus/broker"
	"omnibus/bus"
	"omnibus/dialect"
	"omnibus/engine"
	"omnibus/engine/memory"
	"omnibus/payload"
)

func TestPeersAreLimited(t *testing.T) {
	b := newBroker(t, broker.Options{Limits: broker.Limits{Peers: 2}})
	first, _ := join(t, b, taking("a")), join(t, b, hello())
	counts(t, b, "limits_reached", 1, func() {
		_, err := tryJoin(b, hello())
		refused(t, err, bus.Full, "2", "broker.limits.peers")
	})
	second := join(t, b, taking("a")) // takes a place over
	if len(first.why()) != 1 {
		t.Error("the first of the name is still there")
	}
	second.Leave()
	_ = join(t, b, hello())
}

func TestSubscriptionsOfAPeerAreLimited(t *testing.T) {
	b := newBroker(t, broker.Options{Limits: broker.Limits{Subscriptions: 2}})
	p, q := join(t, b, hello()), join(t, b, hello())
	first := p.subscribe(t, "a", dialect.Terms{})
	p.subscribe(t, "a", dialect.Terms{}) // the same pattern twice is two
	counts(t, b, "limits_reached", 1, func() {
		_, err := p.Subscribe(pattern(t, "b"), dialect.Terms{})
		refused(t, err, bus.Full, "2", "broker.limits.subscriptions")
	})
	q.subscribe(t, "b", dialect.Terms{})
	p.Unsubscribe(first)
	p.subscribe(t, "b", dialect.Terms{})
}

func TestSubscribingWhileSubscribingPassesNoLimit(t *testing.T) {
	b := newBroker(t, broker.Options{Limits: broker.Limits{Subscriptions: 1}})
	publish(t, b.Bus(""), kept("a", "1"))
	p := join(t, b, hello())
	var inner error
	p.hook = func(*bus.Message) { _, inner = p.Subscribe(pattern(t, "b"), dialect.Terms{}) }
	p.subscribe(t, "a", dialect.Terms{})
	refused(t, inner, bus.Full)
}

func TestManyAtATimePassNoLimit(t *testing.T) {
	const most = 8
	b := newBroker(t, broker.Options{Limits: broker.Limits{Subscriptions: most, Services: most}})
	p := join(t, b, hello())
	var running sync.WaitGroup
	for range 16 {
		running.Go(func() {
			for range 10 {
				_, _ = p.Subscribe(pattern(t, "a"), dialect.Terms{})
				_, _ = p.Expose("svc", answering(""))
			}
		})
	}
	running.Wait()
	if n := len(b.Bus("").Subscriptions()); n != most {
		t.Errorf("%d subscriptions, want %d", n, most)
	}
	for _, s := range b.Bus("").Services() {
		if s.Name == "svc" && s.Providers != most {
			t.Errorf("%d services, want %d", s.Providers, most)
		}
	}
}

func TestServicesOfAPeerAreLimited(t *testing.T) {
	b := newBroker(t, broker.Options{Limits: broker.Limits{Services: 1}})
	p, q := join(t, b, hello()), join(t, b, hello())
	e, err := p.Expose("a", answering(""))
	if err != nil {
		t.Fatal(err)
	}
	counts(t, b, "limits_reached", 1, func() {
		_, err := p.Expose("b", answering(""))
		refused(t, err, bus.Full, "1", "broker.limits.services")
	})
	if _, err := q.Expose("b", answering("")); err != nil {
		t.Error(err)
	}
	e.Withdraw()
	if _, err := p.Expose("b", answering("")); err != nil {
		t.Errorf("when one was withdrawn: %v", err)
	}
}

func TestAFailedRequestTakesNoPlace(t *testing.T) {
	b := newBroker(t, broker.Options{Limits: broker.Limits{Subscriptions: 1, Services: 1}})
	p := join(t, b, hello())
	for range 3 {
		_, err := p.Expose("", answering(""))
		refused(t, err, bus.Invalid)
		_, err = p.Subscribe(pattern(t, "a"), dialect.Terms{})
		if err == nil {
			for _, s := range b.Bus("").Subscriptions() {
				p.Unsubscribe(s)
			}
		}
	}
	if _, err := p.Expose("a", answering("")); err != nil {
		t.Error(err)
	}
	p.subscribe(t, "a", dialect.Terms{})
}

func TestCallsOfAPeerAreLimited(t *testing.T) {
	b := newBroker(t, broker.Options{Limits: broker.Limits{Calls: 2}})
	called, release := make(chan struct{}), make(chan struct{})
	if _, err := b.Bus("").Register("slow", func(context.Context, *bus.Request) (*payload.Value, error) {
		called <- struct{}{}
		<-release
		return nil, nil
	}, nil); err != nil {
		t.Fatal(err)
	}
	p, q := join(t, b, hello()), join(t, b, hello())
	var running sync.WaitGroup
	for range 2 {
		running.Go(func() {
			if _, err := p.call(t.Context(), "slow"); err != nil {
				t.Error(err)
			}
		})
		within(t, called, "the call")
	}
	counts(t, b, "limits_reached", 1, func() {
		_, err := p.call(t.Context(), "omnibus.status")
		refused(t, err, bus.Full, "2", "broker.limits.calls")
	})
	if _, err := q.call(t.Context(), "omnibus.status"); err != nil {
		t.Errorf("another peer: %v", err)
	}
	close(release)
	running.Wait()
	if _, err := p.call(t.Context(), "omnibus.status"); err != nil {
		t.Errorf("when the calls have ended: %v", err)
	}
}

func TestMessagesOfPeersAreLimited(t *testing.T) {
	b := newBroker(t, broker.Options{Limits: broker.Limits{MessageBytes: 4}})
	p, all := join(t, b, hello()), join(t, b, hello())
	all.subscribe(t, "#", dialect.Terms{})
	publish(t, p, plain("a", "1234"))
	counts(t, b, "messages_too_large", 1, func() {
		_, err := p.Publish(plain("a", "12345"))
		refused(t, err, bus.TooLarge, "5", "4", "broker.limits.message_bytes")
	})
	publish(t, b.Bus(""), plain("a", "in-process"))
	all.expect(t, "a=1234", "a=in-process")
}

func TestRetainedValuesAreLimited(t *testing.T) {
	b := newBroker(t, broker.Options{Limits: broker.Limits{Retained: 2}, Auth: tenants})
	p, all := join(t, b, hello()), join(t, b, hello())
	all.subscribe(t, "#", dialect.Terms{})
	publish(t, p, kept("a", "1"))
	publish(t, b.Bus(""), kept("b", "1"))
	all.seen()
	for _, from := range []publisher{p, b.Bus("")} {
		counts(t, b, "limits_reached", 1, func() {
			_, err := from.Publish(kept("c", "1"))
			refused(t, err, bus.Full, "2", "broker.limits.retained)", "c")
		})
	}
	all.expect(t) // nobody got it
	publish(t, p, plain("c", "news"))
	publish(t, p, kept("a", "2"))
	publish(t, join(t, b, of("other")), kept("c", "1"))
	publish(t, p, kept("a", ""))
	publish(t, p, kept("c", "1"))
}

func TestTheSizeOfRetainedValuesIsLimited(t *testing.T) {
	// Two values with a name of one byte, and ten bytes of payload.
	b := newBroker(t, broker.Options{Limits: broker.Limits{RetainedBytes: 2*valueCost + 10}})
	p := join(t, b, hello())
	publish(t, p, kept("a", "12345678"))
	tooMuch := func(m *bus.Message) {
		t.Helper()
		counts(t, b, "limits_reached", 1, func() {
			_, err := p.Publish(m)
			refused(t, err, bus.Full, "1036", "broker.limits.retained_bytes")
		})
	}
	tooMuch(kept("b", "123"))
	tooMuch(kept("a", strings.Repeat("x", valueCost+11)))
	publish(t, p, kept("b", "12"))
	publish(t, p, kept("a", "1")) // replaced: 7 are free
	tooMuch(kept("b", "1234567890"))
	publish(t, p, kept("b", "123456789"))
	tooMuch(kept("d", "1"))
	publish(t, p, kept("a", ""))
	publish(t, p, kept("d", "1"))
	tooMuch(kept(strings.Repeat("n", 65_000), "1")) // names count, too
}

// valueCost is what a retained value counts beside its payload, with a name of
// one byte.
const valueCost = 513

func TestALoweredLimitLetsValuesShrink(t *testing.T) {
	e := &durable{Engine: memory.New(memory.Options{})}
	one := newBroker(t, broker.Options{Engine: e})
	publish(t, one.Bus(""), kept("a", "1234567890"))
	closeBroker(t, one)
	two := newBroker(t, broker.Options{Engine: e, Limits: broker.Limits{RetainedBytes: valueCost + 4}})
	publish(t, two.Bus(""), kept("a", "12345"))
	_, err := two.Bus("").Publish(kept("a", "123456"))
	refused(t, err, bus.Full)
	publish(t, two.Bus(""), kept("a", ""))
	publish(t, two.Bus(""), kept("a", "1234"))
}

func TestNegativeLimitsAreNone(t *testing.T) {
	b := newBroker(t, broker.Options{Limits: broker.Limits{
		Peers: -1, Subscriptions: -1, Services: -1, Calls: -1, MessageBytes: -1, Retained: -1, RetainedBytes: -1,
	}})
	p := join(t, b, hello())
	p.subscribe(t, "a", dialect.Terms{})
	if _, err := p.Expose("s", answering("")); err != nil {
		t.Error(err)
	}
	publish(t, p, kept("a", strings.Repeat("x", 1000)))
	publish(t, p, kept("b", strings.Repeat("x", 1000)))
	if _, err := p.call(t.Context(), "omnibus.status"); err != nil {
		t.Error(err)
	}
}

// durable is an engine in memory that promises to outlive its broker, and does
// within a test.
type durable struct {
	engine.Engine
	closed int
	broken error // what writing answers
}

func (d *durable) Promise() engine.Promise {
	return engine.Promise{Name: "durable", Durability: engine.Crash}
}

func (d *durable) Close() error {
	d.closed++
	return nil
}

func (d *durable) Records() engine.Records { return &records{d.Engine.Records(), d} }

type records struct {
	engine.Records
	d *durable
}

func (r *records) Put(t engine.Table, key string, value []byte) error {
	if r.d.broken != nil {
		return r.d.broken
	}
	return r.Records.Put(t, key, value)
}

func (r *records) Delete(t engine.Table, key string) error {
	if r.d.broken != nil {
		return r.d.broken
	}
	return r.Records.Delete(t, key)
}

func TestAValueThatCannotBeStoredIsRefused(t *testing.T) {
	e := &durable{Engine: memory.New(memory.Options{})}
	b := newBroker(t, broker.Options{Engine: e})
	p, all := join(t, b, hello()), join(t, b, hello())
	all.subscribe(t, "#", dialect.Terms{})
	publish(t, p, kept("a", "1"))
	all.expect(t, "a=1")
	e.broken = errors.New("the disk is full")
	for _, m := range []*bus.Message{kept("a", "2"), kept("b", "1"), kept("a", "")} {
		_, err := p.Publish(m)
		refused(t, err, bus.Unavailable, m.Topic, "the disk is full")
		if !errors.Is(err, e.broken) {
			t.Errorf("%v does not wrap the cause", err)
		}
	}
	publish(t, p, plain("a", "news")) // needs no engine
	all.expect(t, "a=news")
	e.broken = nil
	late := join(t, b, hello())
	late.subscribe(t, "#", dialect.Terms{})
	late.expect(t, "a=1*")
}
