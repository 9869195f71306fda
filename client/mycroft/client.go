package mycroft

import (
	"context"
	"fmt"
	"net/url"
	"sync"
	"sync/atomic"

	"omnibus/carrier"
)

// Client is a client of one hub. It may be used from many goroutines at a time.
type Client struct {
	o      Options
	url    *url.URL
	secret *secret

	life    context.Context // ends when the client is to end
	end     context.CancelFunc
	ending  chan struct{} // closed when nothing can be sent or received any more
	ended   chan struct{} // closed when nothing runs any more
	running sync.WaitGroup

	counters counters
	queued   atomic.Int64 // bytes that wait for handlers
	events   lane
	every    lane             // of handlers of all types
	lanes    map[string]*lane // by type; belongs to the goroutine that reads

	mu        sync.Mutex // guards what follows; outboxes are appended to with it held
	started   bool
	closed    bool
	why       error              // set when ending is closed
	lastError error              // of closing the connection
	conn      *carrier.WebSocket // nil while there is no connection
	changed   chan struct{}      // closed, and replaced, when conn changes or has room again
	offline   [][]byte           // frames for the next connection
	offBytes  int
	listeners map[string][]*Listener
	all       []*Listener // of every type
	asked     asked
	waits     []*wait
}

// New returns a client that does nothing yet: handlers may be registered before
// [Client.Start] or [Client.Run] connects it. An error wraps ErrURL or is about
// the secret key.
func New(o Options) (*Client, error) {
	o = o.withDefaults()
	u, err := parseURL(o.URL)
	if err != nil {
		return nil, err
	}
	s, err := newSecret(o.SecretKey)
	if err != nil {
		return nil, err
	}
	c := &Client{
		o: o, url: u, secret: s,
		ending: make(chan struct{}), ended: make(chan struct{}), changed: make(chan struct{}),
		listeners: make(map[string][]*Listener), lanes: make(map[string]*lane),
	}
	c.life, c.end = context.WithCancel(context.Background())
	c.events.client, c.events.workers, c.events.events = c, 1, true
	c.every.client, c.every.workers = c, c.o.Workers
	return c, nil
}

// URL is where the client connects, without a password.
func (c *Client) URL() string { return c.url.Redacted() }

// Start runs the client in the background until Close, and returns when it is
// connected. If ctx ends before, the error says why and the client goes on
// trying. With NoReconnect a first connection that fails ends the client.
func (c *Client) Start(ctx context.Context) error {
	first, err := c.begin()
	if err != nil {
		return err
	}
	go func() { _ = c.loop() }() // everybody who asks is told the reason
	return c.wait(ctx, first, "the connection to "+c.URL())
}

// Run connects and stays connected until ctx ends or Close is called, which
// returns nil, or, with NoReconnect, until the connection ends. When it returns
// the client is closed.
func (c *Client) Run(ctx context.Context) error {
	if _, err := c.begin(); err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, c.end)
	defer stop()
	return c.loop()
}

// begin marks the client as started; first is closed with the first connection.
func (c *Client) begin() (first <-chan struct{}, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.closed:
		return nil, ErrClosed
	case c.started:
		return nil, ErrStarted
	}
	c.started = true
	return c.changed, nil
}

// wait waits for a channel, for the end of the client or of ctx.
func (c *Client) wait(ctx context.Context, ch <-chan struct{}, what string) error {
	select {
	case <-ch:
		return nil
	case <-c.ending:
		return c.Err()
	case <-ctx.Done():
		return fmt.Errorf("waiting for %s: %w", what, context.Cause(ctx))
	}
}

// Close sends what waits to be sent, for a second at most, tells the hub, and
// waits for the handlers and everything else that runs, until ctx ends. Contexts
// of handlers are cancelled; messages that wait for handlers are dropped. It
// must not be called by a handler.
func (c *Client) Close(ctx context.Context) error {
	c.mu.Lock()
	idle := !c.started && !c.closed
	c.closed = true
	if idle {
		c.why = ErrClosed
	}
	c.mu.Unlock()
	c.end()
	if idle {
		close(c.ending)
		close(c.ended)
	}
	select {
	case <-c.ended:
	case <-ctx.Done():
		return fmt.Errorf("closing the client: handlers are still running: %w", context.Cause(ctx))
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.lastError
}

// Done is closed when the client has ended and nothing can be sent or received
// any more.
func (c *Client) Done() <-chan struct{} { return c.ending }

// Err is why the client has ended: ErrClosed, or with NoReconnect how its
// connection ended. It is nil as long as Done is not closed.
func (c *Client) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.why
}

// Connected reports whether there is a connection at the moment.
func (c *Client) Connected() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.conn != nil
}

// Stats are counted from the beginning.
type Stats struct {
	Connections int64 // that were made
	Received    int64 // frames that are messages
	Invalid     int64 // frames that are none, or could not be decrypted
	Sent        int64 // messages given to a connection
	Lost        int64 // frames that still waited for a connection, or in it when it ended, pings included
	Refused     int64 // messages refused by the offline queue
	Dropped     int64 // messages and events whose handlers are too slow
	Panics      int64 // of handlers
}

type counters struct{ connections, received, invalid, sent, lost, refused, dropped, panics atomic.Int64 }

// Stats returns what has been counted so far.
func (c *Client) Stats() Stats {
	n := &c.counters
	return Stats{
		n.connections.Load(), n.received.Load(), n.invalid.Load(), n.sent.Load(),
		n.lost.Load(), n.refused.Load(), n.dropped.Load(), n.panics.Load(),
	}
}

// report tells what nobody is returned.
func (c *Client) report(err error) {
	if fn := c.o.Events.Error; fn != nil {
		c.tell(func() { fn(err) })
		return
	}
	c.log(err)
}

func (c *Client) log(err error) { c.o.Log.Warn("mycroft client", "url", c.URL(), "err", err) }

// tell calls a function of Events, after those before it.
func (c *Client) tell(fn func()) {
	t := task{name: "an event", run: func(context.Context) { fn() }}
	if !c.events.room(t) { // a few more may slip in, one for each goroutine
		c.counters.dropped.Add(1)
		return
	}
	c.events.add(t)
}

// timeout bounds a context that has no deadline.
func (c *Client) timeout(ctx context.Context) (context.Context, context.CancelFunc) {
	if _, ok := ctx.Deadline(); ok {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, c.o.Timeout)
}
