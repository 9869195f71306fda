// Package dialecttest is what every dialect must pass: named conformance
// cases, each against a broker and the dialect's own listener on a loopback
// port, and the matrix of what arrives when one dialect publishes and another
// receives.
//
// A dialect joins with a [Driver], which says how a client of it is made. What
// a dialect cannot do it states with the reason, which is printed where the
// case is skipped.
package dialecttest

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/url"
	"slices"
	"sync"
	"testing"
	"time"

	"omnibus/broker"
	"omnibus/bus"
	"omnibus/dialect"
	"omnibus/payload"
	"omnibus/topic"
)

// Client is a client of a dialect as the suite uses it. The remote clients of
// this project fit.
type Client interface {
	// Publish returns when the broker has the message or has been sent it.
	Publish(ctx context.Context, name string, v *payload.Value) error
	// Subscribe calls ready when the subscription is in place and fn for
	// each message, until ctx ends.
	Subscribe(ctx context.Context, p topic.Pattern, ready func(), fn func(*bus.Message)) error
	Call(ctx context.Context, name string, args *payload.Value) (*payload.Value, error)
	// Expose calls ready when the service is in place, until ctx ends.
	Expose(ctx context.Context, name string, ready func(), s bus.Service) error
	Close() error
}

// Ability is something a dialect may lack.
type Ability string

// The abilities that are not taken for granted.
const (
	Exposing Ability = "exposing services"
	Calling  Ability = "calling services"
	Binary   Ability = "binary payloads"
	Large    Ability = "payloads of 1 MiB"
	// Selecting: a client gets only what it subscribed to.
	Selecting Ability = "subscriptions on the wire"
	// Knowing: a call of a service that nobody exposes is answered with an
	// error of kind bus.Unknown, and not by the caller's own deadline.
	Knowing Ability = "telling that a service is unknown"
)

// Driver connects the suite to a dialect.
type Driver struct {
	Spec dialect.Spec
	// Configure makes the defaults fit for a test: a free loopback port.
	Configure func(dialect.Config)
	// Dial connects a client to the dialect's URL.
	Dial func(ctx context.Context, url string) (Client, error)
	// Lacks says what the dialect cannot do, with the reason.
	Lacks map[Ability]string
	// Malformed are byte streams a hostile client may send before it ends its
	// sending side; none may disturb anybody else, and each must be counted.
	Malformed []string
	// MalformedCounters are the names of the dialect's counters that count
	// them: each of the streams raises at least one, each of the counters is
	// raised by at least one of the streams, and what healthy clients do
	// raises none.
	MalformedCounters []string
	// Unfinished are beginnings after which a client goes away. They may not
	// disturb anybody either, but need not be counted.
	Unfinished []string
	// Topic turns the suite's topic names into ones the dialect carries; nil
	// is as they are.
	Topic func(string) string
}

// Patience is how long the suite waits for something that must happen. It is
// a bound on hanging, not a measurement.
const Patience = 20 * time.Second

// Server is a broker with one or more dialects, for a test.
type Server struct {
	Broker *broker.Broker
	URLs   map[string]string // by dialect
	stop   context.CancelFunc
	ended  chan struct{}
	errs   []error
}

// Start serves the dialects until the test ends; the test fails when they do
// not end as they should.
func Start(t testing.TB, drivers ...Driver) *Server {
	t.Helper()
	b, err := broker.New(broker.Options{CallTimeout: Patience, Version: "test"})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	s := &Server{Broker: b, URLs: make(map[string]string), stop: stop, ended: make(chan struct{})}
	var running sync.WaitGroup
	var mu sync.Mutex
	for _, d := range drivers {
		c := d.Spec.Defaults()
		d.Configure(c)
		if p := c.Validate(); len(p) > 0 {
			t.Fatalf("%s: the test's configuration is wrong: %v", d.Spec.Name, p)
		}
		opened, err := c.Open(dialect.Env{
			Port: b, Log: slog.New(slog.DiscardHandler), Counter: b.Counters().Group(d.Spec.Name), Version: "test",
		})
		if err != nil {
			t.Fatalf("%s: %v", d.Spec.Name, err)
		}
		for _, l := range opened.Listeners() {
			bound, err := l.Bind(ctx)
			if err != nil {
				t.Fatalf("%s: %v", l.Option, err)
			}
			s.URLs[d.Spec.Name] = bound.URL()
			running.Go(func() {
				if err := bound.Run(ctx); err != nil {
					mu.Lock()
					defer mu.Unlock()
					s.errs = append(s.errs, err)
				}
			})
		}
	}
	go func() {
		running.Wait()
		close(s.ended)
	}()
	t.Cleanup(func() {
		if err := s.Stop(); err != nil {
			t.Errorf("ending the server: %v", err)
		}
	})
	return s
}

// Stop ends the dialects and the broker and returns what went wrong. It may be
// called again.
func (s *Server) Stop() error {
	s.stop()
	select {
	case <-s.ended:
	case <-time.After(Patience):
		return errors.New("a listener did not end")
	}
	ctx, cancel := context.WithTimeout(context.Background(), Patience)
	defer cancel()
	return errors.Join(append(s.errs, s.Broker.Close(ctx))...)
}

// Counted returns the sum of a group's counters: of those named, or of all.
func (s *Server) Counted(group string, names ...string) int64 {
	var sum int64
	for name, n := range s.Broker.Counters().Snapshot()[group] {
		if len(names) == 0 || slices.Contains(names, name) {
			sum += n
		}
	}
	return sum
}

// host is the host:port of a URL.
func host(t testing.TB, rawURL string) string {
	t.Helper()
	u, err := url.Parse(rawURL)
	if err != nil {
		t.Fatal(err)
	}
	return u.Host
}

// inbox collects what a subscription gets.
type inbox struct {
	c chan *bus.Message
}

func newInbox() *inbox { return &inbox{c: make(chan *bus.Message, 4096)} }

func (i *inbox) put(m *bus.Message) { i.c <- m.Clone() }

// next waits for the next message.
func (i *inbox) next(t testing.TB) *bus.Message {
	t.Helper()
	select {
	case m := <-i.c:
		return m
	case <-time.After(Patience):
		t.Fatal("no message arrived")
		return nil
	}
}

var _ io.Closer = Client(nil)
