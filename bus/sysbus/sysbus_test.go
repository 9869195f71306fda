package sysbus_test

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"omnibus/bus"
	"omnibus/bus/sysbus"
	"omnibus/payload"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// newBus returns a sysbus that is closed, and must have become idle, by the end
// of the test.
func newBus(t testing.TB, b *bus.Bus, o sysbus.Options) *sysbus.Bus {
	t.Helper()
	s := sysbus.New(b, o)
	t.Cleanup(func() { closeNow(t, s) })
	return s
}

func closeNow(t testing.TB, s interface{ Close(context.Context) error }) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := s.Close(ctx); err != nil {
		t.Errorf("closing: %v", err)
	}
}

func subscribe(t testing.TB, s *sysbus.Bus, topic sysbus.Topic, h sysbus.Handler) {
	t.Helper()
	if err := s.Subscribe(topic, h); err != nil {
		t.Fatalf("Subscribe(%v): %v", topic, err)
	}
}

func publish(t testing.TB, s *sysbus.Bus, topic sysbus.Topic, msg any) {
	t.Helper()
	if err := s.Publish(topic, msg); err != nil {
		t.Fatalf("Publish(%v): %v", topic, err)
	}
}

func publishSync(t testing.TB, s *sysbus.Bus, topic sysbus.Topic, msg any) {
	t.Helper()
	if err := s.PublishSync(topic, msg); err != nil {
		t.Fatalf("PublishSync(%v): %v", topic, err)
	}
}

// topics are topics of every sort, each different from all others.
var topics = []sysbus.Topic{
	sysbus.Text("test"), sysbus.Text("Test"), sysbus.Text("a/b"), sysbus.Text("a"), sysbus.Text("a/#"), sysbus.Text("+"),
	sysbus.Text("#"), sysbus.Text("**"), sysbus.Text("regex:.*"), sysbus.Text("exact:a"), sysbus.Text("$SYS"), sysbus.Text(" "),
	sysbus.Text(""), sysbus.Text("a\x00b"), sysbus.Text("\xff"), sysbus.Text("\xfe"), sysbus.Text(`"\xff"`),
	sysbus.Text(strings.Repeat("x", 70_000)), sysbus.Text(strings.Repeat("x", 70_001)), sysbus.Text(strings.Repeat("\xff", 65_000)),
	sysbus.Int(0), sysbus.Int(1), sysbus.Int(-1), sysbus.Text("0"), sysbus.Text("1"), sysbus.Text("int 1"),
}

func TestEveryTopicIsItself(t *testing.T) {
	s := newBus(t, nil, sysbus.Options{})
	got := make(map[sysbus.Topic][]any)
	for _, topic := range topics {
		subscribe(t, s, topic, sysbus.Func(func(topic sysbus.Topic, msg any) { got[topic] = append(got[topic], msg) }))
	}
	for i, topic := range topics {
		publishSync(t, s, topic, i)
	}
	for i, topic := range topics {
		if want := []any{i}; !reflect.DeepEqual(got[topic], want) {
			t.Errorf("topic %d, %.20q, got %v, want %v", i, topic, got[topic], want)
		}
	}
	if len(s.Table()) != len(topics) {
		t.Errorf("%d topics in the table, want %d", len(s.Table()), len(topics))
	}
}

func TestTopicValues(t *testing.T) {
	again := string([]byte("x")) // the same text elsewhere
	if sysbus.Text("1") == sysbus.Int(1) || sysbus.Text("x") != sysbus.Text(again) || (sysbus.Topic{}) != sysbus.Text("") {
		t.Error("topics compare wrongly")
	}
	if v := sysbus.Int(7).Value(); v != 7 {
		t.Errorf("the value of an integer is %#v", v)
	}
	if v := sysbus.Text("7").Value(); v != "7" {
		t.Errorf("the value of a text is %#v", v)
	}
	if s := fmt.Sprint(sysbus.Int(-7), sysbus.Text("a b")); s != "-7 a b" {
		t.Errorf("printed as %q", s)
	}
}

