package lwmqtt

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"sync"
	"time"

	"omnibus/client/mqtt"
)

// What errors wrap.
var (
	// ErrIO is about a connection that is not there, was lost, or on which the broker does not answer.
	ErrIO = errors.New("i/o error")
	// ErrValue is about an argument.
	ErrValue = errors.New("wrong value")
	// ErrTimeout is about a loop that does not end in time.
	ErrTimeout = errors.New("timed out")
)

// Client is a client of a broker.
type Client struct {
	id               string
	cleanSession     bool
	cycle, command   time.Duration
	maxPacket        int
	maxSubscriptions int
	maxQueued        int
	dial             func(ctx context.Context, network, address string) (net.Conn, error)
	panicked         func(value any, stack []byte)
	work             chan *work // what the loop is to run

	mu       sync.Mutex // guards what follows
	p        parameters
	current  *connection // the last one that was accepted
	code     ReturnCode
	greeted  bool // code is one
	username *string
	password string
	will     *mqtt.Will
	table    []subscription
	loop     *loop // the one that runs; nil if none does
}

// subscription is a line of the table of functions.
type subscription struct {
	filter   string
	function Function
}

// connection is one that was accepted.
type connection struct {
	c    *mqtt.Client
	gone chan struct{} // closed when its messages are nobody's any more
	once sync.Once
}

// end ends a connection. Its errors are those of a connection that is not wanted any more.
func (x *connection) end(limit time.Duration) error {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	err := x.c.Disconnect(ctx, mqtt.Farewell{})
	x.once.Do(func() { close(x.gone) })
	return err
}

// NewClient returns a client. An empty id is allowed with a clean session.
func NewClient(clientID string, options ...ClientOption) *Client {
	c := &Client{
		id: clientID, cleanSession: true, cycle: 500 * time.Millisecond, command: time.Minute,
		work: make(chan *work),
	}
	for _, o := range options {
		o(c)
	}
	return c
}

// Connect connects to a broker and starts the loop; keepalive is in seconds, 0 turns it off. It returns the code of the
// broker's answer. A refusal is no error.
func (c *Client) Connect(host string, keepalive int, options ...ConnectOption) (ReturnCode, error) {
	p := parameters{host: host, keepalive: keepalive, port: Port, startLoop: true}
	for _, o := range options {
		o(&p)
	}
	if keepalive < 0 || keepalive > 0xFFFF {
		return 0, fmt.Errorf("%w: a keep-alive of %d s, at most 65535", ErrValue, keepalive)
	}
	if c.Connected() {
		return 0, fmt.Errorf("%w: connected already; use Reconnect", ErrIO)
	}
	c.mu.Lock()
	c.p = p
	c.mu.Unlock()
	return c.open()
}

// Reconnect connects again with the arguments of Connect, once: first the function of WithBReconnect, then the old
// connection is ended, then all goes on as in Connect.
func (c *Client) Reconnect() (ReturnCode, error) {
	c.mu.Lock()
	p, old := c.p, c.current
	c.mu.Unlock()
	if p.host == "" {
		return 0, fmt.Errorf("%w: Connect comes first", ErrIO)
	}
	if p.before != nil {
		p.before(c)
	}
	if old != nil {
		_ = old.end(c.command) // it may be gone already
	}
	return c.open()
}

// open makes a connection.
func (c *Client) open() (ReturnCode, error) {
	x := &connection{gone: make(chan struct{})}
	c.mu.Lock()
	p := c.p
	o := c.options(x)
	c.mu.Unlock()
	scheme := "tcp"
	if p.ssl != nil {
		scheme = "tls"
	}
	client, err := mqtt.Dial(context.Background(), scheme+"://"+net.JoinHostPort(p.host, strconv.Itoa(p.port)), o)
	if refused, ok := errors.AsType[*mqtt.RefusedError](err); ok {
		code, known := refused.Reason.ReturnCode()
		if !known {
			return 0, fmt.Errorf("%w: %w", ErrIO, err)
		}
		c.note(ReturnCode(code), nil)
		return ReturnCode(code), nil
	}
	if errors.Is(err, mqtt.ErrInvalid) {
		return 0, fmt.Errorf("%w: %w", ErrValue, err)
	}
	if err != nil {
		return 0, fmt.Errorf("%w: %w", ErrIO, err)
	}
	x.c = client
	c.note(RCAccepted, x)
	if p.after != nil {
		p.after(c)
	}
	if p.startLoop {
		c.Loop()
	}
	return RCAccepted, nil
}

// note keeps the answer of a broker.
func (c *Client) note(code ReturnCode, x *connection) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.code, c.greeted = code, true
	if x != nil {
		c.current = x
	}
}

// options are those of the client below. mu is held.
func (c *Client) options(x *connection) mqtt.Options {
	o := mqtt.Options{
		ClientID: c.id, Version: mqtt.V311, KeepAlive: time.Duration(c.p.keepalive) * time.Second, Timeout: c.command,
		TLS: c.p.ssl, Will: c.will, Dial: c.dialer(), MaxPacket: c.maxPacket, MaxQueued: c.maxQueued,
		OnMessage: func(m *mqtt.Message) { c.hand(x, m) },
	}
	if !c.cleanSession {
		o.SessionExpiry = -1
	}
	if c.p.keepalive == 0 {
		o.KeepAlive = -1
	}
	if c.username != nil {
		o.Username, o.Password = *c.username, []byte(c.password)
	}
	return o
}

