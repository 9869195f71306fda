package remote_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"omnibus/bus"
	"omnibus/internal/remote"
	"omnibus/payload"
)

// streams answers GET requests with events that a test sends.
type streams struct {
	requests chan string
	events   chan string // each is written as it is; "" ends the stream
	posts    chan string
	status   int // of answers to posts; 0 is 204
}

func newStreams() *streams {
	return &streams{make(chan string, 10), make(chan string), make(chan string, 10), http.StatusNoContent}
}

func (s *streams) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodPost {
		body, _ := io.ReadAll(r.Body)
		s.posts <- r.URL.RequestURI() + " " + r.Header.Get("Content-Type") + " " + string(body)
		w.WriteHeader(s.status)
		return
	}
	s.requests <- r.URL.RequestURI()
	w.Header().Set("Content-Type", "text/event-stream")
	flush := http.NewResponseController(w)
	_ = flush.Flush()
	for {
		select {
		case <-r.Context().Done():
			return
		case e := <-s.events:
			if e == "" {
				return
			}
			_, _ = io.WriteString(w, e)
			_ = flush.Flush()
		}
	}
}

func TestWebSubscribes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server, n := newStreams(), new(network)
		c := serveHTTP(t, n, server)
		s := subscribe(t, c, "a/+/#", "b c", "**", "x,y", "regex:a{1,2}")
		same(t, "request", <-server.requests, "/events?topic=a%2F%2B%2F%23&topic=b%20c&topic=%2A%2A&topic=x%2Cy&topic=regex%3Aa%7B1%2C2%7D")
		synctest.Wait()
		select {
		case <-s.ready:
			t.Error("it is ready before the broker says so")
		default:
		}
		server.events <- ": omnibus\n\n"
		<-s.ready
		for event, want := range map[string]string{
			`{"topic":"t","form":"json","payload":{"x":[1]}}`:                               `t json {"x":[1]}`,
			`{"topic":"t","form":"args","payload":[1,2],"stored":true}`:                     "t args [1,2] stored",
			`{"topic":"t","form":"text","payload":"a\nb","headers":{"k":"v","a":"1"}}`:      `t text "a\nb" a=1 k=v`,
			`{"topic":"t","form":"bytes","payload":"AAE="}`:                                 `t bytes "AAE="`,
			`{"topic":"t","form":"empty","payload":null}`:                                   "t empty null",
			`{"topic":"t","form":"json","payload":null,"something":"that comes in future"}`: "t json null",
		} {
			server.events <- "data: " + event + "\n\n:\n\n"
			same(t, "message", describe(t, <-s.messages), want)
		}
		server.events <- "event: omnibus.lost\ndata: {\"lost\":7}\n\nevent: unheard.of\ndata: 1\n\n"
		synctest.Wait()
		if got := n.noticed(); !strings.HasPrefix(got, "7 events were lost") {
			t.Errorf("noticed %q", got)
		}
		s.stop()
		noError(t, <-s.ended)
	})
}

func TestWebSubscriptionsThatFail(t *testing.T) {
	for what, x := range map[string]struct{ event, want string }{
		"bye":           {"event: omnibus.bye\ndata: \"the server is shutting down\"\n\n", "ended the stream: the server is shutting down"},
		"error":         {"event: omnibus.error\ndata: \"refused\"\n\n", "ended the stream: refused"},
		"cut":           {"", "connection to http://localhost:8080 was lost"},
		"no JSON":       {"data: x\n\n", "reading an event"},
		"no form":       {"data: {\"topic\":\"t\",\"payload\":1}\n\n", `form is ""`},
		"strange form":  {"data: {\"topic\":\"t\",\"form\":\"cbor\",\"payload\":1}\n\n", `form is "cbor"`},
		"bad text":      {"data: {\"topic\":\"t\",\"form\":\"text\",\"payload\":1}\n\n", "event of text"},
		"bad bytes":     {"data: {\"topic\":\"t\",\"form\":\"bytes\",\"payload\":\"?\"}\n\n", "event of bytes"},
		"bad lost":      {"event: omnibus.lost\ndata: x\n\n", "notice of lost events"},
		"bye in a word": {"event: omnibus.bye\ndata: bye\n\n", "ended the stream: bye"},
	} {
		t.Run(what, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				server := newStreams()
				s := subscribe(t, serveHTTP(t, new(network), server), "x")
				server.events <- x.event
				mentions(t, <-s.ended, x.want)
			})
		})
	}
}