// TestUnsubscribeFollowsTheTruthTable: what is in the list, what is removed, the
// result, what is in the list afterwards. Nil stands for a topic that is not in
// the table.
func TestUnsubscribeFollowsTheTruthTable(t *testing.T) {
	f, g := sysbus.Func(func(sysbus.Topic, any) {}), sysbus.Func(func(sysbus.Topic, any) {})
	all := func(s *sysbus.Bus, x sysbus.Topic) bool { return s.Unsubscribe(x) }
	one := func(h sysbus.Handler) func(*sysbus.Bus, sysbus.Topic) bool {
		return func(s *sysbus.Bus, x sysbus.Topic) bool { return s.UnsubscribeHandler(x, h) }
	}
	type list = []sysbus.Handler
	tests := []struct {
		name   string
		before list
		remove func(*sysbus.Bus, sysbus.Topic) bool
		want   bool
		after  list
	}{
		{"[f] (t)", list{f}, all, true, nil},
		{"[] (t)", list{}, all, true, nil},
		{"absent (t)", nil, all, false, nil},
		{"[f] (t, f)", list{f}, one(f), true, list{}},
		{"[] (t, f)", list{}, one(f), false, list{}},
		{"[f, f] (t, f)", list{f, f}, one(f), true, list{f}},
		{"[g, f, g, f] (t, f)", list{g, f, g, f}, one(f), true, list{g, g, f}},
		{"[f] (t, g)", list{f}, one(g), false, list{f}},
		{"absent (t, f)", nil, one(f), false, nil},
		{"[f, g] (t, nil)", list{f, g}, one(nil), true, nil},
		{"absent (t, nil)", nil, one(nil), false, nil},
		{"[f] (t, uncomparable)", list{f}, one(funcs{}), false, list{f}},
	}
	for _, tt := range tests {
		for _, topic := range []sysbus.Topic{sysbus.Text("t"), sysbus.Int(5), sysbus.Text("")} {
			t.Run(tt.name, func(t *testing.T) {
				s := newBus(t, nil, sysbus.Options{})
				subscribe(t, s, sysbus.Text("other"), f)
				for _, h := range tt.before {
					subscribe(t, s, topic, h)
				}
				if tt.before != nil && len(tt.before) == 0 {
					subscribe(t, s, topic, g)
					s.UnsubscribeHandler(topic, g)
				}
				if got := tt.remove(s, topic); got != tt.want {
					t.Errorf("it returns %v, want %v", got, tt.want)
				}
				got := s.TableOf(topic)
				if !slices.Equal(got, tt.after) || (got == nil) != (tt.after == nil) {
					t.Errorf("the list is %v, want %v", got, tt.after)
				}
				if _, there := s.Table()[topic]; there != (tt.after != nil) {
					t.Errorf("the topic is in the table: %v", there)
				}
				if len(s.TableOf(sysbus.Text("other"))) != 1 {
					t.Error("another topic was changed")
				}
			})
		}
	}
}

// funcs is a Handler that cannot be compared.
type funcs struct{ _ []func() }

func (funcs) Handle(sysbus.Topic, any) {}

func TestAHandlerThatCannotBeToldFromOthersIsInvalid(t *testing.T) {
	s := newBus(t, nil, sysbus.Options{})
	for _, h := range []sysbus.Handler{nil, funcs{}} {
		if err := s.Subscribe(sysbus.Int(1), h); bus.KindOf(err) != bus.Invalid || err == nil {
			t.Errorf("Subscribe(%v) returns %v", h, err)
		}
	}
}

func TestListAndSet(t *testing.T) {
	for set, want := range map[bool][]string{false: {"f", "g", "f"}, true: {"f", "g"}} {
		s := newBus(t, nil, sysbus.Options{Set: set})
		var got []string
		f := sysbus.Func(func(sysbus.Topic, any) { got = append(got, "f") })
		g := sysbus.Func(func(sysbus.Topic, any) { got = append(got, "g") })
		for _, h := range []sysbus.Handler{f, g, f} {
			subscribe(t, s, sysbus.Text("x"), h)
		}
		subscribe(t, s, sysbus.Text("y"), f) // its own list
		publishSync(t, s, sysbus.Text("x"), nil)
		if !slices.Equal(got, want) {
			t.Errorf("set %v: called %q, want %q", set, got, want)
		}
	}
}

