package carrier

import (
	"context"
	"net"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gobwas/ws"
)

const (
	defaultMaxMessage       = 25 << 20
	defaultHandshakeTimeout = 10 * time.Second
)

// WebSocketOptions are what both roles need to know. The zero value works.
type WebSocketOptions struct {
	// Path is the exact path a server answers on; others get 404. "" accepts any.
	Path string
	// Subprotocols are offered by a server, in its order of preference, and requested by a client. A client that
	// requests none of the server's is accepted without one.
	Subprotocols []string
	// CheckOrigin decides for a server whether the page of a browser may connect; nil means SameOrigin. It is not asked
	// about requests without an Origin. What it refuses gets 403.
	CheckOrigin func(Handshake) bool
	// MaxMessage bounds a message read, reassembled; 0 means 25 MiB. A larger one is answered with close code 1009.
	MaxMessage int
	// HandshakeTimeout bounds the handshake, the one of TLS included; 0 means 10 s.
	HandshakeTimeout time.Duration
	// Outbox bounds what waits to be sent; in MaxBytes a message counts up to 14 bytes more than its payload. Its OnError
	// and OnRoom must call neither Close nor Drop, which wait for them; at OnError the connection is closed already.
	Outbox OutboxOptions
}

func (o WebSocketOptions) withDefaults() WebSocketOptions {
	if o.MaxMessage <= 0 {
		o.MaxMessage = defaultMaxMessage
	}
	if o.HandshakeTimeout <= 0 {
		o.HandshakeTimeout = defaultHandshakeTimeout
	}
	return o
}

// WebSocket is a connection that carries messages, in either role. One goroutine reads; everything else may be called
// from any goroutine. What is sent goes through an Outbox, with its bounds, order and failure; a failed write closes the
// connection, so that Read ends too. Close or Drop must be called in the end, also after Read has failed.
type WebSocket struct {
	// Subprotocol is the one agreed on, or "".
	Subprotocol string
	// URL is what the client requested: path and query at a server, the dialed URL at a client.
	URL *url.URL

	c      net.Conn
	out    *Outbox
	client bool
	max    int
	active atomic.Int64 // when bytes last arrived, in nanoseconds of the Unix clock
	end    sync.Once    // Close or Drop
	ended  error
	phase  atomic.Int32  // who reads, see wsclose.go
	left   chan struct{} // closed when the reader left for good

	deadlines sync.Mutex // keeps SetReadDeadline from undoing the one of Close

	// What follows belongs to who reads.
	in         Reader
	failure    error     // why reading ended
	head       ws.Header // of the frame being read, when inFrame
	inFrame    bool
	fragmented bool // message has fragments already
	op         Op
	missing    int      // payload bytes of the frame that are not in message yet
	message    *message // the message being read; the one returned last, when lentMessage
	lent       int      // bytes of the reader's buffer returned last
	lentWhole  bool     // message was returned last
}

// newWebSocket starts a connection after its handshake. rest are bytes that were read with it.
func newWebSocket(c net.Conn, client bool, o WebSocketOptions, u *url.URL, subprotocol string, rest []byte) *WebSocket {
	w := &WebSocket{Subprotocol: subprotocol, URL: u, c: c, client: client, max: o.MaxMessage, left: make(chan struct{})}
	told := o.Outbox.OnError
	o.Outbox.OnError = func(err error) {
		hardClose(c)
		if told != nil {
			told(err)
		}
	}
	w.out = NewOutbox(c, o.Outbox)
	w.in.reset(c, rest)
	w.in.seen = &w.active
	w.active.Store(time.Now().UnixNano())
	return w
}

// Send queues one message, copying the payload. It never waits for the peer: past a bound of the outbox it queues
// nothing and returns ErrFull, after the connection has ended an error wrapping ErrClosed. That a text is UTF-8 is the
// caller's business.
func (w *WebSocket) Send(op Op, payload []byte) error {
	size := headerSize(len(payload)) + len(payload)
	if w.client {
		size += maskSize
	}
	return w.out.appendFrame(ws.OpCode(op), payload, size, w.client)
}

// appendFrame is Append for a frame that is encoded in place.
func (o *Outbox) appendFrame(op ws.OpCode, payload []byte, size int, client bool) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if err := o.admit(size); err != nil {
		return err
	}
	q := o.open()
	if client {
		q.buf = appendClientFrame(q.buf, op, payload)
	} else {
		q.buf = AppendFrame(q.buf, Op(op), payload)
	}
	o.accepted(size)
	o.start()
	return nil
}

// SendFrame queues a frame made by CompileFrame, which many connections may share and which must not change. Only a
// server can: a client's frames are masked one by one.
func (w *WebSocket) SendFrame(frame []byte) error {
	if w.client {
		return errMasked
	}
	return w.out.AppendShared(frame)
}

// Ping queues a ping; the peer's pong shows in LastActivity.
func (w *WebSocket) Ping() error {
	return w.control(ws.OpPing, nil)
}

// control queues a control frame.
func (w *WebSocket) control(op ws.OpCode, payload []byte) error {
	return w.Send(Op(op), payload)
}

// LastActivity tells when bytes last arrived from the peer; before the first ones, when the handshake ended.
func (w *WebSocket) LastActivity() time.Time {
	return time.Unix(0, w.active.Load())
}

// Pending returns what is waiting to be sent, as Outbox.Pending does.
func (w *WebSocket) Pending() (bytes, messages int) { return w.out.Pending() }

// Flush waits until everything sent before is written, as Outbox.Flush does.
func (w *WebSocket) Flush(ctx context.Context) error { return w.out.Flush(ctx) }

// RemoteAddr is the peer's address.
func (w *WebSocket) RemoteAddr() net.Addr { return w.c.RemoteAddr() }

// LocalAddr is our address.
func (w *WebSocket) LocalAddr() net.Addr { return w.c.LocalAddr() }

// SetReadDeadline bounds Read, which then fails with a timeout and may be called again: nothing is lost.
func (w *WebSocket) SetReadDeadline(t time.Time) error {
	w.deadlines.Lock()
	defer w.deadlines.Unlock()
	if w.phase.Load() >= phaseClosing {
		return ErrClosed
	}
	return w.c.SetReadDeadline(t)
}
