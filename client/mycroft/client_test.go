package mycroft_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"omnibus/carrier"
	"omnibus/client/mycroft"
)

func TestMessagesComeBackFromTheHub(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newHub(t).start(mycroft.Options{})
		got := make(chan *mycroft.Message, 1)
		c.On("speak", func(_ context.Context, m *mycroft.Message) { got <- m })
		noError(t, c.Emit(t.Context(), mycroft.NewMessage("speak", map[string]string{"utterance": "<b> & ü"}).WithContext("source", "me")))
		same(t, "frame", frame(t, <-got), `{"type":"speak","data":{"utterance":"<b> & ü"},"context":{"source":"me"}}`)
	})
}

func TestAHubNeedsNoGreeting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHub(t)
		h.greeting = ""
		c := h.start(mycroft.Options{})
		_, err := c.WaitForResponse(t.Context(), mycroft.NewMessage("x.y", nil), "x.y")
		noError(t, err)
	})
}

func TestFlatFramesReachHandlersWhole(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHub(t)
		h.greeting = "" // as on a GUI bus, which does not echo either
		h.quiet = true
		c := h.start(mycroft.Options{})
		for _, x := range readVectors(t).GUI {
			want, err := mycroft.ParseMessage([]byte(x.Wire))
			noError(t, err)
			h.sendSoon(x.Wire)
			got, err := c.WaitForMessage(t.Context(), want.Type)
			noError(t, err)
			same(t, "frame", compact(t, frame(t, got)), compact(t, x.Wire))
			noError(t, c.Emit(t.Context(), got)) // and back
			same(t, "frame", compact(t, <-h.frames), compact(t, x.Wire))
		}
	})
}

func TestManyMembersCostTimeInProportion(t *testing.T) {
	var text strings.Builder
	text.WriteString(`{"type":"x"`)
	for i := range 150_000 { // minutes, if each were compared with all others
		fmt.Fprintf(&text, `,"k%d":%d`, i%100_000, i)
	}
	text.WriteString("}")
	m, err := mycroft.ParseMessage([]byte(text.String()))
	noError(t, err)
	m = m.Reply("y", m.Fields, m.Fields)
	var data map[string]int
	noError(t, m.Decode(&data))
	if len(data) != 100_000 || data["k0"] != 100_000 || data["k99999"] != 99_999 {
		t.Errorf("%d members, k0 is %d", len(data), data["k0"])
	}
	noError(t, m.DecodeContext(&data))
}

func TestConnectsByTLSToAnyHostPortAndRoute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHub(t)
		identity, trust := certificate(t, "hub.example")
		h.identity = identity
		var dialed []string
		options := func(url string) mycroft.Options {
			return mycroft.Options{URL: url, TLS: trust, NoReconnect: true, Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
				dialed = append(dialed, address)
				return h.network.Dial(ctx, "hub:8181")
			}}
		}
		for url, fails := range map[string]string{
			"wss://hub.example/core":      "",
			"wss://hub.example:8443/core": "",
			"wss://hub.example/other":     "404",
			"wss://another.example/core":  "another.example",
			"ws://hub.example/core":       "handshake",
		} {
			c, err := mycroft.New(options(url))
			noError(t, err)
			switch err := c.Start(t.Context()); {
			case fails != "":
				mentions(t, err, fails)
			default:
				noError(t, err)
				_, err = c.WaitForResponse(t.Context(), mycroft.NewMessage("x", nil), "x")
				noError(t, err)
			}
			noError(t, c.Close(t.Context()))
		}
		slices.Sort(dialed)
		want := []string{"another.example:443", "hub.example:443", "hub.example:443", "hub.example:80", "hub.example:8443"}
		if !slices.Equal(dialed, want) {
			t.Errorf("dialed %q, want %q", dialed, want)
		}
	})
}

func TestHandlersOfATypeRunInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHub(t)
		c := h.start(mycroft.Options{})
		var got, all []string
		busy := atomic.Int32{}
		handler := func(name string) mycroft.Handler {
			return func(_ context.Context, m *mycroft.Message) {
				if busy.Add(1) > 1 {
					t.Error("two handlers of a type run at a time")
				}
				time.Sleep(time.Millisecond)
				got = append(got, name+string(m.Data))
				busy.Add(-1)
			}
		}
		c.On("a.b", handler("one"))
		c.On("a.b", handler("two"))
		c.OnAny(func(_ context.Context, m *mycroft.Message) { all = append(all, m.Type+string(m.Data)) })
		for i := range 50 {
			h.send(fmt.Sprintf(`{"type":"a.b","data":{"n":%d}}`, i))
			h.send(`{"type":"other"}`)
		}
		synctest.Wait()
		time.Sleep(time.Second)
		synctest.Wait()
		var want, wantAll []string
		for i := range 50 {
			want = append(want, fmt.Sprintf(`one{"n":%d}`, i), fmt.Sprintf(`two{"n":%d}`, i))
			wantAll = append(wantAll, fmt.Sprintf(`a.b{"n":%d}`, i), `other{}`)
		}
		if !slices.Equal(got, want) {
			t.Errorf("got %q", got)
		}
		if !slices.Equal(slices.DeleteFunc(all, func(s string) bool { return s == "connected{}" }), wantAll) {
			t.Errorf("the handler of all types got %q", all)
		}
	})
}

func TestWorkersHandleSeveralMessagesAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHub(t)
		c := h.start(mycroft.Options{Workers: 3})
		release := make(chan struct{})
		var running, most atomic.Int32
		c.On("a.b", func(context.Context, *mycroft.Message) {
			most.Store(max(most.Load(), running.Add(1)))
			<-release
			running.Add(-1)
		})
		for range 10 {
			h.send(`{"type":"a.b"}`)
		}
		synctest.Wait()
		if n := most.Load(); n != 3 {
			t.Errorf("%d ran at a time", n)
		}
		close(release)
	})
}

func TestHandlersOfOtherTypesDoNotWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHub(t)
		c := h.start(mycroft.Options{})
		release := make(chan struct{})
		c.On("slow", func(context.Context, *mycroft.Message) { <-release })
		quick := make(chan string, 1)
		c.On("quick", func(_ context.Context, m *mycroft.Message) { quick <- m.Type })
		h.send(`{"type":"slow"}`)
		h.send(`{"type":"quick"}`)
		<-quick
		close(release)
	})
}

func TestOnceAndRemove(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHub(t)
		c := h.start(mycroft.Options{})
		var once, on, removed, any atomic.Int32
		count := func(n *atomic.Int32) mycroft.Handler {
			return func(context.Context, *mycroft.Message) { n.Add(1) }
		}
		first := c.Once("a.b", count(&once))
		c.On("a.b", count(&on))
		gone := c.On("a.b", count(&removed))
		every := c.OnAny(count(&any))
		if !c.Remove(gone) || c.Remove(gone) || !c.Remove(every) {
			t.Error("Remove does not tell whether there was something to remove")
		}
		for range 3 {
			h.send(`{"type":"a.b"}`)
		}
		synctest.Wait()
		if once.Load() != 1 || on.Load() != 3 || removed.Load() != 0 || any.Load() > 1 { // perhaps the greeting
			t.Errorf("once %d, on %d, removed %d, any %d", once.Load(), on.Load(), removed.Load(), any.Load())
		}
		if c.Remove(first) {
			t.Error("a handler of one message is there after it")
		}
		if n := c.RemoveAll("a.b"); n != 1 {
			t.Errorf("%d handlers were left", n)
		}
		h.send(`{"type":"a.b"}`)
		synctest.Wait()
		if on.Load() != 3 {
			t.Error("a handler is called after it was removed")
		}
	})
}

func TestAHandlerThatIsRemovedDoesNotGetWhatWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHub(t)
		c := h.start(mycroft.Options{})
		release := make(chan struct{})
		n := 0
		l := c.On("a.b", func(context.Context, *mycroft.Message) { n++; <-release })
		h.send(`{"type":"a.b"}`)
		h.send(`{"type":"a.b"}`)
		synctest.Wait()
		c.Remove(l)
		close(release)
		synctest.Wait()
		if n != 1 {
			t.Errorf("it was called %d times", n)
		}
	})
}

func TestPanicsAreContainedAndReported(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHub(t)
		reported := make(chan error, 10)
		c := h.start(mycroft.Options{Events: mycroft.Events{Error: func(err error) {
			reported <- err
			panic("the reporter too")
		}}})
		c.On("a.b", func(context.Context, *mycroft.Message) { panic("ouch") })
		var after atomic.Int32
		c.On("a.b", func(context.Context, *mycroft.Message) { after.Add(1) })
		h.send(`{"type":"a.b"}`)
		err := <-reported
		p, ok := errors.AsType[*mycroft.PanicError](err)
		if !ok || p.Type != "a.b" || p.Value != "ouch" || !strings.Contains(string(p.Stack), "client_test.go") {
			t.Errorf("it was reported as %v", err)
		}
		mentions(t, err, "a.b", "ouch")
		c.RemoveAll("nothing")
		synctest.Wait()
		if after.Load() != 1 {
			t.Error("the handlers after it were not called")
		}
		if c.Stats().Panics < 1 || !c.Connected() {
			t.Errorf("%+v", c.Stats())
		}
		_ = c.Close(t.Context())
	})
}

