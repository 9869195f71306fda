package bus_test

import (
	"context"
	"testing"
	"time"

	"go.uber.org/goleak"

	"omnibus/bus"
	"omnibus/payload"
	"omnibus/topic"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// newBus returns a bus that is closed, and must have become idle, by the end
// of the test.
func newBus(t testing.TB, o bus.Options) *bus.Bus {
	t.Helper()
	b := bus.New(o)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := b.Close(ctx); err != nil {
			t.Errorf("closing the bus: %v", err)
		}
	})
	return b
}

func subscribe[T any](t testing.TB, b *bus.Bus, pattern string, fn bus.Handler[T], o ...bus.SubscribeOption) *bus.Subscription {
	t.Helper()
	s, err := bus.Subscribe(b, pattern, fn, o...)
	if err != nil {
		t.Fatalf("Subscribe(%q): %v", pattern, err)
	}
	return s
}

func publish[T any](t testing.TB, b *bus.Bus, name string, v T) {
	t.Helper()
	if err := bus.Publish(t.Context(), b, name, v); err != nil {
		t.Fatalf("Publish(%q, %v): %v", name, v, err)
	}
}

func pattern(t testing.TB, text string) topic.Pattern {
	t.Helper()
	p, err := topic.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// receiverFunc is a Receiver.
type receiverFunc func(m *bus.Message, s *bus.Subscription)

func (f receiverFunc) Deliver(m *bus.Message, s *bus.Subscription) { f(m, s) }

func attach(t testing.TB, b *bus.Bus, p string, o bus.AttachOptions, fn receiverFunc) *bus.Subscription {
	t.Helper()
	s, err := b.Attach(pattern(t, p), fn, o)
	if err != nil {
		t.Fatalf("Attach(%q): %v", p, err)
	}
	return s
}

// message returns one with text in the form given.
func message(name string, form payload.Form, text string) *bus.Message {
	m := &bus.Message{Topic: name}
	m.Payload.Set(form, []byte(text))
	return m
}

// ended returns a context that has ended.
func ended(t testing.TB) context.Context {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	return ctx
}

// isClosed reports whether ch is closed or has a value, now.
func isClosed[T any](ch <-chan T) bool {
	select {
	case <-ch:
		return true
	default:
		return false
	}
}
