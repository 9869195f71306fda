package broker_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"omnibus/broker"
	"omnibus/bus"
	"omnibus/dialect"
	"omnibus/engine"
	"omnibus/engine/memory"
	"omnibus/payload"
)

// late is what a new subscription to everything is given.
func late(t *testing.T, b *broker.Broker) []string {
	t.Helper()
	p := join(t, b, hello())
	defer p.Leave()
	p.subscribe(t, "#", dialect.Terms{})
	got := p.seen()
	slices.Sort(got)
	return got
}

func expectLate(t *testing.T, b *broker.Broker, want ...string) {
	t.Helper()
	if got := late(t, b); !slices.Equal(got, want) {
		t.Errorf("a new subscription is given %q, want %q", got, want)
	}
}

func TestRetainedValuesAreSetReplacedAndRemoved(t *testing.T) {
	b := newBroker(t, broker.Options{})
	p, q := join(t, b, hello()), join(t, b, hello())
	q.subscribe(t, "#", dialect.Terms{})
	publish(t, p, plain("a", "0"))
	expectLate(t, b)
	publish(t, p, kept("a", "1"))
	publish(t, p, kept("b/c", "1"))
	expectLate(t, b, "a=1*", "b/c=1*")
	publish(t, q, kept("a", "2"))
	publish(t, b.Bus(""), plain("a", "3"))
	expectLate(t, b, "a=2*", "b/c=1*")
	publish(t, p, kept("a", ""))
	publish(t, p, kept("never", ""))
	expectLate(t, b, "b/c=1*")
	// As news they are not marked as stored, and removals are messages, too.
	q.expect(t, "a=0", "a=1", "b/c=1", "a=3", "a=", "never=")
	if n := b.Status().Retained; n != 1 {
		t.Errorf("%d retained values, want 1", n)
	}
}

func TestWhoIsGivenRetainedValues(t *testing.T) {
	b := newBroker(t, broker.Options{})
	publish(t, b.Bus(""), kept("a/b", "1"))
	publish(t, b.Bus(""), kept("$internal/x", "1"))
	p := join(t, b, hello())
	for text, want := range map[string]string{
		"a/b": "a/b=1*", "a/+": "a/b=1*", "#": "a/b=1*", "a/c": "", "exact:a/+": "",
		"$internal/#": "$internal/x=1*", "regex:[$].*": "$internal/x=1*",
	} {
		p.subscribe(t, text, dialect.Terms{})
		if got := strings.Join(p.seen(), " "); got != want {
			t.Errorf("%s was given %q, want %q", text, got, want)
		}
		p.subscribe(t, text, dialect.Terms{NewsOnly: true})
		p.expect(t)
	}
	p.subscribe(t, "a/b", dialect.Terms{})
	p.subscribe(t, "a/b", dialect.Terms{})
	p.expect(t, "a/b=1*", "a/b=1*")
}

func TestWhoPublishedAValueIsGivenItToo(t *testing.T) {
	b := newBroker(t, broker.Options{})
	p := join(t, b, hello())
	publish(t, p, kept("a", "1"))
	p.subscribe(t, "a", dialect.Terms{})
	p.expect(t, "a=1*")
}

func TestExpiredValuesAreNotGiven(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBroker(t, broker.Options{})
		m := kept("a", "1")
		m.Expires = time.Now().Add(time.Minute).UnixNano()
		publish(t, b.Bus(""), m)
		publish(t, b.Bus(""), kept("b", "1"))
		time.Sleep(time.Minute - time.Nanosecond)
		expectLate(t, b, "a=1*", "b=1*")
		time.Sleep(time.Nanosecond)
		expectLate(t, b, "b=1*")
	})
}

func TestAStoredMessageIsWholeAndItsOwn(t *testing.T) {
	b := newBroker(t, broker.Options{})
	p := join(t, b, link())
	data := []byte("value")
	m := &bus.Message{Topic: "a", Retain: true, QoS: 1, ID: "id", Headers: bus.MakeHeaders(bus.Header{Key: "k", Value: "v"})}
	m.Payload.Set(payload.Bytes, data)
	publish(t, p, m)
	m.Topic, m.QoS = "changed", 0 // the publisher's again
	copy(data, "XXXXX")
	q := join(t, b, hello())
	q.subscribe(t, "#", dialect.Terms{})
	if len(q.got) != 1 {
		t.Fatalf("given %d values", len(q.got))
	}
	got := q.got[0]
	k, _ := got.Headers.Get("k")
	if got.Topic != "a" || string(got.Payload.Data()) != "value" || got.Payload.Form() != payload.Bytes ||
		got.QoS != 1 || got.ID != "id" || k != "v" || !got.Retain || !got.Stored || got.Origin != nil {
		t.Errorf("given %+v with %q and header %q", got, got.Payload.Data(), k)
	}
}

