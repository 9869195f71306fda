package carrier

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"strings"

	"github.com/gobwas/ws"
)

// keySize is the length of a Sec-WebSocket-Key: 16 bytes in base64.
const keySize = 24

// UpgradeHTTP is Upgrade for a request that an http.Server has read. On success the connection is no longer the
// server's; on failure the answer has been written.
func UpgradeHTTP(w http.ResponseWriter, r *http.Request, o WebSocketOptions) (*WebSocket, error) {
	o = o.withDefaults()
	fail := func(err error) (*WebSocket, error) {
		return nil, fmt.Errorf("websocket handshake with %s: %w", r.RemoteAddr, err)
	}
	err := checkRequest(r, o.Path)
	if err == nil {
		local, _ := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
		err = o.checkOrigin(Handshake{Origin: strings.Join(r.Header.Values("Origin"), ", "), Host: r.Host, Local: local})
	}
	if err != nil {
		status, headers := refusalStatus(err)
		for _, h := range headers {
			if key, value, _ := strings.Cut(h, ": "); status != http.StatusUpgradeRequired || key != "Connection" {
				w.Header().Set(key, value)
			}
		}
		http.Error(w, strings.TrimSuffix(refusalText(err), "\n"), status)
		return fail(err)
	}
	var offered []string
	for _, v := range r.Header.Values("Sec-WebSocket-Protocol") {
		offered = appendTokens(offered, v)
	}
	upgrader := ws.HTTPUpgrader{Timeout: o.HandshakeTimeout}
	subprotocol := choose(o.Subprotocols, offered)
	if subprotocol != "" {
		upgrader.Header = http.Header{"Sec-Websocket-Protocol": {subprotocol}}
	}
	c, rw, _, err := upgrader.Upgrade(r, w)
	if err != nil {
		if c != nil {
			hardClose(c)
		}
		return fail(err)
	}
	rest, err := takeBuffered(rw.Reader)
	if err != nil {
		hardClose(c)
		return fail(err)
	}
	u := *r.URL
	return newWebSocket(c, false, o, &u, subprotocol, rest), nil
}

// checkRequest refuses what is no WebSocket handshake for path.
func checkRequest(r *http.Request, path string) error {
	switch {
	case path != "" && r.URL.Path != path:
		return fmt.Errorf("%w: %q", errWrongPath, r.URL.Path)
	case r.ProtoMajor != 1 || r.ProtoMinor < 1:
		return ws.ErrHandshakeBadProtocol
	case r.Method != http.MethodGet:
		return ws.ErrHandshakeBadMethod
	case !strings.EqualFold(r.Header.Get("Upgrade"), "websocket"):
		return ws.ErrHandshakeBadUpgrade
	case !hasToken(r.Header.Values("Connection"), "upgrade"):
		return ws.ErrHandshakeBadConnection
	case r.Header.Get("Sec-WebSocket-Version") != "13":
		return ws.ErrHandshakeUpgradeRequired
	case len(r.Header.Get("Sec-WebSocket-Key")) != keySize:
		return ws.ErrHandshakeBadSecKey
	}
	return nil
}

func hasToken(headers []string, token string) bool {
	for _, h := range headers {
		for _, t := range appendTokens(nil, h) {
			if strings.EqualFold(t, token) {
				return true
			}
		}
	}
	return false
}

// takeBuffered copies what a buffered reader has read ahead.
func takeBuffered(r *bufio.Reader) ([]byte, error) {
	n := r.Buffered()
	if n == 0 {
		return nil, nil
	}
	p, err := r.Peek(n)
	return append([]byte(nil), p...), err
}