func TestTablesAreCopies(t *testing.T) {
	s := newBus(t, nil, sysbus.Options{})
	f := sysbus.Func(func(sysbus.Topic, any) {})
	x := sysbus.Text("x")
	subscribe(t, s, x, f)
	s.TableOf(x)[0] = nil
	table := s.Table()
	table[x][0] = nil
	table[sysbus.Text("y")] = nil
	if got := s.TableOf(x); !slices.Equal(got, []sysbus.Handler{f}) {
		t.Errorf("the list became %v", got)
	}
	if len(s.Table()) != 1 {
		t.Errorf("the table became %v", s.Table())
	}
	subscribe(t, s, x, f)
	if len(table[x]) != 1 {
		t.Error("the copy follows the table")
	}
}

func TestPublishReturnsAtOnceAndRunsAGoroutineForEach(t *testing.T) {
	for _, topic := range []sysbus.Topic{sysbus.Text("x"), sysbus.Int(1)} {
		synctest.Test(t, func(t *testing.T) {
			s := newBus(t, nil, sysbus.Options{})
			gate := make(chan struct{})
			var running atomic.Int32
			h := sysbus.Func(func(got sysbus.Topic, msg any) {
				if got != topic {
					t.Errorf("the topic is %v", got)
				}
				running.Add(1)
				<-gate
			})
			subscribe(t, s, topic, h)
			subscribe(t, s, topic, h)
			for range 100 {
				publish(t, s, topic, "msg")
				if err := s.PublishAsync(topic, "msg"); err != nil {
					t.Fatal(err)
				}
			}
			synctest.Wait()
			if running.Load() != 400 {
				t.Errorf("%d handlers run, want 400", running.Load())
			}
			close(gate)
		})
	}
}

func TestPublishSyncRunsTheListInOrderInTheCallingGoroutine(t *testing.T) {
	s := newBus(t, nil, sysbus.Options{})
	x := sysbus.Text("x")
	var got []string // no lock
	record := func(name string) *sysbus.FuncHandler {
		return sysbus.Func(func(_ sysbus.Topic, msg any) { got = append(got, fmt.Sprint(name, msg)) })
	}
	a, b, c := record("a"), record("b"), record("c")
	for _, h := range []sysbus.Handler{a, b, c, a} {
		subscribe(t, s, x, h)
	}
	publishSync(t, s, x, 1)
	s.UnsubscribeHandler(x, a)
	publishSync(t, s, x, 2)
	if want := []string{"a1", "b1", "c1", "a1", "b2", "c2", "a2"}; !slices.Equal(got, want) {
		t.Errorf("called %q, want %q", got, want)
	}
}

func TestTheMessageIsHandedOverAsItIs(t *testing.T) {
	s := newBus(t, nil, sysbus.Options{})
	for _, msg := range []any{nil, 1, "text", []byte("bytes"), map[string]int{"a": 1}, new(int), struct{ A int }{1}} {
		var got any = "nothing"
		h := sysbus.Func(func(_ sysbus.Topic, m any) { got = m })
		subscribe(t, s, sysbus.Int(1), h)
		publishSync(t, s, sysbus.Int(1), msg)
		s.Unsubscribe(sysbus.Int(1))
		if !reflect.DeepEqual(got, msg) {
			t.Errorf("sent %#v, got %#v", msg, got)
		}
	}
}

func TestPublishingToNobodyIsSilent(t *testing.T) {
	s := newBus(t, nil, sysbus.Options{})
	f := sysbus.Func(func(sysbus.Topic, any) { t.Error("called") })
	for _, x := range []sysbus.Topic{sysbus.Text("x"), sysbus.Int(1), sysbus.Text("")} {
		publish(t, s, x, 1) // never subscribed
		subscribe(t, s, x, f)
		s.UnsubscribeHandler(x, f)
		publish(t, s, x, 1) // an empty list
		publishSync(t, s, x, 1)
		s.Unsubscribe(x)
		publish(t, s, x, 1) // removed
	}
}

