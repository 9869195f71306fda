package remote

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"sync"
	"time"

	"omnibus/bus"
	"omnibus/carrier"
	"omnibus/dialect/mycroft/mapping"
	"omnibus/dialect/mycroft/packet"
	"omnibus/payload"
	"omnibus/topic"
)

// confirmTimeout is how long a hub may take to relay a message to its sender.
const confirmTimeout = 10 * time.Second

// mycroftClient speaks the Mycroft dialect, to any hub of its kind. One
// goroutine reads the connection and hands each frame to all who listen.
type mycroftClient struct {
	url     *url.URL
	options Options
	ws      *carrier.WebSocket
	greeted chan struct{} // closed by the first frame: the hub has taken us in
	ended   chan struct{} // closed when nothing is read any more
	why     error         // the reason; set before ended is closed

	mu        sync.Mutex // guards what follows, and is held while a listener takes a frame
	closed    bool
	listeners []*listener
}

// listener takes every frame that comes, in order. It must neither block for
// long nor listen or remove itself. The message is a view of the frame, which
// is valid until it returns.
type listener struct {
	take func(frame []byte, m packet.Message)
}

func dialMycroft(ctx context.Context, u *url.URL, o Options) (Client, error) {
	ws, err := connect(ctx, u, o)
	if err != nil {
		if why := unreachable(u, err); why != nil {
			return nil, why
		}
		return nil, err
	}
	c := &mycroftClient{url: u, options: o, ws: ws, greeted: make(chan struct{}), ended: make(chan struct{})}
	go c.read()
	return c, nil
}

// connect opens a WebSocket.
func connect(ctx context.Context, u *url.URL, o Options) (*carrier.WebSocket, error) {
	wo := carrier.WebSocketOptions{
		MaxMessage: o.MaxMessage,
		Outbox:     carrier.OutboxOptions{MaxBytes: 2 * o.MaxMessage},
	}
	if o.Dial == nil {
		return carrier.DialWebSocket(ctx, u.String(), o.TLS, wo)
	}
	conn, err := o.Dial(ctx, "tcp", address(u))
	if err != nil {
		return nil, fmt.Errorf("dialing %s: %w", u.Redacted(), err)
	}
	if u.Scheme == "wss" {
		conn = tls.Client(conn, tlsConfig(u, o))
	}
	ws, err := carrier.ConnectWebSocket(ctx, conn, u.String(), wo)
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return ws, nil
}

// tlsConfig is the configuration for the host of a URL.
func tlsConfig(u *url.URL, o Options) *tls.Config {
	c := o.TLS.Clone()
	if c == nil {
		c = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	if c.ServerName == "" {
		c.ServerName = u.Hostname()
	}
	return c
}

// address is the host of a URL with its port.
func address(u *url.URL) string {
	port := u.Port()
	switch {
	case port != "":
	case u.Scheme == "wss":
		port = "443"
	default:
		port = "80"
	}
	return net.JoinHostPort(u.Hostname(), port)
}

// read hands out frames until the connection ends.
func (c *mycroftClient) read() {
	defer close(c.ended)
	var greeting sync.Once
	for {
		_, frame, err := c.ws.Read()
		if err != nil {
			c.mu.Lock()
			defer c.mu.Unlock()
			c.why = fmt.Errorf("the connection to %s was lost: %w", c.url.Redacted(), err)
			if c.closed {
				c.why = errClosed
			}
			return
		}
		first := false
		greeting.Do(func() { first = true; close(c.greeted) })
		m, err := packet.Parse(frame)
		if err != nil || first && m.Type == "connected" {
			continue
		}
		c.mu.Lock()
		for _, l := range c.listeners {
			l.take(frame, m)
		}
		c.mu.Unlock()
	}
}

// listen adds a listener. After remove has returned it is not called any more.
func (c *mycroftClient) listen(take func(frame []byte, m packet.Message)) (remove func()) {
	l := &listener{take}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.listeners = append(c.listeners, l)
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		if i := slices.Index(c.listeners, l); i >= 0 {
			c.listeners = slices.Delete(c.listeners, i, i+1)
		}
	}
}

