package mycroft

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"time"

	"omnibus/carrier"
	"omnibus/dialect/mycroft/packet"
)

// loop makes connections until the client is to end, and returns when nothing
// runs any more.
func (c *Client) loop() error {
	err := c.connections()
	c.mu.Lock()
	if c.why = ErrClosed; err != nil {
		c.why = err
	}
	c.closed = true
	c.counters.lost.Add(int64(len(c.offline)))
	c.offline, c.offBytes = nil, 0
	c.mu.Unlock()
	c.end()
	close(c.ending)
	c.running.Wait()
	close(c.ended)
	return err
}

// connections makes one connection after the other. The error is the one that
// ends a client that does not reconnect.
func (c *Client) connections() error {
	wait, retries := c.o.RetryMin, 0
	for {
		ws, err := c.dial()
		switch {
		case c.life.Err() != nil:
			if err == nil {
				_ = ws.Drop() // nothing was sent
			}
			return nil
		case err == nil:
			wait, retries = c.o.RetryMin, 0
			err = c.use(ws)
		case !c.o.NoReconnect:
			c.report(err)
		}
		if c.life.Err() != nil {
			return nil
		}
		if c.o.NoReconnect {
			return err
		}
		timer := time.NewTimer(c.spread(wait))
		select {
		case <-timer.C:
		case <-c.life.Done():
			timer.Stop()
			return nil
		}
		wait = min(2*wait, c.o.RetryMax)
		retries++
		if fn, n := c.o.Events.Reconnecting, retries; fn != nil {
			c.tell(func() { fn(n) })
		}
	}
}

// spread leaves a part of a wait to chance, so that the clients of a hub that
// was restarted do not all come back at once.
func (c *Client) spread(wait time.Duration) time.Duration {
	return wait + time.Duration(c.o.Jitter*(2*rand.Float64()-1)*float64(wait))
}

// dial makes a connection.
func (c *Client) dial() (*carrier.WebSocket, error) {
	ctx, cancel := context.WithTimeout(c.life, c.o.DialTimeout)
	defer cancel()
	buffer := c.o.SendBuffer
	if c.o.Offline > 0 { // what was kept must fit in besides, with the heads of its frames
		buffer += c.o.OfflineBytes + 14*c.o.Offline
	}
	o := carrier.WebSocketOptions{
		MaxMessage:       c.o.MaxMessage,
		HandshakeTimeout: c.o.DialTimeout,
		Outbox:           carrier.OutboxOptions{MaxBytes: buffer, OnRoom: c.hasChanged},
	}
	if c.o.Dial == nil {
		return carrier.DialWebSocket(ctx, c.url.String(), c.o.TLS, o)
	}
	port := c.url.Port()
	switch {
	case port != "":
	case c.url.Scheme == "wss":
		port = "443"
	default:
		port = "80"
	}
	conn, err := c.o.Dial(ctx, "tcp", net.JoinHostPort(c.url.Hostname(), port))
	if err != nil {
		return nil, fmt.Errorf("dialing %s: %w", c.URL(), err)
	}
	if c.url.Scheme == "wss" {
		config := c.o.TLS.Clone()
		if config == nil {
			config = &tls.Config{MinVersion: tls.VersionTLS12}
		}
		if config.ServerName == "" {
			config.ServerName = c.url.Hostname()
		}
		conn = tls.Client(conn, config)
	}
	ws, err := carrier.ConnectWebSocket(ctx, conn, c.url.String(), o)
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return ws, nil
}

