package mqtt_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"runtime"
	"sync"
	"testing"
	"time"

	"omnibus/carrier"
	"omnibus/client/mqtt"
	"omnibus/dialect/mqtt/packet"
)

// accepting is a broker that accepts every client and hears nothing of what they say, until the test ends.
func accepting(t *testing.T) (url string) {
	t.Helper()
	l, err := carrier.Listen(t.Context(), carrier.Endpoint{Network: "tcp", Address: "127.0.0.1:0"})
	noError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		err := carrier.Serve(ctx, l, carrier.ServeOptions{}, func(_ context.Context, conn net.Conn) {
			buf := make([]byte, 512)
			if _, err := conn.Read(buf); err != nil {
				return
			}
			a := packet.Connack{}
			if _, err := conn.Write(a.Append(nil, packet.V5)); err != nil {
				return
			}
			for err == nil {
				_, err = conn.Read(buf)
			}
		})
		if err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() {
		cancel()
		running.Wait()
	})
	return "tcp://" + l.Addr().String()
}

// An idle client holds at most 8 KB, the other end of its connection in this process included, and one goroutine.
func TestIdleClientIsSmall(t *testing.T) {
	const clients, most = 100, 8 << 10
	at := accepting(t)
	dial := func() *mqtt.Client {
		c, err := mqtt.Dial(t.Context(), at, mqtt.Options{Reconnect: true, OnError: func(error) {}})
		noError(t, err)
		return c
	}
	noError(t, dial().Close()) // what is made once
	used := func() (heap uint64, goroutines int) {
		runtime.GC()
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc, runtime.NumGoroutine()
	}
	heap, goroutines := used()
	all := make([]*mqtt.Client, clients)
	for i := range all {
		all[i] = dial()
	}
	heapNow, goroutinesNow := used()
	for _, c := range all {
		noError(t, c.Close())
	}
	if each := (int(heapNow) - int(heap)) / clients; each > most {
		t.Errorf("an idle client holds %d bytes, at most %d are right", each, most)
	} else {
		t.Logf("an idle client holds %d bytes", each)
	}
	// The other end has one goroutine too, and each of those that are only ending counts.
	if each := float64(goroutinesNow-goroutines) / clients; each > 2.1 {
		t.Errorf("an idle client and its peer have %.1f goroutines, 2 are right", each)
	}
}

// sink is a connection that takes everything and says nothing but CONNACK.
type sink struct {
	net.Conn
	greeting []byte
	closed   chan struct{}
	once     sync.Once
}

func newSink(v mqtt.Version) *sink {
	a := packet.Connack{}
	return &sink{greeting: a.Append(nil, v), closed: make(chan struct{})}
}

func (s *sink) Read(p []byte) (int, error) {
	if n := copy(p, s.greeting); n > 0 {
		s.greeting = s.greeting[n:]
		return n, nil
	}
	<-s.closed
	return 0, io.EOF
}

func (s *sink) Write(p []byte) (int, error)      { return len(p), nil }
func (s *sink) SetDeadline(time.Time) error      { return nil }
func (s *sink) SetWriteDeadline(time.Time) error { return nil }

func (s *sink) Close() error {
	s.once.Do(func() { close(s.closed) })
	return nil
}

func TestPublishOfQoS0AllocatesNothing(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	for _, v := range []mqtt.Version{mqtt.V5, mqtt.V311} {
		c, err := mqtt.Dial(t.Context(), "tcp://sink", mqtt.Options{
			ClientID: "me", Version: v,
			Dial: func(context.Context, string, string) (net.Conn, error) { return newSink(v), nil },
		})
		noError(t, err)
		m := mqtt.Message{Topic: "room/kitchen/temperature", Payload: []byte("21.5"), ContentType: "text/plain", UTF8: true}
		ctx := context.Background()
		if n := testing.AllocsPerRun(5000, func() {
			if err := c.Publish(ctx, m); err != nil {
				t.Error(err)
			}
		}); n != 0 {
			t.Errorf("version %s: publishing with QoS 0 allocates %v times", v, n)
		}
		noError(t, c.Close())
	}
}

