package remote_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"omnibus/bus"
	"omnibus/carrier"
	"omnibus/dialect/mycroft/packet"
	"omnibus/internal/remote"
	"omnibus/payload"
)

const greeting = `{"type":"connected","data":{},"context":{}}`

// hub is the other end of a client's connection: the test says what it sends.
type hub struct {
	ws     *carrier.WebSocket
	frames chan string
	echo   bool // frames are sent back as they come, as a hub does
}

// startHub returns a hub and a client of it. Both end with the test.
func startHub(t *testing.T, echo bool) (*hub, *network, remote.Client) {
	t.Helper()
	n := new(network)
	l := n.Listen("localhost:8181")
	h := &hub{frames: make(chan string, 100), echo: echo}
	connected := make(chan error, 1)
	var running sync.WaitGroup
	running.Go(func() {
		conn, err := l.Accept()
		if err == nil {
			h.ws, err = carrier.Upgrade(conn, carrier.WebSocketOptions{Path: "/core"})
		}
		connected <- err
		if err == nil {
			h.read()
		}
	})
	c := dial(t, n, "ws://localhost:8181/core")
	noError(t, <-connected)
	t.Cleanup(func() {
		noError(t, c.Close())
		_ = h.ws.Close(carrier.CloseNormal, "")
		noError(t, l.Close())
		running.Wait()
	})
	return h, n, c
}

func (h *hub) read() {
	for {
		_, frame, err := h.ws.Read()
		if err != nil {
			return
		}
		h.frames <- string(frame)
		if h.echo {
			h.send(string(frame))
		}
	}
}

func (h *hub) send(frame string) { _ = h.ws.Send(carrier.Text, []byte(frame)) }

// id is the id of the call in the next frame, which begins as given.
func (h *hub) id(t *testing.T, begin string) string {
	t.Helper()
	frame := <-h.frames
	m, err := packet.Parse([]byte(frame))
	noError(t, err)
	key, id, ok := packet.OnlyMember(m.Context)
	if !strings.HasPrefix(frame, begin) || !ok || key != "omnibus_cli" {
		t.Fatalf("got %s, want a frame with an id that begins with %s", frame, begin)
	}
	return string(id)
}

func TestMycroftPublishes(t *testing.T) {
	for _, x := range []struct {
		v          *payload.Value
		data, back string
	}{
		{new(payload.Value), `{}`, `json {}`},
		{payload.New(payload.JSON, []byte(` {"x":[1, 2]}`)), `{"x":[1, 2]}`, `json {"x":[1, 2]}`},
		{payload.New(payload.JSON, []byte(`{"value":1,"args":2}`)), `{"value":1,"args":2}`, `json {"value":1,"args":2}`},
		{payload.New(payload.JSON, []byte(`[1,2]`)), `{"value":[1,2]}`, `json [1,2]`},
		{payload.New(payload.Text, []byte("\"hi\"\n")), `{"value":"\"hi\"\n"}`, `json "\"hi\"\n"`},
		{payload.New(payload.Bytes, []byte("\x00\xff")), `{"binary":"00ff"}`, `bytes "AP8="`},
		{payload.OfArgs(1, "x"), `{"args":[1,"x"]}`, `args [1,"x"]`},
		{payload.OfArgs(1), `{"value":1}`, `json 1`},
		{payload.OfArgs(), `{}`, `json {}`},
		{payload.OfArgs(map[string]int{"a": 1}), `{"a":1}`, `json {"a":1}`},
		{payload.Of([]int{1}), `{"value":[1]}`, `json [1]`},
	} {
		synctest.Test(t, func(t *testing.T) {
			h, _, c := startHub(t, true)
			h.send(greeting)
			s := subscribe(t, c, "a.b")
			<-s.ready
			noError(t, c.Publish(t.Context(), "a.b", x.v, remote.PublishOptions{}))
			same(t, "frame", <-h.frames, `{"type":"a.b","data":`+x.data+`,"context":{}}`)
			same(t, "back", describe(t, <-s.messages), "a.b "+x.back)
			s.stop()
			noError(t, <-s.ended)
		})
	}
}

