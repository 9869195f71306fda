package mqtt

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"omnibus/dialect/mqtt/packet"
)

// next waits for the next packet, which is then to be discarded with its length n.
func (l *link) next(limit int) (h packet.Header, body []byte, n int, err error) {
	for {
		unread := l.in.Bytes()
		if h, body, n, err = packet.Frame(unread, limit); err != nil || n > 0 {
			return h, body, n, err
		}
		if l.kick {
			l.kick = false
			l.out.Kick()
		}
		need, err := packet.Length(unread, limit)
		if err != nil {
			return h, nil, 0, err
		}
		if err := l.in.Fill(max(need, len(unread)+1)); err != nil {
			if errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
				if len(unread) == 0 {
					err = errEOF
				}
			}
			return h, nil, 0, err
		}
		if !l.heard.Load() {
			l.heard.Store(true)
		}
	}
}

var errEOF = fmt.Errorf("the broker closed it: %w", io.EOF)

// serve reads a connection until it fails.
func (c *Client) serve(l *link) error {
	for {
		h, body, n, err := l.next(c.o.MaxPacket)
		if err != nil {
			if e, ok := errors.AsType[*packet.Error](err); ok {
				return fmt.Errorf("%w: %w", ErrProtocol, e)
			}
			return lost(err)
		}
		if err := c.take(l, h, body); err != nil {
			return err
		}
		l.in.Discard(n)
	}
}

// take acts on one packet.
func (c *Client) take(l *link, h packet.Header, body []byte) error {
	v := l.server.Version
	switch h.Type {
	case packet.PUBLISH:
		return c.takePublish(l, h, body)
	case packet.PUBACK, packet.PUBREC, packet.PUBREL, packet.PUBCOMP:
		var a packet.Ack
		if err := a.Decode(h, body, v); err != nil {
			return fmt.Errorf("%w: %w", ErrProtocol, err)
		}
		return c.takeAck(l, &a)
	case packet.SUBACK:
		var s packet.Suback
		if err := s.Decode(h, body, v); err != nil {
			return fmt.Errorf("%w: %w", ErrProtocol, err)
		}
		return c.answered(h.Type, s.PacketID, s.Codes, s.Properties.ReasonString)
	case packet.UNSUBACK:
		var u packet.Unsuback
		if err := u.Decode(h, body, v); err != nil {
			return fmt.Errorf("%w: %w", ErrProtocol, err)
		}
		if v < V5 {
			u.Codes = []ReasonCode{packet.Success}
		}
		return c.answered(h.Type, u.PacketID, u.Codes, u.Properties.ReasonString)
	case packet.PINGRESP:
		if err := packet.DecodePing(h, body, v); err != nil {
			return fmt.Errorf("%w: %w", ErrProtocol, err)
		}
		l.pinged.Store(false)
		return nil
	case packet.DISCONNECT:
		return c.dismissed(h, body, v)
	case packet.AUTH:
		return c.takeAuth(l, h, body)
	}
	return broken(packet.ProtocolError, "a broker does not send %s", h.Type)
}

// dismissed is the error that a DISCONNECT of the broker is.
func (c *Client) dismissed(h packet.Header, body []byte, v Version) error {
	var d packet.Disconnect
	if v < V5 {
		return broken(packet.ProtocolError, "a broker does not send %s before version 5", h.Type)
	}
	if err := d.Decode(h, body, v); err != nil {
		return fmt.Errorf("%w: %w", ErrProtocol, err)
	}
	if err := d.CheckSender(packet.FromServer); err != nil {
		return fmt.Errorf("%w: %w", ErrProtocol, err)
	}
	return &DisconnectError{Reason: d.Reason, Text: strings.Clone(d.Properties.ReasonString), Server: strings.Clone(d.Properties.ServerReference)}
}