// Close closes the connection in order.
func (c *mycroftClient) Close() error {
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
	err := c.ws.Close(carrier.CloseNormal, "")
	<-c.ended
	return err
}

// send sends a frame.
func (c *mycroftClient) send(frame []byte) error {
	if err := c.ws.Send(carrier.Text, frame); err != nil {
		return fmt.Errorf("sending to %s: %w", c.url.Redacted(), err)
	}
	return nil
}

// Publish sends a message and waits for the hub to relay it: a hub sends every
// message to its sender too, byte for byte.
func (c *mycroftClient) Publish(ctx context.Context, name string, v *payload.Value, o PublishOptions) error {
	if err := topic.CheckName(name); err != nil {
		return err
	}
	if o.Retain || o.QoS > 0 {
		return bus.Errorf(bus.Invalid, name, "the Mycroft dialect can neither retain a message nor give it a QoS; use another, such as http://")
	}
	d, err := mapping.Data(v)
	if err != nil {
		return err
	}
	frame := packet.Append(nil, name, d, nil)
	taken := make(chan error, 1)
	defer c.listen(func(f []byte, m packet.Message) {
		err := rejection(name, m)
		if err == nil && !bytes.Equal(f, frame) {
			return
		}
		select {
		case taken <- err:
		default: // it is known already
		}
	})()
	if err := c.send(frame); err != nil {
		return err
	}
	late := time.NewTimer(confirmTimeout)
	defer late.Stop()
	select {
	case err := <-taken:
		return err
	case <-c.ended:
		return c.why
	case <-ctx.Done():
		return fmt.Errorf("waiting for the hub to relay the message: %w", context.Cause(ctx))
	case <-late.C:
		return bus.Errorf(bus.TimedOut, name, "the hub has not relayed the message within %s; it may take the name for one of its own", confirmTimeout)
	}
}

// rejection is the hub's reason not to relay a message of the given name, nil
// when m is something else.
func rejection(name string, m packet.Message) error {
	if m.Type != "omnibus.rejected" {
		return nil
	}
	var why struct{ Type, Kind, Reason string }
	if json.Unmarshal(m.Data, &why) != nil || why.Type != name {
		return nil
	}
	return &bus.Error{Kind: kind(why.Kind), Text: why.Reason}
}

// Subscribe takes what matches out of all the messages that the hub relays.
func (c *mycroftClient) Subscribe(ctx context.Context, patterns []topic.Pattern, ready func(), fn func(*bus.Message)) error {
	remove := c.listen(func(frame []byte, m packet.Message) {
		if ctx.Err() != nil || !slices.ContainsFunc(patterns, func(p topic.Pattern) bool { return p.Match(m.Type) }) {
			return
		}
		m = own(m)
		out := &bus.Message{Topic: m.Type, Headers: bus.MakeHeaders(mapping.Headers(m.Context)...)}
		mapping.SetPayload(&out.Payload, m.Data)
		fn(out)
	})
	defer remove()
	if err := c.wait(ctx, c.greeted); err != nil {
		return ignoreEnd(ctx, err)
	}
	if ready != nil {
		ready()
	}
	return ignoreEnd(ctx, c.wait(ctx, nil))
}

// own returns a message that is no view of a frame.
func own(m packet.Message) packet.Message {
	m.Data, m.Context = bytes.Clone(m.Data), bytes.Clone(m.Context)
	return m
}

// wait waits for ch, if that is not nil, or for the end of the connection or
// of ctx.
func (c *mycroftClient) wait(ctx context.Context, ch <-chan struct{}) error {
	select {
	case <-ch:
		return nil
	case <-c.ended:
		return c.why
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// ignoreEnd is nil when ctx has ended, else err.
func ignoreEnd(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}