func TestAHandlerMayUnsubscribeItselfAndItsNeighbours(t *testing.T) {
	s := newBus(t, nil, sysbus.Options{})
	x := sysbus.Text("reply/1")
	var got []string
	var once, victim, last *sysbus.FuncHandler
	once = sysbus.Func(func(sysbus.Topic, any) {
		got = append(got, "once")
		s.UnsubscribeHandler(x, once)
		s.UnsubscribeHandler(x, victim)
	})
	victim = sysbus.Func(func(sysbus.Topic, any) { got = append(got, "victim") })
	last = sysbus.Func(func(sysbus.Topic, any) { got = append(got, "last") })
	for _, h := range []sysbus.Handler{once, victim, last} {
		subscribe(t, s, x, h)
	}
	publishSync(t, s, x, 1)
	publishSync(t, s, x, 2)
	// Who is unsubscribed is not called any more; nobody else is passed over.
	if want := []string{"once", "last", "last"}; !slices.Equal(got, want) {
		t.Errorf("called %q, want %q", got, want)
	}
}

func TestAReplyTopicUnsubscribedByItsHandler(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newBus(t, nil, sysbus.Options{})
		subscribe(t, s, sysbus.Text("ask"), sysbus.Func(func(_ sysbus.Topic, msg any) { publish(t, s, msg.(sysbus.Topic), "answer") }))
		var answers atomic.Int32
		for i := range 20 {
			reply := sysbus.Int(i)
			subscribe(t, s, reply, sysbus.Func(func(topic sysbus.Topic, _ any) {
				if s.Unsubscribe(topic) {
					answers.Add(1)
				}
			}))
			publish(t, s, sysbus.Text("ask"), reply)
		}
		synctest.Wait()
		if answers.Load() != 20 || len(s.Table()) != 1 {
			t.Errorf("%d answers, table %v", answers.Load(), s.Table())
		}
	})
}

func TestAPanicEndsThatCallOnly(t *testing.T) {
	for name, topic := range map[string]sysbus.Topic{"x": sysbus.Text("x"), "int 3": sysbus.Int(3), `"\xff"`: sysbus.Text("\xff")} {
		synctest.Test(t, func(t *testing.T) {
			var reported, called atomic.Int32
			s := newBus(t, nil, sysbus.Options{Observer: bus.Observer{Panic: func(got string, p *bus.PanicError) {
				if got != name {
					t.Errorf("reported as %q, want %q", got, name)
				}
				reported.Add(1)
			}}})
			boom := errors.New("boom")
			bad := sysbus.Func(func(sysbus.Topic, any) { panic(boom) })
			good := sysbus.Func(func(sysbus.Topic, any) { called.Add(1) })
			for _, h := range []sysbus.Handler{bad, good, bad, good} {
				subscribe(t, s, topic, h)
			}
			publish(t, s, topic, 1)
			synctest.Wait()
			if reported.Load() != 2 || called.Load() != 2 {
				t.Errorf("%d reported, %d called, want 2 and 2", reported.Load(), called.Load())
			}
			err := s.PublishSync(topic, 1)
			joined, ok := err.(interface{ Unwrap() []error })
			if !ok || len(joined.Unwrap()) != 2 {
				t.Fatalf("PublishSync returns %v", err)
			}
			for _, e := range joined.Unwrap() {
				if p, ok := errors.AsType[*bus.PanicError](e); !ok || p.Value != any(boom) {
					t.Errorf("PublishSync returns %v", e)
				}
			}
			if reported.Load() != 4 || called.Load() != 4 {
				t.Errorf("%d reported, %d called, want 4 and 4", reported.Load(), called.Load())
			}
		})
	}
}

