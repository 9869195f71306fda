package web_test

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"omnibus/broker"
	"omnibus/bus"
	"omnibus/dialect"
	"omnibus/dialect/dialecttest"
	"omnibus/dialect/web"
	"omnibus/payload"
)

func TestPatternsOfAStreamAreBounded(t *testing.T) {
	_, url := start(t, func(c *web.Config) { c.MaxPatterns = 2 })
	status, body := do(t, "GET", url+"/events?topics=a,b,c", "", "")
	if status != 429 || !strings.Contains(body, `"kind":"full"`) || !strings.Contains(body, "web.max_patterns") {
		t.Errorf("three patterns: %d %s", status, body)
	}
	events := listen(t, url+"/events?topics=a,b,a,b&topic=a&topics=b") // what repeats counts once
	do(t, "POST", url+"/topics/b", "", "1")
	if got, want := events(), `data: {"topic":"b","form":"json","payload":1}`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestWrongSettingsAreNamed(t *testing.T) {
	for path, change := range map[string]func(*web.Config){
		"max_patterns": func(c *web.Config) { c.MaxPatterns = 0 },
		"io_timeout":   func(c *web.Config) { c.IOTimeout = 0 },
		"origins":      func(c *web.Config) { c.Origins = []string{"friend.example"} },
	} {
		c := web.Defaults()
		change(c)
		if p := c.Validate(); len(p) != 1 || p[0].Path != path {
			t.Errorf("a wrong %s gives %v", path, p)
		}
	}
}

func TestBodyThatStallsEndsTheConnection(t *testing.T) {
	_, url := start(t, func(c *web.Config) { c.IOTimeout = 50 * time.Millisecond })
	for _, c := range []struct {
		request, body string
		status        int
	}{
		{"POST /topics/x", "Content-Length: 10\r\n\r\nabc", 408},
		{"POST /topics/x", "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n", 408},
		{"POST /rpc/x", "Content-Length: 10\r\n\r\n", 408},
		{"POST /services/x/1", "Content-Length: 10\r\n\r\n", 408},
		{"GET /events?topics=x", "Content-Length: 10\r\n\r\n", 408},
		{"GET /services/x", "Content-Length: 10\r\n\r\n", 408},
		{"POST /nothing", "Content-Length: 10\r\n\r\n", 404}, // nobody asks for the body
		{"GET /", "Content-Length: 10\r\n\r\n", 200},
	} {
		conn := raw(t, url, c.request+" HTTP/1.1\r\nHost: localhost\r\n"+c.body)
		body, err := io.ReadAll(conn.body)
		if err != nil || conn.status != c.status || c.status == 408 && !strings.Contains(string(body), "web.io_timeout") {
			t.Errorf("%s: %d %s %v, want %d", c.request, conn.status, body, err, c.status)
		}
		if !conn.ends {
			t.Errorf("%s: the connection is to be used again", c.request)
		}
		if _, err := conn.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%s: the connection was not ended: %v", c.request, err)
		}
	}
}

func TestTimeLimitOfARequestDoesNotEndTheStreamThatFollows(t *testing.T) {
	_, url := start(t, func(c *web.Config) { c.IOTimeout, c.Heartbeat = 50*time.Millisecond, 60*time.Millisecond })
	const publish = "POST /topics/x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\n\r\n1"
	const events = "GET /events?topics=x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\n\r\n1"
	conn := raw(t, url, publish)
	if _, err := io.ReadAll(conn.body); err != nil {
		t.Fatal(err)
	}
	conn.ask(t, events)
	lines := bufio.NewScanner(conn.body)
	for beats := 0; beats < 4; { // longer than any time limit that is still set
		if !lines.Scan() {
			t.Fatalf("the stream ended: %v", lines.Err())
		}
		if lines.Text() == ":" {
			beats++
		}
	}
}

