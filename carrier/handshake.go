package carrier

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/gobwas/ws"
)

// maxHead bounds the head of a request or answer, cookies and all.
const maxHead = 16 << 10

// Reasons to refuse a handshake that are not the library's.
var (
	errWrongPath = errors.New("no such path")
	errNotHTTP   = errors.New("not an HTTP request")
	errLongHead  = fmt.Errorf("the head of the request is above %d bytes", maxHead)
)

// Upgrade answers a client's handshake on a fresh connection and returns the WebSocket. No extension is ever agreed on.
// Bytes the client sent after its handshake are kept for Read.
//
// A request that asks for something else gets an HTTP answer whose one-line body says that this is a WebSocket endpoint;
// a wrong path gets 404, a page that CheckOrigin refuses 403 (ErrOrigin). The error then says what the client wanted, and closing c is left to the caller. Upgrade sets
// and clears the deadlines of c.
func Upgrade(c net.Conn, o WebSocketOptions) (*WebSocket, error) {
	o = o.withDefaults()
	fail := func(err error) (*WebSocket, error) {
		return nil, fmt.Errorf("websocket handshake with %s: %w", c.RemoteAddr(), err)
	}
	if err := c.SetDeadline(time.Now().Add(o.HandshakeTimeout)); err != nil {
		return fail(err)
	}
	page, _ := pages.Get().(*[pageSize]byte)
	defer pages.Put(page)
	head, rest, err := readHead(c, page[:0])
	if errors.Is(err, errNotHTTP) || errors.Is(err, errLongHead) {
		_, _ = c.Write(refusal(err)) // the refusal is the error to tell
	}
	if err != nil {
		return fail(fmt.Errorf("waiting for the request: %w", err))
	}
	answer, u, subprotocol, err := negotiate(head, c.LocalAddr(), o)
	if err != nil {
		_, _ = c.Write(refusal(err))
		return fail(err)
	}
	if _, err := c.Write(answer); err != nil {
		return fail(fmt.Errorf("answering: %w", err))
	}
	if err := c.SetDeadline(time.Time{}); err != nil {
		return fail(err)
	}
	return newWebSocket(c, false, o, u, subprotocol, slices.Clone(rest)), nil
}

// readHead reads up to the empty line that ends the head of a request. What does not begin like one is not waited for.
// It appends to buf; head and rest are parts of that.
func readHead(c io.Reader, buf []byte) (head, rest []byte, err error) {
	for empty := 0; empty < maxEmptyReads; empty++ {
		if len(buf) == cap(buf) {
			buf = slices.Grow(buf, min(cap(buf), maxHead-len(buf)))
		}
		n, err := c.Read(buf[len(buf):cap(buf)])
		if n > 0 {
			empty = 0
		}
		before := len(buf)
		buf = buf[:before+n]
		if !startsLikeHTTP(buf) {
			return nil, nil, errNotHTTP
		}
		if end := endOfHead(buf, before); end > 0 {
			return buf[:end], buf[end:], nil
		}
		if len(buf) >= maxHead {
			return nil, nil, errLongHead
		}
		if err != nil {
			if errors.Is(err, io.EOF) && len(buf) > 0 {
				err = io.ErrUnexpectedEOF
			}
			return nil, nil, err
		}
	}
	return nil, nil, io.ErrNoProgress
}

// endOfHead finds where the head ends, 0 when it does not yet. Bytes before from were searched before.
func endOfHead(buf []byte, from int) int {
	const longestEnd = len("\n\r\n")
	for i := max(0, from-longestEnd); i < len(buf); i++ {
		next := bytes.IndexByte(buf[i:], '\n')
		if next < 0 {
			return 0
		}
		i += next
		after := buf[i+1:]
		switch {
		case bytes.HasPrefix(after, []byte("\n")):
			return i + 2
		case bytes.HasPrefix(after, []byte("\r\n")):
			return i + 3
		}
	}
	return 0
}

// startsLikeHTTP tells whether bytes can be the beginning of "METHOD target HTTP/x.y".
func startsLikeHTTP(buf []byte) bool {
	const longestMethod = 16
	for i, b := range buf {
		if b == ' ' && i > 0 {
			break
		}
		if b < 'A' || b > 'Z' || i >= longestMethod {
			return false
		}
	}
	line, _, complete := bytes.Cut(buf, []byte("\n"))
	return !complete || bytes.Contains(line, []byte(" HTTP/"))
}