func TestTextTopicsAreSharedWithTheBus(t *testing.T) {
	b := bus.New(bus.Options{})
	defer closeNow(t, b)
	one, two := newBus(t, b, sysbus.Options{}), newBus(t, b, sysbus.Options{})
	var here, there []any
	x := sysbus.Text("room/+") // a name, not a pattern
	subscribe(t, one, x, sysbus.Func(func(topic sysbus.Topic, msg any) {
		if topic != x {
			t.Errorf("the topic is %v", topic)
		}
		here = append(here, msg)
	}))
	if _, err := bus.Subscribe(b, "room/#", func(_ context.Context, e bus.Event[any]) {
		there = append(there, e.Topic, e.Value)
	}, bus.Direct()); err != nil {
		t.Fatal(err)
	}
	publishSync(t, two, x, 1)
	if err := bus.PublishSync(t.Context(), b, "room/+", "from Go"); err != nil {
		t.Fatal(err)
	}
	publishSync(t, two, sysbus.Text("room/kitchen"), 2)
	if want := []any{1, "from Go"}; !slices.Equal(here, want) {
		t.Errorf("the sysbus got %v, want %v", here, want)
	}
	if want := []any{"room/+", 1, "room/+", "from Go", "room/kitchen", 2}; !slices.Equal(there, want) {
		t.Errorf("the bus got %v, want %v", there, want)
	}
}

func TestMessagesFromOutsideAreInGosOwnTerms(t *testing.T) {
	tests := []struct {
		form payload.Form
		text string
		want any
	}{
		{payload.JSON, `{"a":[1,"b",null]}`, map[string]any{"a": []any{1.0, "b", nil}}},
		{payload.Text, `1`, "1"},
		{payload.Bytes, "\xff", []byte("\xff")},
		{payload.Empty, "", nil},
		{payload.Args, `[1,2]`, []any{1.0, 2.0}},
		{payload.Raw, `true`, true},
	}
	for _, tt := range tests {
		synctest.Test(t, func(t *testing.T) {
			b := bus.New(bus.Options{})
			s := newBus(t, b, sysbus.Options{})
			var got any = "nothing"
			subscribe(t, s, sysbus.Text("x"), sysbus.Func(func(_ sysbus.Topic, msg any) { got = msg }))
			m := &bus.Message{Topic: "x", Origin: &bus.Origin{}}
			buf := []byte(tt.text)
			m.Payload.Set(tt.form, buf)
			if _, err := b.Publish(m); err != nil {
				t.Fatal(err)
			}
			clear(buf) // the publisher's own again
			closeNow(t, b)
			if !reflect.DeepEqual(got, tt.want) {
				t.Errorf("%v %q: got %#v, want %#v", tt.form, tt.text, got, tt.want)
			}
		})
	}
}

func TestIntegersAndOtherTextsNeverLeave(t *testing.T) {
	b := bus.New(bus.Options{Keeper: refusing{t}})
	defer closeNow(t, b)
	if _, err := bus.Subscribe(b, "**", func(_ context.Context, e bus.Event[any]) { t.Errorf("%q left", e.Topic) }, bus.Direct()); err != nil {
		t.Fatal(err)
	}
	one, two := newBus(t, b, sysbus.Options{}), newBus(t, b, sysbus.Options{})
	calls := 0
	for _, x := range []sysbus.Topic{sysbus.Int(1), sysbus.Text(""), sysbus.Text("\xff"), sysbus.Text("a\x00")} {
		subscribe(t, one, x, sysbus.Func(func(sysbus.Topic, any) { calls++ }))
		subscribe(t, two, x, sysbus.Func(func(sysbus.Topic, any) { t.Error("another sysbus got it") }))
		publishSync(t, one, x, 1)
	}
	if calls != 4 {
		t.Errorf("%d calls, want 4", calls)
	}
}

// refusing is a Keeper that must not see anything.
type refusing struct{ t *testing.T }

func (r refusing) Keep(m *bus.Message) (bus.Position, error) {
	r.t.Errorf("%q left", m.Topic)
	return 0, nil
}

func (refusing) Detached(*bus.Subscription) {}

func (r refusing) Attached(s *bus.Subscription) {
	if s.Options().SkipRetained {
		return
	}
	if s.Pattern().Text() != "**" {
		r.t.Errorf("%v asks for kept values", s.Pattern())
	}
}

func TestKeptValuesAreNotDelivered(t *testing.T) {
	b := bus.New(bus.Options{Keeper: refusing{t}})
	defer closeNow(t, b)
	s := newBus(t, b, sysbus.Options{})
	subscribe(t, s, sysbus.Text("x"), sysbus.Func(func(sysbus.Topic, any) { t.Error("called") }))
}

