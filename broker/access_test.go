package broker_test

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"

	"omnibus/auth"
	"omnibus/broker"
	"omnibus/bus"
	"omnibus/dialect"
	"omnibus/payload"
	"omnibus/topic"
)

// forbidding refuses one action on names that begin with "secret".
func forbidding(what auth.Action) rules {
	return func(_ string, a auth.Action, name string) bool {
		return a != what || !strings.HasPrefix(name, "secret")
	}
}

func TestEachActionIsRefusedByItsRule(t *testing.T) {
	for action, try := range map[auth.Action]func(t *testing.T, p *session, name string) error{
		auth.Publish: func(_ *testing.T, p *session, name string) error {
			_, err := p.Publish(plain(name, "1"))
			return err
		},
		auth.Subscribe: func(t *testing.T, p *session, name string) error {
			_, err := p.Subscribe(pattern(t, name), dialect.Terms{})
			return err
		},
		auth.Call: func(t *testing.T, p *session, name string) error {
			_, err := p.call(t.Context(), name)
			return err
		},
		auth.Expose: func(_ *testing.T, p *session, name string) error {
			_, err := p.Expose(name, answering(""))
			return err
		},
	} {
		t.Run(action.String(), func(t *testing.T) {
			b := newBroker(t, broker.Options{Access: forbidding(action)})
			var reached atomic.Int32
			for _, name := range []string{"secret.x", "public.x"} {
				if _, err := b.Bus("").Register(name, func(context.Context, *bus.Request) (*payload.Value, error) {
					reached.Add(1)
					return nil, nil
				}, nil); err != nil {
					t.Fatal(err)
				}
			}
			all := join(t, b, hello())
			all.subscribe(t, "#", dialect.Terms{})
			p := join(t, b, named("eve"))
			before := len(b.Bus("").Subscriptions())
			counts(t, b, "access_denied", 1, func() {
				refused(t, try(t, p, "secret.x"), bus.Refused, "secret.x", "eve may not "+action.String())
			})
			all.expect(t)
			if reached.Load() != 0 || len(b.Bus("").Subscriptions()) != before || b.Bus("").Services()[2].Providers != 1 {
				t.Error("it was refused and took place")
			}
			counts(t, b, "access_denied", 0, func() {
				if err := try(t, p, "public.x"); err != nil {
					t.Errorf("what is allowed: %v", err)
				}
			})
			// Functions of the broker's process are trusted.
			if err := bus.Publish(t.Context(), b.Bus(""), "secret.y", 1); err != nil {
				t.Error(err)
			}
			if _, err := bus.Call[any](t.Context(), b.Bus(""), "secret.x"); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestNoPatternGetsRoundAReceiveRule(t *testing.T) {
	b := newBroker(t, broker.Options{Access: forbidding(auth.Receive)})
	publish(t, b.Bus(""), kept("secret/kept", "0"))
	publish(t, b.Bus(""), kept("public/kept", "0"))
	for _, text := range []string{"#", "+/+", "space:**", "regex:.*", "secret/a", "secret/#"} {
		p := join(t, b, hello())
		counts(t, b, "access_denied", count(text, "secret/kept"), func() { p.subscribe(t, text, dialect.Terms{}) })
		for _, got := range p.seen() {
			if strings.HasPrefix(got, "secret") {
				t.Errorf("%s was given %s, which was kept", text, got)
			}
		}
		counts(t, b, "access_denied", count(text, "secret/a"), func() { publish(t, b.Bus(""), plain("secret/a", "1")) })
		p.expect(t)
		p.Leave()
	}
	p := join(t, b, hello())
	p.subscribe(t, "#", dialect.Terms{NewsOnly: true})
	publish(t, b.Bus(""), plain("public/a", "2"))
	p.expect(t, "public/a=2")
}

func count(text, name string) int64 {
	p, err := topic.Parse(text)
	if err == nil && p.Match(name) {
		return 1
	}
	return 0
}

func TestRulesAreAskedOfWhoPublishesAndWhoReceives(t *testing.T) {
	b := newBroker(t, broker.Options{Access: rules(func(who string, a auth.Action, name string) bool {
		switch a {
		case auth.Publish:
			return who == "writer"
		case auth.Receive:
			return who == "reader"
		default:
			return true
		}
	})})
	writer, reader, other := join(t, b, named("writer")), join(t, b, named("reader")), join(t, b, hello())
	for _, p := range []*session{writer, reader, other} {
		p.subscribe(t, "#", dialect.Terms{})
	}
	publish(t, writer, plain("a", "1"))
	reader.expect(t, "a=1")
	writer.expect(t)
	other.expect(t)
	_, err := other.Publish(plain("a", "2"))
	refused(t, err, bus.Refused, "an anonymous peer")
}

func TestRelayGetsWhatIsAdmittedFirst(t *testing.T) {
	b := newBroker(t, broker.Options{
		Access: forbidding(auth.Publish),
		Limits: broker.Limits{MessageBytes: 10, Retained: 1},
	})
	var order []string
	h := hello()
	h.Relay = func(m *bus.Message) { order = append(order, "relay "+m.Topic) }
	p := join(t, b, h)
	other := join(t, b, hello())
	other.hook = func(m *bus.Message) { order = append(order, "deliver "+m.Topic) }
	other.subscribe(t, "#", dialect.Terms{})
	publish(t, b.Bus(""), kept("full", "1"))
	order = nil

	for _, m := range []*bus.Message{
		plain("a", "1"), plain("secret", "1"), plain("a", "more than ten"), plain("", "1"), plain("a\x00", "1"),
		kept("new", "1"), kept("full", "2"), plain("b", "1"),
	} {
		_, _ = p.Publish(m) // some are refused
	}
	want := "relay a, deliver a, relay full, deliver full, relay b, deliver b"
	if got := strings.Join(order, ", "); got != want {
		t.Errorf("got %s\nwant %s", got, want)
	}
	p.Leave()
	if _, err := p.Publish(plain("c", "1")); bus.KindOf(err) != bus.Closed || strings.Contains(strings.Join(order, " "), "relay c") {
		t.Errorf("after it left: %v, %v", err, order)
	}
}

func TestALinkDoesNotHearItself(t *testing.T) {
	b := newBroker(t, broker.Options{})
	link := &bus.Origin{Dialect: "test", Name: "hub"}
	member := func() *session {
		h := hello()
		h.Origin = link
		return join(t, b, h)
	}
	one, two, other := member(), member(), join(t, b, hello())
	one.subscribe(t, "#", dialect.Terms{})
	two.subscribe(t, "#", dialect.Terms{Echo: true})
	other.subscribe(t, "#", dialect.Terms{})
	publish(t, one, plain("a", "1"))
	one.expect(t)
	two.expect(t, "a=1")
	other.expect(t, "a=1")
	publish(t, other, plain("a", "2"))
	for _, p := range []*session{one, two} {
		p.expect(t, "a=2")
	}
	other.expect(t)
}

func TestALinkDoesNotCallItself(t *testing.T) {
	b := newBroker(t, broker.Options{})
	p := join(t, b, hello())
	if _, err := p.Expose("mine", answering("me")); err != nil {
		t.Fatal(err)
	}
	if p.Callable("mine") || p.Callable("nobody's") {
		t.Error("callable, want only what others expose")
	}
	_, err := p.call(t.Context(), "mine")
	refused(t, err, bus.Unavailable)
	v, err := p.Call(t.Context(), "mine", new(payload.Value), dialect.CallOptions{Echo: true})
	if err != nil {
		t.Fatal(err)
	}
	if got, err := payload.To[string](v); got != "me" || err != nil {
		t.Errorf("with Echo: %q, %v", got, err)
	}
	q := join(t, b, hello())
	if got, err := q.call(t.Context(), "mine"); got != "me" || err != nil || !q.Callable("mine") {
		t.Errorf("another link: %q, %v", got, err)
	}
}

func TestTheTagOfASubscriptionIsItsReceivers(t *testing.T) {
	b := newBroker(t, broker.Options{})
	p := join(t, b, hello())
	if got := p.subscribe(t, "a", dialect.Terms{Tag: 7}).Options().Tag; got != 7 {
		t.Errorf("tag %v, want 7", got)
	}
}