func TestASlowHandlerLosesTheNewest(t *testing.T) {
	for name, o := range map[string]mycroft.Options{
		"messages": {Queue: 5},
		"bytes":    {QueueBytes: 5 * 10},
	} {
		synctest.Test(t, func(t *testing.T) {
			h := newHub(t)
			d := new(diary)
			o.Events = d.events()
			c := h.start(o)
			release := make(chan struct{})
			var got []string
			c.On("a.b", func(_ context.Context, m *mycroft.Message) { <-release; got = append(got, string(m.Data)) })
			h.send(`{"type":"a.b","data":{"n":0}}`)
			synctest.Wait() // it is being handled
			for i := 1; i < 10; i++ {
				h.send(fmt.Sprintf(`{"type":"a.b","data":{"n":%d}}`, i))
			}
			synctest.Wait()
			n := c.Stats().Dropped
			if n == 0 || d.count("too slow") != int(n) {
				t.Errorf("%s: %d were dropped and reported:\n%s", name, n, d.text())
			}
			// Waits do not depend on handlers.
			h.sendSoon(`{"type":"a.b","data":{"n":99}}`)
			m, err := c.WaitForMessage(t.Context(), "a.b")
			noError(t, err)
			same(t, "message", string(m.Data), `{"n":99}`)
			close(release)
			synctest.Wait()
			for i, data := range got {
				same(t, name, data, fmt.Sprintf(`{"n":%d}`, i))
			}
			if int64(len(got)) != 11-c.Stats().Dropped {
				t.Errorf("%s: %d were handled, %+v", name, len(got), c.Stats())
			}
		})
	}
}

func TestFramesThatAreNoMessagesAreDropped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHub(t)
		d := new(diary)
		c := h.start(mycroft.Options{Events: d.events()})
		n := 0
		for _, x := range readVectors(t).Decode {
			if x.Error != "" || x.OVOS != "" {
				h.send(x.Wire)
				n++
			}
		}
		synctest.Wait()
		if got := c.Stats(); n < 5 || got.Invalid != int64(n) || d.count("a frame was dropped") != n || got.Connections != 1 {
			t.Errorf("%+v\n%s", got, d.text())
		}
	})
}

func TestLocalEventsAreKeptApartFromTypes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHub(t)
		d := new(diary)
		c := h.start(mycroft.Options{Events: d.events()})
		synctest.Wait()
		var heard []string
		for _, name := range []string{"open", "close", "error", "reconnecting", "message"} {
			c.On(name, func(_ context.Context, m *mycroft.Message) { d.write("message of type %s", m.Type) })
			heard = append(heard, "message of type "+name)
		}
		for _, name := range []string{"open", "close", "error", "reconnecting", "message"} {
			h.send(`{"type":"` + name + `"}`)
			synctest.Wait()
		}
		same(t, "told", d.text(), "0s open\n"+strings.Join(heard, "\n"))
	})
}

func TestMessagesThatCannotBeSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHub(t)
		c := h.start(mycroft.Options{MaxMessage: 100})
		for _, x := range []struct {
			m    *mycroft.Message
			says string
		}{
			{mycroft.NewMessage("", nil), "no type"},
			{&mycroft.Message{}, "no type"},
			{mycroft.NewMessage("x", func() {}), "unsupported type"},
			{mycroft.NewMessage("x", 1), "must be JSON objects"},
			{mycroft.NewMessage("x", []int{}), "must be JSON objects"},
			{&mycroft.Message{Type: "x", Data: json.RawMessage("{")}, "not JSON"},
			{&mycroft.Message{Type: "x", Context: json.RawMessage(`{"a":1}}`)}, "not JSON"},
			{&mycroft.Message{Type: "x", Fields: json.RawMessage(`{"a"}`)}, "not JSON"},
			{&mycroft.Message{Type: "x\xff", Data: json.RawMessage("{\"\xff\":1}")}, "not UTF-8"},
			{mycroft.NewMessage("x", nil).WithContext("k", func() {}), `context "k"`},
			{mycroft.NewMessage("x", nil).Reply("y", nil, make(chan int)), "unsupported type"},
			{mycroft.NewFlat("x", 1), "no object"},
			{mycroft.NewMessage("x", map[string]string{"long": strings.Repeat("x", 100)}), "too large"},
		} {
			mentions(t, c.Emit(t.Context(), x.m), x.says)
		}
		synctest.Wait()
		if n := len(h.frames); n > 0 {
			t.Errorf("%d frames came", n)
		}
	})
}

