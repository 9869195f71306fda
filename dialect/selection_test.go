package dialect_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"omnibus/auth"
	"omnibus/bus"
	"omnibus/dialect"
	"omnibus/payload"
	"omnibus/topic"
)

// port is a broker that says what a test makes it say.
type port struct {
	hello     *dialect.Hello
	refuse    error  // what Hello answers
	challenge string // what the first step asks
	fail      error  // what the first step answers
	peer      peer
}

func (p *port) Hello(_ context.Context, h *dialect.Hello) (dialect.Joining, error) {
	p.hello = h
	if p.refuse != nil {
		return nil, p.refuse
	}
	return p, nil
}

func (p *port) Next(_ context.Context, proof []byte) ([]byte, dialect.Peer, error) {
	switch {
	case proof != nil:
		return nil, nil, errors.New("a proof that nobody asked for")
	case p.fail != nil:
		return nil, nil, p.fail
	case p.challenge != "":
		return []byte(p.challenge), nil, nil
	default:
		return nil, &p.peer, nil
	}
}

// peer subscribes on a bus of its own.
type peer struct {
	dialect.Sessions
	bus    *bus.Bus
	terms  []dialect.Terms
	got    []string
	first  *dialect.Selection // whose First is asked, nil takes everything
	refuse string             // the pattern that is refused
}

func (p *peer) Subscribe(pattern topic.Pattern, t dialect.Terms) (*bus.Subscription, error) {
	if pattern.String() == p.refuse {
		return nil, bus.Errorf(bus.Refused, p.refuse, "not you")
	}
	p.terms = append(p.terms, t)
	return p.bus.Attach(pattern, p, bus.AttachOptions{Tag: t.Tag})
}

func (p *peer) Deliver(m *bus.Message, s *bus.Subscription) {
	if p.first == nil || p.first.First(s, m.Topic) {
		p.got = append(p.got, m.Topic)
	}
}

func (*peer) Publish(*bus.Message) (bus.Receipt, error)         { return bus.Receipt{}, bus.ErrClosed }
func (*peer) Unsubscribe(*bus.Subscription) bool                { return false }
func (*peer) Replay(*bus.Subscription) func() bool              { return nil }
func (*peer) Expose(string, bus.Service) (*bus.Exposure, error) { return nil, bus.ErrClosed }
func (*peer) Callable(string) bool                              { return false }
func (*peer) Principal() *auth.Principal                        { return &auth.Principal{Name: "ada"} }
func (*peer) Leave()                                            {}
func (*peer) Call(context.Context, string, *payload.Value, dialect.CallOptions) (*payload.Value, error) {
	return nil, bus.ErrClosed
}

func TestJoin(t *testing.T) {
	down := errors.New("down")
	h := &dialect.Hello{Credentials: auth.Credentials{Dialect: "test"}}
	p := new(port)
	got, err := dialect.Join(t.Context(), p, h)
	if err != nil || got != &p.peer || p.hello != h {
		t.Errorf("peer %v, %v", got, err)
	}
	for name, p := range map[string]*port{"refused": {refuse: down}, "wrong": {fail: down}} {
		if got, err := dialect.Join(t.Context(), p, h); got != nil || !errors.Is(err, down) {
			t.Errorf("%s: peer %v, %v; want the port's error", name, got, err)
		}
	}
	got, err = dialect.Join(t.Context(), &port{challenge: "nonce"}, h)
	if got != nil || !errors.Is(err, auth.ErrDenied) || !strings.Contains(err.Error(), "test") {
		t.Errorf("where a challenge is asked: peer %v, %v; want it denied", got, err)
	}
}

func TestASelectionNamesEveryWrongPattern(t *testing.T) {
	_, err := dialect.NewSelection([]string{"a/b", "regex:(", "c", "a/#/b", ""})
	if err == nil {
		t.Fatal("accepted")
	}
	for _, want := range []string{`"regex:("`, `"a/#/b"`, `""`} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the error does not name %s: %v", want, err)
		}
	}
	for _, good := range []string{`"a/b"`, `"c"`} {
		if strings.Contains(err.Error(), good) {
			t.Errorf("the error names %s, which is right: %v", good, err)
		}
	}
	if !errors.Is(err, topic.ErrPattern) {
		t.Errorf("%v does not wrap ErrPattern", err)
	}
}

func TestOfASelectionAMessageIsWantedOnce(t *testing.T) {
	s, err := dialect.NewSelection([]string{"a/+", "a/b", "regex:.*b", "a/+", "c"})
	if err != nil {
		t.Fatal(err)
	}
	for name, all := range map[string]int{"a/b": 4, "a/x": 2, "b": 1, "c": 1, "d": 0} {
		b := bus.New(bus.Options{})
		p := &peer{bus: b}
		if err := s.Subscribe(p, dialect.Terms{NewsOnly: true, Echo: true, Tag: "not used"}); err != nil {
			t.Fatal(err)
		}
		if i := slices.IndexFunc(p.terms, func(t dialect.Terms) bool { return !t.NewsOnly || !t.Echo }); i >= 0 || len(p.terms) != 5 {
			t.Errorf("subscribed on the terms %+v", p.terms)
		}
		publish := func() int {
			p.got = nil
			if _, err := b.Publish(&bus.Message{Topic: name}); err != nil {
				t.Fatal(err)
			}
			return len(p.got)
		}
		if n := publish(); n != all {
			t.Errorf("%s matches %d patterns, want %d", name, n, all)
		}
		p.first = s
		if n := publish(); n != min(all, 1) {
			t.Errorf("%s is wanted %d times", name, n)
		}
		if err := b.Close(t.Context()); err != nil {
			t.Error(err)
		}
	}
}

func TestASelectionOfParsedPatterns(t *testing.T) {
	exact, err := topic.NewExact("a")
	if err != nil {
		t.Fatal(err)
	}
	b := bus.New(bus.Options{})
	s := dialect.SelectionOf(exact, exact)
	p := &peer{bus: b, first: s}
	if err := s.Subscribe(p, dialect.Terms{}); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Publish(&bus.Message{Topic: "a"}); err != nil || len(p.got) != 1 {
		t.Errorf("got %q, %v", p.got, err)
	}
	empty := dialect.SelectionOf()
	if err := empty.Subscribe(p, dialect.Terms{}); err != nil {
		t.Error(err)
	}
}

func TestARefusedPatternIsNamed(t *testing.T) {
	s, err := dialect.NewSelection([]string{"a", "b/+", "c"})
	if err != nil {
		t.Fatal(err)
	}
	p := &peer{bus: bus.New(bus.Options{})}
	for _, text := range []string{"a", "b/+"} {
		pattern, err := topic.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		p.refuse = pattern.String()
		err = s.Subscribe(p, dialect.Terms{})
		if bus.KindOf(err) != bus.Refused || !strings.Contains(err.Error(), "subscribing to "+p.refuse) {
			t.Errorf("got %v, want it to name %s", err, p.refuse)
		}
	}
}