// dialer is the way to open connections; nil is the usual one.
func (c *Client) dialer() func(ctx context.Context, network, address string) (net.Conn, error) {
	if c.dial != nil || c.p.sock == nil {
		return c.dial
	}
	d := net.Dialer{KeepAliveConfig: *c.p.sock}
	return d.DialContext
}

// GetReturnCode returns the code of the last answer to a CONNECT; not ok if there was none.
func (c *Client) GetReturnCode() (code ReturnCode, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.code, c.greeted
}

// Connected tells whether there is a connection, as far as the client knows.
func (c *Client) Connected() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.current != nil && c.current.c.Connected()
}

// SetUsernamePW sets the login for the next connection. An empty password is sent, too.
func (c *Client) SetUsernamePW(username, password string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.username, c.password = &username, password
}

// SetWill sets the will for the next connection. It is retained unless Retain(false) says otherwise.
func (c *Client) SetWill(topic string, payload []byte, options ...MessageOption) {
	t := termsOf(terms{retain: true}, options)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.will = &mqtt.Will{Message: mqtt.Message{Topic: topic, Payload: slices.Clone(payload), QoS: t.qos, Retain: t.retain}}
}

// Publish sends a message. With QoS 0 it returns when it is written, with 1 and 2 when the broker has taken it.
func (c *Client) Publish(topic string, payload []byte, options ...MessageOption) error {
	t := termsOf(terms{}, options)
	return c.do(func(ctx context.Context, x *mqtt.Client) error {
		err := x.Publish(ctx, mqtt.Message{Topic: topic, Payload: payload, QoS: t.qos, Retain: t.retain})
		if err == nil && t.qos == 0 {
			err = x.Flush(ctx)
		}
		return err
	})
}

// Subscribe has a function called with the messages that match a filter. The same filter again replaces the function.
func (c *Client) Subscribe(topic string, function Function, qos ...QoS) error {
	want := byte(0)
	for _, q := range qos {
		want = byte(q)
	}
	c.mu.Lock()
	before := c.function(topic)
	full := before == nil && c.maxSubscriptions > 0 && len(c.table) >= c.maxSubscriptions
	if !full {
		c.enter(topic, function)
	}
	c.mu.Unlock()
	if full {
		return fmt.Errorf("%w: %d subscriptions are the most", ErrValue, c.maxSubscriptions)
	}
	err := c.do(func(ctx context.Context, x *mqtt.Client) error {
		granted, err := x.Subscribe(ctx, mqtt.Subscription{Filter: topic, QoS: want})
		if err == nil && granted < want {
			err = fmt.Errorf("%w: QoS %d was granted for %s, not %d", ErrIO, granted, topic, want)
		}
		return err
	})
	if err != nil {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.enter(topic, before)
	}
	return err
}

// function is that of a filter, nil if there is none. mu is held, as for enter.
func (c *Client) function(filter string) Function {
	for _, s := range c.table {
		if s.filter == filter {
			return s.function
		}
	}
	return nil
}

// enter puts a function in the table, or takes a filter out of it.
func (c *Client) enter(filter string, f Function) {
	i := slices.IndexFunc(c.table, func(s subscription) bool { return s.filter == filter })
	switch {
	case f == nil && i >= 0:
		c.table = slices.Delete(c.table, i, i+1)
	case f == nil:
	case i >= 0:
		c.table[i].function = f
	default:
		c.table = append(c.table, subscription{filter, f})
	}
}

// Unsubscribe ends the subscription to a filter.
func (c *Client) Unsubscribe(topic string) error {
	c.mu.Lock()
	known := c.function(topic) != nil
	c.mu.Unlock()
	if !known {
		return fmt.Errorf("%w: there is no subscription to %q", ErrValue, topic)
	}
	err := c.do(func(ctx context.Context, x *mqtt.Client) error { return x.Unsubscribe(ctx, topic) })
	if err == nil {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.enter(topic, nil)
	}
	return err
}

// do runs a command on the connection. One that is not answered in time ends the connection, and so the loop learns it.
func (c *Client) do(command func(ctx context.Context, x *mqtt.Client) error) error {
	c.mu.Lock()
	x := c.current
	c.mu.Unlock()
	if x == nil {
		return fmt.Errorf("%w: not connected", ErrIO)
	}
	ctx, cancel := context.WithTimeoutCause(context.Background(), c.command, mqtt.ErrNoAnswer)
	defer cancel()
	err := command(ctx, x.c)
	switch {
	case err == nil, errors.Is(err, ErrIO):
		return err
	case errors.Is(err, mqtt.ErrInvalid), errors.Is(err, mqtt.ErrTooLarge):
		return fmt.Errorf("%w: %w", ErrValue, err)
	case errors.Is(err, mqtt.ErrNoAnswer):
		_ = x.c.Disconnect(ctx, mqtt.Farewell{}) // err is what to tell
	}
	return fmt.Errorf("%w: %w", ErrIO, err)
}
