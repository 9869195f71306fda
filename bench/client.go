package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"syscall"
	"time"

	"omnibus/dialect/mqtt/packet"
)

// patience is how long a broker may take to answer a CONNECT or a SUBSCRIBE.
const patience = 20 * time.Second

// The sizes of read buffers: of those that are answered now and then, and of
// subscribers.
const (
	smallBuffer = 4 << 10
	largeBuffer = 128 << 10
)

// client is a connection to the broker. One goroutine reads it; any may write
// whole packets.
type client struct {
	conn net.Conn
	buf  []byte
	r, w int // what is in buf and has not been taken is buf[r:w]
}

// dialer says how to connect.
type dialer struct {
	address string
	source  net.IP // nil for any
}

// connect opens a connection and a clean session that never expires by silence.
func (d dialer) connect(ctx context.Context, id string) (*client, error) {
	dial := net.Dialer{Timeout: patience}
	if d.source != nil {
		dial.LocalAddr = &net.TCPAddr{IP: d.source}
	}
	conn, err := dial.DialContext(ctx, "tcp", d.address)
	if err != nil {
		return nil, fmt.Errorf("connecting: %w", err)
	}
	c := &client{conn: conn, buf: make([]byte, smallBuffer)}
	if err := c.open(ctx, id); err != nil {
		_ = conn.Close()
		return nil, fmt.Errorf("opening a session: %w", err)
	}
	return c, nil
}

// open exchanges CONNECT and CONNACK.
func (c *client) open(ctx context.Context, id string) error {
	hello := packet.Connect{Version: packet.V311, CleanStart: true, ClientID: id}
	h, body, err := c.ask(ctx, hello.Append(nil), packet.CONNACK)
	if err != nil {
		return err
	}
	var answer packet.Connack
	if err := answer.Decode(h, body, packet.V311); err != nil {
		return err
	}
	if answer.Reason.Failed() {
		return fmt.Errorf("the broker refuses: %v", answer.Reason)
	}
	return nil
}

// subscribe subscribes to filters with one packet.
func (c *client) subscribe(ctx context.Context, qos byte, filters ...string) error {
	p := packet.Subscribe{PacketID: 1}
	for _, f := range filters {
		p.Filters = append(p.Filters, packet.Subscription{Filter: f, QoS: qos})
	}
	h, body, err := c.ask(ctx, p.Append(nil, packet.V311), packet.SUBACK)
	if err != nil {
		return fmt.Errorf("subscribing to %s: %w", filters[0], err)
	}
	var answer packet.Suback
	if err := answer.Decode(h, body, packet.V311); err != nil {
		return fmt.Errorf("subscribing to %s: %w", filters[0], err)
	}
	if len(answer.Codes) != len(filters) {
		return fmt.Errorf("subscribing to %s: the broker answers %d filters with %d codes", filters[0], len(filters), len(answer.Codes))
	}
	for i, code := range answer.Codes {
		if code.Failed() {
			return fmt.Errorf("the broker refuses the subscription to %s", filters[i])
		}
		if byte(code) != qos {
			return fmt.Errorf("the broker grants the subscription to %s QoS %d, not %d", filters[i], code, qos)
		}
	}
	return nil
}

// ask sends a packet and reads its answer, which is valid until the next read.
func (c *client) ask(ctx context.Context, request []byte, want packet.Type) (packet.Header, []byte, error) {
	defer c.until(ctx, time.Now().Add(patience))()
	if _, err := c.write(request); err != nil {
		return packet.Header{}, nil, err
	}
	for {
		h, body, ok, err := c.next()
		switch {
		case err != nil:
			return h, nil, err
		case ok && h.Type == want:
			return h, body, nil
		case ok:
			continue
		}
		if err := c.fill(); err != nil {
			return h, nil, fmt.Errorf("waiting for %v: %w", want, err)
		}
	}
}

// until gives reads and writes a deadline, which comes at once when the context
// ends. What it returns takes the deadline away.
func (c *client) until(ctx context.Context, deadline time.Time) (done func()) {
	_ = c.conn.SetDeadline(deadline)
	stop := context.AfterFunc(ctx, func() { _ = c.conn.SetDeadline(time.Unix(1, 0)) })
	return func() {
		if stop() {
			_ = c.conn.SetDeadline(time.Time{})
		}
	}
}

var errClosed = errors.New("the broker has closed the connection")

// feed calls take after every read, until one of the two fails.
func (c *client) feed(take func() error) error {
	for {
		if err := c.fill(); err != nil {
			return err
		}
		if err := take(); err != nil {
			return err
		}
	}
}

// fill reads more, at least a byte.
func (c *client) fill() error {
	c.room()
	n, err := c.conn.Read(c.buf[c.w:])
	c.w += n
	if n > 0 {
		return nil
	}
	return plain(err)
}

// write writes whole packets and says how many bytes of them were taken.
func (c *client) write(packets []byte) (int, error) {
	n, err := c.conn.Write(packets)
	return n, plain(err)
}

// plain is one error for all the ways in which a broker hangs up.
func plain(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) {
		return errClosed
	}
	return err
}

// room makes some for the next read.
func (c *client) room() {
	switch {
	case c.r == c.w:
		c.r, c.w = 0, 0
	case c.w == len(c.buf) && c.r > 0:
		c.w = copy(c.buf, c.buf[c.r:c.w])
		c.r = 0
	case c.w == len(c.buf):
		c.buf = append(c.buf, make([]byte, len(c.buf))...)
	}
}

// next takes a packet out of what has been read, if a whole one is there.
func (c *client) next() (h packet.Header, body []byte, ok bool, err error) {
	h, body, n, err := packet.Frame(c.buf[c.r:c.w], 0)
	c.r += n
	return h, body, n > 0, err
}

// grow gives the client a large buffer.
func (c *client) grow() {
	c.buf = append(make([]byte, 0, largeBuffer), c.buf[:c.w]...)[:largeBuffer]
}

// close says goodbye and closes the connection.
func (c *client) close() {
	_ = c.conn.SetWriteDeadline(time.Now().Add(time.Second))
	_, _ = c.conn.Write([]byte{byte(packet.DISCONNECT) << 4, 0})
	_ = c.conn.Close()
}
