package dialecttest

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"omnibus/bus"
	"omnibus/payload"
	"omnibus/topic"
)

// Run runs every conformance case against the dialect.
func Run(t *testing.T, d Driver) {
	for _, c := range []struct {
		name  string
		needs []Ability
		run   func(*suite, *testing.T)
	}{
		{"a client's message reaches the bus", nil, (*suite).inward},
		{"a message of the bus reaches a client", nil, (*suite).outward},
		{"messages of one client arrive in order", nil, (*suite).ordered},
		{"messages of the bus arrive in order", nil, (*suite).orderedOutward},
		{"a client gets only what it asked for", []Ability{Selecting}, (*suite).selective},
		{"binary payloads pass unchanged", []Ability{Binary}, (*suite).binary},
		{"a payload of 1 MiB passes both ways", []Ability{Large}, (*suite).large},
		{"a client calls a service of the bus", []Ability{Calling}, (*suite).call},
		{"a call of nobody's service is answered with an error", []Ability{Calling}, (*suite).callUnknown},
		{"a service's error reaches the caller", []Ability{Calling}, (*suite).callFailing},
		{"the bus calls a client's service", []Ability{Exposing}, (*suite).expose},
		{"a call ends when the provider leaves", []Ability{Exposing}, (*suite).providerLeaves},
		{"malformed input disturbs nobody", nil, (*suite).malformed},
		{"a client that never reads disturbs nobody", nil, (*suite).neverReads},
		{"the end of the dialect ends its clients", nil, (*suite).shutdown},
	} {
		t.Run(strings.ReplaceAll(c.name, " ", "_"), func(t *testing.T) {
			for _, need := range c.needs {
				if why, lacking := d.Lacks[need]; lacking {
					t.Skipf("%s lacks %s: %s", d.Spec.Name, need, why)
				}
			}
			c.run(newSuite(t, d), t)
		})
	}
}

// suite is one case's server.
type suite struct {
	driver Driver
	server *Server
	bus    *bus.Bus
}

func newSuite(t *testing.T, d Driver) *suite {
	s := Start(t, d)
	return &suite{driver: d, server: s, bus: s.Broker.Bus("")}
}

func (s *suite) topic(name string) string {
	if s.driver.Topic == nil {
		return name
	}
	return s.driver.Topic(name)
}

func (s *suite) dial(t *testing.T) Client {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), Patience)
	defer cancel()
	c, err := s.driver.Dial(ctx, s.server.URLs[s.driver.Spec.Name])
	if err != nil {
		t.Fatalf("dialing: %v", err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// listen subscribes a client and waits until it is in place.
func (s *suite) listen(t *testing.T, c Client, name string) *inbox {
	t.Helper()
	return Listen(t, c, name)
}

// Listen subscribes a client to one name and returns what it gets, once the
// subscription is in place.
func Listen(t *testing.T, c Client, name string) *inbox {
	t.Helper()
	p, err := topic.NewExact(name)
	if err != nil {
		t.Fatal(err)
	}
	box := newInbox()
	run(t, func(ctx context.Context, ready func()) error { return c.Subscribe(ctx, p, ready, box.put) })
	return box
}

// run runs something that lasts until the test ends and waits for its ready.
func run(t *testing.T, f func(ctx context.Context, ready func()) error) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ready, done := make(chan struct{}), make(chan error, 1)
	var once sync.Once
	go func() { done <- f(ctx, func() { once.Do(func() { close(ready) }) }) }()
	t.Cleanup(func() {
		cancel()
		<-done //nolint:errcheck // it was told to end
	})
	select {
	case <-ready:
	case err := <-done:
		done <- err
		t.Fatalf("it ended before it was in place: %v", err)
	case <-time.After(Patience):
		t.Fatal("it was never in place")
	}
}

// hear subscribes a function of this process.
func (s *suite) hear(t *testing.T, name string) *inbox {
	t.Helper()
	p, err := topic.NewExact(name)
	if err != nil {
		t.Fatal(err)
	}
	box := newInbox()
	sub, err := s.bus.Attach(p, receiver(box.put), bus.AttachOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { sub.Unsubscribe() })
	return box
}

type receiver func(*bus.Message)

func (r receiver) Deliver(m *bus.Message, _ *bus.Subscription) { r(m) }

func publish(t *testing.T, c Client, name string, v *payload.Value) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), Patience)
	defer cancel()
	if err := c.Publish(ctx, name, v); err != nil {
		t.Fatalf("publishing %s: %v", name, err)
	}
}

func number(i int) *payload.Value { return payload.New(payload.JSON, fmt.Appendf(nil, `{"n":%d}`, i)) }