func TestGoValuesAreStoredAsTheyWere(t *testing.T) {
	b := newBroker(t, broker.Options{})
	m := map[string]int{"n": 1}
	raw := []byte("raw")
	for name, x := range map[string]any{"map": m, "raw": raw} {
		msg := &bus.Message{Topic: name, Retain: true}
		msg.Payload.SetGo(x)
		publish(t, b.Bus(""), msg)
	}
	args := &bus.Message{Topic: "args", Retain: true}
	args.Payload.SetGoArgs("a", m)
	publish(t, b.Bus(""), args)
	m["n"] = 2
	copy(raw, "XXX")
	p := join(t, b, hello())
	p.subscribe(t, "#", dialect.Terms{})
	want := map[string]string{"map": `json {"n":1}`, "raw": "bytes raw", "args": `args ["a",{"n":1}]`}
	for _, m := range p.got {
		if got := fmt.Sprintf("%s %s", m.Payload.Form(), m.Payload.Data()); got != want[m.Topic] {
			t.Errorf("%s is stored as %s, want %s", m.Topic, got, want[m.Topic])
		}
	}
	if len(p.got) != len(want) {
		t.Errorf("%d values, want %d", len(p.got), len(want))
	}
	bad := &bus.Message{Topic: "bad", Retain: true}
	bad.Payload.SetGo(func() {})
	_, err := b.Bus("").Publish(bad)
	refused(t, err, bus.Invalid, "bad")
}

func TestHandlersOfThisProcessAreGivenRetainedValues(t *testing.T) {
	b := newBroker(t, broker.Options{})
	m := &bus.Message{Topic: "a", Retain: true}
	m.Payload.SetGo(map[string]int{"n": 1})
	publish(t, b.Bus(""), m)
	got := make(chan map[string]int, 1)
	if _, err := bus.Subscribe(b.Bus(""), "a", func(_ context.Context, e bus.Event[map[string]int]) { got <- e.Value }); err != nil {
		t.Fatal(err)
	}
	if v := within(t, got, "the value"); v["n"] != 1 {
		t.Errorf("got %v", v)
	}
}

// TestAValueThatChangesMeanwhile changes a value at the worst moment, between
// the look at it and its delivery: the newest must be what comes last.
func TestAValueThatChangesMeanwhile(t *testing.T) {
	for name, c := range map[string]struct {
		changes []string
		want    []string
	}{
		"replaced":             {[]string{"2"}, []string{"a=2", "a=1*", "a=2*"}},
		"removed":              {[]string{""}, []string{"a=", "a=1*", "a="}},
		"removed and set":      {[]string{"", "3"}, []string{"a=", "a=3", "a=1*", "a=3*"}},
		"replaced and removed": {[]string{"2", ""}, []string{"a=2", "a=", "a=1*", "a="}},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBroker(t, broker.Options{})
			publish(t, b.Bus(""), kept("a", "1"))
			p := join(t, b, hello())
			changes := c.changes
			p.hook = func(m *bus.Message) {
				if m.Stored && changes != nil {
					todo := changes
					changes = nil
					for _, value := range todo {
						publish(t, b.Bus(""), kept("a", value))
					}
				}
			}
			p.subscribe(t, "a", dialect.Terms{})
			p.expect(t, c.want...)
		})
	}
}

func TestTheNewestValueComesLast(t *testing.T) {
	const rounds, names = 100, 40
	for round := range rounds {
		b := newBroker(t, broker.Options{})
		newest := make(map[string]string)
		var changes []*bus.Message
		for i := range names {
			name := fmt.Sprint("a/", i)
			publish(t, b.Bus(""), kept(name, "first"))
			for _, value := range [][]string{{"1", "2"}, {"1", ""}, {"", "1"}}[(i+round)%3] {
				changes = append(changes, kept(name, value))
			}
		}
		rand.Shuffle(len(changes), func(i, j int) { changes[i], changes[j] = changes[j], changes[i] })
		for _, m := range changes {
			data, _ := m.Payload.As(payload.Text)
			newest[m.Topic] = string(data)
		}
		p := join(t, b, hello())
		p.hook = func(*bus.Message) { runtime.Gosched() } // lets the other go on between look and delivery
		var running sync.WaitGroup
		begin := make(chan struct{})
		running.Go(func() {
			<-begin
			for _, m := range changes {
				publish(t, b.Bus(""), m)
			}
		})
		close(begin)
		p.subscribe(t, "a/#", dialect.Terms{})
		running.Wait()
		last := make(map[string]string)
		for _, got := range p.seen() {
			name, value, _ := strings.Cut(strings.TrimSuffix(got, "*"), "=")
			last[name] = value
		}
		for name, want := range newest {
			got, any := last[name]
			if any && got != want || !any && want != "" {
				t.Fatalf("round %d: the last value of %s is %q (any: %v), the newest is %q", round, name, got, any, want)
			}
		}
	}
}