// use lives with a connection until it ends, and returns why.
func (c *Client) use(ws *carrier.WebSocket) error {
	c.counters.connections.Add(1)
	c.adopt(ws)
	if fn := c.o.Events.Open; fn != nil {
		c.tell(fn)
	}
	closed := make(chan struct{})
	stop := context.AfterFunc(c.life, func() {
		defer close(closed)
		c.finish(ws)
	})
	watched := make(chan struct{})
	watching := make(chan struct{})
	go func() {
		defer close(watched)
		c.watch(ws, watching)
	}()
	why := c.read(ws)
	close(watching)
	<-watched
	c.abandon(ws)
	if stop() {
		_ = ws.Drop() // it has ended already
	} else {
		<-closed
		why = nil
	}
	if fn := c.o.Events.Close; fn != nil {
		c.tell(func() { fn(why) })
	} else if why != nil && !c.o.NoReconnect {
		c.report(why)
	}
	return why
}

// adopt makes ws the connection and sends what was kept for it.
func (c *Client) adopt(ws *carrier.WebSocket) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.conn = ws
	for _, frame := range c.offline {
		if ws.Send(carrier.Text, frame) == nil {
			c.counters.sent.Add(1)
		} else {
			c.counters.lost.Add(1) // the connection has ended already; it has room
		}
	}
	c.offline, c.offBytes = nil, 0
	c.broadcast()
}

// abandon takes the connection away that has ended.
func (c *Client) abandon(ws *carrier.WebSocket) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.conn = nil
	_, lost := ws.Pending()
	c.counters.lost.Add(int64(lost))
	c.broadcast()
}

// finish ends a connection in order, because the client ends.
func (c *Client) finish(ws *carrier.WebSocket) {
	c.mu.Lock()
	c.conn = nil // nothing more is sent
	c.mu.Unlock()
	err := ws.Close(carrier.CloseNormal, "")
	c.mu.Lock()
	defer c.mu.Unlock()
	if err != nil {
		c.lastError = fmt.Errorf("closing the connection to %s: %w", c.URL(), err)
	}
}

// broadcast wakes those who wait for a change of the connection.
func (c *Client) broadcast() {
	close(c.changed)
	c.changed = make(chan struct{})
}

// hasChanged is broadcast for who does not hold the lock.
func (c *Client) hasChanged() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.broadcast()
}

// watch pings the hub and ends a connection that is silent for too long.
func (c *Client) watch(ws *carrier.WebSocket, ended <-chan struct{}) {
	if c.o.KeepAlive < 0 {
		return
	}
	tick := time.NewTicker(c.o.KeepAlive)
	defer tick.Stop()
	for {
		select {
		case <-ended:
			return
		case <-tick.C:
		}
		if time.Since(ws.LastActivity()) >= 2*c.o.KeepAlive {
			_ = ws.SetReadDeadline(time.Now()) // one that has ended needs none
			return
		}
		_ = ws.Ping() // a full outbox says enough, and the reader notices the rest
	}
}

// read hands out what comes until the connection ends, and returns why.
func (c *Client) read(ws *carrier.WebSocket) error {
	for first := true; ; first = false {
		_, frame, err := ws.Read()
		if err != nil {
			if e, ok := errors.AsType[net.Error](err); ok && e.Timeout() {
				err = fmt.Errorf("the hub did not answer for %s", 2*c.o.KeepAlive)
			}
			return fmt.Errorf("the connection to %s was lost: %w", c.URL(), err)
		}
		c.take(frame, first)
	}
}

// take hands out one frame. The first may be the hub's greeting, which is never
// encrypted.
func (c *Client) take(frame []byte, first bool) {
	bad := func(err error) {
		c.counters.invalid.Add(1)
		c.report(fmt.Errorf("a frame was dropped: %w", err))
	}
	encrypted := false
	if c.secret != nil {
		plain, ok, err := c.secret.open(frame)
		if err != nil {
			bad(err)
			return
		}
		if encrypted = ok; ok {
			frame = plain
		}
	}
	m, err := packet.Parse(frame)
	switch {
	case err != nil:
		bad(err)
		return
	case c.secret != nil && !encrypted && !c.o.AllowUnencrypted && (!first || m.Type != "connected"):
		bad(errPlain)
		return
	}
	c.counters.received.Add(1)
	c.dispatch(frame, m)
}
