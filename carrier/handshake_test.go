package carrier_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"omnibus/carrier"
)

func TestUpgradeAnswersTheHandshake(t *testing.T) {
	tests := []struct {
		name        string
		extra       string
		o           carrier.WebSocketOptions
		subprotocol string
	}{
		{"any path", "", carrier.WebSocketOptions{}, ""},
		{"its path", "", carrier.WebSocketOptions{Path: "/core"}, ""},
		{"own page", "Origin: http://bus:8080\r\n", carrier.WebSocketOptions{}, ""},
		{"server's preference", "Sec-WebSocket-Protocol: b, a\r\n", carrier.WebSocketOptions{Subprotocols: []string{"a", "b"}}, "a"},
		{"two headers", "Sec-WebSocket-Protocol: x\r\nsec-websocket-protocol: a\r\n", carrier.WebSocketOptions{Subprotocols: []string{"a"}}, "a"},
		{"nothing in common", "Sec-WebSocket-Protocol: x\r\n", carrier.WebSocketOptions{Subprotocols: []string{"a"}}, ""},
		{"none requested", "", carrier.WebSocketOptions{Subprotocols: []string{"a"}}, ""},
		{"none offered", "Sec-WebSocket-Protocol: x\r\n", carrier.WebSocketOptions{}, ""},
		{"long cookie", "Cookie: " + strings.Repeat("c", 9000) + "\r\n", carrier.WebSocketOptions{}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			raw, c := carrier.Pipe()
			defer raw.Close()
			_, err := io.WriteString(raw, handshakeRequest+tt.extra+"\r\n")
			noError(t, err)
			ws, err := carrier.Upgrade(c, tt.o)
			noError(t, err)
			head := readHead(t, raw)
			if !strings.HasPrefix(head, "HTTP/1.1 101 ") || !strings.Contains(head, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=") {
				t.Errorf("answer %q", head)
			}
			if strings.Contains(strings.ToLower(head), "sec-websocket-extensions") {
				t.Errorf("an extension was agreed on: %q", head)
			}
			if got := strings.Contains(head, "Sec-WebSocket-Protocol: "+tt.subprotocol+"\r\n"); got != (tt.subprotocol != "") {
				t.Errorf("answer %q, want subprotocol %q", head, tt.subprotocol)
			}
			if ws.Subprotocol != tt.subprotocol || ws.URL.Path != "/core" || ws.URL.Query().Get("name") != "x" {
				t.Errorf("subprotocol %q, URL %v", ws.Subprotocol, ws.URL)
			}
			noError(t, raw.Close())
			_ = ws.Drop()
		})
	}
}

func TestUpgradeKeepsWhatCameWithTheHandshake(t *testing.T) {
	for _, size := range []int{0, 5, 600, 5000, 20000} {
		raw, c := carrier.Pipe()
		payload := strings.Repeat("x", size)
		f := frame{op: opText, mask: someMask, payload: []byte(payload)}
		_, err := raw.Write(append([]byte(handshakeRequest+"\r\n"), append(f.encode(), f.encode()...)...))
		noError(t, err)
		ws, err := carrier.Upgrade(c, carrier.WebSocketOptions{})
		noError(t, err)
		// Another handshake, through the same buffers, does not touch what was kept.
		other := &script{in: strings.NewReader(handshakeRequest + "Cookie: " + strings.Repeat("y", 3500) + "\r\n\r\n"), piece: 4096}
		_, err = carrier.Upgrade(other, carrier.WebSocketOptions{})
		noError(t, err)
		for range 2 {
			op, b, err := ws.Read()
			if op != carrier.Text || string(b) != payload || err != nil {
				t.Errorf("size %d: read %v, %d bytes, %v", size, op, len(b), err)
			}
		}
		noError(t, raw.Close())
		_ = ws.Drop()
	}
}