func TestRetainedValuesSurviveARestart(t *testing.T) {
	e := &durable{Engine: memory.New(memory.Options{})}
	one := newBroker(t, broker.Options{Engine: e, Auth: tenants})
	publish(t, one.Bus(""), kept("a", "1"))
	publish(t, one.Bus(""), kept("b", "1"))
	publish(t, one.Bus(""), kept("gone", "1"))
	publish(t, one.Bus(""), kept("b", "2"))
	publish(t, one.Bus(""), kept("gone", ""))
	publish(t, join(t, one, of("other")), kept("a", "other's"))
	m := &bus.Message{Topic: "go", Retain: true, QoS: 2, Headers: bus.MakeHeaders(bus.Header{Key: "k", Value: "v"})}
	m.Payload.SetGo([]int{1, 2})
	publish(t, one.Bus(""), m)
	closeBroker(t, one)
	if e.closed != 1 {
		t.Errorf("the engine was closed %d times", e.closed)
	}

	two := newBroker(t, broker.Options{Engine: e, Auth: tenants})
	expectLate(t, two, "a=1*", "b=2*", "go=[1,2]*")
	p := join(t, two, of("other"))
	p.subscribe(t, "#", dialect.Terms{})
	p.expect(t, "a=other's*")
	q := join(t, two, hello())
	q.subscribe(t, "go", dialect.Terms{})
	if k, _ := q.got[0].Headers.Get("k"); k != "v" || q.got[0].QoS != 2 || q.got[0].Payload.Form() != payload.JSON {
		t.Errorf("given %+v", q.got[0])
	}
	if n := two.Status().Retained; n != 3 {
		t.Errorf("%d retained values, want 3", n)
	}
}

func TestRestoredValuesAreReadByMany(t *testing.T) {
	e := &durable{Engine: memory.New(memory.Options{})}
	one := newBroker(t, broker.Options{Engine: e})
	publish(t, one.Bus(""), kept("a", "1"))
	closeBroker(t, one)
	two := newBroker(t, broker.Options{Engine: e})
	const n = 32
	got := make(chan string, n)
	var running sync.WaitGroup
	for range n {
		running.Go(func() {
			if _, err := bus.Subscribe(two.Bus(""), "a", func(_ context.Context, e bus.Event[string]) { got <- e.Value }); err != nil {
				t.Error(err)
			}
		})
	}
	running.Wait()
	for range n {
		if v := within(t, got, "the value"); v != "1" {
			t.Errorf("got %q", v)
		}
	}
}

func TestRestoredValuesHaveConverters(t *testing.T) {
	e := &durable{Engine: memory.New(memory.Options{})}
	codecs := &payload.Codecs{}
	codecs.Add(payload.CBOR, payload.Args, func([]byte) ([]byte, error) { return []byte(`["converted"]`), nil })
	one := newBroker(t, broker.Options{Engine: e, Codecs: codecs})
	m := &bus.Message{Topic: "a", Retain: true}
	m.Payload.Set(payload.CBOR, []byte{0x81, 0x01})
	publish(t, one.Bus(""), m)
	expectLate(t, one, "a=converted*")
	closeBroker(t, one)
	expectLate(t, newBroker(t, broker.Options{Engine: e, Codecs: codecs}), "a=converted*")
}

func TestAnEngineThatKeepsNothingLongerIsNotWrittenTo(t *testing.T) {
	e := memory.New(memory.Options{})
	b := newBroker(t, broker.Options{Engine: e})
	publish(t, b.Bus(""), kept("a", "1"))
	err := e.Records().Load(engine.Retained, func(key string, _ []byte) error {
		t.Errorf("it has %q", key)
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

func TestRecordsThatCannotBeReadAreNamed(t *testing.T) {
	good := engine.AppendMessage(nil, plain("a", "1"))
	for name, c := range map[string]struct {
		key  string
		data []byte
	}{
		"garbage":          {"\x00a", []byte("garbage")},
		"empty":            {"\x00a", nil},
		"another's record": {"\x00b", good},
		"no tenant":        {"a", good},
	} {
		e := &durable{Engine: memory.New(memory.Options{})}
		if err := e.Records().Put(engine.Retained, c.key, c.data); err != nil {
			t.Fatal(err)
		}
		_, err := broker.New(broker.Options{Engine: e})
		if err == nil || !errors.Is(err, engine.ErrRecord) || strings.Contains(err.Error(), "%!") || !strings.Contains(err.Error(), fmt.Sprintf("%q", c.key)) {
			t.Errorf("%s: %v; want it to name the record and wrap ErrRecord", name, err)
		}
	}
}
