package remote_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"omnibus/bus"
	"omnibus/internal/remote"
	"omnibus/payload"
)

// recorded is a handler that remembers requests in words and answers alike.
func recorded(t *testing.T, seen *[]string, answer http.HandlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		*seen = append(*seen, strings.Join(strings.Fields(fmt.Sprintf("%s %s %s %s",
			r.Method, r.URL.RequestURI(), r.Header.Get("Content-Type"), body)), " "))
		answer(w, r)
	})
}

// fixed answers every request in the same way.
func fixed(status int, media, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", media)
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

func TestWebPublishes(t *testing.T) {
	for _, x := range []struct {
		name    string
		v       *payload.Value
		options remote.PublishOptions
		want    string
	}{
		{"a", payload.New(payload.JSON, []byte(`{"x":1}`)), remote.PublishOptions{}, `POST /topics/a application/json {"x":1}`},
		{
			"/robot/pose", payload.New(payload.Text, []byte("hello")),
			remote.PublishOptions{Retain: true},
			"POST /topics/%2Frobot%2Fpose?retain=1 text/plain; charset=utf-8 hello",
		},
		{
			"a b%c?d", payload.New(payload.Bytes, []byte("\x01\x02")),
			remote.PublishOptions{QoS: 2},
			"POST /topics/a%20b%25c%3Fd?qos=2 application/octet-stream \x01\x02",
		},
		{"a/../b", new(payload.Value), remote.PublishOptions{QoS: 1, Retain: true}, "POST /topics/a%2F..%2Fb?qos=1&retain=1"},
		{"ü", payload.New(payload.Text, nil), remote.PublishOptions{}, `POST /topics/%C3%BC application/json ""`},
		{"raw", payload.New(payload.Raw, []byte("[1,2]")), remote.PublishOptions{}, "POST /topics/raw?form=args application/json [1,2]"},
		{"args", payload.OfArgs(1, "two"), remote.PublishOptions{}, `POST /topics/args?form=args application/json [1,"two"]`},
		{"arrow", payload.New(payload.Arrow, []byte("table")), remote.PublishOptions{}, "POST /topics/arrow application/vnd.apache.arrow.stream table"},
	} {
		synctest.Test(t, func(t *testing.T) {
			var seen []string
			c := serveHTTP(t, new(network), recorded(t, &seen, fixed(200, "application/json", `{"receivers":0}`)))
			noError(t, c.Publish(t.Context(), x.name, x.v, x.options))
			same(t, "request", strings.Join(seen, "\n"), x.want)
		})
	}
}

func TestWebErrorsKeepTheirKind(t *testing.T) {
	for kind := range bus.Kinds {
		synctest.Test(t, func(t *testing.T) {
			c := serveHTTP(t, new(network), fixed(400, "application/json", fmt.Sprintf(`{"error":{"kind":%q,"message":"because"}}`, kind)))
			err := c.Publish(t.Context(), "x", new(payload.Value), remote.PublishOptions{})
			isError(t, err, kind)
			same(t, "text", err.Error(), "because")
			_, err = c.Call(t.Context(), "x", new(payload.Value))
			isError(t, err, kind, "because")
			isError(t, c.Subscribe(t.Context(), patterns(t, "x"), nil, nil), kind, "because")
			isError(t, c.Expose(t.Context(), "x", nil, nil), kind, "because")
		})
	}
}

func TestWebServerThatIsNoBroker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := serveHTTP(t, new(network), fixed(404, "text/html", "<p>not here"))
		_, err := c.Call(t.Context(), "x", new(payload.Value))
		mentions(t, err, "http://localhost:8080", "404", "does not seem to be an omnibus broker")
	})
	synctest.Test(t, func(t *testing.T) {
		c := serveHTTP(t, new(network), fixed(200, "text/html", "<p>welcome"))
		err := c.Subscribe(t.Context(), patterns(t, "x"), nil, nil)
		mentions(t, err, "text/html", "does not seem to be an omnibus broker")
	})
}

func TestWebBadNamesAreNotSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := serveHTTP(t, new(network), http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("there was a request") }))
		isError(t, c.Publish(t.Context(), "", new(payload.Value), remote.PublishOptions{}), bus.Invalid)
		_, err := c.Call(t.Context(), "a\x00b", new(payload.Value))
		isError(t, err, bus.Invalid)
		isError(t, c.Expose(t.Context(), "\xff", nil, nil), bus.Invalid)
	})
}

func TestWebCalls(t *testing.T) {
	for _, x := range []struct {
		args          *payload.Value
		media, answer string
		want, result  string
	}{
		{new(payload.Value), "application/json", "3\n", "POST /rpc/%2Fadd application/json []", "json 3"},
		{payload.OfArgs(1, 2), "application/json", `"x"`, "POST /rpc/%2Fadd application/json [1,2]", `json "x"`},
		{payload.New(payload.Raw, []byte("[1,2]")), "application/json", "null\n", "POST /rpc/%2Fadd application/json [1,2]", "json null"},
		{payload.New(payload.JSON, []byte("[1,2]")), "application/json", "{}\n", "POST /rpc/%2Fadd application/json [[1,2]]", "json {}"},
		{payload.New(payload.Text, []byte("hi")), "application/octet-stream", "\x00", `POST /rpc/%2Fadd application/json ["hi"]`, `bytes "AA=="`},
		{payload.New(payload.Bytes, []byte("\x07")), "application/json", "1", "POST /rpc/%2Fadd application/octet-stream \x07", "json 1"},
	} {
		synctest.Test(t, func(t *testing.T) {
			var seen []string
			c := serveHTTP(t, new(network), recorded(t, &seen, fixed(200, x.media, x.answer)))
			v, err := c.Call(t.Context(), "/add", x.args)
			noError(t, err)
			same(t, "request", strings.Join(seen, "\n"), x.want)
			same(t, "result", describeValue(t, v), x.result)
		})
	}
}

func TestWebCallTellsItsDeadlineAndKeepsIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var seen []string
		c := serveHTTP(t, new(network), recorded(t, &seen, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		start := time.Now()
		_, err := c.Call(ctx, "slow", new(payload.Value))
		isError(t, err, bus.TimedOut, "slow", "5s")
		if d := time.Since(start); d != 5*time.Second {
			t.Errorf("it took %s", d)
		}
		synctest.Wait()
		same(t, "request", strings.Join(seen, "\n"), "POST /rpc/slow?timeout=5s application/json []")
	})
}

func TestWebAnswerBeyondTheLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := new(network)
		serveHTTP(t, n, fixed(200, "application/json", `"`+strings.Repeat("x", 100)+`"`))
		o := n.options()
		o.MaxMessage = 101
		c, err := remote.Dial(t.Context(), "http://localhost:8080", o)
		noError(t, err)
		defer func() { noError(t, c.Close()) }()
		_, err = c.Call(t.Context(), "x", new(payload.Value))
		isError(t, err, bus.TooLarge, "101 bytes")
	})
}

func TestWebPathAndAccountOfTheURL(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := new(network)
		var path, user, password string
		serveHTTP(t, n, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			path = r.URL.EscapedPath()
			user, password, _ = r.BasicAuth()
		}))
		c := dial(t, n, "http://me:pass@localhost:8080/be%20low/?x=y#z")
		defer func() { noError(t, c.Close()) }()
		noError(t, c.Publish(t.Context(), "a/b", new(payload.Value), remote.PublishOptions{}))
		same(t, "request", path+" "+user+" "+password, "/be%20low/topics/a%2Fb me pass")
	})
}

func TestWebCloseEndsWhatIsUnderWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := serveHTTP(t, new(network), http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodGet {
				w.Header().Set("Content-Type", "text/event-stream")
				_, _ = io.WriteString(w, ": omnibus\n\n")
				_ = http.NewResponseController(w).Flush()
			}
			_, _ = io.Copy(io.Discard, r.Body) // only then the server sees the client leave
			<-r.Context().Done()
		}))
		s := subscribe(t, c, "x")
		<-s.ready
		called := make(chan error, 1)
		go func() {
			_, err := c.Call(t.Context(), "x", new(payload.Value))
			called <- err
		}()
		synctest.Wait()
		noError(t, c.Close())
		mentions(t, <-s.ended, "closed")
		mentions(t, <-called, "closed")
	})
}