func TestUnsubscribeDoesNotWaitButCloseDoes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, own := range []bool{true, false} {
			var b *bus.Bus
			if !own {
				b = bus.New(bus.Options{})
			}
			s := sysbus.New(b, sysbus.Options{})
			var done atomic.Int32
			slow := sysbus.Func(func(sysbus.Topic, any) {
				time.Sleep(time.Second)
				done.Add(1)
			})
			for _, x := range []sysbus.Topic{sysbus.Text("x"), sysbus.Int(1)} {
				subscribe(t, s, x, slow)
				publish(t, s, x, 1)
				s.Unsubscribe(x)
			}
			if done.Load() != 0 {
				t.Error("Unsubscribe waited")
			}
			time.Sleep(time.Minute)
			for _, x := range []sysbus.Topic{sysbus.Text("x"), sysbus.Int(1)} {
				subscribe(t, s, x, slow)
				publish(t, s, x, 1)
			}
			ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
			defer cancel()
			if err := s.Close(ctx); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("Close with a short deadline returns %v", err)
			}
			time.Sleep(time.Minute)
			closeNow(t, s)
			if done.Load() != 4 {
				t.Errorf("own %v: %d handlers have returned, want 4", own, done.Load())
			}
			if b != nil {
				publishStill(t, b)
				closeNow(t, b)
			}
		}
	})
}

// publishStill checks that a bus has not been closed.
func publishStill(t *testing.T, b *bus.Bus) {
	t.Helper()
	if err := bus.Publish(t.Context(), b, "x", 1); err != nil {
		t.Errorf("the shared bus is closed, too: %v", err)
	}
}

func TestCloseWaitsForHandlers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := bus.New(bus.Options{})
		s := sysbus.New(b, sysbus.Options{})
		var done atomic.Int32
		for i := range 5 {
			x := []sysbus.Topic{sysbus.Text("x"), sysbus.Int(1)}[i%2]
			subscribe(t, s, x, sysbus.Func(func(sysbus.Topic, any) {
				time.Sleep(time.Duration(i) * time.Second)
				done.Add(1)
			}))
		}
		publish(t, s, sysbus.Text("x"), 1)
		publish(t, s, sysbus.Int(1), 1)
		closeNow(t, s)
		if done.Load() != 5 {
			t.Errorf("%d handlers have returned, want 5", done.Load())
		}
		closeNow(t, b)
	})
}

func TestAfterCloseEverythingAnswersErrClosed(t *testing.T) {
	b := bus.New(bus.Options{})
	defer closeNow(t, b)
	f := sysbus.Func(func(sysbus.Topic, any) { t.Error("called") })
	for _, s := range []*sysbus.Bus{sysbus.New(nil, sysbus.Options{}), sysbus.New(b, sysbus.Options{})} {
		for _, x := range []sysbus.Topic{sysbus.Text("x"), sysbus.Int(1)} {
			subscribe(t, s, x, f)
		}
		closeNow(t, s)
		for _, x := range []sysbus.Topic{sysbus.Text("x"), sysbus.Int(1)} {
			for name, err := range map[string]error{
				"Subscribe": s.Subscribe(x, f), "Publish": s.Publish(x, 1), "PublishSync": s.PublishSync(x, 1),
			} {
				if !errors.Is(err, bus.ErrClosed) {
					t.Errorf("%s returns %v", name, err)
				}
			}
			if s.Unsubscribe(x) {
				t.Error("there was something to unsubscribe")
			}
		}
	}
	if err := bus.PublishSync(t.Context(), b, "x", 1); err != nil {
		t.Error(err)
	}
}

func TestEverythingAtOnce(t *testing.T) {
	b := bus.New(bus.Options{})
	s := sysbus.New(b, sysbus.Options{})
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			x := topics[i]
			h := sysbus.Func(func(sysbus.Topic, any) { s.TableOf(x) })
			for range 200 {
				if err := errors.Join(s.Subscribe(x, h), s.Publish(x, 1), s.PublishSync(topics[0], 2)); err != nil {
					t.Error(err)
				}
				s.Table()
				s.UnsubscribeHandler(x, h)
				s.Unsubscribe(topics[1])
			}
		})
	}
	wg.Wait()
	closeNow(t, s)
	closeNow(t, b)
}