func TestUpgradeRefuses(t *testing.T) {
	without := func(header string) string {
		var kept []string
		for line := range strings.Lines(handshakeRequest) {
			if !strings.HasPrefix(line, header) {
				kept = append(kept, line)
			}
		}
		return strings.Join(kept, "") + "\r\n"
	}
	tests := []struct {
		name, request string
		status        int
	}{
		{"plain GET", "GET /core HTTP/1.1\r\nHost: bus\r\nUser-Agent: curl\r\n\r\n", 400},
		{"GET with another upgrade", strings.Replace(handshakeRequest, "WebSocket\r", "h2c\r", 1) + "\r\n", 426},
		{"wrong path", strings.Replace(handshakeRequest, "/core", "/other", 1) + "\r\n", 404},
		{"wrong path with a line break", "GET /a%0d%0ab HTTP/1.1\r\nHost: bus\r\n\r\n", 404},
		{"plain GET of a wrong path", "GET / HTTP/1.1\r\nHost: bus\r\n\r\n", 404},
		{"POST", "POST /core HTTP/1.1\r\nHost: bus\r\nContent-Length: 0\r\n\r\n", 405},
		{"HTTP/1.0", strings.Replace(handshakeRequest, "HTTP/1.1", "HTTP/1.0", 1) + "\r\n", 505},
		{"no host", without("Host"), 400},
		{"no connection", without("Connection"), 426},
		{"no key", without("Sec-WebSocket-Key"), 400},
		{"no version", without("Sec-WebSocket-Version"), 400},
		{"old version", strings.Replace(handshakeRequest, ": 13", ": 8", 1) + "\r\n", 426},
		{"header without a colon", handshakeRequest + "nonsense\r\n\r\n", 400},
		{"bad URI", strings.Replace(handshakeRequest, "/core", "%zz", 1) + "\r\n", 400},
		{"endless head", handshakeRequest + "Cookie: " + strings.Repeat("c", 30000), 431},
		{"TLS hello", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400},
		{"MQTT CONNECT", "\x10\x0c\x00\x04MQTT\x04\x02\x00\x3c\x00\x00", 400},
		{"other text protocol", "HELO bus\r\n", 400},
		{"lower case", "get / HTTP/1.1\r\n", 400},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			raw, c := carrier.Pipe()
			_, err := io.WriteString(raw, tt.request)
			noError(t, err)
			_, err = carrier.Upgrade(c, carrier.WebSocketOptions{Path: "/core"})
			errIs(t, err, nil, "websocket handshake")
			noError(t, c.Close())
			answer, err := http.ReadResponse(bufio.NewReader(raw), nil)
			noError(t, err)
			body, err := io.ReadAll(answer.Body)
			noError(t, err)
			noError(t, answer.Body.Close())
			if answer.StatusCode != tt.status && (tt.status != 400 || answer.StatusCode != 426) {
				t.Errorf("status %d, want %d", answer.StatusCode, tt.status)
			}
			if s := string(body); !strings.Contains(s, "WebSocket endpoint") || strings.Count(s, "\n") != 1 {
				t.Errorf("body %q", s)
			}
			noError(t, raw.Close())
		})
	}
}

func TestUpgradeOfHalfARequest(t *testing.T) {
	raw, c := carrier.Pipe()
	_, err := io.WriteString(raw, "GET /core HT")
	noError(t, err)
	noError(t, raw.Close())
	_, err = carrier.Upgrade(c, carrier.WebSocketOptions{})
	errIs(t, err, io.ErrUnexpectedEOF)
	noError(t, c.Close())
}

func TestHandshakeTimesOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for timeout, want := range map[time.Duration]time.Duration{0: 10 * time.Second, time.Minute: time.Minute} {
			raw, c := carrier.Pipe()
			ctx, cancel := context.WithCancel(t.Context())
			dripping := make(chan struct{})
			go func() { // one byte a second never completes the request
				defer close(dripping)
				for i := 0; ctx.Err() == nil; i++ {
					_, _ = raw.Write([]byte(handshakeRequest[i : i+1]))
					time.Sleep(time.Second)
				}
			}()
			start := time.Now()
			_, err := carrier.Upgrade(c, carrier.WebSocketOptions{HandshakeTimeout: timeout})
			errIs(t, err, os.ErrDeadlineExceeded)
			if d := time.Since(start); d != want {
				t.Errorf("gave up after %v, want %v", d, want)
			}
			cancel()
			<-dripping

			start = time.Now()
			_, err = carrier.ConnectWebSocket(t.Context(), raw, "ws://bus/", carrier.WebSocketOptions{HandshakeTimeout: timeout})
			errIs(t, err, os.ErrDeadlineExceeded)
			if d := time.Since(start); d != want {
				t.Errorf("the client gave up after %v, want %v", d, want)
			}
			noError(t, c.Close())
			noError(t, raw.Close())
		}
	})
}

func TestConnectEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		far, near := carrier.Pipe()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := carrier.ConnectWebSocket(ctx, near, "ws://bus/", carrier.WebSocketOptions{})
		errIs(t, err, context.DeadlineExceeded)
		noError(t, near.Close())
		noError(t, far.Close())
	})
}

func TestConnectRefusesBadAnswers(t *testing.T) {
	tests := []struct {
		name, answer string
		words        []string
	}{
		{"another status", "HTTP/1.1 404 Not Found\r\nContent-Length: 9\r\n\r\nnot here\n", []string{"404", "not here"}},
		{"wrong accept", "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
			"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n", []string{"Sec-WebSocket-Accept"}},
		{"no HTTP", "+OK hello\r\n\r\n", []string{"malformed"}},
		{"endless head", "HTTP/1.1 101 Switching Protocols\r\nX: " + strings.Repeat("x", 20000), []string{"too long"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			far, near := carrier.Pipe()
			_, err := io.WriteString(far, tt.answer)
			noError(t, err)
			_, err = carrier.ConnectWebSocket(t.Context(), near, "ws://user:secret@bus/core", carrier.WebSocketOptions{})
			errIs(t, err, nil, append(tt.words, "ws://user:xxxxx@bus/core")...)
			noError(t, far.Close())
			noError(t, near.Close())
		})
	}
}

func TestDialWebSocketRefusesURLs(t *testing.T) {
	for _, u := range []string{"http://bus/", "bus:8181", "ws:///core", "", "ws://%zz/"} {
		_, err := carrier.DialWebSocket(t.Context(), u, nil, carrier.WebSocketOptions{})
		errIs(t, err, nil, "parsing WebSocket URL")
	}
	_, err := carrier.DialWebSocket(t.Context(), "ws://127.0.0.1:1/", nil, carrier.WebSocketOptions{})
	errIs(t, err, nil, "ws://127.0.0.1:1/", "refused")
}