func TestMycroftPublishWaitsForTheHub(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, _, c := startHub(t, false)
		done := make(chan error, 1)
		go func() { done <- c.Publish(t.Context(), "a.b", payload.Of(1), remote.PublishOptions{}) }()
		frame := <-h.frames
		h.send(`{"type":"a.b","data":{"value":2},"context":{}}`)
		h.send(`{"type":"omnibus.rejected","data":{"type":"other","kind":"refused","reason":"no"},"context":{}}`)
		h.send("no JSON")
		synctest.Wait()
		select {
		case err := <-done:
			t.Fatalf("Publish returned before the hub had relayed the message: %v", err)
		default:
		}
		h.send(frame)
		noError(t, <-done)

		go func() { done <- c.Publish(t.Context(), "a.b", payload.Of(1), remote.PublishOptions{}) }()
		<-h.frames
		h.send(`{"type":"omnibus.rejected","data":{"type":"a.b","kind":"too large","reason":"because"},"context":{}}`)
		err := <-done
		isError(t, err, bus.TooLarge)
		same(t, "text", err.Error(), "because")

		start := time.Now()
		err = c.Publish(t.Context(), "open", payload.Of(1), remote.PublishOptions{})
		isError(t, err, bus.TimedOut, "has not relayed", time.Since(start).String())

		ctx, cancel := context.WithCancel(t.Context())
		go func() { done <- c.Publish(ctx, "a.b", payload.Of(1), remote.PublishOptions{}) }()
		<-h.frames
		cancel()
		mentions(t, <-done, "canceled")
	})
}

func TestMycroftCannotRetain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, _, c := startHub(t, true)
		for _, o := range []remote.PublishOptions{{Retain: true}, {QoS: 1}, {QoS: 2}} {
			isError(t, c.Publish(t.Context(), "a.b", payload.Of(1), o), bus.Invalid, "retain", "QoS")
		}
		isError(t, c.Publish(t.Context(), "", payload.Of(1), remote.PublishOptions{}), bus.Invalid)
		_, err := c.Call(t.Context(), "", payload.Of(1))
		isError(t, err, bus.Invalid)
		isError(t, c.Expose(t.Context(), "", nil, nil), bus.Invalid)
	})
}

func TestMycroftSubscribes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, _, c := startHub(t, false)
		s := subscribe(t, c, "regex:.*", "a.b", "regex:a[.].*")
		synctest.Wait()
		select {
		case <-s.ready:
			t.Error("it is ready before the hub has greeted the client")
		default:
		}
		h.send(greeting)
		<-s.ready
		h.send(`{"type":"a.b","data":{"x":1},"context":{"source":"me","n":{"x":1},"t":"\u00fc"}}`)
		h.send(`[]`)
		h.send(`{"type":"connected","data":{"again":1}}`)
		h.send(`{"type":"c","data":{"binary":"x"}}`)
		h.send(`{"type":"d","data":[1],"context":[]}`)
		h.send(`{"type":"e","data":{"args":{"x":1}}}`)
		for _, want := range []string{
			`a.b json {"x":1} source=me n={"x":1} t=ü`,
			`connected json {"again":1}`,
			`c json {"binary":"x"}`,
			`d json [1]`,
			`e json {"args":{"x":1}}`,
		} {
			same(t, "message", describe(t, <-s.messages), want)
		}
		s.stop()
		noError(t, <-s.ended)
		h.send(`{"type":"a.b"}`)
		synctest.Wait()
		if len(s.messages) > 0 {
			t.Error("there was a message after the end of the subscription")
		}
	})
}

func TestMycroftConnectionThatEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, _, c := startHub(t, false)
		h.send(greeting)
		s := subscribe(t, c, "x")
		<-s.ready
		e := expose(t, c, "y", nil)
		errs := make(chan error, 2)
		go func() {
			_, err := c.Call(t.Context(), "z", payload.Of(1))
			errs <- err
		}()
		go func() { errs <- c.Publish(t.Context(), "z", payload.Of(1), remote.PublishOptions{}) }()
		synctest.Wait()
		noError(t, h.ws.Close(carrier.CloseGoingAway, "for lunch"))
		for _, err := range []error{<-s.ended, <-e.ended, <-errs, <-errs} {
			mentions(t, err, "connection to ws://localhost:8181/core was lost", "for lunch")
		}
		mentions(t, c.Publish(t.Context(), "z", payload.Of(1), remote.PublishOptions{}), "ws://localhost:8181/core")
	})
}

func TestMycroftCloseEndsWhatIsUnderWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, _, c := startHub(t, false)
		h.send(greeting)
		s := subscribe(t, c, "x")
		<-s.ready
		noError(t, c.Close())
		mentions(t, <-s.ended, "closed")
	})
}

func TestMycroftHubOnAnotherPath(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := new(network)
		l := n.Listen("localhost:8181")
		var running sync.WaitGroup
		running.Go(func() {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			if _, err := carrier.Upgrade(conn, carrier.WebSocketOptions{Path: "/core"}); err == nil {
				t.Error("the handshake succeeded")
			}
			_ = conn.Close()
		})
		_, err := remote.Dial(t.Context(), "ws://u:secret@localhost:8181/hub", n.options())
		mentions(t, err, "/hub", "404")
		if strings.Contains(err.Error(), "secret") {
			t.Errorf("the password is told: %v", err)
		}
		noError(t, l.Close())
		running.Wait()
	})
}

func TestMycroftCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, _, c := startHub(t, true)
		for _, x := range []struct {
			args              *payload.Value
			data, answer, got string
		}{
			{new(payload.Value), `{}`, `{"value":3}`, `json 3`},
			{payload.OfArgs(1, 2), `{"args":[1,2]}`, `{"args":[1,2]}`, `args [1,2]`},
			{payload.Of("x"), `{"value":"x"}`, `{"error":"x"}`, `json {"error":"x"}`},
			{payload.New(payload.JSON, []byte(`{"a":1}`)), `{"a":1}`, `{"error":1,"kind":"failed"}`, `json {"error":1,"kind":"failed"}`},
			{payload.Of(1), `{"value":1}`, `{"error":"e","kind":"k","more":1}`, `json {"error":"e","kind":"k","more":1}`},
			{payload.Of(1), `{"value":1}`, `{}`, `json {}`},
			{payload.Of(1), `{"value":1}`, `{"error":"it broke","kind":"failed"}`, `failed: it broke`},
			{payload.Of(1), `{"value":1}`, `{"error":"nobody","kind":"timed out"}`, `timed out: nobody`},
			{payload.Of(1), `{"value":1}`, `{"error":"in future","kind":"tired"}`, `failed: in future`},
		} {
			got := make(chan string, 1)
			go func() {
				v, err := c.Call(t.Context(), "add", x.args)
				if err != nil {
					got <- fmt.Sprintf("%s: %s", bus.KindOf(err), err)
					return
				}
				got <- describeValue(t, v)
			}()
			id := h.id(t, `{"type":"add","data":`+x.data+`,`)
			h.send(`{"type":"add.response","data":{"value":"nobody asked"},"context":{}}`)
			h.send(`{"type":"add.response","data":{"value":"another"},"context":{"omnibus_cli":"another"}}`)
			h.send(`{"type":"add.response","data":` + x.answer + `,"context":{"session":{},"omnibus_cli":` + id + `}}`)
			same(t, "answer", <-got, x.got)
		}
	})
}

func TestMycroftCallsThatGetNoAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, _, c := startHub(t, true)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := c.Call(ctx, "add", payload.Of(1))
		isError(t, err, bus.TimedOut, `"add"`, "1s")
		<-h.frames

		done := make(chan error, 1)
		go func() {
			_, err := c.Call(t.Context(), "add", payload.Of(1))
			done <- err
		}()
		id := h.id(t, `{"type":"add"`)
		h.send(`{"type":"omnibus.rejected","data":{"type":"add","kind":"refused","reason":"no"},"context":{"omnibus_cli":` + id + `}}`)
		isError(t, <-done, bus.Refused, "no")
	})
}

// adder answers with the sum of its arguments.
func adder(_ context.Context, r *bus.Request) (*payload.Value, error) {
	args, err := r.Args.Args()
	if err != nil {
		return nil, err
	}
	sum := 0.0
	for _, arg := range args {
		var x float64
		if json.Unmarshal(arg, &x) != nil {
			return nil, bus.Errorf(bus.Invalid, "", "numbers, please")
		}
		sum += x
	}
	return payload.Of(sum), nil
}

