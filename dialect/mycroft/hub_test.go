package mycroft_test

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"omnibus/broker"
	"omnibus/bus"
	"omnibus/carrier"
	"omnibus/dialect/dialecttest"
	"omnibus/dialect/mycroft"
	"omnibus/payload"
)

func TestClientsComeAndGoWhileMessagesFlow(t *testing.T) {
	s := start(t, broker.Options{}, nil)
	steady, sender := s.connect(t), s.connect(t)
	var running sync.WaitGroup
	var over atomic.Bool
	sent := 0
	running.Go(func() {
		for !over.Load() {
			sender.send(t, fmt.Sprintf(`{"type":"flow","data":{"n":%d}}`, sent))
			<-sender.got
			sent++
		}
	})
	const workers, each = 8, 25
	var comers sync.WaitGroup
	for w := range workers {
		comers.Go(func() {
			for i := range each {
				ws, err := carrier.DialWebSocket(t.Context(), s.url, nil, carrier.WebSocketOptions{})
				if err != nil {
					t.Errorf("connecting: %v", err)
					return
				}
				_, frame, err := ws.Read()
				if err != nil || string(frame) != greeting {
					t.Errorf("greeted with %s, %v", frame, err)
				}
				switch (w + i) % 3 {
				case 0: // without reading
				case 1:
					_, _, _ = ws.Read()
				default:
					_ = ws.Send(carrier.Text, []byte(`{"type":"hello"}`))
				}
				if i%2 == 0 {
					_ = ws.Close(carrier.CloseNormal, "")
				} else {
					_ = ws.Drop()
				}
			}
		})
	}
	comers.Wait()
	over.Store(true)
	running.Wait()
	for n := 0; n < sent; {
		if frame := steady.next(t); strings.HasPrefix(frame, `{"type":"flow"`) {
			if want := fmt.Sprintf(`{"type":"flow","data":{"n":%d}}`, n); frame != want {
				t.Fatalf("received %s, want %s", frame, want)
			}
			n++
		}
	}
	eventually(t, "the departure of those who left", func() bool { return s.broker.Status().Peers["mycroft"] == 2 })
	if got := s.counted("connections"); got != workers*each+2 {
		t.Errorf("counted %d connections, want %d", got, workers*each+2)
	}
}

func TestAllClientsSeeOneOrder(t *testing.T) {
	s := start(t, broker.Options{}, nil)
	const senders, each = 4, 100
	var clients []*client
	for range senders + 2 {
		clients = append(clients, s.connect(t))
	}
	var running sync.WaitGroup
	for i := range senders {
		running.Go(func() {
			for n := range each {
				clients[i].send(t, fmt.Sprintf(`{"type":"order","from":%d,"n":%d}`, i, n))
			}
		})
	}
	running.Go(func() {
		for n := range each {
			publish(t, s.bus, "order.bus", payload.JSON, fmt.Sprintf(`{"n":%d}`, n))
		}
	})
	running.Wait()
	var first []string
	for i, c := range clients {
		var all []string
		for range (senders + 1) * each {
			all = append(all, c.next(t))
		}
		if i == 0 {
			first = all
		}
		if !slices.Equal(all, first) {
			t.Fatalf("client %d saw another order than client 0", i)
		}
	}
	next := make(map[string]int) // of each sender
	for _, frame := range first {
		from, n, _ := strings.Cut(frame, `"n":`)
		if n = strings.TrimRight(strings.TrimSuffix(n, `,"context":{}}`), "}"); n != fmt.Sprint(next[from]) {
			t.Fatalf("%s comes when %d is due", frame, next[from])
		}
		next[from]++
	}
}

func TestAFrameAboveTheLimitEndsItsSenderAlone(t *testing.T) {
	s := start(t, broker.Options{}, func(c *mycroft.Config) { c.MaxMessage = 1000 })
	other, sender := s.connect(t), s.connect(t)
	fits := `{"type":"a","data":{"x":"` + strings.Repeat("x", 1000-28) + `"}}`
	sender.send(t, fits)
	other.expect(t, fits)
	sender.expect(t, fits)
	sender.send(t, fits+" ")
	closed, ok := errors.AsType[*carrier.CloseError](sender.ended(t))
	if !ok || closed.Code != carrier.CloseTooLarge {
		t.Errorf("it ended by %v, want close code 1009", closed)
	}
	other.send(t, `{"type":"b"}`)
	other.expect(t, `{"type":"b"}`)
	// The counter is raised after the close frame is sent.
	eventually(t, "it is counted", func() bool { return s.counted("frames_invalid") == 1 })
}

