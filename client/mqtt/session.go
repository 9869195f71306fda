package mqtt

import (
	"errors"

	"omnibus/carrier"
	"omnibus/dialect/mqtt/packet"
)

// The part of the session that outlives a connection. All here that does not say otherwise is called with mu held.

// renew prepares what is in flight for a new connection (MQTT-4.4.0-1).
func (c *Client) renew(l *link) {
	f := &c.flight
	f.unsent = 0
	kept := l.server.SessionPresent
	f.all(func(id uint16, e *entry) {
		f.uncount(e)
		switch {
		case (e.stage == released || e.stage == releasing) && !kept:
			c.settle(id, e, nil) // PUBREC has said that the broker has it
		case e.stage == released:
			e.stage = releasing
		case e.qos == 2 && e.tried && !kept:
			if e.token == nil {
				c.later(ErrUncertain)
			}
			c.settle(id, e, ErrUncertain)
		case e.stage == sent:
			e.stage = queued
			e.tried = kept
		}
	})
	c.resub = nil
	if kept {
		return
	}
	for id := range c.incoming {
		c.unkeep(Incoming, id)
	}
	clear(c.incoming)
	if !c.o.NoResubscribe {
		c.resub = append(c.resub, c.subs...)
	}
}

// pump queues what is to be sent and may be: acknowledgements, then subscriptions, then messages in the order in which
// they were published. later is that of Outbox.CommitLater.
func (c *Client) pump(l *link, later bool) (kick bool) {
	send := func(buf []byte) bool {
		k, err := l.commit(buf, later)
		kick = kick || k
		return err == nil // else OnRoom, or the end of the connection, takes care of the rest
	}
	for len(l.owed) > 0 {
		o := l.owed[0]
		if !send(packet.AppendAck(l.out.Begin(), o.kind, o.id, o.reason, l.server.Version)) {
			return kick
		}
		l.owed = l.owed[1:]
	}
	l.owed = nil
	for len(c.resub) > 0 && !c.flight.full() {
		s := c.resub[0]
		id, e := c.flight.add()
		*e = entry{stage: asked, sub: s}
		if !send(s.append(l.out.Begin(), id, l)) {
			c.flight.takeBack()
			return kick
		}
		c.resub = c.resub[1:]
	}
	f := &c.flight
	for f.unsent < f.span {
		e := f.at(f.unsent)
		switch e.stage {
		case queued:
			if f.wire >= l.server.ReceiveMaximum { // MQTT-3.3.4-9
				return kick
			}
			k, err := c.resend(l, e, f.id(f.unsent), later)
			kick = kick || k
			if err != nil {
				return kick
			}
			continue // it is another entry now, if this one was settled
		case releasing:
			if !send(packet.AppendAck(l.out.Begin(), packet.PUBREL, f.id(f.unsent), packet.Success, l.server.Version)) {
				return kick
			}
			e.stage = released
		}
		f.unsent++
	}
	return kick
}

// resend queues a PUBLISH in flight. An error says that there is no room, or no connection.
func (c *Client) resend(l *link, e *entry, id uint16, later bool) (kick bool, err error) {
	if e.version != l.server.Version {
		before := len(*e.data)
		if !recode(e.data, e.version, l.server.Version) {
			c.settle(id, e, ErrTooLarge)
			return false, nil
		}
		e.version = l.server.Version
		c.flight.bytes += len(*e.data) - before
	}
	if l.server.MaxPacket > 0 && len(*e.data) > l.server.MaxPacket || e.qos > l.server.MaxQoS {
		c.settle(id, e, &tooLarge{"a topic", len(*e.data), l.server.MaxPacket})
		return false, nil
	}
	if l.aliases != nil {
		kick, err = c.resendAs(l, e, later)
	} else {
		buf := l.out.Begin()
		at := len(buf)
		buf = append(buf, *e.data...)
		if e.tried { // MQTT-3.3.1-1
			buf[at] |= 0x08
		}
		kick, err = l.commit(buf, later)
	}
	if err != nil {
		return false, err
	}
	if c.o.Store != nil && e.qos == 2 && !e.tried {
		if err := c.o.Store.Put(Record{Kind: Tried, ID: id}); err != nil {
			c.later(err)
		}
	}
	e.stage, e.tried, e.counted = sent, true, true
	c.flight.wire++
	return kick, nil
}

// resendAs is resend with a topic alias.
func (c *Client) resendAs(l *link, e *entry, later bool) (kick bool, err error) {
	var p packet.Publish
	h, body, _, err := packet.Frame(*e.data, 0)
	if err == nil {
		err = p.Decode(h, body, e.version)
	}
	if err != nil {
		return false, err
	}
	p.Dup = e.tried
	return l.publish(&p, later)
}

