package mqtt

import (
	"context"
	"fmt"

	"omnibus/dialect/mqtt/packet"
)

// Reauthenticate runs Options.Auth again on the connection that there is, and returns when the broker is content.
func (c *Client) Reauthenticate(ctx context.Context) error {
	if c.o.Auth == nil {
		return fmt.Errorf("%w: there is no authenticator to re-authenticate with", ErrInvalid)
	}
	data, err := c.o.Auth.Begin()
	if err != nil {
		return fmt.Errorf("authenticating: %w", err)
	}
	t := c.token()
	if err := c.sendReauth(t, data); err != nil {
		return err
	}
	settled, err := t.wait(ctx, c.o.Timeout)
	if settled {
		c.drop(t)
	}
	return err
}

func (c *Client) sendReauth(t *Token, data []byte) error {
	p := packet.Auth{Reason: packet.Reauthenticate}
	p.Properties.AuthenticationMethod, p.Properties.AuthenticationData = c.o.Auth.Method(), data
	c.mu.Lock()
	defer c.mu.Unlock()
	l := c.link.Load()
	switch {
	case c.over != nil:
		return c.over
	case l == nil:
		return ErrDisconnected
	case c.reauth != nil:
		return fmt.Errorf("%w: a re-authentication is under way", ErrInvalid)
	}
	if _, err := l.commit(p.Append(l.out.Begin(), V5), false); err != nil {
		return lost(err)
	}
	c.reauth = t
	return nil
}

// takeAuth acts on an AUTH after CONNACK. The reader calls it.
func (c *Client) takeAuth(l *link, h packet.Header, body []byte) error {
	if l.server.Version < V5 || c.o.Auth == nil {
		return broken(packet.ProtocolError, "AUTH without an authentication method")
	}
	c.mu.Lock()
	t := c.reauth
	c.mu.Unlock()
	if t == nil {
		return broken(packet.ProtocolError, "AUTH that nobody asked for")
	}
	if h.Type == packet.AUTH && (len(body) == 0 || ReasonCode(body[0]) == packet.Success) {
		var a packet.Auth
		if err := a.Decode(h, body, V5); err != nil {
			return fmt.Errorf("%w: %w", ErrProtocol, err)
		}
		_, err := c.o.Auth.Next(a.Properties.AuthenticationData, true)
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.reauth == t {
			c.reauth = nil
			t.finish(err)
		}
		return err
	}
	raw, err := c.answerAuth(h, body)
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, err := l.commit(append(l.out.Begin(), raw...), false); err != nil {
		return lost(err)
	}
	return nil
}