func TestAFrameOfTheLimitFitsAnEmptyQueue(t *testing.T) {
	s := start(t, broker.Options{}, func(c *mycroft.Config) { c.MaxMessage, c.MaxQueue = 100_000, 100_000 })
	c := s.connect(t)
	fits := `{"type":"a","data":{"x":"` + strings.Repeat("x", 100_000-28) + `"}}`
	time.Sleep(50 * time.Millisecond) // real time: a frame is off the queue's account a moment after its client has it
	c.send(t, fits)
	c.expect(t, fits)
}

func TestBinaryFramesAreTakenAsText(t *testing.T) {
	for _, anything := range []bool{false, true} {
		s := start(t, broker.Options{}, func(c *mycroft.Config) { c.RelayAnything = anything })
		c := s.connect(t) // reads text frames only
		for _, frame := range []string{"{\"type\":\"\xff\"}", "\xff\xfe", `{"type":"x","data":{"text":"é"}}`} {
			if err := c.ws.Send(carrier.Binary, []byte(frame)); err != nil {
				t.Fatal(err)
			}
		}
		// What is not UTF-8 cannot be a text frame, so it goes nowhere.
		c.expect(t, `{"type":"x","data":{"text":"é"}}`)
		if n := s.counted("frames_invalid"); n != 2 {
			t.Errorf("counted %d invalid frames, want 2", n)
		}
	}
}

func TestASlowClientIsDisconnectedAndNobodyElseNotices(t *testing.T) {
	s := start(t, broker.Options{}, func(c *mycroft.Config) { c.MaxMessage, c.MaxQueue = 1<<20, 2<<20 })
	sender, other := s.connect(t), s.connect(t)
	slow := s.idle(t)
	text := strings.Repeat("x", 256<<10)
	for n := 0; s.counted("slow_clients_disconnected") == 0; n++ {
		if n > 400 { // 100 MiB, more than the buffers of sockets hold
			t.Fatal("a client that reads nothing is still connected")
		}
		frame := fmt.Sprintf(`{"type":"big","data":{"n":%d,"text":%q}}`, n, text)
		sender.send(t, frame)
		sender.expect(t, frame)
		other.expect(t, frame)
	}
	go slow.read()
	if err := slow.ended(t); err == nil {
		t.Error("the slow client is still connected")
	}
	sender.send(t, `{"type":"on"}`)
	other.expect(t, `{"type":"on"}`)
	eventually(t, "the slow client's departure", func() bool { return s.broker.Status().Peers["mycroft"] == 2 })
	if n := s.counted("slow_clients_disconnected"); n != 1 {
		t.Errorf("counted %d slow clients, want 1", n)
	}
}

func TestRelayAnything(t *testing.T) {
	s := start(t, broker.Options{}, func(c *mycroft.Config) { c.RelayAnything = true })
	box := make(chan string, 10)
	if _, err := s.bus.Attach(pattern(t, "#"), receiver(func(m *bus.Message) { box <- m.Topic }), bus.AttachOptions{}); err != nil {
		t.Fatal(err)
	}
	a, b := s.connect(t), s.connect(t)
	for _, frame := range []string{
		"not json", "", "[1, 2]", `"speak"`, `{"data":{"x":NaN}}`, `{"type":5}`, `{"type":"error"}`, `{"type":"message"}`, `{"type":"ok"}`,
	} {
		a.send(t, frame)
		a.expect(t, frame)
		b.expect(t, frame)
	}
	for _, want := range []string{"error", "message", "ok"} {
		if got := within(t, box, "the message"); got != want {
			t.Errorf("the bus got %s, want %s", got, want)
		}
	}
	// What comes from elsewhere is never written like a local event.
	publish(t, s.bus, "error", payload.JSON, "{}")
	publish(t, s.bus, "speak", payload.JSON, "{}")
	a.expect(t, `{"type":"speak","data":{},"context":{}}`)
}

