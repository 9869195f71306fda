package web_test

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"strings"
	"testing"

	"omnibus/bus"
	"omnibus/dialect"
	"omnibus/dialect/dialecttest"
	"omnibus/dialect/web"
	"omnibus/topic"
)

// start serves the web dialect alone.
func start(t *testing.T, change func(*web.Config)) (*dialecttest.Server, string) {
	d := driver()
	d.Configure = func(c dialect.Config) {
		s := c.(*web.Config)
		s.Listen = "127.0.0.1:0"
		if change != nil {
			change(s)
		}
	}
	s := dialecttest.Start(t, d)
	return s, s.URLs["web"]
}

// do sends one request and returns the status and body of its answer.
func do(t *testing.T, method, url, contentType, body string, headers ...string) (int, string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), dialecttest.Patience)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if contentType != "" {
		r.Header.Set("Content-Type", contentType)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	transport := &http.Transport{DisableKeepAlives: true}
	resp, err := (&http.Client{Transport: transport}).Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(data)
}

func TestEveryMistakeIsAClearError(t *testing.T) {
	s, url := start(t, func(c *web.Config) { c.MaxBody = 100 })
	if _, err := bus.Expose(s.Broker.Bus(""), "sleep", func(ctx context.Context, _ bus.Args) (int, error) {
		<-ctx.Done()
		return 0, ctx.Err()
	}); err != nil {
		t.Fatal(err)
	}
	if _, err := bus.Expose(s.Broker.Bus(""), "fail", func(context.Context, bus.Args) (int, error) {
		return 0, bus.Errorf(bus.Failed, "", "the oven is cold")
	}); err != nil {
		t.Fatal(err)
	}
	const js = "application/json"
	for _, c := range []struct {
		name, method, path, contentType, body string
		status                                int
		says                                  string
	}{
		{"no such page", "GET", "/nothing", "", "", 404, `"kind":"unknown"`},
		{"wrong method for a topic", "GET", "/topics/x", "", "", 405, "use POST"},
		{"wrong method for a call", "GET", "/rpc/x", "", "", 405, "use POST"},
		{"wrong method for events", "POST", "/events", "", "", 405, "use GET"},
		{"no topic", "POST", "/topics/", "", "x", 400, `"kind":"invalid"`},
		{"a topic that is not UTF-8", "POST", "/topics/%ff", "", "x", 400, "UTF-8"},
		{"a topic with NUL", "POST", "/topics/a%00b", "", "x", 400, "NUL"},
		{"promised JSON that is none", "POST", "/topics/x", js, "{", 400, "not the JSON"},
		{"promised text that is none", "POST", "/topics/x", "text/plain", "\xff", 400, "UTF-8"},
		{"a body that is too large", "POST", "/topics/x", "", strings.Repeat("x", 101), 413, "web.max_body"},
		{"a parameter that is none", "POST", "/topics/x?retian=1", "", "x", 400, "retain, qos, form"},
		{"an impossible qos", "POST", "/topics/x?qos=3", "", "x", 400, "qos is 0, 1 or 2"},
		{"an impossible retain", "POST", "/topics/x?retain=perhaps", "", "x", 400, "retain is true or false"},
		{"a query that is none", "POST", "/topics/x?a=%zz", "", "x", 400, "query"},
		{"no pattern", "GET", "/events", "", "", 400, "say which"},
		{"a wrong pattern", "GET", "/events?topics=a/%23/b", "", "", 400, "#"},
		{"a wrong regular expression", "GET", "/events?topics=regex:(", "", "", 400, "missing closing"},
		{"nobody's service", "POST", "/rpc/nobody", "", "[]", 404, "nobody exposes"},
		{"a service that fails", "POST", "/rpc/fail", "", "[]", 502, "the oven is cold"},
		{"a service that is too slow", "POST", "/rpc/sleep?timeout=10ms", "", "[]", 504, "no answer within"},
		{"an impossible time-out", "POST", "/rpc/sleep?timeout=soon", "", "[]", 400, "such as 5s"},
		{"arguments that are no JSON", "POST", "/rpc/fail", js, "[", 400, "not the JSON"},
		{"an answer to nothing", "POST", "/services/fail/123", "", "1", 404, "no call"},
		{"an answer without an id", "POST", "/services/fail", "", "1", 400, "/services/NAME/ID"},
		{"wrong method for a service", "DELETE", "/services/fail", "", "", 405, "GET to provide"},
	} {
		t.Run(strings.ReplaceAll(c.name, " ", "_"), func(t *testing.T) {
			status, body := do(t, c.method, url+c.path, c.contentType, c.body)
			if status != c.status || !strings.Contains(body, c.says) || !strings.HasPrefix(body, `{"error":{"kind":`) {
				t.Errorf("got %d %s, want %d and %q", status, body, c.status, c.says)
			}
		})
	}
	if got := s.Broker.Counters().Snapshot()["web"]["requests_failed"]; got != 25 {
		t.Errorf("%d requests are counted as failed, want 25", got)
	}
}