func (s *suite) inward(t *testing.T) {
	name := s.topic("conformance.in")
	box := s.hear(t, name)
	publish(t, s.dial(t), name, number(7))
	expect(t, box.next(t), name, `{"n":7}`)
}

func (s *suite) outward(t *testing.T) {
	name := s.topic("conformance.out")
	box := s.listen(t, s.dial(t), name)
	if err := bus.Publish(t.Context(), s.bus, name, map[string]string{"text": "grüße ☃ 😀 </x>"}); err != nil {
		t.Fatal(err)
	}
	expect(t, box.next(t), name, `{"text":"grüße ☃ 😀 </x>"}`)
}

func expect(t *testing.T, m *bus.Message, name, want string) {
	t.Helper()
	got, err := m.Payload.As(payload.JSON)
	if err != nil {
		t.Fatal(err)
	}
	if m.Topic != name || canonical(t, got) != canonical(t, []byte(want)) {
		t.Fatalf("got %s on %q, want %s on %q", got, m.Topic, want, name)
	}
}

const orderedMessages = 500

func (s *suite) ordered(t *testing.T) {
	name := s.topic("conformance.order")
	box := s.hear(t, name)
	c := s.dial(t)
	for i := range orderedMessages {
		publish(t, c, name, number(i))
	}
	for i := range orderedMessages {
		expect(t, box.next(t), name, fmt.Sprintf(`{"n":%d}`, i))
	}
}

func (s *suite) orderedOutward(t *testing.T) {
	name := s.topic("conformance.order")
	box := s.listen(t, s.dial(t), name)
	for i := range orderedMessages {
		if err := bus.Publish(t.Context(), s.bus, name, map[string]int{"n": i}); err != nil {
			t.Fatal(err)
		}
	}
	for i := range orderedMessages {
		expect(t, box.next(t), name, fmt.Sprintf(`{"n":%d}`, i))
	}
}

func (s *suite) selective(t *testing.T) {
	wanted, other := s.topic("conformance.wanted"), s.topic("conformance.other")
	box := s.listen(t, s.dial(t), wanted)
	c := s.dial(t)
	for i := range 10 {
		publish(t, c, other, number(i))
	}
	publish(t, c, wanted, number(99))
	expect(t, box.next(t), wanted, `{"n":99}`)
}

func (s *suite) binary(t *testing.T) {
	name := s.topic("conformance.binary")
	in, out := s.hear(t, name), s.listen(t, s.dial(t), name)
	raw := []byte{0, 1, 0xfe, 0xff, '\n', '"'}
	publish(t, s.dial(t), name, payload.New(payload.Bytes, raw))
	for _, box := range []*inbox{in, out} {
		m := box.next(t)
		if got, err := m.Payload.As(payload.Bytes); err != nil || string(got) != string(raw) || m.Payload.Kind() != payload.Bytes {
			t.Errorf("got %q (%s), %v; want %q as bytes", got, m.Payload.Kind(), err, raw)
		}
	}
}

func (s *suite) large(t *testing.T) {
	name := s.topic("conformance.large")
	text := strings.Repeat("0123456789abcdef", 1<<16)
	in, out := s.hear(t, name), s.listen(t, s.dial(t), name)
	publish(t, s.dial(t), name, payload.New(payload.JSON, []byte(`{"text":"`+text+`"}`)))
	expect(t, in.next(t), name, `{"text":"`+text+`"}`)
	expect(t, out.next(t), name, `{"text":"`+text+`"}`)
}