func TestAMessageIsExportedOnce(t *testing.T) {
	s := start(t, broker.Options{}, func(c *mycroft.Config) {
		c.Export = []string{"a/+", "a/b", "regex:a/.*", "#", "a/b"}
	})
	c := s.connect(t)
	for _, name := range []string{"a/b", "a/c", "x", "a/b"} {
		publish(t, s.bus, name, payload.JSON, "{}")
		c.expect(t, `{"type":"`+name+`","data":{},"context":{}}`)
	}
	if n := s.counted("messages_exported"); n != 4 {
		t.Errorf("counted %d exported messages, want 4", n)
	}
}

func TestRetainedValuesAreNotExported(t *testing.T) {
	s := start(t, broker.Options{}, nil)
	m := &bus.Message{Topic: "kept.value", Retain: true}
	m.Payload.Set(payload.JSON, []byte("1"))
	if _, err := s.bus.Publish(m); err != nil {
		t.Fatal(err)
	}
	c := s.connect(t)
	if _, err := s.bus.Publish(m); err != nil {
		t.Fatal(err)
	}
	c.expect(t, `{"type":"kept.value","data":{"value":1},"context":{}}`)
}

func TestHeadersAreTheContext(t *testing.T) {
	s := start(t, broker.Options{}, nil)
	c := s.connect(t)
	m := &bus.Message{Topic: "a.b", Headers: bus.MakeHeaders(
		bus.Header{Key: "text", Value: "é\n"}, bus.Header{Key: "n", Value: "12"}, bus.Header{Key: "twice", Value: "1"},
		bus.Header{Key: "list", Value: `["a"]`}, bus.Header{Key: "bytes", Value: "[\"\xff\"]"}, bus.Header{Key: "broken", Value: `{"a"`}, bus.Header{Key: "twice", Value: `{"b":2}`},
	)}
	if _, err := s.bus.Publish(m); err != nil {
		t.Fatal(err)
	}
	c.expect(t, `{"type":"a.b","data":{},"context":{"text":"é\n","n":"12","list":["a"],"bytes":"[\"\ufffd\"]","broken":"{\"a\"","twice":{"b":2}}}`)

	got := make(chan []bus.Header, 1)
	if _, err := s.bus.Attach(pattern(t, "in"), receiver(func(m *bus.Message) { got <- m.Clone().Headers.List() }), bus.AttachOptions{}); err != nil {
		t.Fatal(err)
	}
	c.send(t, `{"type":"in","context":{"text":"\u00e9","n":12,"list":["a"],"none":null}}`)
	want := []bus.Header{{Key: "text", Value: "é"}, {Key: "n", Value: "12"}, {Key: "list", Value: `["a"]`}, {Key: "none", Value: "null"}}
	if h := within(t, got, "the message"); !slices.Equal(h, want) {
		t.Errorf("headers %q, want %q", h, want)
	}
}

// TestWhatIsNoFrameIsNotSent: one bad frame makes old clients reconnect, all of
// them.
func TestWhatIsNoFrameIsNotSent(t *testing.T) {
	s := start(t, broker.Options{}, func(c *mycroft.Config) { c.MaxMessage, c.MaxQueue = 1<<16, 1<<16 })
	c := s.connect(t)
	for _, bad := range []struct {
		form payload.Form
		data string
	}{
		{payload.JSON, "garbage"},
		{payload.JSON, ""},
		{payload.JSON, `{"a":1}}`},
		{payload.JSON, "\"\xff\""},
		{payload.Args, `[1`},
		{payload.Args, "[1,\"\xff\"]"},
		{payload.Text, "\xff"},
		{payload.CBOR, "\x81\x01"}, // no converter is installed
		{payload.JSON, `"` + strings.Repeat("x", 1<<16) + `"`},
		{payload.Bytes, strings.Repeat("x", 1<<15)}, // twice as long in hexadecimal
	} {
		before := s.counted("messages_not_expressible")
		publish(t, s.bus, "bad.payload", bad.form, bad.data)
		if s.counted("messages_not_expressible") != before+1 {
			t.Errorf("%s %.20q is not counted as not expressible", bad.form, bad.data)
		}
	}
	publish(t, s.bus, "good.payload", payload.JSON, "{ }")
	c.expect(t, `{"type":"good.payload","data":{ },"context":{}}`)
	if n := s.counted("slow_clients_disconnected"); n != 0 {
		t.Errorf("%d clients were taken for slow", n)
	}
}