// room is what the outbox of a connection calls when it takes more. It locks.
func (c *Client) room(l *link) {
	c.mu.Lock()
	kick := c.link.Load() == l && c.pump(l, true)
	c.mu.Unlock()
	if kick {
		l.out.Kick()
	}
}

// owe queues an acknowledgement, now or when there is room.
func (c *Client) owe(l *link, kind packet.Type, id uint16, reason ReasonCode) error {
	if len(l.owed) == 0 {
		kick, err := l.commit(packet.AppendAck(l.out.Begin(), kind, id, reason, l.server.Version), true)
		if err == nil {
			l.kick = l.kick || kick
			return nil
		}
		if !errors.Is(err, carrier.ErrFull) {
			return nil // the connection is over
		}
	}
	if len(l.owed) >= maxOwed {
		return broken(packet.ReceiveMaximumExceeded, "more acknowledgements to send than there are packet identifiers")
	}
	l.owed = append(l.owed, owed{kind, id, reason})
	return nil
}

// settle ends a message in flight.
func (c *Client) settle(id uint16, e *entry, err error) {
	if e.stage != asked {
		c.unkeep(Outgoing, id)
		if e.qos == 2 {
			c.unkeep(Tried, id)
		}
	}
	c.flight.settle(e).finish(err)
	c.wakeNext()
}

// takeAck acts on an acknowledgement, or on PUBREL. It locks; the reader calls it.
func (c *Client) takeAck(l *link, a *packet.Ack) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if a.Type == packet.PUBREL {
		return c.release(l, a.PacketID)
	}
	e, i := c.flight.find(a.PacketID)
	var err error
	switch {
	case a.Type == packet.PUBACK && e != nil && e.stage == sent && e.qos == 1,
		a.Type == packet.PUBREC && e != nil && e.stage == sent && e.qos == 2 && a.Reason.Failed():
		c.settle(a.PacketID, e, c.verdict(e, a))
	case a.Type == packet.PUBREC && e != nil && e.stage == sent && e.qos == 2:
		err = c.recorded(l, a.PacketID, e, i)
	case a.Type == packet.PUBREC && e != nil && e.stage == released:
		err = c.owe(l, packet.PUBREL, a.PacketID, packet.Success)
	case a.Type == packet.PUBREC && e != nil && e.stage == releasing: // PUBREL waits for room
	case a.Type == packet.PUBREC && e == nil:
		err = c.owe(l, packet.PUBREL, a.PacketID, packet.PacketIdentifierNotFound)
	case a.Type == packet.PUBCOMP && e != nil && e.stage == released:
		c.settle(a.PacketID, e, nil)
	case a.Type == packet.PUBCOMP && e == nil: // the answer to a PUBREL that found nothing
	default:
		err = broken(packet.ProtocolError, "%s for packet identifier %d, which does not wait for it", a.Type, a.PacketID)
	}
	if err == nil {
		l.kick = c.pump(l, true) || l.kick
	}
	return err
}

// recorded follows a PUBREC: from now on the message is the broker's.
func (c *Client) recorded(l *link, id uint16, e *entry, i int) error {
	if c.o.Store != nil {
		if err := c.o.Store.Put(Record{Kind: Outgoing, ID: id, Version: e.version}); err != nil {
			c.later(err)
		}
	}
	c.flight.forget(e)
	kick, err := l.commit(packet.AppendAck(l.out.Begin(), packet.PUBREL, id, packet.Success, l.server.Version), true)
	l.kick = l.kick || kick
	if err == nil {
		e.stage = released
	} else {
		e.stage = releasing
		c.flight.unsent = min(c.flight.unsent, i)
	}
	return nil
}

// verdict is the result that an acknowledgement tells.
func (c *Client) verdict(e *entry, a *packet.Ack) error {
	if !a.Reason.Failed() {
		return nil
	}
	refused := &RefusedError{What: "message", Reason: a.Reason, Text: string([]byte(a.Properties.ReasonString))}
	if h, body, _, err := packet.Frame(*e.data, 0); err == nil {
		var p packet.Publish
		if p.Decode(h, body, e.version) == nil {
			refused.Topic = string([]byte(p.Topic))
		}
	}
	return refused
}

// requestsEnd ends what does not outlive its connection, which ended with err.
func (c *Client) requestsEnd(err error) {
	c.flight.all(func(id uint16, e *entry) {
		if e.stage == asked {
			c.settle(id, e, lost(err))
		}
	})
	if t := c.reauth; t != nil {
		c.reauth = nil
		t.finish(lost(err))
	}
}