func TestAnswerThatIsNotReadEndsTheConnection(t *testing.T) {
	s, url := start(t, func(c *web.Config) { c.IOTimeout, c.Grace = 100*time.Millisecond, time.Hour })
	called := make(chan struct{})
	if _, err := bus.Expose(s.Broker.Bus(""), "large", func(context.Context, bus.Args) ([]byte, error) {
		close(called)
		return make([]byte, 24<<20), nil
	}); err != nil {
		t.Fatal(err)
	}
	var d net.Dialer
	c, err := d.DialContext(t.Context(), "tcp", strings.TrimPrefix(url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := io.WriteString(c, "POST /rpc/large HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n[]"); err != nil {
		t.Fatal(err)
	}
	<-called
	if err := s.Stop(); err != nil { // waits for the request
		t.Error(err)
	}
}

func TestConnectionsAreBoundedUntilOneCloses(t *testing.T) {
	s, url := start(t, func(c *web.Config) { c.MaxClients = 1 })
	const get = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
	first := raw(t, url, get)
	var d net.Dialer
	second, err := d.DialContext(t.Context(), "tcp", strings.TrimPrefix(url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer second.Close()
	if n, err := second.Read(make([]byte, 1)); err == nil {
		t.Errorf("one connection too many gets %d bytes", n)
	}
	if got := count(s, "connections_refused"); got != 1 {
		t.Errorf("%d connections are counted as refused, want 1", got)
	}
	_ = first.Close()
	for ctx, cancel := context.WithTimeout(t.Context(), dialecttest.Patience); ; {
		defer cancel()
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(r)
		if err == nil {
			_ = resp.Body.Close()
			return
		}
		if ctx.Err() != nil {
			t.Fatalf("the place of the connection that closed was not given back: %v", err)
		}
	}
}

func TestIndexOverTLSNamesHTTPS(t *testing.T) {
	cert, key, trust := certificate(t)
	_, url := start(t, func(c *web.Config) { c.TLS = dialect.TLS{Cert: cert, Key: key} })
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: trust, DisableKeepAlives: true}}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || !strings.Contains(string(body), url+"/topics/") || !strings.HasPrefix(url, "https://") {
		t.Errorf("%s answers %s %v", url, body, err)
	}
}

// certificate writes a certificate for this machine and returns its files and
// what trusts it.
func certificate(t *testing.T) (certFile, keyFile string, trust *tls.Config) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	certPEM := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	certFile, keyFile = filepath.Join(t.TempDir(), "cert.pem"), filepath.Join(t.TempDir(), "key.pem")
	if err := errors.Join(
		os.WriteFile(certFile, certPEM, 0o600),
		os.WriteFile(keyFile, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret}), 0o600),
	); err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(certPEM)
	return certFile, keyFile, &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
}

func TestServerWhoseListenerClosesTellsTheStreamsAndReturnsWhy(t *testing.T) {
	b, err := broker.New(broker.Options{Version: "test"})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := b.Close(context.Background()); err != nil {
			t.Error(err)
		}
	}()
	c := web.Defaults()
	c.Listen = "127.0.0.1:0"
	opened, err := c.Open(dialect.Env{Port: b, Log: slog.New(slog.DiscardHandler), Counter: b.Counters().Group("web")})
	if err != nil {
		t.Fatal(err)
	}
	bound, err := opened.Listeners()[0].Bind(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- bound.Run(context.Background()) }()
	conn := raw(t, bound.URL(), "GET /events?topics=x HTTP/1.1\r\nHost: localhost\r\n\r\n")
	if err := bound.Close(); err != nil {
		t.Fatal(err)
	}
	rest, err := io.ReadAll(conn.body)
	if err != nil || !strings.Contains(string(rest), "event: omnibus.bye") {
		t.Errorf("the stream got %q %v, want a farewell", rest, err)
	}
	select {
	case err := <-ended:
		if !errors.Is(err, net.ErrClosed) {
			t.Errorf("the server returned %v, want that its listener is closed", err)
		}
	case <-time.After(dialecttest.Patience):
		t.Error("the server did not end")
	}
}

func TestEventsAndBodiesAreUTF8(t *testing.T) {
	s, url := start(t, nil)
	const notText = "\"\xff\""
	for _, path := range []string{"/topics/x", "/rpc/x", "/topics/x?form=args"} {
		body := notText
		if strings.HasSuffix(path, "args") {
			body = "[" + body + "]"
		}
		if status, answer := do(t, "POST", url+path, "application/json", body); status != 400 || !strings.Contains(answer, "UTF-8") {
			t.Errorf("%s: %d %s, want 400", path, status, answer)
		}
	}
	events := listen(t, url+"/events?topics=x")
	do(t, "POST", url+"/topics/x", "", notText)
	if got, want := events(), `data: {"topic":"x","form":"bytes","payload":"Iv8i"}`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if got := count(s, "messages_not_expressible"); got != 0 {
		t.Errorf("%d messages are counted as not expressible, want 0", got)
	}
}

func TestMessageThatIsNoEventIsCountedAndNotAnnouncedAsLost(t *testing.T) {
	s, url := start(t, nil)
	ctx, cancel := context.WithTimeout(t.Context(), dialecttest.Patience)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url+"/events?topics=x", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	lines := bufio.NewScanner(resp.Body)
	if !lines.Scan() || lines.Text() != ": omnibus" {
		t.Fatalf("the stream begins with %q %v", lines.Text(), lines.Err())
	}
	b := s.Broker.Bus("")
	var odd, broken, code bus.Message
	odd.Payload.Set(payload.JSON, []byte("\"\xff\""))
	broken.Payload.Set(payload.JSON, []byte("{"))
	code.Payload.SetGo(func() {})
	for _, m := range []*bus.Message{&odd, &broken, &code} {
		m.Topic = "x"
		if _, err := b.Publish(m); err != nil {
			t.Fatal(err)
		}
	}
	do(t, "POST", url+"/topics/x", "", "1")
	var got []string
	for len(got) == 0 && lines.Scan() {
		if text := lines.Text(); text != "" && text != ":" {
			got = append(got, text)
		}
	}
	if want := `data: {"topic":"x","form":"json","payload":1}`; fmt.Sprint(got) != "["+want+"]" {
		t.Errorf("got %s, want only %s", got, want)
	}
	if n, lost := count(s, "messages_not_expressible"), count(s, "events_lost"); n != 3 || lost != 0 {
		t.Errorf("%d messages are counted as not expressible and %d as lost, want 3 and 0", n, lost)
	}
}