func TestWhatWasSentArrivesWhenTheHubEnds(t *testing.T) {
	t.Run("ws", func(t *testing.T) { lastWords(t, "", "", nil) })
	t.Run("wss", func(t *testing.T) {
		cert, key, trust := certificate(t)
		lastWords(t, cert, key, trust)
	})
}

func lastWords(t *testing.T, cert, key string, trust *tls.Config) {
	s := start(t, broker.Options{}, func(c *mycroft.Config) {
		c.Grace, c.TLS.Cert, c.TLS.Key = dialecttest.Patience, cert, key
	})
	s.trust = trust
	c := s.idle(t)
	text := strings.Repeat("x", 64<<10)
	const n = 100 // 6 MiB, more than the buffers of sockets hold, less than max_queue
	for i := range n {
		publish(t, s.bus, "last.words", payload.JSON, fmt.Sprintf(`{"n":%d,"text":%q}`, i, text))
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		s.stop()
	}()
	eventually(t, "the end of listening", func() bool {
		conn, err := carrier.Dial(t.Context(), carrier.Endpoint{Network: "tcp", Address: host(s.url)})
		if err == nil {
			_ = conn.Close()
		}
		return err != nil
	})
	go c.read()
	for i := range n {
		c.expect(t, fmt.Sprintf(`{"type":"last.words","data":{"n":%d,"text":%q},"context":{}}`, i, text))
	}
	if err := c.ended(t); !errors.Is(err, io.EOF) {
		t.Errorf("it ended by %v, want the end of the connection", err)
	}
	within(t, ended, "the hub's end")
}

func TestClientsAreDroppedWithoutAFarewell(t *testing.T) {
	s := start(t, broker.Options{}, nil)
	c := s.connect(t)
	s.stop()
	// Older clients come back by themselves only then.
	if closed, ok := errors.AsType[*carrier.CloseError](c.ended(t)); !ok || closed.Code != 1006 {
		t.Errorf("it ended by %v, want no close frame", closed)
	}
}

func TestTheEndOfTheBrokerEndsItsClients(t *testing.T) {
	s := start(t, broker.Options{}, nil)
	c := s.connect(t)
	if err := s.broker.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := c.ended(t); !errors.Is(err, io.EOF) {
		t.Errorf("it ended by %v", err)
	}
}

func TestMaxClients(t *testing.T) {
	s := start(t, broker.Options{}, func(c *mycroft.Config) { c.MaxClients = 1 })
	c := s.connect(t)
	if ws, err := carrier.DialWebSocket(t.Context(), s.url, nil, carrier.WebSocketOptions{}); err == nil {
		_ = ws.Drop()
		t.Error("a second client was accepted")
	}
	if n := s.counted("connections_refused"); n != 1 {
		t.Errorf("counted %d refused connections, want 1", n)
	}
	c.send(t, `{"type":"a"}`)
	c.expect(t, `{"type":"a"}`)
}

func TestAClientThatTheBrokerRefusesIsTold(t *testing.T) {
	s := start(t, broker.Options{Limits: broker.Limits{Peers: 2}}, nil) // the hub is one
	c := s.connect(t)
	ws, err := carrier.DialWebSocket(t.Context(), s.url, nil, carrier.WebSocketOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer ws.Drop() //nolint:errcheck // it has ended
	_, _, err = ws.Read()
	if closed, ok := errors.AsType[*carrier.CloseError](err); !ok || closed.Code != carrier.ClosePolicy || closed.Reason != "full" {
		t.Errorf("it ended by %v, want close code 1008 and the reason", err)
	}
	c.send(t, `{"type":"a"}`)
	c.expect(t, `{"type":"a"}`)
}
