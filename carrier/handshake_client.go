package carrier

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/gobwas/ws"
)

// DialWebSocket connects to a ws:// or wss:// URL. tc is the TLS configuration of wss, nil the default one. The
// handshake ends with ctx or after HandshakeTimeout, whichever is first. Path of the options is not used.
func DialWebSocket(ctx context.Context, rawURL string, tc *tls.Config, o WebSocketOptions) (*WebSocket, error) {
	o = o.withDefaults()
	u, err := parseWebSocketURL(rawURL)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, o.HandshakeTimeout)
	defer cancel()
	e := Endpoint{Network: networkTCP, Address: u.Host}
	port := "80"
	if u.Scheme == "wss" {
		port = "443"
		if e.TLS = tc; tc == nil {
			e.TLS = &tls.Config{MinVersion: tls.VersionTLS12}
		}
	}
	if u.Port() == "" {
		e.Address = net.JoinHostPort(u.Hostname(), port)
	}
	c, err := Dial(ctx, e)
	if err != nil {
		return nil, fmt.Errorf("dialing %s: %w", u.Redacted(), err)
	}
	w, err := ConnectWebSocket(ctx, c, rawURL, o)
	if err != nil {
		hardClose(c)
		return nil, err
	}
	return w, nil
}

// ConnectWebSocket performs the client's handshake for a URL on a connection that exists already. It sets and clears the
// deadlines of c; when it fails, closing c is left to the caller.
func ConnectWebSocket(ctx context.Context, c net.Conn, rawURL string, o WebSocketOptions) (*WebSocket, error) {
	o = o.withDefaults()
	u, err := parseWebSocketURL(rawURL)
	if err != nil {
		return nil, err
	}
	fail := func(err error) (*WebSocket, error) {
		return nil, fmt.Errorf("websocket handshake with %s: %w", u.Redacted(), err)
	}
	if err := c.SetDeadline(time.Now().Add(o.HandshakeTimeout)); err != nil {
		return fail(err)
	}
	interrupted := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(interrupted)
		_ = c.SetDeadline(longAgo()) // ends the handshake; a connection that is gone has ended it
	})
	answer := ""
	d := ws.Dialer{
		Protocols: o.Subprotocols,
		OnStatusError: func(_ int, _ []byte, response io.Reader) {
			answer = describe(response)
		},
	}
	ahead, agreed, err := d.Upgrade(struct {
		io.Reader
		io.Writer
	}{&limited{c, maxHead}, c}, u)
	if !stop() {
		<-interrupted
		if ctx.Err() != nil {
			return fail(ctx.Err())
		}
	}
	if err != nil {
		if answer != "" {
			err = fmt.Errorf("the server answered %s: %w", answer, err)
		}
		return fail(err)
	}
	var rest []byte
	if ahead != nil {
		rest, err = takeBuffered(ahead)
		ws.PutReader(ahead)
	}
	if err == nil {
		err = c.SetDeadline(time.Time{})
	}
	if err != nil {
		return fail(err)
	}
	return newWebSocket(c, true, o, u, agreed.Protocol, rest), nil
}

func parseWebSocketURL(raw string) (*url.URL, error) {
	u, err := url.ParseRequestURI(raw)
	if err != nil {
		return nil, fmt.Errorf("parsing WebSocket URL: %w", err)
	}
	if u.Scheme != "ws" && u.Scheme != "wss" || u.Host == "" {
		return nil, fmt.Errorf("parsing WebSocket URL %q: expecting ws://host/path or wss://host/path", u.Redacted())
	}
	return u, nil
}

// describe puts the status and the first line of the body of an answer into words.
func describe(response io.Reader) string {
	r, err := http.ReadResponse(bufio.NewReader(response), nil)
	if err != nil {
		return ""
	}
	defer func() { _ = r.Body.Close() }() // nothing depends on it
	line, _ := bufio.NewReader(io.LimitReader(r.Body, 200)).ReadString('\n')
	if line = strings.TrimSpace(line); line != "" {
		return r.Status + ": " + line
	}
	return r.Status
}

// limited fails when more than left bytes are read.
type limited struct {
	r    io.Reader
	left int
}

func (l *limited) Read(p []byte) (int, error) {
	if l.left <= 0 {
		return 0, errors.New("the answer's head is too long")
	}
	n, err := l.r.Read(p[:min(len(p), l.left)])
	l.left -= n
	return n, err
}
