package bus_test

import (
	"context"
	"encoding/json"
	"errors"
	"reflect"
	"slices"
	"testing"

	"omnibus/bus"
	"omnibus/payload"
	"omnibus/topic"
)

func TestAMessageGoesBackToItsOriginOnlyWithEcho(t *testing.T) {
	one, two := &bus.Origin{Name: "one"}, &bus.Origin{Name: "two"}
	tests := []struct {
		name       string
		origin     *bus.Origin // of the message
		subscriber bus.AttachOptions
		want       bool
	}{
		{"from here to here", nil, bus.AttachOptions{}, true},
		{"from here to a link", nil, bus.AttachOptions{Origin: one}, true},
		{"from a link to here", one, bus.AttachOptions{}, true},
		{"from a link to another", one, bus.AttachOptions{Origin: two}, true},
		{"from a link to itself", one, bus.AttachOptions{Origin: one}, false},
		{"from a link to itself with echo", one, bus.AttachOptions{Origin: one, Echo: true}, true},
		{"two of the same name are two", &bus.Origin{Name: "one"}, bus.AttachOptions{Origin: one}, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := newBus(t, bus.Options{})
			got := 0
			attach(t, b, "x", tt.subscriber, func(m *bus.Message, s *bus.Subscription) {
				got++
				if m.Origin != tt.origin || s.Options() != tt.subscriber {
					t.Errorf("delivered with origin %v to %+v", m.Origin, s.Options())
				}
			})
			m := message("x", payload.Text, "")
			m.Origin = tt.origin
			r, err := b.Publish(m)
			if err != nil {
				t.Fatal(err)
			}
			if want := map[bool]int{true: 1}[tt.want]; got != want || r.Receivers != want {
				t.Errorf("delivered %d times, the receipt says %d, want %d", got, r.Receivers, want)
			}
		})
	}
}

func TestEverySubscriptionThatMatchesGetsTheMessage(t *testing.T) {
	b := newBus(t, bus.Options{})
	var got []string
	patterns := []string{"room/kitchen", "room/+", "room/#", "#", "*oom/**", "regex:room/k.*", "room/kitchen"}
	for _, p := range append(patterns, "room", "+", "room/cellar", "regex:kitchen") {
		subscribe(t, b, p, func(context.Context, bus.Event[int]) { got = append(got, p) }, bus.Direct())
	}
	publish(t, b, "room/kitchen", 1)
	slices.Sort(got)
	slices.Sort(patterns)
	if !slices.Equal(got, patterns) {
		t.Errorf("got %q, want %q", got, patterns)
	}
	if !b.Wanted("room/kitchen") || !b.Wanted("anything") {
		t.Error("Wanted does not know of the subscriptions")
	}
}

func TestWantedAndSubscriptionsFollowWhatIsSubscribed(t *testing.T) {
	b := newBus(t, bus.Options{})
	if b.Wanted("x") || len(b.Subscriptions()) != 0 {
		t.Error("something is subscribed to a new bus")
	}
	s := attach(t, b, "x", bus.AttachOptions{Tag: 7}, func(*bus.Message, *bus.Subscription) {})
	if all := b.Subscriptions(); len(all) != 1 || all[0] != s || s.Pattern().String() != "x" || s.Options().Tag != 7 {
		t.Errorf("subscriptions are %v", all)
	}
	if !b.Wanted("x") || b.Wanted("y") {
		t.Error("Wanted is wrong")
	}
	if s.Stats() != (bus.Stats{}) {
		t.Errorf("a Receiver of its own has stats %+v", s.Stats())
	}
	if !s.Unsubscribe() || b.Wanted("x") || len(b.Subscriptions()) != 0 {
		t.Error("the subscription is still there")
	}
}

