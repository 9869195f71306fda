package web_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"omnibus/auth"
	"omnibus/dialect"
	"omnibus/dialect/dialecttest"
	"omnibus/dialect/web"
)

// rawConn is a connection on which nothing is done that the test does not do.
type rawConn struct {
	net.Conn
	status int
	ends   bool // the answer says that the connection will be closed
	body   io.Reader
}

// raw sends the text of one request and waits for the head of its answer.
func raw(t *testing.T, url, request string) *rawConn {
	t.Helper()
	var d net.Dialer
	c, err := d.DialContext(t.Context(), "tcp", strings.TrimPrefix(url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	if err := c.SetDeadline(time.Now().Add(dialecttest.Patience)); err != nil {
		t.Fatal(err)
	}
	rc := &rawConn{Conn: c}
	rc.ask(t, request)
	return rc
}

// ask sends another request; the answer before must have been read.
func (c *rawConn) ask(t *testing.T, request string) {
	t.Helper()
	if _, err := io.WriteString(c, request); err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = c.Close() // first: closing a body reads it to its end
		_ = resp.Body.Close()
	})
	c.status, c.ends, c.body = resp.StatusCode, resp.Close, resp.Body
}

func count(s *dialecttest.Server, name string) int64 {
	return s.Broker.Counters().Snapshot()["web"][name]
}

func TestPagesOfOtherSitesCannotProvideAService(t *testing.T) {
	s, url := start(t, func(c *web.Config) { c.Origins = []string{"https://friend.example"} })
	host := strings.TrimPrefix(url, "http://")
	var refused int64
	for _, c := range []struct {
		headers string
		status  int
	}{
		{"Sec-Fetch-Site: cross-site\r\n", 403}, // an image, a link
		{"Sec-Fetch-Site: same-site\r\n", 403},
		{"Sec-Fetch-Site: cross-site\r\nOrigin: https://evil.example\r\n", 403},
		{"Origin: https://evil.example\r\n", 403}, // an old browser
		{"Origin: null\r\n", 403},
		{"Sec-Fetch-Site: cross-site\r\nOrigin: https://friend.example\r\n", 200},
		{"Sec-Fetch-Site: same-origin\r\n", 200},
		{"Origin: " + url + "\r\n", 200},
		{"", 200}, // no browser
	} {
		conn := raw(t, url, "GET /services/lamp HTTP/1.1\r\nHost: "+host+"\r\n"+c.headers+"\r\n")
		if conn.status != c.status {
			t.Errorf("%q: status %d, want %d", c.headers, conn.status, c.status)
		}
		if c.status == 403 {
			refused++
		}
		_ = conn.Close()
		if c.status == 200 {
			waitForNoService(t, url, "lamp")
		}
	}
	if got := count(s, "requests_cross_site"); got != refused {
		t.Errorf("%d requests are counted as cross-site, want %d", got, refused)
	}
}

// waitForNoService waits until a provider that has left is seen to have.
func waitForNoService(t *testing.T, url, name string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), dialecttest.Patience)
	defer cancel()
	for ctx.Err() == nil {
		if status, _ := do(t, "POST", url+"/rpc/"+name+"?timeout=10ms", "", "[]"); status == 404 {
			return
		}
	}
	t.Fatalf("%s is still provided", name)
}

func TestLinksOfOtherSitesStillLeadToTheIndex(t *testing.T) {
	_, url := start(t, nil)
	if status, _ := do(t, "GET", url+"/", "", "", "Sec-Fetch-Site", "cross-site"); status != 200 {
		t.Errorf("status %d, want 200", status)
	}
}

func TestLoopbackIsNotReachedByForeignNames(t *testing.T) {
	s, url := start(t, func(c *web.Config) {
		c.Origins = []string{"https://Friend.example:8443"}
	})
	var refused int64
	for host, status := range map[string]int{
		"evil.example": 403, "evil.example:8080": 403, "localhost.evil.example": 403, "notlocalhost": 403, "": 403,
		"127.0.0.1.evil.example": 403, "[evil.example]": 403,
		"localhost": 200, "LOCALHOST:8080": 200, "localhost.": 200, "lamp.localhost:1": 200,
		"127.0.0.1": 200, "127.0.0.1:99": 200, "[::1]": 200, "[::1]:8080": 200, "192.0.2.7": 200,
		"friend.example": 200, "friend.EXAMPLE:80": 200,
	} {
		for _, request := range []string{"GET / HTTP/1.1", "POST /topics/x HTTP/1.1"} {
			conn := raw(t, url, fmt.Sprintf("%s\r\nHost: %s\r\nContent-Length: 0\r\n\r\n", request, host))
			if conn.status != status {
				t.Errorf("%s by the name %q: status %d, want %d", request, host, conn.status, status)
			}
			if status == 403 {
				refused++
				body, err := io.ReadAll(conn.body)
				if err != nil || !strings.Contains(string(body), `"kind":"refused"`) || !strings.Contains(string(body), "web.origins") {
					t.Errorf("by the name %q: %s %v", host, body, err)
				}
			}
			_ = conn.Close()
		}
	}
	if got := count(s, "requests_foreign_host"); got != refused {
		t.Errorf("%d requests are counted as by a foreign name, want %d", got, refused)
	}
	if got := count(s, "requests_malformed"); got != 0 {
		t.Errorf("%d requests are counted as malformed, want 0", got)
	}
}

func TestPeersAreKnownToComeFromThisMachine(t *testing.T) {
	seen := make(chan auth.Credentials, 1)
	d := driver()
	open := d.Spec.Defaults
	d.Spec.Defaults = func() dialect.Config { return spied{open().(*web.Config), seen} }
	d.Configure = func(c dialect.Config) { c.(spied).Listen = "127.0.0.1:0" }
	s := dialecttest.Start(t, d)
	do(t, "POST", s.URLs["web"]+"/topics/x", "", "1")
	if c := <-seen; !c.Loopback {
		t.Errorf("a peer by loopback is not said to be one: %+v", c)
	}
}

// spied opens the dialect with a port that shows the credentials.
type spied struct {
	*web.Config
	seen chan<- auth.Credentials
}

// spy is a port that shows the credentials of whoever says hello.
type spy struct {
	dialect.Port
	seen chan<- auth.Credentials
}

func (s spy) Hello(ctx context.Context, h *dialect.Hello) (dialect.Joining, error) {
	s.seen <- h.Credentials
	return s.Port.Hello(ctx, h)
}

func (s spied) Open(env dialect.Env) (dialect.Dialect, error) {
	env.Port = spy{env.Port, s.seen}
	return s.Config.Open(env)
}
