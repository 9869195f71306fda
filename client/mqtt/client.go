package mqtt

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"omnibus/dialect/mqtt/packet"
)

// Client is a client of one broker. It is made by Dial or Start and may be used from many goroutines.
type Client struct {
	o      Options
	target target
	ctx    context.Context // ends when the client is to end
	cancel context.CancelFunc
	link   atomic.Pointer[link] // the connection; nil when there is none
	ended  chan struct{}        // closed when nothing connects nor reads any more; err is set before
	err    error
	tokens sync.Pool // *Token, settled
	counts counts

	// What follows belongs to who connects: Dial, then the reader.
	version  Version
	clientID string
	first    bool // there was no connection yet

	parting  sync.RWMutex   // held for reading while Disconnect writes
	handlers sync.WaitGroup // the goroutine that calls handlers

	waiting atomic.Int32 // calls that wait for the broker
	paused  atomic.Bool  // the reader waits for handlers

	mu       sync.Mutex // guards what follows
	resumed  sync.Cond  // paused is to be looked at again
	over     error      // nothing is taken any more
	flight   flight
	waiters  []*Token // publishers that wait for room in flight
	subs     []*subscription
	lastSub  uint32
	resub    []*subscription // to be subscribed to on this connection
	incoming map[uint16]*incoming
	queue    queue
	online   chan struct{} // closed when there is a connection; made by who waits
	reauth   *Token        // a re-authentication under way
}

// Dial connects to the broker at a URL and returns when it has accepted the connection; ctx bounds the connecting
// alone. The schemes are tcp or mqtt, tls or mqtts, ws, wss and unix.
func Dial(ctx context.Context, rawURL string, o Options) (*Client, error) {
	c, err := prepare(rawURL, o)
	if err != nil {
		return nil, err
	}
	l, err := c.connect(ctx)
	if err != nil {
		c.cancel()
		return nil, err
	}
	c.up(l)
	go c.run(l)
	return c, nil
}

// Start returns a client that connects by itself, as one with Options.Reconnect does again and again. What is published
// with QoS 1 or 2 before it has waits.
func Start(rawURL string, o Options) (*Client, error) {
	o.Reconnect = true
	c, err := prepare(rawURL, o)
	if err != nil {
		return nil, err
	}
	go c.run(nil)
	return c, nil
}

func prepare(rawURL string, o Options) (*Client, error) {
	t, login, err := parse(rawURL)
	if err != nil {
		return nil, err
	}
	if o.Username == "" && o.Password == nil && login != nil {
		o.Username = login.Username()
		if password, ok := login.Password(); ok {
			o.Password = []byte(password)
		}
	}
	if err := o.check(); err != nil {
		return nil, err
	}
	c := &Client{o: o.withDefaults(), target: t, ended: make(chan struct{}), version: V5, clientID: o.ClientID, first: true}
	if o.Version != 0 {
		c.version = o.Version
	}
	c.resumed.L = &c.mu
	if err := c.restore(); err != nil {
		return nil, err
	}
	c.ctx, c.cancel = context.WithCancel(context.Background())
	return c, nil
}

// run reads one connection after the other. It is the client's goroutine.
func (c *Client) run(l *link) {
	defer close(c.ended)
	for {
		if l == nil {
			if l = c.reconnect(); l == nil {
				return
			}
			c.up(l)
		}
		err := l.why(c.serve(l))
		c.down(l, err)
		switch {
		case c.ctx.Err() != nil:
			c.finish(ErrClosed)
			return
		case !c.o.Reconnect || c.o.givesUp(err):
			c.finish(err)
			return
		}
		l = nil
		if !c.pause(0) {
			c.finish(ErrClosed)
			return
		}
	}
}

// reconnect connects, however often it takes; nil when the client is over.
func (c *Client) reconnect() *link {
	for attempt := 0; ; attempt++ {
		l, err := c.connect(c.ctx)
		switch {
		case err == nil && c.ctx.Err() == nil:
			if !c.first {
				c.counts.reconnects.Add(1)
			}
			return l
		case err == nil:
			err = errors.Join(ErrClosed, c.discard(l))
			fallthrough
		case c.ctx.Err() != nil:
			c.finish(errors.Join(ErrClosed, ignoreCancelled(err)))
			return nil
		case errors.Is(err, ErrInvalid), c.o.givesUp(err), c.o.Backoff.Attempts > 0 && attempt+1 >= c.o.Backoff.Attempts:
			c.finish(err)
			return nil
		}
		c.report(err)
		if !c.pause(attempt) {
			c.finish(ErrClosed)
			return nil
		}
	}
}

