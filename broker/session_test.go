package broker_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"omnibus/auth"
	"omnibus/broker"
	"omnibus/bus"
	"omnibus/dialect"
)

func TestASessionThatPanicsHurtsItselfAlone(t *testing.T) {
	b := newBroker(t, broker.Options{})
	first, broken, last := join(t, b, hello()), join(t, b, hello()), join(t, b, hello())
	broken.hook = func(*bus.Message) { panic("out of paper") }
	for _, s := range []*session{first, broken, last} {
		s.subscribe(t, "x", dialect.Terms{})
	}
	counts(t, b, "handler_panics", 1, func() { publish(t, join(t, b, hello()), plain("x", "1")) })
	publish(t, b.Bus(""), plain("x", "2"))
	first.expect(t, "x=1", "x=2")
	last.expect(t, "x=1", "x=2")
	if why := broken.why(); len(why) != 1 || bus.KindOf(why[0]) != bus.Failed {
		t.Errorf("the broken session was told %v", why)
	}
	if _, err := broken.Publish(plain("x", "3")); bus.KindOf(err) != bus.Closed {
		t.Errorf("the broken session may still publish: %v", err)
	}
}

// nobody refuses every login and allows nothing.
type nobody struct{}

func (nobody) Begin(context.Context, *auth.Credentials) (auth.Conversation, error) {
	return nil, fmt.Errorf("closed today: %w", auth.ErrDenied)
}
func (nobody) Allow(*auth.Principal, auth.Action, string) bool { return false }

func TestADialectItselfNeedsNoLogin(t *testing.T) {
	b := newBroker(t, broker.Options{Auth: nobody{}})
	if _, err := tryJoin(b, hello()); !errors.Is(err, auth.ErrDenied) {
		t.Fatalf("a client was admitted: %v", err)
	}
	h := hello()
	h.Internal = true
	hub := join(t, b, h)
	hub.subscribe(t, "#", dialect.Terms{})
	publish(t, b.Bus(""), plain("x", "1"))
	hub.expect(t, "x=1")
	publish(t, hub, plain("y", "1"))
	if p := hub.Principal(); p.Name != "test" || p.Tenant != "" {
		t.Errorf("it is %+v", p)
	}
	if n := b.Status().Peers["test"]; n != 0 {
		t.Errorf("it is counted among %d clients", n)
	}
}

// slow is a session with room for one message at a time.
type slow struct {
	*session
	asked int
	gone  error
}

func (s *slow) Room(ctx context.Context) error {
	s.asked++
	if s.gone != nil {
		return s.gone
	}
	return ctx.Err()
}

func TestRetainedValuesWaitForRoom(t *testing.T) {
	b := newBroker(t, broker.Options{})
	for i := range 5 {
		publish(t, b.Bus(""), kept(fmt.Sprint("v/", i), "1"))
	}
	s := &slow{session: new(session)}
	h := hello()
	h.Subscriber = s
	p, err := dialect.Join(t.Context(), b, h)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Subscribe(pattern(t, "v/+"), dialect.Terms{}); err != nil {
		t.Fatal(err)
	}
	if n := len(s.seen()); n != 5 || s.asked != 5 {
		t.Errorf("%d values were delivered and room was asked for %d times, want 5", n, s.asked)
	}
	s.gone = errors.New("the connection is lost")
	if _, err := p.Subscribe(pattern(t, "v/#"), dialect.Terms{}); err != nil {
		t.Fatal(err)
	}
	s.expect(t)
	p.Leave()
}

func TestAServiceThatMayNotBeCalledIsNotCallable(t *testing.T) {
	b := newBroker(t, broker.Options{Access: nobody{}})
	if join(t, b, hello()).Callable(broker.StatusService) {
		t.Error("it is callable")
	}
}

func TestNamesOfTheBrokersOwnServicesAreRefused(t *testing.T) {
	b := newBroker(t, broker.Options{})
	_, err := join(t, b, hello()).Expose("omnibus.status", answering("hacked"))
	refused(t, err, bus.Refused, "omnibus.", "own")
}

func TestThePolicyChoosesTheProvider(t *testing.T) {
	b := newBroker(t, broker.Options{Policy: bus.RoundRobin})
	for _, name := range []string{"one", "two"} {
		if _, err := b.Bus("").Register("s", answering(name), nil); err != nil {
			t.Fatal(err)
		}
	}
	s := join(t, b, hello())
	for _, want := range []string{"one", "two", "one"} {
		if got, err := s.call(t.Context(), "s"); err != nil || got != want {
			t.Errorf("got %q, %v; want %q", got, err, want)
		}
	}
}