func TestWebExposes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := newStreams()
		c := serveHTTP(t, new(network), server)
		e := expose(t, c, "/add", func(_ context.Context, r *bus.Request) (*payload.Value, error) {
			args, err := payload.To[[]any](&r.Args)
			if err != nil {
				return nil, err
			}
			switch args[0] {
			case "panic":
				panic("out of paper")
			case "error":
				return nil, bus.Errorf(bus.Invalid, "", "two\nlines")
			case "nothing":
				return nil, nil //nolint:nilnil // a service may
			case "bytes":
				return payload.Of([]byte{0}), nil
			}
			who, _ := r.Headers.Get("who")
			return payload.Of(fmt.Sprint(r.Service, args, who)), nil
		})
		same(t, "request", <-server.requests, "/services/%2Fadd")
		<-e.ready
		for i, x := range []struct{ args, want string }{
			{`["<a>",2]`, "text/plain; charset=utf-8 /add[<a> 2]me"},
			{`["nothing"]`, " "},
			{`["bytes"]`, "application/octet-stream \x00"},
			{`["error"]`, "two\nlines"},
			{`["panic"]`, `serving "/add": handler panicked: out of paper`},
			{`[]`, `serving "/add": handler panicked: runtime error: index out of range [0] with length 0`},
			{`null`, `serving "/add": handler panicked: runtime error: index out of range [0] with length 0`},
		} {
			want := fmt.Sprintf("/services/%%2Fadd/%d %s", i, x.want)
			if i > 2 {
				kind := "failed"
				if i == 3 {
					kind = "invalid"
				}
				want = fmt.Sprintf("/services/%%2Fadd/%d?error&kind="+kind+" text/plain; charset=utf-8 %s", i, x.want)
			}
			server.events <- fmt.Sprintf("data: {\"id\":\"%d\",\"service\":\"/add\",\"args\":%s,\"headers\":{\"who\":\"me\"}}\n\n", i, x.args)
			same(t, "answer", <-server.posts, want)
		}
		e.stop()
		noError(t, <-e.ended)
	})
}

func TestWebAnswerThatComesTooLateIsNoticed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server, n := newStreams(), new(network)
		server.status = http.StatusNotFound
		e := expose(t, serveHTTP(t, n, server), "x", func(context.Context, *bus.Request) (*payload.Value, error) { return payload.Of(1), nil })
		server.events <- "data: {\"id\":\"1\",\"service\":\"x\",\"args\":[]}\n\n"
		<-server.posts
		synctest.Wait()
		if got := n.noticed(); !strings.Contains(got, "answering a call of x") {
			t.Errorf("noticed %q", got)
		}
		e.stop()
		noError(t, <-e.ended)
	})
}

func TestExposeWaitsForItsServices(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := newStreams()
		ended := false
		e := expose(t, serveHTTP(t, new(network), server), "x", func(ctx context.Context, _ *bus.Request) (*payload.Value, error) {
			<-ctx.Done()
			time.Sleep(time.Second)
			ended = true
			return nil, errors.New("too late")
		})
		server.events <- "data: {\"id\":\"1\",\"service\":\"x\",\"args\":[]}\n\n"
		synctest.Wait()
		e.stop()
		noError(t, <-e.ended)
		if !ended {
			t.Error("Expose returned before its service")
		}
	})
}

func TestExposeBoundsItsRequests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := newStreams()
		var mu sync.Mutex
		running := 0
		e := expose(t, serveHTTP(t, new(network), server), "x", func(ctx context.Context, _ *bus.Request) (*payload.Value, error) {
			mu.Lock()
			running++
			mu.Unlock()
			<-ctx.Done()
			return nil, ctx.Err()
		})
		const bound = 1024
		for range bound + 1 {
			server.events <- "data: {\"id\":\"1\",\"service\":\"x\",\"args\":[]}\n\n"
		}
		same(t, "answer", <-server.posts, `/services/x/1?error&kind=full text/plain; charset=utf-8 "x": 1024 requests are being served already`)
		synctest.Wait()
		if running != bound {
			t.Errorf("%d services run, want %d", running, bound)
		}
		e.stop()
		noError(t, <-e.ended)
	})
}

// naive reads server-sent events with the text as a whole.
func naive(text string) (all []string) {
	name, data := "", []string(nil)
	lines := strings.Split(text, "\n")
	for _, line := range lines[:len(lines)-1] {
		line = strings.TrimSuffix(line, "\r")
		field, value, _ := strings.Cut(line, ":")
		value = strings.TrimPrefix(value, " ")
		switch {
		case line == "":
			if data != nil {
				all = append(all, name+"="+strings.Join(data, "\n"))
			}
			name, data = "", nil
		case field == "event":
			name = value
		case field == "data":
			data = append(data, value)
		}
	}
	return all
}

func FuzzEvents(f *testing.F) {
	f.Add("data: x\n\n")
	f.Add(": comment\r\n\r\nevent: e\r\ndata: 1\r\ndata:2\n\ndata\n\nid: 7\n\ndata: cut")
	f.Add("data: " + strings.Repeat("long ", 2000) + "\n\n")
	f.Fuzz(func(t *testing.T, text string) {
		var got []string
		err := remote.ReadEvents(strings.NewReader(text), len(text)+1, func() {}, func(name string, data []byte) error {
			got = append(got, name+"="+string(data))
			return nil
		})
		if !errors.Is(err, io.EOF) {
			t.Fatalf("the stream ended with %v", err)
		}
		if want := naive(text); strings.Join(got, "|") != strings.Join(want, "|") {
			t.Errorf("got %q, want %q", got, want)
		}
		for _, limit := range []int{0, len(text) / 2} {
			err := remote.ReadEvents(strings.NewReader(text), limit, func() {}, func(_ string, data []byte) error {
				if len(data) > limit {
					t.Errorf("an event of %d bytes with a limit of %d", len(data), limit)
				}
				return nil
			})
			if !errors.Is(err, io.EOF) && bus.KindOf(err) != bus.TooLarge {
				t.Errorf("with a limit: %v", err)
			}
		}
	})
}

func TestAFailingReceiverEndsTheEvents(t *testing.T) {
	stop := errors.New("enough")
	err := remote.ReadEvents(strings.NewReader("data: 1\n\ndata: 2\n\n"), 100, func() {}, func(string, []byte) error { return stop })
	if !errors.Is(err, stop) {
		t.Errorf("got %v", err)
	}
}
