package remote_test

import (
	"context"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"

	"omnibus/bus"
	"omnibus/carrier"
	"omnibus/internal/remote"
	"omnibus/payload"
	"omnibus/topic"
)

// network is where the clients and the brokers of one test meet.
type network struct {
	carrier.Memory

	mu      sync.Mutex // guards notices
	notices []string
}

func (n *network) options() remote.Options {
	return remote.Options{
		Dial: func(ctx context.Context, _, address string) (net.Conn, error) { return n.Memory.Dial(ctx, address) },
		Notice: func(text string) {
			n.mu.Lock()
			defer n.mu.Unlock()
			n.notices = append(n.notices, text)
		},
	}
}

func (n *network) noticed() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return strings.Join(n.notices, "\n")
}

// serveHTTP runs a handler at localhost:8080 and returns a client of it. Both
// end with the test.
func serveHTTP(t *testing.T, n *network, h http.Handler) remote.Client {
	t.Helper()
	server := http.Server{Handler: h}
	l := n.Listen("localhost:8080")
	var running sync.WaitGroup
	running.Go(func() { _ = server.Serve(l) })
	c := dial(t, n, "http://localhost:8080")
	t.Cleanup(func() {
		noError(t, c.Close())
		noError(t, server.Close())
		running.Wait()
	})
	return c
}

func dial(t *testing.T, n *network, url string) remote.Client {
	t.Helper()
	c, err := remote.Dial(t.Context(), url, n.options())
	noError(t, err)
	return c
}

func noError(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// isError checks the kind of an error and that it mentions some words.
func isError(t *testing.T, err error, kind bus.Kind, words ...string) {
	t.Helper()
	if err == nil {
		t.Fatalf("there is no error, want one that is %q", kind)
	}
	if got := bus.KindOf(err); got != kind {
		t.Errorf("error %q is %q, want %q", err, got, kind)
	}
	mentions(t, err, words...)
}

func mentions(t *testing.T, err error, words ...string) {
	t.Helper()
	if err == nil {
		t.Fatalf("there is no error, want one that mentions %q", words)
	}
	for _, w := range words {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("error %q does not mention %q", err, w)
		}
	}
}

func patterns(t *testing.T, texts ...string) []topic.Pattern {
	t.Helper()
	all := make([]topic.Pattern, len(texts))
	for i, text := range texts {
		var err error
		all[i], err = topic.Parse(text)
		noError(t, err)
	}
	return all
}

// describe is a message in words: topic, kind, JSON text, what else there is.
func describe(t *testing.T, m *bus.Message) string {
	t.Helper()
	text := m.Topic + " " + describeValue(t, &m.Payload)
	if m.Stored {
		text += " stored"
	}
	for k, v := range m.Headers.All() {
		text += " " + k + "=" + v
	}
	return text
}

func describeValue(t *testing.T, v *payload.Value) string {
	t.Helper()
	data, err := v.As(payload.JSON)
	noError(t, err)
	return v.Kind().String() + " " + string(data)
}

// subscription is a Subscribe that runs.
type subscription struct {
	stop     context.CancelFunc
	ready    chan struct{}
	messages chan *bus.Message
	ended    chan error
}

func subscribe(t *testing.T, c remote.Client, texts ...string) *subscription {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	s := &subscription{cancel, make(chan struct{}), make(chan *bus.Message, 100), make(chan error, 1)}
	all := patterns(t, texts...)
	go func() {
		s.ended <- c.Subscribe(ctx, all, func() { close(s.ready) }, func(m *bus.Message) { s.messages <- m })
	}()
	return s
}

// exposure is an Expose that runs.
type exposure struct {
	stop  context.CancelFunc
	ready chan struct{}
	ended chan error
}

func expose(t *testing.T, c remote.Client, name string, s bus.Service) *exposure {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	e := &exposure{cancel, make(chan struct{}), make(chan error, 1)}
	go func() { e.ended <- c.Expose(ctx, name, func() { close(e.ready) }, s) }()
	return e
}

// same compares two texts, word for word.
func same(t *testing.T, what, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("%s:\n got %s\nwant %s", what, got, want)
	}
}
