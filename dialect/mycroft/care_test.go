package mycroft_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"omnibus/broker"
	"omnibus/bus"
	"omnibus/carrier"
	"omnibus/dialect"
	"omnibus/dialect/mycroft"
	"omnibus/payload"
)

func echoService(_ context.Context, r *bus.Request) (*payload.Value, error) {
	return r.Args.Keep(), nil
}

// bubble runs a test in a bubble with a hub on a network in memory.
func bubble(t *testing.T, configure func(*mycroft.Config), test func(counted func(string) int64, dial func() net.Conn)) {
	synctest.Test(t, func(t *testing.T) {
		b, err := broker.New(broker.Options{})
		if err != nil {
			t.Fatal(err)
		}
		c := mycroft.Defaults()
		configure(c)
		d, err := c.Open(dialect.Env{Port: b, Log: slog.New(slog.DiscardHandler), Counter: b.Counters().Group("mycroft")})
		if err != nil {
			t.Fatal(err)
		}
		var network carrier.Memory
		l := network.Listen("hub")
		ctx, cancel := context.WithCancel(context.Background())
		var running sync.WaitGroup
		running.Go(func() {
			if err := mycroft.ServeOn(ctx, d, l); err != nil {
				t.Errorf("running the hub: %v", err)
			}
		})
		test(func(name string) int64 { return b.Counters().Snapshot()["mycroft"][name] }, func() net.Conn {
			conn, err := network.Dial(context.Background(), "hub")
			if err != nil {
				t.Fatal(err)
			}
			greeted(t, conn)
			return conn
		})
		cancel()
		running.Wait()
		if err := b.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
}

// answering reads until the connection ends and answers pings if it is to.
func answering(c net.Conn, answer bool) (pings int) {
	buf := make([]byte, 4096)
	for {
		n, err := c.Read(buf)
		for range bytes.Count(buf[:n], []byte("\x89\x00")) {
			pings++
			if answer {
				_, _ = c.Write([]byte("\x8a\x80\x00\x00\x00\x00"))
			}
		}
		if err != nil {
			return pings
		}
	}
}

func TestAClientThatIsGoneIsNoticed(t *testing.T) {
	bubble(t, func(c *mycroft.Config) { c.PingInterval, c.PingTimeout = time.Minute, 10*time.Second },
		func(counted func(string) int64, dial func() net.Conn) {
			began := time.Now()
			alive, gone := dial(), dial()
			done := make(chan int, 1)
			go func() { done <- answering(alive, true) }()
			if n := answering(gone, false); n != 1 {
				t.Errorf("a client that does not answer was pinged %d times", n)
			}
			if took := time.Since(began); took < 70*time.Second || took > 72*time.Second {
				t.Errorf("it was disconnected after %v, want 70 s", took)
			}
			time.Sleep(10 * time.Minute)
			synctest.Wait()
			if n := counted("silent_clients_disconnected"); n != 1 {
				t.Errorf("counted %d silent clients, want 1", n)
			}
			_ = alive.Close()
			if n := <-done; n < 10 || n > 12 {
				t.Errorf("a client that answers was pinged %d times in 11 minutes", n)
			}
			_ = gone.Close()
		})
}

func TestAClientThatTalksIsNotPinged(t *testing.T) {
	bubble(t, func(c *mycroft.Config) { c.PingInterval = time.Minute }, func(_ func(string) int64, dial func() net.Conn) {
		c := dial()
		done := make(chan int, 1)
		go func() { done <- answering(c, true) }()
		for range 30 {
			time.Sleep(40 * time.Second)
			_, _ = c.Write([]byte("\x81\x82\x00\x00\x00\x00{}"))
		}
		_ = c.Close()
		if n := <-done; n != 0 {
			t.Errorf("pinged %d times", n)
		}
	})
}

func TestPingsCanBeSwitchedOff(t *testing.T) {
	bubble(t, func(c *mycroft.Config) { c.PingInterval = 0 }, func(counted func(string) int64, dial func() net.Conn) {
		c := dial()
		time.Sleep(24 * time.Hour)
		synctest.Wait()
		if n := counted("silent_clients_disconnected"); n != 0 {
			t.Error("a quiet client was disconnected")
		}
		_ = c.Close()
	})
}

func TestSessionsThatAreNoObjects(t *testing.T) {
	for _, check := range []bool{true, false} {
		s := start(t, broker.Options{}, func(c *mycroft.Config) { c.CheckSessions = check })
		a, b := s.connect(t), s.connect(t)
		for frame, rejected := range map[string]string{
			`{"type":"t","data":{},"context":{"session":7}}`:                               `{"type":"ovos.session.rejected","data":{"msg_type":"t","reason":"malformed_carrier"},"context":{}}`,
			`{"type":"u","context":{"utterance_id":"x","session":"s","source":"me"}}`:      `{"type":"ovos.session.rejected","data":{"msg_type":"u","reason":"malformed_carrier"},"context":{"utterance_id":"x"}}`,
			`{"context":{"session":[]}}`:                                                   `{"type":"ovos.session.rejected","data":{"msg_type":"","reason":"malformed_carrier"},"context":{}}`,
			`{"type":"t","context":{"\u0073ession":false}}`:                                `{"type":"ovos.session.rejected","data":{"msg_type":"t","reason":"malformed_carrier"},"context":{}}`,
			`{"type":"t","context":{"session":{}}}`:                                        "",
			`{"type":"t","context":{"session":null}}`:                                      "",
			`{"type":"t","data":{"session":7},"context":{"sessions":7,"x":{"session":7}}}`: "",
			`{"type":"t","context":{"session":7,"session":{"session_id":"a"}}}`:            "",
			`{"ciphertext":"ee","tag":"dd","nonce":"00"}`:                                  "",
		} {
			want := frame
			if check && rejected != "" {
				want = rejected
			}
			a.send(t, frame)
			a.expect(t, want)
			b.expect(t, want)
		}
		if n := s.counted("frames_rejected"); check && n != 4 || !check && n != 0 {
			t.Errorf("checked %v: counted %d", check, n)
		}
	}
}

// journal is a log that can be looked at.
type journal struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.buf.Write(p)
}

func (j *journal) count(text string) int {
	j.mu.Lock()
	defer j.mu.Unlock()
	return strings.Count(j.buf.String(), text)
}

func TestMessagesAreLoggedButForSomeTypes(t *testing.T) {
	for _, on := range []bool{true, false} {
		var log journal
		s := startLogging(t, broker.Options{}, &log, func(c *mycroft.Config) { c.Filter = on })
		c := s.connect(t)
		for _, f := range []string{
			`{"type":"gui.status.request"}`,
			`{"type":"speak","context":{"source":"cli","destination":["audio"],"session":{"session_id":"s1"}}}`,
			`{"type":"last"}`,
		} {
			c.send(t, f)
			c.expect(t, f)
		}
		s.stop()
		want := 0
		if on {
			want = 1
		}
		if n := log.count(`msg="a message" remote=`); n != 2*want {
			t.Errorf("filter %v: %d messages are logged", on, n)
		}
		if n := log.count(`type=speak source=cli destination="[\"audio\"]" session=s1`); n != want {
			t.Errorf("filter %v: logged %d times with all that is asked for", on, n)
		}
	}
}

// TestEachMishapIsOneEvent: whatever a client does, the others go on, and it is
// counted and logged once.
func TestEachMishapIsOneEvent(t *testing.T) {
	masked := func(head string, body string) string { return head + "\x00\x00\x00\x00" + body }
	for name, c := range map[string]struct {
		sent    string // after the handshake
		stays   bool   // and goes on reading
		counter string
		logged  string
	}{
		"garbage":             {masked("\x81\x84", "nope"), true, "frames_invalid", "a frame was dropped"},
		"no object":           {masked("\x81\x82", "[]"), true, "frames_invalid", "a frame was dropped"},
		"garbage in binary":   {masked("\x82\x82", "\xff\xfe"), true, "frames_invalid", "a frame was dropped"},
		"a local event":       {masked("\x81\x90", `{"type":"error"}`), true, "frames_rejected", "a frame was dropped"},
		"a bad session":       {masked("\x81\x99", `{"context":{"session":7}}`), true, "frames_rejected", "a frame was dropped"},
		"a frame of 26 MiB":   {masked("\x81\xff\x00\x00\x00\x00\x01\xa0\x00\x00", ""), true, "frames_invalid", "above mycroft.max_message"},
		"not UTF-8":           {masked("\x81\x82", "\xff\xfe"), true, "frames_invalid", "a client was disconnected"},
		"death in a frame":    {masked("\x81\x84", "no"), false, "clients_lost", "without a farewell"},
		"death":               {"", false, "clients_lost", "without a farewell"},
		"a reserved opcode":   {masked("\x83\x80", ""), true, "frames_invalid", "a client was disconnected"},
		"types that are none": {masked("\x81\xb3", `{"type":"omnibus.select","data":{"types":"speak"}}`+" "), true, "frames_rejected", ""},
	} {
		t.Run(name, func(t *testing.T) {
			var log journal
			s := startLogging(t, broker.Options{}, &log, nil)
			other := s.connect(t)
			conn, err := net.Dial("tcp", host(s.url))
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			greeted(t, conn)
			if _, err := io.WriteString(conn, c.sent); err != nil {
				t.Fatal(err)
			}
			if !c.stays {
				_ = conn.Close()
			}
			counters := []string{"frames_invalid", "frames_rejected", "clients_lost", "slow_clients_disconnected", "silent_clients_disconnected"}
			eventually(t, "it is counted", func() bool { return s.counted(c.counter) == 1 })
			other.send(t, `{"type":"after"}`)
			for got := ""; got != `{"type":"after"}`; {
				if got = other.next(t); got != `{"type":"after"}` && !strings.Contains(got, "ovos.session.rejected") {
					t.Errorf("another client got %s", got)
				}
			}
			s.stop()
			total := int64(0)
			for _, n := range counters {
				total += s.counted(n)
			}
			if total != 1 {
				t.Errorf("counted %d times: %v", total, s.broker.Counters().Snapshot()["mycroft"])
			}
			if c.logged != "" && log.count(c.logged) != 1 {
				t.Errorf("%q is logged %d times:\n%s", c.logged, log.count(c.logged), log.buf.String())
			}
		})
	}
}

// TestAClientThatDiesInABroadcast: many die while frames are on their way to them.
func TestAClientThatDiesInABroadcast(t *testing.T) {
	s := start(t, broker.Options{}, nil)
	sender, steady := s.connect(t), s.connect(t)
	const victims = 20
	for i := range victims {
		v := s.idle(t)
		big := strings.Repeat("x", 100_000)
		for n := range 10 {
			if n == i%10 {
				_ = v.ws.Drop()
			}
			frame := fmt.Sprintf(`{"type":"big","data":{"n":%d,"i":%d,"x":%q}}`, n, i, big)
			sender.send(t, frame)
			sender.expect(t, frame)
			steady.expect(t, frame)
		}
	}
	eventually(t, "their departure", func() bool { return s.broker.Status().Peers["mycroft"] == 2 })
	eventually(t, "each is counted once", func() bool { return s.counted("clients_lost") == victims })
}