// negotiate judges a request and makes the answer that accepts it.
func negotiate(head []byte, local net.Addr, o WebSocketOptions) (answer []byte, u *url.URL, subprotocol string, err error) {
	var offered, origins []string
	from := Handshake{Local: local}
	upgrader := ws.Upgrader{
		OnRequest: func(uri []byte) (err error) {
			u, err = checkPath(string(uri), o.Path)
			return err
		},
		ProtocolCustom: func(v []byte) (string, bool) {
			offered = appendTokens(offered, string(v))
			return "", true
		},
		OnHost: func(v []byte) error {
			from.Host = string(v)
			return nil
		},
		OnHeader: func(k, v []byte) error {
			if strings.EqualFold(string(k), "Origin") {
				origins = append(origins, string(v))
			}
			return nil
		},
		OnBeforeUpgrade: func() (ws.HandshakeHeader, error) {
			from.Origin = strings.Join(origins, ", ")
			if err := o.checkOrigin(from); err != nil {
				return nil, err
			}
			subprotocol = choose(o.Subprotocols, offered)
			if subprotocol == "" {
				return nil, nil
			}
			return ws.HandshakeHeaderString("Sec-WebSocket-Protocol: " + subprotocol + "\r\n"), nil
		},
	}
	var written bytes.Buffer
	_, err = upgrader.Upgrade(struct {
		io.Reader
		io.Writer
	}{bytes.NewReader(head), &written})
	if err != nil {
		return nil, nil, "", err
	}
	return written.Bytes(), u, subprotocol, nil
}

func checkPath(uri, path string) (*url.URL, error) {
	u, err := url.ParseRequestURI(uri)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ws.ErrMalformedRequest, err)
	}
	if path != "" && u.Path != path {
		return nil, fmt.Errorf("%w: %q", errWrongPath, u.Path)
	}
	return u, nil
}

// appendTokens appends the elements of a comma-separated header.
func appendTokens(dst []string, header string) []string {
	for token := range strings.SplitSeq(header, ",") {
		if token = strings.TrimSpace(token); token != "" {
			dst = append(dst, token)
		}
	}
	return dst
}

// choose returns the first of ours that they offer.
func choose(ours, offered []string) string {
	for _, p := range ours {
		if slices.Contains(offered, p) {
			return p
		}
	}
	return ""
}

// refusalStatus is the HTTP status for a reason to refuse, with the headers that go with it.
func refusalStatus(err error) (status int, headers []string) {
	switch {
	case errors.Is(err, errWrongPath):
		return http.StatusNotFound, nil
	case errors.Is(err, ErrOrigin):
		return http.StatusForbidden, nil
	case errors.Is(err, errLongHead):
		return http.StatusRequestHeaderFieldsTooLarge, nil
	case errors.Is(err, ws.ErrHandshakeBadMethod):
		return http.StatusMethodNotAllowed, []string{"Allow: GET"}
	case errors.Is(err, ws.ErrHandshakeBadProtocol):
		return http.StatusHTTPVersionNotSupported, nil
	case errors.Is(err, ws.ErrHandshakeUpgradeRequired),
		errors.Is(err, ws.ErrHandshakeBadUpgrade), errors.Is(err, ws.ErrHandshakeBadConnection):
		return http.StatusUpgradeRequired, []string{"Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13"}
	default:
		return http.StatusBadRequest, nil
	}
}

// refusalText is the body of a refusal: one line a person can use.
func refusalText(err error) string {
	if errors.Is(err, ErrOrigin) {
		return err.Error() + "\n"
	}
	why := strings.TrimPrefix(err.Error(), "handshake error: ")
	return "this is a WebSocket endpoint (" + why + "): connect with a WebSocket client\n"
}

// refusal is the whole answer to a request that is refused.
func refusal(err error) []byte {
	status, headers := refusalStatus(err)
	body := refusalText(err)
	b := fmt.Appendf(nil, "HTTP/1.1 %d %s\r\n", status, http.StatusText(status))
	for _, h := range headers {
		b = fmt.Appendf(b, "%s\r\n", h)
	}
	if !slices.Contains(headers, "Connection: Upgrade") {
		b = append(b, "Connection: close\r\n"...)
	}
	return fmt.Appendf(b, "Content-Type: text/plain; charset=utf-8\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
}
