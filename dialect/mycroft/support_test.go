package mycroft_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"testing"
	"time"

	"omnibus/broker"
	"omnibus/bus"
	"omnibus/carrier"
	"omnibus/dialect"
	"omnibus/dialect/dialecttest"
	"omnibus/dialect/mycroft"
	"omnibus/payload"
)

// server is a broker with a hub.
type server struct {
	broker *broker.Broker
	bus    *bus.Bus
	url    string
	trust  *tls.Config // of clients
	stop   func()      // ends the hub and waits for it
}

// start serves a hub until the test ends.
func start(t testing.TB, o broker.Options, configure func(*mycroft.Config)) *server {
	t.Helper()
	return startLogging(t, o, io.Discard, configure)
}

// startLogging is start with a log.
func startLogging(t testing.TB, o broker.Options, log io.Writer, configure func(*mycroft.Config)) *server {
	t.Helper()
	b, err := broker.New(o)
	if err != nil {
		t.Fatal(err)
	}
	c := mycroft.Defaults()
	c.Listen = "127.0.0.1:0"
	if configure != nil {
		configure(c)
	}
	if p := c.Validate(); len(p) > 0 {
		t.Fatalf("the test's configuration is wrong: %v", p)
	}
	d, err := c.Open(dialect.Env{Port: b, Log: slog.New(slog.NewTextHandler(log, nil)), Counter: b.Counters().Group("mycroft"), Version: "test"})
	if err != nil {
		t.Fatal(err)
	}
	bound, err := d.Listeners()[0].Bind(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := bound.Run(ctx); err != nil {
			t.Errorf("running the hub: %v", err)
		}
	}()
	s := &server{broker: b, bus: b.Bus(""), url: bound.URL()}
	s.stop = func() {
		cancel()
		<-ended
	}
	t.Cleanup(func() {
		s.stop()
		ctx, cancel := context.WithTimeout(context.Background(), dialecttest.Patience)
		defer cancel()
		if err := b.Close(ctx); err != nil {
			t.Errorf("closing the broker: %v", err)
		}
	})
	return s
}

func (s *server) counted(name string) int64 { return s.broker.Counters().Snapshot()["mycroft"][name] }

// eventually waits until something is so.
func eventually(t testing.TB, what string, is func() bool) {
	t.Helper()
	deadline := time.After(dialecttest.Patience)
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !is() {
		select {
		case <-deadline:
			t.Fatalf("%s: it never happened", what)
		case <-tick.C:
		}
	}
}

// client is a raw client that has been greeted. What it gets is read ahead
// unless it is idle.
type client struct {
	ws   *carrier.WebSocket
	got  chan string
	gone chan error // one, when the connection has ended
}

const greeting = `{"type":"connected","data":{},"context":{"session":{"session_id":"default"}}}`

// connect returns a client that the hub knows of.
func (s *server) connect(t testing.TB) *client {
	t.Helper()
	c := s.idle(t)
	go c.read()
	return c
}

// idle is connect for a client that reads nothing but the greeting.
func (s *server) idle(t testing.TB) *client {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), dialecttest.Patience)
	defer cancel()
	ws, err := carrier.DialWebSocket(ctx, s.url, s.trust, carrier.WebSocketOptions{
		MaxMessage: 64 << 20, Outbox: carrier.OutboxOptions{MaxBytes: 64 << 20},
	})
	if err != nil {
		t.Fatalf("connecting: %v", err)
	}
	t.Cleanup(func() { _ = ws.Drop() })
	if _, frame, err := ws.Read(); err != nil || string(frame) != greeting {
		t.Fatalf("greeted with %s, %v", frame, err)
	}
	c := &client{ws: ws, got: make(chan string, 1<<14), gone: make(chan error, 1)}
	mark := fmt.Sprintf(`{"type":"","mark":"%p"}`, c)
	c.send(t, mark)
	for { // it is one of the hub's when a frame of its own comes back
		_, frame, err := ws.Read()
		if err != nil {
			t.Fatalf("waiting for a frame of its own: %v", err)
		}
		if string(frame) == mark {
			return c
		}
	}
}

func (c *client) read() {
	for {
		op, frame, err := c.ws.Read()
		if err == nil && op != carrier.Text {
			err = fmt.Errorf("a %s frame", op)
		}
		if err != nil {
			c.gone <- err
			close(c.got)
			return
		}
		c.got <- string(frame)
	}
}

func (c *client) send(t testing.TB, frame string) {
	t.Helper()
	if err := c.ws.Send(carrier.Text, []byte(frame)); err != nil {
		t.Fatalf("sending: %v", err)
	}
}

// next waits for the next frame. Marks of clients that are being connected
// are passed over.
func (c *client) next(t testing.TB) string {
	t.Helper()
	for {
		select {
		case frame, open := <-c.got:
			if !open {
				t.Fatalf("the connection has ended: %v", <-c.gone)
			}
			if !strings.HasPrefix(frame, `{"type":"","mark":`) {
				return frame
			}
		case <-time.After(dialecttest.Patience):
			t.Fatal("no frame arrived")
		}
	}
}

func (c *client) expect(t testing.TB, want ...string) {
	t.Helper()
	for _, w := range want {
		if got := c.next(t); got != w {
			t.Fatalf("received\n%.300s\nwant\n%.300s", got, w)
		}
	}
}

// ended waits for the end of the connection and returns why it ended.
func (c *client) ended(t testing.TB) error {
	t.Helper()
	select {
	case err := <-c.gone:
		return err
	case <-time.After(dialecttest.Patience):
		t.Fatal("the connection has not ended")
		return nil
	}
}

func publish(t testing.TB, b *bus.Bus, name string, form payload.Form, data string) {
	t.Helper()
	m := &bus.Message{Topic: name}
	m.Payload.Set(form, []byte(data))
	if _, err := b.Publish(m); err != nil {
		t.Fatalf("publishing %s: %v", name, err)
	}
}

// within waits for a value that must come.
func within[T any](t testing.TB, ch <-chan T, what string) T {
	t.Helper()
	select {
	case x := <-ch:
		return x
	case <-time.After(dialecttest.Patience):
		t.Fatalf("%s: it never happened", what)
		panic("unreachable")
	}
}