// TestForms publishes values and subscribes as other types.
func TestForms(t *testing.T) {
	type point struct{ X, Y int }
	at := point{1, 2}
	tests := []struct {
		name    string
		publish func(b *bus.Bus) error
		got     func(b *bus.Bus) (any, error)
		want    any
	}{
		{"same type", typed(at), as[point], at},
		{"struct as map", typed(at), as[map[string]int], map[string]int{"X": 1, "Y": 2}},
		{"map as struct", typed(map[string]int{"Y": 2, "X": 1}), as[point], at},
		{"struct as any", typed(at), as[any], at},
		{"any as struct", typed[any](at), as[point], at},
		{"pointer as struct", typed(&at), as[point], at},
		{"int as float", typed(3), as[float64], 3.0},
		{"struct as JSON", typed(at), as[json.RawMessage], json.RawMessage(`{"X":1,"Y":2}`)},
		{"string as bytes", typed("text"), as[[]byte], []byte("text")},
		{"bytes as string", typed([]byte("text")), as[string], "dGV4dA=="},
		{"JSON from a link", raw(payload.JSON, `{"X":1,"Y":2}`), as[point], at},
		{"JSON from a link as any", raw(payload.JSON, `[1]`), as[any], []any{1.0}},
		{"text from a link", raw(payload.Text, `hello`), as[string], "hello"},
		{"text from a link as any", raw(payload.Text, `1`), as[any], "1"},
		{"nothing as any", raw(payload.Empty, ``), as[any], nil},
		{"unlabelled from a link", raw(payload.Raw, `{"X":1,"Y":2}`), as[point], at},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := newBus(t, bus.Options{})
			got, err := tt.got(b)
			if err != nil {
				t.Fatal(err)
			}
			if err := tt.publish(b); err != nil {
				t.Fatal(err)
			}
			if x := reflect.ValueOf(got).Elem().Interface(); !reflect.DeepEqual(x, tt.want) {
				t.Errorf("got %#v, want %#v", x, tt.want)
			}
		})
	}
}

func typed[T any](v T) func(*bus.Bus) error {
	return func(b *bus.Bus) error { return bus.PublishSync(context.Background(), b, "x", v) }
}

func raw(f payload.Form, text string) func(*bus.Bus) error {
	return func(b *bus.Bus) error {
		_, err := b.Publish(message("x", f, text))
		return err
	}
}

// as subscribes as T; the value is stored in what the result points to.
func as[T any](b *bus.Bus) (any, error) {
	got := new(T)
	_, err := bus.Subscribe(b, "x", func(_ context.Context, e bus.Event[T]) { *got = e.Value }, bus.Direct())
	return got, err
}

func TestBadNamesAndPatternsAreInvalid(t *testing.T) {
	b := newBus(t, bus.Options{})
	ctx := t.Context()
	nop := func(context.Context, bus.Event[int]) {}
	for name, err := range map[string]error{
		"Publish":          bus.Publish(ctx, b, "", 1),
		"PublishSync":      bus.PublishSync(ctx, b, "a\x00b", 1),
		"Bus.Publish":      second(b.Publish(message("\xff", payload.Text, ""))),
		"Subscribe":        second(bus.Subscribe(b, "a/#/b#/+/#/#", nop)),
		"Subscribe regex":  second(bus.Subscribe(b, "regex:(", nop)),
		"SubscribePattern": second(bus.SubscribePattern(b, topic.Pattern{}, nop)),
		"Attach":           second(b.Attach(topic.Pattern{}, receiverFunc(nil), bus.AttachOptions{})),
		"Register":         second(b.Register("", nil, nil)),
		"Call":             second(bus.Call[int](ctx, b, "")),
	} {
		if err == nil || bus.KindOf(err) != bus.Invalid {
			t.Errorf("%s returns %v, want an error that says Invalid", name, err)
		}
	}
	if n := len(b.Subscriptions()); n != 0 {
		t.Errorf("%d subscriptions came of it", n)
	}
}

func second[T any](_ T, err error) error { return err }

// keeper is a Keeper.
type keeper struct {
	keep     func(m *bus.Message) (bus.Position, error)
	attached func(s *bus.Subscription)
}

func (k keeper) Keep(m *bus.Message) (bus.Position, error) { return k.keep(m) }

func (k keeper) Attached(s *bus.Subscription) { k.attached(s) }

func (k keeper) Detached(*bus.Subscription) {}

