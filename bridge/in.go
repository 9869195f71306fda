package bridge

import (
	"time"

	"omnibus/bus"
	"omnibus/client/mqtt"
	"omnibus/dialect/mqtt/mapping"
	"omnibus/dialect/mqtt/packet"
)

// incoming belongs to the goroutine that calls the client's handlers.
type incoming struct {
	begun   bool // there was a connection
	message bus.Message
}

// take is one message from the other broker.
func (b *Bridge) take(in *mqtt.Message) {
	r := b.config.rule(in.Topic)
	if r == nil { // of a session that another configuration has begun
		b.count.unwanted.Add(1)
		return
	}
	if mqtt.Version(b.version.Load()) < mqtt.V5 && b.echoes.returns(in.Topic, in.Payload) {
		b.count.echoes.Add(1)
		return
	}
	name, ok := rename(in.Topic, r.RemotePrefix, r.LocalPrefix)
	if !ok {
		b.count.unwanted.Add(1)
		return
	}
	m := &b.in.message
	m.Reset()
	m.Topic, m.QoS, m.Retain = name, in.QoS, in.Retain && r.Retain
	p := packet.MessageProperties{
		ContentType: in.ContentType, ResponseTopic: in.ResponseTopic, CorrelationData: in.CorrelationData,
	}
	if in.UTF8 {
		p.PayloadFormat = 1
	}
	m.ID, p.User = mapping.Identity(in.User)
	mapping.SetPayload(&m.Payload, p.ContentType, in.Payload)
	m.Headers = bus.MakeHeaders(mapping.Headers(&p)...)
	if in.Expiry > 0 {
		m.Expires = time.Now().Add(in.Expiry).UnixNano()
	}
	receipt, err := b.peer.Publish(m)
	switch {
	case err != nil:
		b.count.inRejected.Add(1)
		b.log.Debug("a message from the other broker was rejected", "topic", name, "err", err)
	case receipt.Known:
		b.count.known.Add(1)
	default:
		b.count.in.Add(1)
	}
}