// pause waits before the attempt after a number of failed ones, from 0. It tells whether the client goes on.
func (c *Client) pause(failed int) bool {
	d := c.o.Backoff.Max
	if shift := min(failed, 30); c.o.Backoff.Min < d>>shift {
		d = c.o.Backoff.Min << shift
	}
	t := time.NewTimer(d - rand.N(d/2+1))
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-c.ctx.Done():
		return false
	}
}

// up makes a connection the current one: what the session wants to send goes first.
func (c *Client) up(l *link) {
	c.first = false
	c.version, c.clientID = l.server.Version, l.server.ClientID
	c.mu.Lock()
	c.renew(l)
	c.link.Store(l)
	kick := c.pump(l, true)
	if c.o.OnConnect != nil {
		s := l.server
		c.enqueue(&delivery{event: func() { c.o.OnConnect(c, s) }})
	}
	if c.online != nil {
		close(c.online)
		c.online = nil
	}
	c.mu.Unlock()
	if kick {
		l.out.Kick()
	}
	c.startPings(l)
}

// down ends a connection that has failed with err.
func (c *Client) down(l *link, err error) {
	c.stopPings(l)
	if c.ctx.Err() != nil { // the broker may close the connection before we know that DISCONNECT was written
		c.parting.Lock()
		c.parting.Unlock() //nolint:staticcheck // it is only waited for
	}
	if e, ok := errors.AsType[*packet.Error](err); ok && l.server.Version >= V5 {
		c.bye(l, packet.Disconnect{Reason: e.Reason, Properties: packet.DisconnectProperties{ReasonString: e.Text}})
	}
	c.mu.Lock()
	c.link.Store(nil)
	c.requestsEnd(err)
	if c.o.OnDisconnect != nil && c.ctx.Err() == nil {
		c.enqueue(&delivery{event: func() { c.o.OnDisconnect(c, err) }})
	}
	c.mu.Unlock()
	_ = c.discard(l) // err is what to tell
}

// farewell is how long the last packet of a connection that has failed may take.
const farewell = 200 * time.Millisecond

// bye tells the broker why the connection ends, if it listens.
func (c *Client) bye(l *link, d packet.Disconnect) {
	if d.CheckSender(packet.FromClient) != nil {
		d = packet.Disconnect{Reason: packet.UnspecifiedError}
	}
	ctx, cancel := context.WithTimeout(context.Background(), farewell)
	defer cancel()
	limits := packet.Limits{MaximumPacketSize: uint32(l.server.MaxPacket)}
	if l.out.AppendLast(d.AppendWithin(nil, V5, limits)) == nil {
		_ = l.out.Flush(ctx) // it was a courtesy
	}
}

// discard gives back what a connection holds.
func (c *Client) discard(l *link) error {
	err := l.conn.Close()
	_ = l.out.Close() // never fails
	l.in.Reset(nil)
	return ignoreClosed(err)
}

// finish ends the client: what waits for the broker is told why.
func (c *Client) finish(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.err = err
	if c.over == nil {
		c.over = lost(err)
	}
	c.requestsEnd(err)
	c.flight.all(func(_ uint16, e *entry) {
		e.token.finish(lost(err))
		e.token = nil
	})
	c.wakeAll()
	if c.online != nil {
		close(c.online)
		c.online = nil
	}
	c.resumed.Broadcast()
}

// report tells an error that nobody else is told.
func (c *Client) report(err error) {
	if c.o.OnError == nil {
		return
	}
	defer func() {
		if recover() != nil { // who is told of panics has panicked
			c.counts.panics.Add(1)
		}
	}()
	c.o.OnError(err)
}

// ignoreCancelled leaves out what a client that ends has broken off itself.
func ignoreCancelled(err error) error {
	if errors.Is(err, context.Canceled) || errors.Is(err, ErrClosed) {
		return nil
	}
	return err
}
