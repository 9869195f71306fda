package remote

import (
	"context"
	"fmt"
	"strings"

	"omnibus/bus"
	"omnibus/dialect/mqtt/mapping"
	"omnibus/dialect/mqtt/packet"
	"omnibus/payload"
	"omnibus/topic"
)

// exchange is a packet with an identifier that the broker has not answered in
// full.
type exchange struct {
	next  packet.Type // what answers it; PUBACK also stands for PUBREC
	place bool        // it takes one of the places in flight
	done  chan outcome
}

// outcome is how an exchange ended.
type outcome struct {
	reason packet.ReasonCode
	text   string
}

// ownText is a text that is no view of a buffer.
func ownText(s string) string { return strings.Clone(s) }

// begin sends a packet that the broker answers, with an identifier of its own. The
// exchange goes on to its end even if nobody waits for it.
func (c *mqttClient) begin(x exchange, name string, encode func(id uint16) []byte) (<-chan outcome, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.beginLocked(x, name, encode)
}

func (c *mqttClient) beginLocked(x exchange, name string, encode func(id uint16) []byte) (<-chan outcome, error) {
	if len(c.pending) == 65_535 {
		return nil, bus.Errorf(bus.Full, name, "the broker has not answered 65,535 packets")
	}
	for {
		if c.lastID++; c.lastID != 0 && c.pending[c.lastID] == nil {
			break
		}
	}
	if err := c.sendLocked(encode(c.lastID), name); err != nil {
		return nil, err
	}
	x.done = make(chan outcome, 1)
	c.pending[c.lastID] = &x
	return x.done, nil
}

// answered ends the exchange with an identifier.
func (c *mqttClient) answered(id uint16, by packet.Type, how outcome) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	x := c.pending[id]
	if x == nil || x.next != by {
		return &packet.Error{Reason: packet.ProtocolError, Text: fmt.Sprintf("%s for the packet %d, which does not wait for it", by, id)}
	}
	c.finish(id, x, how)
	return nil
}

// finish is called with the lock held.
func (c *mqttClient) finish(id uint16, x *exchange, how outcome) {
	delete(c.pending, id)
	x.done <- how
	if x.place {
		<-c.places
	}
}

// takeAck takes PUBACK, PUBREC and PUBCOMP.
func (c *mqttClient) takeAck(a *packet.Ack) error {
	how := outcome{a.Reason, ownText(a.Properties.ReasonString)}
	if a.Type != packet.PUBREC || a.Reason.Failed() {
		return c.answered(a.PacketID, a.Type, how)
	}
	c.mu.Lock()
	x := c.pending[a.PacketID]
	known := x != nil && (x.next == packet.PUBREC || x.next == packet.PUBCOMP)
	if known {
		x.next = packet.PUBCOMP
	}
	c.mu.Unlock()
	if !known {
		return &packet.Error{Reason: packet.ProtocolError, Text: fmt.Sprintf("PUBREC for the packet %d, which does not wait for it", a.PacketID)}
	}
	return c.send(packet.AppendAck(nil, packet.PUBREL, a.PacketID, packet.Success, c.version), "")
}

// checkTopic tells whether a message can go to a name.
func checkTopic(name string) error {
	if err := topic.CheckName(name); err != nil {
		return err
	}
	if !packet.ValidTopicName(name) {
		return bus.Errorf(bus.Invalid, name, "MQTT has no names with + or #; use another dialect, such as http://")
	}
	return nil
}

// Publish sends a message and returns when the handshake of its QoS is complete
// or, with QoS 0, when the broker has answered a ping behind it: then it has read
// the message, or ended the connection.
func (c *mqttClient) Publish(ctx context.Context, name string, v *payload.Value, o PublishOptions) error {
	if err := checkTopic(name); err != nil {
		return err
	}
	switch {
	case o.QoS > 2:
		return bus.Errorf(bus.Invalid, name, "QoS is 0, 1 or 2, not %d", o.QoS)
	case c.version >= packet.V5 && o.QoS > c.server.maxQoS:
		return bus.Errorf(bus.Invalid, name, "the broker takes no QoS above %d", c.server.maxQoS)
	case o.Retain && c.server.noRetain:
		return bus.Errorf(bus.Invalid, name, "the broker retains no messages")
	}
	p := &packet.Publish{Topic: name, QoS: o.QoS, Retain: o.Retain}
	var err error
	if p.Payload, err = mapping.Payload(&p.Properties.MessageProperties, v); err != nil {
		return err
	}
	how, err := c.publish(ctx, p)
	if err != nil {
		return err
	}
	return how.err(name)
}

// err is the error for a message that was not taken. That nobody is subscribed is
// none.
func (o outcome) err(name string) error {
	if o.reason.Failed() {
		return refused(name, "the broker has not taken the message", o.reason, o.text)
	}
	return nil
}

// publish sends a message and waits for the end of the exchange.
func (c *mqttClient) publish(ctx context.Context, p *packet.Publish) (outcome, error) {
	if p.QoS == 0 {
		return outcome{}, c.publishUnacknowledged(ctx, p)
	}
	taken, err := c.start(ctx, p)
	if err != nil {
		return outcome{}, err
	}
	select {
	case how := <-taken:
		return how, nil
	case <-c.ended:
		return outcome{}, c.reason()
	case <-ctx.Done():
		return outcome{}, notTaken(ctx)
	}
}

// start sends a message of QoS 1 or 2 as soon as the broker takes one more.
func (c *mqttClient) start(ctx context.Context, p *packet.Publish) (<-chan outcome, error) {
	select {
	case c.places <- struct{}{}:
	case <-c.ended:
		return nil, c.reason()
	case <-ctx.Done():
		return nil, notTaken(ctx)
	}
	next := packet.PUBACK
	if p.QoS == 2 {
		next = packet.PUBREC
	}
	taken, err := c.begin(exchange{next: next, place: true}, p.Topic, func(id uint16) []byte {
		p.PacketID = id
		return p.Append(nil, c.version)
	})
	if err != nil {
		<-c.places
		return nil, err
	}
	return taken, nil
}

func (c *mqttClient) publishUnacknowledged(ctx context.Context, p *packet.Publish) error {
	if err := c.send(p.Append(nil, c.version), p.Topic); err != nil {
		return err
	}
	answered := make(chan struct{})
	if err := c.ping(answered); err != nil {
		return err
	}
	select {
	case <-answered:
		return nil
	case <-c.ended:
		return c.reason()
	case <-ctx.Done():
		return notTaken(ctx)
	}
}

func notTaken(ctx context.Context) error {
	return fmt.Errorf("waiting for the broker to take the message: %w", context.Cause(ctx))
}
