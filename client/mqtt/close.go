package mqtt

import (
	"context"
	"fmt"
	"time"

	"omnibus/dialect/mqtt/packet"
)

// Farewell are the terms of a DISCONNECT. Zero is the normal one.
type Farewell struct {
	// KeepWill has the will published all the same. Version 5.
	KeepWill bool
	// SessionExpiry replaces that of the options, if it is not nil. Version 5.
	SessionExpiry *time.Duration
}

// closing is how long Close lets the broker take.
const closing = time.Second

// Disconnect ends the client: what was published with QoS 0 is written, then DISCONNECT, both within ctx. It does not
// wait for messages of QoS 1 and 2 in flight, which a Store keeps, nor for handlers, so that a handler may call it.
// Messages that wait for their handler are left to the broker's session, if they have a QoS.
func (c *Client) Disconnect(ctx context.Context, f Farewell) error {
	c.parting.RLock()
	c.cancel() // from now on a connection that ends is the end
	err := c.part(ctx, f)
	c.parting.RUnlock()
	c.mu.Lock()
	if c.over == nil {
		c.over = ErrClosed
	}
	c.resumed.Broadcast()
	c.mu.Unlock()
	if l := c.link.Load(); l != nil {
		l.fail(ErrClosed)
	}
	<-c.ended
	c.mu.Lock()
	defer c.mu.Unlock()
	c.queue.clear()
	return err
}

// part writes what is to be written last.
func (c *Client) part(ctx context.Context, f Farewell) error {
	l := c.link.Load()
	if l == nil {
		return nil
	}
	p := packet.Disconnect{}
	if f.KeepWill {
		p.Reason = packet.DisconnectWithWill
	}
	if f.SessionExpiry != nil {
		o := Options{SessionExpiry: *f.SessionExpiry}
		p.Properties.SessionExpiryInterval = o.expiry()
		p.Properties.Present.Add(packet.SessionExpiryInterval)
	}
	if l.out.AppendLast(p.Append(nil, l.server.Version)) != nil {
		return nil // the connection is over, or somebody else ends it
	}
	if err := l.out.Flush(ctx); err != nil {
		return fmt.Errorf("disconnecting: %w", err)
	}
	return nil
}

// Close is Disconnect within a second, and waits for handlers to return. A handler must not call it.
func (c *Client) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), closing)
	defer cancel()
	err := c.Disconnect(ctx, Farewell{})
	c.handlers.Wait()
	return err
}

// Done is closed when the client is over: closed, or without a connection and not to connect again.
func (c *Client) Done() <-chan struct{} { return c.ended }

// Err is why the client is over; nil while it is not.
func (c *Client) Err() error {
	select {
	case <-c.ended:
		return c.err
	default:
		return nil
	}
}

// Connected tells whether there is a connection now.
func (c *Client) Connected() bool { return c.link.Load() != nil }

// Server is what the broker told when it accepted the connection; not ok when there is none.
func (c *Client) Server() (s Server, ok bool) {
	l := c.link.Load()
	if l == nil {
		return Server{}, false
	}
	return l.server, true
}

// AwaitConnection returns when there is a connection, or with the reason why there will be none.
func (c *Client) AwaitConnection(ctx context.Context) error {
	for {
		c.mu.Lock()
		if c.link.Load() != nil || c.over != nil {
			err := c.over
			c.mu.Unlock()
			return err
		}
		if c.online == nil {
			c.online = make(chan struct{})
		}
		online := c.online
		c.mu.Unlock()
		select {
		case <-online:
		case <-ctx.Done():
			return fmt.Errorf("waiting for a connection: %w", context.Cause(ctx))
		}
	}
}

// gone is the error of an operation that needs a connection.
func (c *Client) gone() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.over != nil {
		return c.over
	}
	return ErrDisconnected
}