func (s *suite) call(t *testing.T) {
	name := s.topic("conformance.add")
	exposure, err := bus.Expose(s.bus, name, func(_ context.Context, xs []int) (int, error) {
		sum := 0
		for _, x := range xs {
			sum += x
		}
		return sum, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	defer exposure.Withdraw()
	v, err := s.request(t, name, `[1,2,39]`)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := payload.To[int](v); err != nil || got != 42 {
		t.Errorf("1+2+39 = %d, %v", got, err)
	}
}

func (s *suite) request(t *testing.T, name, args string) (*payload.Value, error) {
	t.Helper()
	return s.requestWithin(t, Patience, name, args)
}

func (s *suite) requestWithin(t *testing.T, d time.Duration, name, args string) (*payload.Value, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	return s.dial(t).Call(ctx, name, payload.New(payload.Args, []byte(args)))
}

func (s *suite) callUnknown(t *testing.T) {
	name := s.topic("conformance.nobody")
	if _, lacking := s.driver.Lacks[Knowing]; lacking {
		// The caller's own deadline is the answer.
		if v, err := s.requestWithin(t, 300*time.Millisecond, name, `[]`); err == nil {
			t.Errorf("a service that nobody exposes answered %v", v.Form())
		}
		return
	}
	if _, err := s.request(t, name, `[]`); bus.KindOf(err) != bus.Unknown {
		t.Errorf("got %v, want an error of kind %v", err, bus.Unknown)
	}
}

func (s *suite) callFailing(t *testing.T) {
	name := s.topic("conformance.fail")
	if _, err := bus.Expose(s.bus, name, func(context.Context, bus.Args) (int, error) {
		return 0, bus.Errorf(bus.Failed, "", "the oven is cold")
	}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.request(t, name, `[]`); err == nil || !strings.Contains(err.Error(), "the oven is cold") {
		t.Errorf("got error %v, want the service's own text", err)
	}
}

func (s *suite) expose(t *testing.T) {
	name := s.topic("conformance.upper")
	c := s.dial(t)
	run(t, func(ctx context.Context, ready func()) error {
		return c.Expose(ctx, name, ready, func(_ context.Context, r *bus.Request) (*payload.Value, error) {
			args, err := r.Args.Args()
			if err != nil || len(args) != 1 {
				return nil, bus.Errorf(bus.Invalid, name, "%d arguments, %v", len(args), err)
			}
			var text string
			if err := payload.New(payload.JSON, args[0]).Decode(&text); err != nil {
				return nil, err
			}
			return payload.Of(strings.ToUpper(text)), nil
		})
	})
	ctx, cancel := context.WithTimeout(t.Context(), Patience)
	defer cancel()
	if got, err := bus.Call[string](ctx, s.bus, name, "loud"); err != nil || got != "LOUD" {
		t.Errorf("got %q, %v", got, err)
	}
}

func (s *suite) providerLeaves(t *testing.T) {
	name := s.topic("conformance.leaving")
	c := s.dial(t)
	called := make(chan struct{})
	run(t, func(ctx context.Context, ready func()) error {
		return c.Expose(ctx, name, ready, func(ctx context.Context, _ *bus.Request) (*payload.Value, error) {
			close(called)
			<-ctx.Done()
			return nil, ctx.Err()
		})
	})
	failed := make(chan error, 1)
	go func() {
		_, err := bus.Call[any](t.Context(), s.bus, name)
		failed <- err
	}()
	select {
	case <-called:
	case <-time.After(Patience):
		t.Fatal("the call never reached the provider")
	}
	_ = c.Close()
	select {
	case err := <-failed:
		if k := bus.KindOf(err); k != bus.Unavailable {
			t.Errorf("the call ended as %v (%v), want %v", k, err, bus.Unavailable)
		}
	case <-time.After(Patience):
		t.Error("the call still waits for a provider that has gone")
	}
}

func (s *suite) neverReads(t *testing.T) {
	name := s.topic("conformance.flood")
	_ = s.listen(t, &stuck{Client: s.dial(t), release: t.Context()}, name)
	box := s.listen(t, s.dial(t), name)
	text := strings.Repeat("x", 16<<10)
	const n = 2000 // 32 MiB, more than socket buffers and queues hold
	for i := range n {
		if err := bus.Publish(t.Context(), s.bus, name, map[string]any{"n": i, "text": text}); err != nil {
			t.Fatal(err)
		}
		expect(t, box.next(t), name, fmt.Sprintf(`{"n":%d,"text":%q}`, i, text))
	}
}

// stuck is a client whose subscription blocks in its first message and so
// reads no further.
type stuck struct {
	Client
	release context.Context //nolint:containedctx // the test's
}

func (s *stuck) Subscribe(ctx context.Context, p topic.Pattern, ready func(), _ func(*bus.Message)) error {
	return s.Client.Subscribe(ctx, p, ready, func(*bus.Message) { <-s.release.Done() })
}

func (s *suite) shutdown(t *testing.T) {
	c := s.dial(t)
	p, err := topic.NewExact(s.topic("conformance.end"))
	if err != nil {
		t.Fatal(err)
	}
	ready, ended := make(chan struct{}), make(chan error, 1)
	go func() {
		ended <- c.Subscribe(context.WithoutCancel(t.Context()), p, func() { close(ready) }, func(*bus.Message) {})
	}()
	select {
	case <-ready:
	case <-time.After(Patience):
		t.Fatal("the subscription was never in place")
	}
	if err := s.server.Stop(); err != nil {
		t.Error(err)
	}
	select {
	case <-ended: //nolint:errcheck // with or without an error
	case <-time.After(Patience):
		t.Error("a client was left hanging")
	}
}