func TestBodiesBecomeTheFormTheyHave(t *testing.T) {
	s, url := start(t, nil)
	got := make(chan string, 1)
	if _, err := s.Broker.Bus("").Attach(mustParse(t, "#"), collector(func(m *bus.Message) {
		got <- m.Topic + " " + m.Payload.Kind().String() + " " + string(m.Payload.Data())
	}), bus.AttachOptions{}); err != nil {
		t.Fatal(err)
	}
	const form = "application/x-www-form-urlencoded" // curl's default
	for _, c := range []struct{ path, contentType, body, want string }{
		{"a", form, `{"x":1}`, `a json {"x":1}`},
		{"a", form, `hello`, `a text hello`},
		{"a", form, "\xff\x00", "a bytes \xff\x00"},
		{"a", "", `[1,2]`, `a json [1,2]`},
		{"a", "text/plain", `21`, `a text 21`},
		{"a", "application/octet-stream", `21`, `a bytes 21`},
		{"a", "application/json; charset=utf-8", `21`, `a json 21`},
		{"a", "application/ld+json", `{}`, `a json {}`},
		{"a", "", ``, `a empty `},
		{"/robot/pose", "", `1`, `/robot/pose json 1`},
		{"a//b/", "", `1`, `a//b/ json 1`},
		{"a%2Fb%20c+d", "", `1`, `a/b c+d json 1`},
		{"gr%C3%BC%C3%9Fe", "", `1`, `grüße json 1`},
	} {
		status, body := do(t, "POST", url+"/topics/"+c.path, c.contentType, c.body)
		if status != 200 || body != "{\"receivers\":1}\n" {
			t.Errorf("%s: %d %s", c.path, status, body)
			continue
		}
		if g := <-got; g != c.want {
			t.Errorf("%s %q: heard %q, want %q", c.path, c.contentType, g, c.want)
		}
	}
}

func TestPagesOfOtherSitesCannotPublish(t *testing.T) {
	s, url := start(t, func(c *web.Config) { c.Origins = []string{"https://friend.example"} })
	for origin, want := range map[string]int{
		"https://evil.example": 403, "https://friend.example": 200, url: 200,
	} {
		if status, body := do(t, "POST", url+"/topics/x", "text/plain", "x", "Origin", origin, "Sec-Fetch-Site", site(origin, url)); status != want {
			t.Errorf("from %s: %d %s, want %d", origin, status, body, want)
		}
	}
	if got := s.Broker.Counters().Snapshot()["web"]["requests_cross_site"]; got != 1 {
		t.Errorf("%d cross-site requests are counted, want 1", got)
	}
}

func site(origin, url string) string {
	if origin == url {
		return "same-origin"
	}
	return "cross-site"
}

func TestRetainedValueComesFirstAndIsMarked(t *testing.T) {
	_, url := start(t, nil)
	do(t, "POST", url+"/topics/lamp?retain", "", `"on"`)
	events := listen(t, url+"/events?topics=lamp")
	if got, want := events(), `data: {"topic":"lamp","form":"json","payload":"on","stored":true}`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	do(t, "POST", url+"/topics/lamp?retain=1", "", "")
	if got, want := events(), `data: {"topic":"lamp","form":"empty","payload":null}`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	// The value was removed: the next thing a new listener hears is news.
	events = listen(t, url+"/events?topics=lamp")
	do(t, "POST", url+"/topics/lamp", "", `"news"`)
	if got, want := events(), `data: {"topic":"lamp","form":"json","payload":"news"}`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestMessageThatMatchesSeveralPatternsIsOneEvent(t *testing.T) {
	_, url := start(t, nil)
	events := listen(t, url+"/events?topics=**,a/+/c,a/b/c&topics=regex:a/b/[c,d]&topic=exact:x,y")
	do(t, "POST", url+"/topics/a/b/c", "", "1")
	do(t, "POST", url+"/topics/a/b/d", "", "2")
	for _, want := range []string{
		`data: {"topic":"a/b/c","form":"json","payload":1}`,
		`data: {"topic":"a/b/d","form":"json","payload":2}`,
	} {
		if got := events(); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

// listen opens an event stream and returns a function that waits for its next
// line of data, once the stream is in place.
func listen(t *testing.T, url string) func() string {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cancel()
		_ = resp.Body.Close()
	})
	lines := bufio.NewScanner(resp.Body)
	return func() string {
		for lines.Scan() {
			if line := lines.Text(); strings.HasPrefix(line, "data: ") {
				return line
			}
		}
		t.Fatalf("the stream ended: %v", lines.Err())
		return ""
	}
}

func mustParse(t *testing.T, pattern string) topic.Pattern {
	t.Helper()
	p, err := topic.Parse(pattern)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// collector is a receiver that is a function.
type collector func(*bus.Message)

func (c collector) Deliver(m *bus.Message, _ *bus.Subscription) { c(m) }