// TestWebSocketOverSockets dials ws:// and wss:// servers, plain ones and ones behind net/http.
func TestWebSocketOverSockets(t *testing.T) {
	o := carrier.WebSocketOptions{Path: "/core", Subprotocols: []string{"mqtt"}}
	certFile, keyFile, pool := certificates(t)
	config, err := carrier.LoadTLS(certFile, keyFile, "")
	noError(t, err)
	trusting := &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}

	serve := func(tc *tls.Config) string {
		l, err := carrier.Listen(t.Context(), carrier.Endpoint{Network: "tcp", Address: "127.0.0.1:0", TLS: tc})
		noError(t, err)
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() {
			ended <- carrier.Serve(ctx, l, carrier.ServeOptions{}, func(_ context.Context, c net.Conn) {
				if w, err := carrier.Upgrade(c, o); err == nil {
					echoMessages(w)
				}
			})
		}()
		t.Cleanup(func() {
			cancel()
			noError(t, <-ended)
		})
		return l.Addr().String()
	}
	overHTTP := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if w, err := carrier.UpgradeHTTP(w, r, o); err == nil {
			echoMessages(w)
		}
	}))
	defer overHTTP.Close()

	for name, u := range map[string]string{
		"ws":   "ws://" + serve(nil),
		"wss":  "wss://" + serve(config),
		"http": "ws" + strings.TrimPrefix(overHTTP.URL, "http"),
	} {
		t.Run(name, func(t *testing.T) {
			w, err := carrier.DialWebSocket(t.Context(), u+"/core?name=x", trusting, o)
			noError(t, err)
			if w.Subprotocol != "mqtt" || w.URL.Path != "/core" {
				t.Errorf("subprotocol %q, URL %v", w.Subprotocol, w.URL)
			}
			for _, size := range []int{0, 1, 125, 126, 4096, 65535, 65536, 300000} {
				want := strings.Repeat("é", size/2)
				noError(t, w.Send(carrier.Text, []byte(want)))
				op, got, err := w.Read()
				if err != nil || op != carrier.Text || string(got) != want {
					t.Fatalf("size %d: read %v, %d bytes, %v", size, op, len(got), err)
				}
			}
			noError(t, w.Send(carrier.Text, []byte("close 4001")))
			_, _, err = w.Read()
			closed, ok := errors.AsType[*carrier.CloseError](err)
			if !ok || closed.Code != 4001 || closed.Reason != "as you wish" || !errors.Is(err, io.EOF) {
				t.Errorf("read %v", err)
			}
			noError(t, w.Close(carrier.CloseNormal, ""))

			_, err = carrier.DialWebSocket(t.Context(), u+"/other", trusting, o)
			errIs(t, err, nil, "404", "WebSocket endpoint")
		})
	}
}

// echoMessages sends back what it reads; "close N" makes it close with that code.
func echoMessages(w *carrier.WebSocket) {
	code := 0
	for {
		op, b, err := w.Read()
		if err != nil {
			break
		}
		if _, err := fmt.Sscanf(string(b), "close %d", &code); err == nil {
			break
		}
		if w.Send(op, b) != nil {
			break
		}
	}
	_ = w.Close(code, "as you wish")
}

func TestUpgradeHTTPRefuses(t *testing.T) {
	failed := make(chan error, 1)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, err := carrier.UpgradeHTTP(w, r, carrier.WebSocketOptions{Path: "/core"})
		failed <- err
	}))
	defer server.Close()
	valid := http.Header{
		"Connection": {"Upgrade"}, "Upgrade": {"websocket"}, "Sec-Websocket-Version": {"13"},
		"Sec-Websocket-Key": {"dGhlIHNhbXBsZSBub25jZQ=="},
	}
	tests := []struct {
		name, method, path, drop string
		status                   int
	}{
		{"plain GET", "GET", "/core", "Upgrade", 426},
		{"no connection header", "GET", "/core", "Connection", 426},
		{"no version", "GET", "/core", "Sec-Websocket-Version", 426},
		{"no key", "GET", "/core", "Sec-Websocket-Key", 400},
		{"wrong path", "GET", "/other", "", 404},
		{"POST", "POST", "/core", "", 405},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r, err := http.NewRequestWithContext(t.Context(), tt.method, server.URL+tt.path, nil)
			noError(t, err)
			r.Header = valid.Clone()
			r.Header.Del(tt.drop)
			answer, err := server.Client().Do(r)
			noError(t, err)
			body, err := io.ReadAll(answer.Body)
			noError(t, err)
			noError(t, answer.Body.Close())
			if answer.StatusCode != tt.status {
				t.Errorf("status %d, body %q", answer.StatusCode, body)
			}
			if !strings.Contains(string(body), "WebSocket endpoint") {
				t.Errorf("body %q", body)
			}
			errIs(t, <-failed, nil, "websocket handshake")
		})
	}
}