// Whatever the broker answers, and whenever it falls silent, an error says it within the time limit.
func TestBadBrokers(t *testing.T) {
	raw := func(b ...byte) []byte { return b }
	ok := packet.Connack{}
	greeting := ok.Append(nil, packet.V5)
	with := func(more ...byte) []byte { return append(append([]byte(nil), greeting...), more...) }
	for _, test := range []struct {
		name string
		says []byte
		// silent brokers keep the connection open.
		silent bool
		want   error
		dials  bool // the fault shows after Dial
	}{
		{"nothing and hangs up", nil, false, mqtt.ErrDisconnected, false},
		{"nothing at all", nil, true, mqtt.ErrNoAnswer, false},
		{"half a CONNACK", greeting[:2], true, mqtt.ErrNoAnswer, false},
		{"half a CONNACK and hangs up", greeting[:2], false, mqtt.ErrDisconnected, false},
		{"HTTP", []byte("HTTP/1.1 400 Bad Request\r\n\r\n"), true, mqtt.ErrProtocol, false},
		{"PINGRESP instead of CONNACK", raw(0xD0, 0), true, mqtt.ErrProtocol, false},
		{"AUTH that nobody wants", raw(0xF0, 0), true, mqtt.ErrProtocol, false},
		{"a CONNACK of 200 MB", raw(0x20, 0xFF, 0xFF, 0xFF, 0x7F), true, mqtt.ErrProtocol, false},
		{"a session that was to be new", raw(0x20, 3, 1, 0, 0), true, mqtt.ErrProtocol, false},
		{"CONNECT", with(0x10, 0), true, mqtt.ErrProtocol, true},
		{"a second CONNACK", with(greeting...), true, mqtt.ErrProtocol, true},
		{"SUBSCRIBE", with(0x82, 6, 0, 1, 0, 0, 0, 0), true, mqtt.ErrProtocol, true},
		{"PUBACK of nothing", with(0x40, 2, 0, 9), true, mqtt.ErrProtocol, true},
		{"SUBACK of nothing", with(0x90, 4, 0, 9, 0, 0), true, mqtt.ErrProtocol, true},
		{"a packet above the limit", with(0x30, 0xFF, 0xFF, 0xFF, 0x7F), true, mqtt.ErrProtocol, true},
		{"type 0", with(0, 0), true, mqtt.ErrProtocol, true},
		{"a topic alias above the limit", with(0x30, 6, 0, 0, 3, 0x23, 0, 1), true, mqtt.ErrProtocol, true},
		{"AUTH later", with(0xF0, 0), true, mqtt.ErrProtocol, true},
		{"a cut packet and hangs up", with(0x30, 9, 0), false, mqtt.ErrDisconnected, true},
		{"a DISCONNECT", with(0xE0, 1, 0x8B), false, mqtt.ErrDisconnected, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				c, err := mqtt.Dial(t.Context(), url, mqtt.Options{Version: mqtt.V5, Timeout: 5 * time.Second, Dial: saying(test.says, test.silent)})
				if test.dials {
					noError(t, err)
					<-c.Done()
					err = c.Err()
					if c.Publish(t.Context(), mqtt.Message{Topic: "a"}) == nil {
						t.Error("publishing works without a connection")
					}
					noError(t, c.Close())
				}
				if !errors.Is(err, test.want) {
					t.Errorf("got %v, want %v", err, test.want)
				}
			})
		})
	}
}

// saying dials to a broker that says something whatever it hears.
func saying(what []byte, silent bool) func(context.Context, string, string) (net.Conn, error) {
	return func(context.Context, string, string) (net.Conn, error) {
		near, far := carrier.Pipe()
		go func() {
			buf := make([]byte, 1024)
			if _, err := far.Read(buf); err != nil {
				return
			}
			_, _ = far.Write(what)
			for silent {
				if _, err := far.Read(buf); err != nil {
					break
				}
			}
			_ = far.Close()
		}()
		return near, nil
	}
}

func TestSilenceAtEachStep(t *testing.T) {
	steps := map[string]struct {
		silent packet.Type
		do     func(ctx context.Context, c *mqtt.Client) error
	}{
		"PUBACK": {packet.PUBLISH, func(ctx context.Context, c *mqtt.Client) error {
			return c.Publish(ctx, mqtt.Message{Topic: "a", QoS: 1})
		}},
		"PUBREC": {packet.PUBLISH, func(ctx context.Context, c *mqtt.Client) error {
			return c.Publish(ctx, mqtt.Message{Topic: "a", QoS: 2})
		}},
		"PUBCOMP": {packet.PUBREL, func(ctx context.Context, c *mqtt.Client) error {
			return c.Publish(ctx, mqtt.Message{Topic: "a", QoS: 2})
		}},
		"SUBACK": {packet.SUBSCRIBE, func(ctx context.Context, c *mqtt.Client) error {
			_, err := c.Subscribe(ctx, mqtt.Subscription{Filter: "a"})
			return err
		}},
		"UNSUBACK": {packet.UNSUBSCRIBE, func(ctx context.Context, c *mqtt.Client) error { return c.Unsubscribe(ctx, "a") }},
	}
	for name, step := range steps {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				s := newStation(t)
				s.rude = func(_ *peer, h packet.Header, _ []byte) bool { return h.Type == step.silent }
				c := s.dial(mqtt.Options{Timeout: 5 * time.Second})
				start := time.Now()
				if err := step.do(t.Context(), c); !errors.Is(err, mqtt.ErrNoAnswer) || time.Since(start) != 5*time.Second {
					t.Errorf("got %v after %s", err, time.Since(start))
				}
				ctx, cancel := context.WithTimeoutCause(t.Context(), time.Second, errors.New("the caller's own reason"))
				defer cancel()
				if err := step.do(ctx, c); fmt.Sprint(err) != "waiting for the broker: the caller's own reason" {
					t.Errorf("got %v", err)
				}
				if !c.Connected() {
					t.Error("the connection did not survive")
				}
			})
		})
	}
}
