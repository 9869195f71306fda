package mycroft

import (
	"context"
	"errors"
	"fmt"

	"omnibus/carrier"
)

// Emit sends a message to everybody at the hub, this client included. It returns
// when the message waits to be written. While the send buffer is full, or there
// is no connection and no offline queue, it waits until ctx ends.
func (c *Client) Emit(ctx context.Context, m *Message) error {
	frame, err := c.frame(m)
	if err != nil {
		return err
	}
	for {
		if ctx.Err() != nil {
			return fmt.Errorf("sending a %q message: %w", m.Type, context.Cause(ctx))
		}
		changed, err := c.try(frame)
		if err != nil {
			return fmt.Errorf("sending a %q message: %w", m.Type, err)
		}
		if changed == nil {
			return nil
		}
		if err := c.wait(ctx, changed, "the connection to "+c.URL()); err != nil {
			return fmt.Errorf("sending a %q message: %w", m.Type, err)
		}
	}
}

// emitNow is Emit for who must not wait: what cannot be sent at once is an error.
func (c *Client) emitNow(m *Message) error {
	frame, err := c.frame(m)
	if err != nil {
		return err
	}
	changed, err := c.try(frame)
	if err == nil && changed != nil {
		err = carrier.ErrFull
	}
	return err
}

// frame encodes a message.
func (c *Client) frame(m *Message) ([]byte, error) {
	frame, err := m.AppendTo(nil)
	if err != nil {
		return nil, err
	}
	if c.secret != nil {
		frame = c.secret.seal(frame)
	}
	if len(frame) > c.o.MaxMessage {
		return nil, fmt.Errorf("sending a %q message: %w: %d bytes, the most is %d", m.Type, ErrTooLarge, len(frame), c.o.MaxMessage)
	}
	return frame, nil
}

// try sends a frame if that is possible at once. Otherwise it returns what is
// closed when that may have changed.
func (c *Client) try(frame []byte) (changed <-chan struct{}, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	changed = c.changed
	switch {
	case c.why != nil:
		return nil, c.why
	case c.closed:
		return nil, ErrClosed
	case c.conn != nil:
		err := c.conn.Send(carrier.Text, frame)
		if err == nil {
			c.counters.sent.Add(1)
			return nil, nil
		}
		if !errors.Is(err, carrier.ErrFull) && c.o.Offline > 0 {
			return nil, c.keep(frame) // the connection has ended, and is about to be taken away
		}
		return changed, nil
	case c.o.Offline > 0:
		return nil, c.keep(frame)
	case !c.started:
		return nil, ErrNotStarted
	}
	return changed, nil
}

// keep puts a frame into the offline queue.
func (c *Client) keep(frame []byte) error {
	if len(c.offline) >= c.o.Offline || c.offBytes+len(frame) > c.o.OfflineBytes {
		c.counters.refused.Add(1)
		return ErrOfflineFull
	}
	c.offline = append(c.offline, frame)
	c.offBytes += len(frame)
	return nil
}