func TestTheKeeperSeesEveryMessageFirstAndMayRefuseIt(t *testing.T) {
	full := errors.New("full")
	var seen []string
	delivered := 0
	b := newBus(t, bus.Options{Keeper: keeper{
		attached: func(*bus.Subscription) {},
		keep: func(m *bus.Message) (bus.Position, error) {
			text, err := m.Payload.As(payload.Text)
			if err != nil {
				t.Error(err)
			}
			if delivered != 0 {
				t.Error("delivered before it was kept")
			}
			seen = append(seen, m.Topic+" "+string(text))
			if m.Topic == "refused" {
				return 0, full
			}
			return 7, nil
		},
	}})
	subscribe(t, b, "#", func(context.Context, bus.Event[string]) { delivered++ }, bus.Direct())
	attach(t, b, "refused", bus.AttachOptions{}, func(*bus.Message, *bus.Subscription) { delivered++ })

	if err := bus.Publish(t.Context(), b, "refused", "a"); !errors.Is(err, full) {
		t.Errorf("Publish returns %v", err)
	}
	if err := bus.PublishSync(t.Context(), b, "refused", "b"); !errors.Is(err, full) {
		t.Errorf("PublishSync returns %v", err)
	}
	if r, err := b.Publish(message("refused", payload.Text, "c")); !errors.Is(err, full) || r != (bus.Receipt{}) {
		t.Errorf("Bus.Publish returns %+v, %v", r, err)
	}
	if delivered != 0 {
		t.Errorf("%d of the refused messages were delivered", delivered)
	}
	if r, err := b.Publish(message("x", payload.Text, "d")); err != nil || r != (bus.Receipt{Receivers: 1, Position: 7}) {
		t.Errorf("Bus.Publish returns %+v, %v", r, err)
	}
	delivered = 0
	publish(t, b, "x", "e")
	if want := []string{"refused a", "refused b", "refused c", "x d", "x e"}; !slices.Equal(seen, want) {
		t.Errorf("seen %q, want %q", seen, want)
	}
}

func TestWhatTheKeeperKeepsIsWhatReceiversKeep(t *testing.T) {
	codecs := new(payload.Codecs)
	codecs.Add(payload.CBOR, payload.Args, func([]byte) ([]byte, error) { return []byte(`[1]`), nil })
	var kept *bus.Message
	b := newBus(t, bus.Options{Codecs: codecs, Keeper: keeper{
		attached: func(*bus.Subscription) {},
		keep: func(m *bus.Message) (bus.Position, error) {
			kept = m.Keep()
			return 0, nil
		},
	}})
	attach(t, b, "x", bus.AttachOptions{}, func(m *bus.Message, _ *bus.Subscription) {
		if m.Keep() != kept {
			t.Error("there are two copies")
		}
	})
	m := message("x", payload.CBOR, "…")
	for range 2 {
		if _, err := b.Publish(m); err != nil {
			t.Fatal(err)
		}
		if v, err := payload.To[int](&kept.Payload); v != 1 || err != nil {
			t.Errorf("the kept payload is %v, %v: it does not know the codecs", v, err)
		}
	}
}

func TestTheKeeperMayDeliverToASubscriptionThatIsInPlace(t *testing.T) {
	var attached []string
	stored := message("x", payload.JSON, "5")
	b := newBus(t, bus.Options{Keeper: keeper{
		keep: func(*bus.Message) (bus.Position, error) { return 0, nil },
		attached: func(s *bus.Subscription) {
			attached = append(attached, s.Pattern().String())
			if s.Options().SkipRetained {
				return
			}
			stored.Stored = true
			s.Deliver(stored)
		},
	}})
	var got []int
	add := func(_ context.Context, e bus.Event[int]) { got = append(got, e.Value) }
	subscribe(t, b, "x", add, bus.Direct())
	subscribe(t, b, "y", add, bus.Direct(), bus.NewsOnly())
	attach(t, b, "z", bus.AttachOptions{SkipRetained: true}, func(*bus.Message, *bus.Subscription) { got = append(got, -1) })
	attach(t, b, "+", bus.AttachOptions{}, func(m *bus.Message, _ *bus.Subscription) {
		if m.Stored {
			got = append(got, -2)
		}
	})
	if !slices.Equal(attached, []string{"x", "y", "z", "+"}) || !slices.Equal(got, []int{5, -2}) {
		t.Errorf("attached %q, delivered %v", attached, got)
	}
	// A queue takes them as well, however many there are.
	s := subscribe(t, b, "q", add, bus.Queue(1, bus.Block))
	for range 9 {
		s.Deliver(stored)
	}
	if err := s.Drain(t.Context()); err != nil {
		t.Fatal(err)
	}
	if len(got) != 12 {
		t.Errorf("%d delivered, want 12", len(got))
	}
}
