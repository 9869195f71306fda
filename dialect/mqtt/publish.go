package mqtt

import (
	"errors"
	"strings"
	"time"

	"omnibus/bus"
	"omnibus/dialect/mqtt/mapping"
	"omnibus/dialect/mqtt/packet"
)

// publishing is what a connection needs that publishes.
type publishing struct {
	message     bus.Message
	publication publication
	headers     func() []bus.Header
	topics      []string // by topic alias, minus one
}

func (c *conn) publisher() *publishing {
	if c.publishing == nil {
		p := &publishing{}
		p.headers = func() []bus.Header { return mapping.Headers(&p.publication.p.Properties.MessageProperties) }
		c.publishing = p
	}
	return c.publishing
}

// forget lets go of the last message, but for what topic aliases stand for.
func (p *publishing) forget() {
	if p != nil {
		p.message.Reset()
		p.publication = publication{}
	}
}

// publish is one PUBLISH of the client. It returns how many got it.
func (c *conn) publish(h packet.Header, body []byte) (receivers int, err error) {
	p := c.publisher()
	p.publication.fresh()
	in := &p.publication.p
	if err := in.Decode(h, body, c.version); err != nil {
		return 0, err
	}
	if err := in.CheckSender(packet.FromClient); err != nil {
		return 0, err
	}
	if in.Properties.TopicAlias != 0 {
		if err := c.resolve(p, in); err != nil {
			return 0, err
		}
	}
	if in.QoS == 2 {
		again, err := c.session.receive(in.PacketID, c)
		if err != nil {
			return 0, err
		}
		if again { // MQTT-4.3.3-10
			return 0, c.acknowledge(packet.PUBREC, in.PacketID, packet.Success)
		}
	}
	reason, receivers, err := c.route(p, in)
	if err != nil {
		if in.QoS == 2 { // it was not published: when it is sent again, it is new
			c.session.release(in.PacketID)
		}
		return 0, err
	}
	switch in.QoS {
	case 1: // MQTT-4.3.2-4
		err = c.acknowledge(packet.PUBACK, in.PacketID, reason)
	case 2: // MQTT-4.3.3-8
		if reason.Failed() { // MQTT-4.3.3-9: the identifier may be used again
			c.session.release(in.PacketID)
		}
		err = c.acknowledge(packet.PUBREC, in.PacketID, reason)
	}
	for i := range c.own {
		c.session.dispatch(&p.message, &c.own[i])
		c.own[i] = delivery{}
	}
	c.own = c.own[:0]
	return receivers, err
}

// route publishes it on the bus, or does what else its topic asks for.
func (c *conn) route(p *publishing, in *packet.Publish) (reason packet.ReasonCode, receivers int, err error) {
	if in.Topic[0] == '$' {
		if handled, reason, err := c.control(in); handled {
			return c.verdict(in, reason, err)
		}
	}
	m := &p.message
	m.Reset()
	m.Topic, m.QoS, m.Retain, m.Batch = in.Topic, in.QoS, in.Retain, &c.batch
	props := &in.Properties.MessageProperties
	mapping.SetPayload(&m.Payload, props.ContentType, in.Payload)
	if props.Present.Has(packet.UserProperty) {
		if m.ID, props.User = mapping.Identity(props.User); len(props.User) == 0 {
			props.Present &^= packet.Properties(packet.UserProperty)
		}
	}
	if props.Present != 0 {
		m.Headers = bus.LazyHeaders(p.headers)
		if props.Present.Has(packet.MessageExpiryInterval) {
			m.Expires = time.Now().Add(lifetime(props.MessageExpiryInterval)).UnixNano()
		}
	}
	m.Prepare(memoKey{}, &p.publication)
	receipt, err := c.session.peer.Publish(m)
	if err != nil {
		return c.verdict(in, publishCodes.Of(err), err)
	}
	called := receipt.Known || props.ResponseTopic != "" && c.call(in, m)
	if receipt.Receivers == 0 && !called {
		reason = packet.NoMatchingSubscribers
	}
	return reason, receipt.Receivers, nil
}

// verdict is what becomes of a message that was not published. Before version 5 a
// refusal cannot be told (3.1.1: MQTT-3.3.5-2): the client is told that all is
// well, or, where it may help to try again, disconnected.
func (c *conn) verdict(in *packet.Publish, reason packet.ReasonCode, err error) (packet.ReasonCode, int, error) {
	if err == nil {
		return reason, 0, nil
	}
	if errors.Is(err, bus.ErrClosed) {
		return reason, 0, errLeft
	}
	c.server.count.rejected.Add(1)
	c.log().Debug("a message was rejected", "topic", in.Topic, "err", err)
	if c.version < packet.V5 {
		if in.QoS > 0 && (bus.KindOf(err) == bus.Unavailable || bus.KindOf(err) == bus.Full) {
			return reason, 0, breach(packet.QuotaExceeded, "a message could not be kept: %v", err)
		}
		reason = packet.Success
	}
	return reason, 0, nil
}

// resolve puts in the topic that an alias stands for, or learns it (3.3.2.3.4).
func (c *conn) resolve(p *publishing, in *packet.Publish) error {
	alias := int(in.Properties.TopicAlias)
	if alias > c.server.config.TopicAliases { // MQTT-3.3.2-9
		return breach(packet.TopicAliasInvalid, "topic alias %d is above the maximum of %d", alias, c.server.config.TopicAliases)
	}
	for len(p.topics) < alias {
		p.topics = append(p.topics, "")
	}
	known := &p.topics[alias-1]
	switch {
	case in.Topic == "" && *known == "":
		return breach(packet.ProtocolError, "topic alias %d has not been given a topic", alias)
	case in.Topic == "":
		in.Topic = *known
	case in.Topic != *known:
		*known = strings.Clone(in.Topic)
	}
	return nil
}

// receive notes the identifier of a message of QoS 2, and tells whether it is
// there already: the message came before.
func (s *session) receive(id uint16, c *conn) (again bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, again = s.received[id]; again {
		return true, nil
	}
	if most := s.server.config.ReceiveMaximum; c.version == packet.V5 && len(s.received) >= most { // MQTT-3.3.4-8
		return false, breach(packet.ReceiveMaximumExceeded, "more than %d messages of QoS 2 are not released", most)
	}
	if s.received == nil {
		s.received = make(map[uint16]struct{})
	}
	s.received[id] = struct{}{}
	return false, nil
}

// release forgets an identifier, and tells whether it was there.
func (s *session) release(id uint16) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, ok := s.received[id]
	delete(s.received, id)
	return ok
}

// acknowledge answers a message of QoS 1 or 2.
func (c *conn) acknowledge(t packet.Type, id uint16, reason packet.ReasonCode) error {
	kick, err := c.out.CommitLater(packet.AppendAck(c.out.Begin(), t, id, reason, c.version))
	if kick {
		c.batch.Add(c.out)
	}
	if err == nil {
		return nil
	}
	return c.answer(func(dst []byte) []byte { return packet.AppendAck(dst, t, id, reason, c.version) })
}
