package mqtt

import "omnibus/dialect/mqtt/packet"

// acknowledged is a step of the handshake of a message of QoS 1 or 2.
func (c *conn) acknowledged(h packet.Header, body []byte) error {
	var a packet.Ack
	if err := a.Decode(h, body, c.version); err != nil {
		return err
	}
	switch s := c.session; a.Type {
	case packet.PUBREL: // MQTT-4.3.3-11
		reason := packet.Success
		if !s.release(a.PacketID) {
			reason = packet.PacketIdentifierNotFound
		}
		return c.acknowledge(packet.PUBCOMP, a.PacketID, reason)
	case packet.PUBREC:
		return c.arrived(&a)
	default:
		s.completed(c, &a)
		return nil
	}
}

// arrived is PUBREC: the client has a message of QoS 2, or refuses it.
func (c *conn) arrived(a *packet.Ack) error {
	s := c.session
	s.mu.Lock()
	u := s.flight.find(a.PacketID)
	reason := packet.Success
	switch {
	case u == nil || u.qos != 2:
		reason = packet.PacketIdentifierNotFound
	case a.Reason.Failed(): // 4.3.3: the message is done
		s.flight.end(u)
		kick := s.pump(c)
		s.mu.Unlock()
		if kick {
			c.batch.Add(c.out)
		}
		return nil
	default:
		s.flight.renew(u)
		u.stage, u.m = released, nil // MQTT-4.3.3-4, MQTT-4.3.3-6
	}
	s.mu.Unlock()
	return c.acknowledge(packet.PUBREL, a.PacketID, reason)
}

// completed is PUBACK or PUBCOMP: the identifier is free, and the next message may
// be sent. What does not fit to anything is ignored.
func (s *session) completed(c *conn, a *packet.Ack) {
	s.mu.Lock()
	u := s.flight.find(a.PacketID)
	if u == nil || (a.Type == packet.PUBACK) != (u.qos == 1) || u.qos == 2 && u.stage&^again != released {
		s.mu.Unlock()
		return
	}
	s.flight.end(u)
	kick := s.backlog.n+s.flight.old > 0 && s.pump(c)
	s.mu.Unlock()
	if kick {
		c.batch.Add(c.out)
	}
}