func TestAClientThatIsNotStarted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHub(t)
		c := h.client(mycroft.Options{})
		if err := c.Emit(t.Context(), mycroft.NewMessage("x", nil)); !errors.Is(err, mycroft.ErrNotStarted) {
			t.Errorf("got %v", err)
		}
		noError(t, c.Close(t.Context()))
		noError(t, c.Close(t.Context()))
		for _, err := range []error{c.Start(t.Context()), c.Run(t.Context()), c.Emit(t.Context(), mycroft.NewMessage("x", nil))} {
			if !errors.Is(err, mycroft.ErrClosed) {
				t.Errorf("got %v", err)
			}
		}
	})
}

func TestAClientIsStartedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newHub(t).start(mycroft.Options{})
		if err := c.Start(t.Context()); !errors.Is(err, mycroft.ErrStarted) {
			t.Errorf("got %v", err)
		}
	})
}

func TestBadURLs(t *testing.T) {
	for url, says := range map[string]string{
		"http://x/core":              "scheme",
		"127.0.0.1:8181":             "URL",
		"ws:///core":                 "host",
		"ws://user:secret@host:8181": "route",
		"ws://ho st/core":            "URL",
	} {
		_, err := mycroft.New(mycroft.Options{URL: url})
		mentions(t, err, says)
		if !errors.Is(err, mycroft.ErrURL) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v", url, err)
		}
	}
	_, err := mycroft.New(mycroft.Options{SecretKey: []byte("short")})
	mentions(t, err, "16, 24 or 32")
}

func TestRunBlocksUntilItsContextEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHub(t)
		c := h.client(mycroft.Options{})
		got := make(chan *mycroft.Message, 1)
		c.On("a.b", func(_ context.Context, m *mycroft.Message) { got <- m })
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- c.Run(ctx) }()
		synctest.Wait()
		h.send(`{"type":"a.b"}`)
		<-got
		cancel()
		noError(t, <-ended)
		if err := c.Emit(t.Context(), mycroft.NewMessage("x", nil)); !errors.Is(err, mycroft.ErrClosed) {
			t.Errorf("after its end: %v", err)
		}
	})
}

func TestCloseSendsWhatWaitsAndWaitsForHandlers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHub(t)
		c := h.start(mycroft.Options{})
		begun, release := make(chan struct{}), make(chan struct{})
		c.On("a.b", func(ctx context.Context, _ *mycroft.Message) {
			close(begun)
			<-ctx.Done()
			<-release
		})
		h.send(`{"type":"a.b"}`)
		<-begun
		noError(t, c.Emit(t.Context(), mycroft.NewMessage("last.words", nil)))
		short, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		mentions(t, c.Close(short), "handlers are still running")
		same(t, "last frame", <-h.frames, `{"type":"last.words","data":{},"context":{}}`)
		close(release)
		noError(t, c.Close(t.Context()))
	})
}

func TestEmitWaitsWhileTheSendBufferIsFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var network carrier.Memory
		l := network.Listen("hub:8181")
		defer l.Close()
		read := make(chan struct{})
		go func() {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			ws, err := carrier.Upgrade(conn, carrier.WebSocketOptions{})
			if err != nil {
				t.Error(err)
				return
			}
			<-read
			for {
				if _, _, err := ws.Read(); err != nil {
					_ = ws.Drop()
					return
				}
			}
		}()
		c, err := mycroft.New(mycroft.Options{
			URL: "ws://hub:8181/core", SendBuffer: 200 << 10,
			Dial: func(ctx context.Context, _, a string) (net.Conn, error) { return network.Dial(ctx, a) },
		})
		noError(t, err)
		noError(t, c.Start(t.Context()))
		big := mycroft.NewMessage("big", map[string]string{"x": strings.Repeat("x", 60<<10)})
		for refused := 0; refused < 2; { // once may be while something is being written
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			err := c.Emit(ctx, big)
			cancel()
			if refused++; err == nil {
				refused = 0
			} else if !errors.Is(err, context.DeadlineExceeded) {
				t.Fatal(err)
			}
		}
		sent := make(chan error, 1)
		go func() { sent <- c.Emit(t.Context(), big) }()
		synctest.Wait()
		select {
		case err := <-sent:
			t.Errorf("it did not wait: %v", err)
			sent <- nil
		default:
		}
		close(read)
		noError(t, <-sent)
		noError(t, c.Close(t.Context()))
	})
}
