package broker_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"omnibus/auth"
	"omnibus/broker"
	"omnibus/bus"
	"omnibus/dialect"
	"omnibus/payload"
	"omnibus/topic"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience bounds the wait for what must happen.
const patience = 20 * time.Second

// newBroker returns a broker that is closed by the end of the test.
func newBroker(t testing.TB, o broker.Options) *broker.Broker {
	t.Helper()
	b, err := broker.New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closeBroker(t, b) })
	return b
}

func closeBroker(t testing.TB, b *broker.Broker) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := b.Close(ctx); err != nil {
		t.Errorf("closing the broker: %v", err)
	}
}

// session is a dialect's session that remembers what it is told.
type session struct {
	dialect.Peer
	hook func(m *bus.Message) // before a message is remembered

	mu       sync.Mutex
	got      []*bus.Message
	expelled []error
}

func (s *session) Deliver(m *bus.Message, _ *bus.Subscription) {
	if s.hook != nil {
		s.hook(m)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.got = append(s.got, m.Clone())
}

func (s *session) Expelled(why error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.expelled = append(s.expelled, why)
}

func (s *session) why() []error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.expelled
}

// seen writes what was delivered since the last time, as "topic=text", with a
// star where the value was stored.
func (s *session) seen() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []string
	for _, m := range s.got {
		text, err := m.Payload.As(payload.Text)
		star := ""
		if m.Stored {
			star = "*"
		}
		if err != nil {
			text = []byte(err.Error())
		}
		all = append(all, fmt.Sprintf("%s=%s%s", m.Topic, text, star))
	}
	s.got = nil
	return all
}

func (s *session) expect(t testing.TB, want ...string) {
	t.Helper()
	if got := s.seen(); strings.Join(got, " ") != strings.Join(want, " ") {
		t.Errorf("delivered %q, want %q", got, want)
	}
}

// hello introduces an anonymous session on a link of its own.
func hello() *dialect.Hello {
	return &dialect.Hello{Credentials: auth.Credentials{Dialect: "test"}, Origin: &bus.Origin{Dialect: "test"}}
}

func named(name string) *dialect.Hello {
	h := hello()
	h.Name = name
	return h
}

// join admits a session, which leaves by the end of the test.
func join(t testing.TB, b *broker.Broker, h *dialect.Hello) *session {
	t.Helper()
	s, err := tryJoin(b, h)
	if err != nil {
		t.Fatalf("joining: %v", err)
	}
	t.Cleanup(s.Leave)
	return s
}

func tryJoin(b *broker.Broker, h *dialect.Hello) (*session, error) {
	s := new(session)
	h.Subscriber = s
	p, err := dialect.Join(context.Background(), b, h)
	s.Peer = p
	return s, err
}

func pattern(t testing.TB, text string) topic.Pattern {
	t.Helper()
	p, err := topic.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func (s *session) subscribe(t testing.TB, text string, terms dialect.Terms) *bus.Subscription {
	t.Helper()
	sub, err := s.Subscribe(pattern(t, text), terms)
	if err != nil {
		t.Fatalf("subscribing to %s: %v", text, err)
	}
	return sub
}

func plain(name, value string) *bus.Message {
	m := &bus.Message{Topic: name}
	if value != "" {
		m.Payload.Set(payload.Text, []byte(value))
	}
	return m
}

func kept(name, value string) *bus.Message {
	m := plain(name, value)
	m.Retain = true
	return m
}

type publisher interface {
	Publish(m *bus.Message) (bus.Receipt, error)
}

func publish(t testing.TB, p publisher, m *bus.Message) {
	t.Helper()
	if _, err := p.Publish(m); err != nil {
		t.Fatalf("publishing %s: %v", m.Topic, err)
	}
}

// answering returns a service that answers with a text.
func answering(value string) bus.Service {
	return func(context.Context, *bus.Request) (*payload.Value, error) {
		return payload.New(payload.Text, []byte(value)), nil
	}
}

func (s *session) call(ctx context.Context, name string) (string, error) {
	v, err := s.Call(ctx, name, new(payload.Value), dialect.CallOptions{})
	if err != nil {
		return "", err
	}
	data, err := v.As(payload.Text)
	return string(data), err
}

// refused checks an error's kind, and that its text has the words.
func refused(t testing.TB, err error, kind bus.Kind, words ...string) {
	t.Helper()
	if e, ok := errors.AsType[*bus.Error](err); !ok || e.Kind != kind {
		t.Errorf("got error %v, want one of kind %q", err, kind)
		return
	}
	for _, w := range words {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("the error %q does not say %q", err, w)
		}
	}
}

func counted(b *broker.Broker, name string) int64 { return b.Counters().Snapshot()["broker"][name] }

// counts checks how far a counter goes during f.
func counts(t testing.TB, b *broker.Broker, name string, want int64, f func()) {
	t.Helper()
	before := counted(b, name)
	f()
	if got := counted(b, name) - before; got != want {
		t.Errorf("%s counted %d, want %d", name, got, want)
	}
}

// within waits for a value that must come.
func within[T any](t testing.TB, ch <-chan T, what string) T {
	t.Helper()
	select {
	case x := <-ch:
		return x
	case <-time.After(patience):
		t.Fatalf("%s: it never happened", what)
		panic("unreachable")
	}
}

// logins is an authenticator that is a function.
type logins func(c *auth.Credentials) (auth.Conversation, error)

func (f logins) Begin(_ context.Context, c *auth.Credentials) (auth.Conversation, error) { return f(c) }

// tenants admits everybody to the tenant that they give as their user name.
var tenants = logins(func(c *auth.Credentials) (auth.Conversation, error) {
	return auth.Admitted(auth.Principal{Name: c.Name, Tenant: c.Username}), nil
})

func of(tenant string) *dialect.Hello {
	h := hello()
	h.Username = tenant
	return h
}

// rules are access rules that are a function.
type rules func(who string, a auth.Action, name string) bool

func (f rules) Allow(p *auth.Principal, a auth.Action, name string) bool { return f(p.Name, a, name) }