func TestMycroftExposes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, _, c := startHub(t, false)
		e := expose(t, c, "add", adder)
		id := h.id(t, `{"type":"omnibus.expose","data":{"service":"add"}`)
		select {
		case <-e.ready:
			t.Error("it is ready before the hub has confirmed it")
		default:
		}
		h.send(`{"type":"omnibus.expose.response","data":{"ok":true},"context":{"omnibus_cli":"another"}}`)
		h.send(`{"type":"omnibus.expose.response","data":{"ok":true},"context":{"omnibus_cli":` + id + `}}`)
		<-e.ready
		for _, x := range []struct{ request, want string }{
			{`"data":{"args":[1,2]},"context":{"id":"x"}`, `"data":{"value":3},"context":{"id":"x"}`},
			{`"data":{"value":2},"context":{"source":"a","destination":"b"}`, `"data":{"value":2},"context":{"source":"b","destination":"a"}`},
			{`"data":{"value":[1,1]}`, `"data":{"error":"numbers, please","kind":"invalid"},"context":{}`},
			{`"data":{}`, `"data":{"value":0},"context":{}`},
			{`"data":{"x":1}`, `"data":{"error":"numbers, please","kind":"invalid"},"context":{}`},
		} {
			h.send(`{"type":"add.response","data":{"value":"of another"}}`)
			h.send(`{"type":"add",` + x.request + `}`)
			same(t, "response", <-h.frames, `{"type":"add.response",`+x.want+`}`)
		}
		e.stop()
		noError(t, <-e.ended)
		same(t, "at the end", <-h.frames, `{"type":"omnibus.unexpose","data":{"service":"add"},"context":{}}`)
		h.send(`{"type":"add","data":{}}`)
		synctest.Wait()
		if len(h.frames) > 0 {
			t.Errorf("there was an answer after the end: %s", <-h.frames)
		}
	})
}

func TestMycroftExposeThatIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, _, c := startHub(t, false)
		e := expose(t, c, "add", adder)
		id := h.id(t, `{"type":"omnibus.expose"`)
		h.send(`{"type":"omnibus.expose.response","data":{"error":"not you","kind":"refused"},"context":{"omnibus_cli":` + id + `}}`)
		isError(t, <-e.ended, bus.Refused, "not you")
	})
}

func TestMycroftExposeAtAHubThatDoesNotKnowServices(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, _, c := startHub(t, true) // it relays the declaration like any other message
		e := expose(t, c, "add", adder)
		<-e.ready
		<-h.frames
		h.send(`{"type":"add","data":{"args":[1,2]}}`)
		same(t, "response", <-h.frames, `{"type":"add.response","data":{"value":3},"context":{}}`)
		e.stop()
		noError(t, <-e.ended)
	})
	synctest.Test(t, func(t *testing.T) {
		_, _, c := startHub(t, false) // it says nothing at all
		e := expose(t, c, "add", adder)
		isError(t, <-e.ended, bus.TimedOut, "not confirmed")
	})
}

func TestMycroftExposeThatIsStoppedBeforeItIsInPlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, _, c := startHub(t, false)
		e := expose(t, c, "add", adder)
		<-h.frames
		e.stop()
		noError(t, <-e.ended)
	})
}

func TestMycroftOverTLSTakesTheNameOfTheURL(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := new(network)
		l := n.Listen("broker.example:443")
		var running sync.WaitGroup
		hello := make([]byte, 1024)
		running.Go(func() {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			k, err := conn.Read(hello)
			if err != nil {
				t.Error(err)
			}
			hello = hello[:k]
			_ = conn.Close()
		})
		_, err := remote.Dial(t.Context(), "wss://broker.example/core", remote.Options{
			Dial: func(ctx context.Context, _, address string) (net.Conn, error) { return n.Memory.Dial(ctx, address) },
		})
		mentions(t, err, "broker.example")
		running.Wait()
		if !strings.Contains(string(hello), "broker.example") {
			t.Error("the name of the server is not in the handshake")
		}
		noError(t, l.Close())
	})
}
