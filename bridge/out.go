package bridge

import (
	"context"
	"errors"
	"slices"
	"time"

	"omnibus/bus"
	"omnibus/client/mqtt"
	"omnibus/dialect/mqtt/mapping"
	"omnibus/dialect/mqtt/packet"
)

// posting is a message of QoS 1 or 2 that the client has taken.
type posting struct {
	token *mqtt.Token
	echo  *echo
}

const (
	// settling is how often it is looked whether postings are acknowledged while
	// nothing is to be sent. To wait for them would keep the client from pausing
	// what comes in.
	settling = 50 * time.Millisecond
	// maxPostings is from when those are looked for that overtook others.
	maxPostings = 4096
)

// Deliver puts a message in the store; see bus.Receiver.
func (b *Bridge) Deliver(m *bus.Message, sub *bus.Subscription) {
	if !b.selection.First(sub, m.Topic) {
		return
	}
	rank, _ := sub.Tag().(int)
	r := &b.config.Out[rank]
	name, ok := rename(m.Topic, r.LocalPrefix, r.RemotePrefix)
	if !ok || !packet.ValidTopicName(name) {
		b.count.unwritable.Add(1)
		return
	}
	p := parcel{qos: min(m.QoS, byte(r.QoS)), retain: r.Retain && (m.Retain || m.Stored)}
	away := !b.up.Load()
	if away && p.qos == 0 && !b.config.Store.QoS0 {
		b.count.droppedAway.Add(1)
		return
	}
	p.m = m.Keep()
	p.topic, _ = rename(p.m.Topic, r.LocalPrefix, r.RemotePrefix) // m's topic may be a view
	p.size = weight(p.m, name)
	switch {
	case !b.store.push(p):
		b.count.droppedFull.Add(1)
		return
	case away:
		b.count.stored.Add(1)
	}
	b.count.waiting.Add(1)
}

// weight is about what a message takes in memory.
func weight(m *bus.Message, name string) int {
	const message, header = 256, 64
	n := message + len(m.Topic) + len(name) + len(m.Payload.Data())
	for key, value := range m.Headers.All() {
		n += header + len(key) + len(value)
	}
	return n
}

// send sends what is in the store until ctx ends or the client is over.
func (b *Bridge) send(ctx context.Context, c *mqtt.Client) {
	tick := time.NewTicker(settling)
	defer tick.Stop()
	for {
		b.settle(ctx)
		p, ok := b.store.first()
		if !ok {
			if len(b.sent) == 0 {
				tick.Stop()
			} else {
				tick.Reset(settling)
			}
			select {
			case <-ctx.Done():
				return
			case <-b.store.ready:
			case <-tick.C:
			}
			continue
		}
		if err := c.AwaitConnection(ctx); err != nil {
			return
		}
		again, over := b.forward(ctx, c, &p)
		if over {
			return
		}
		if !again {
			b.store.drop()
			b.count.waiting.Add(-1)
		}
	}
}

// forward gives a message to the client. Again: it was not taken and is still to
// be sent.
func (b *Bridge) forward(ctx context.Context, c *mqtt.Client, p *parcel) (again, over bool) {
	m, err := b.message(p)
	if err != nil {
		b.count.unwritable.Add(1)
		b.log.Debug("a message cannot be written", "topic", p.m.Topic, "err", err)
		return false, false
	}
	if p.m.Expires != 0 && m.Expiry <= 0 {
		b.count.expired.Add(1)
		return false, false
	}
	if s, ok := c.Server(); ok { // what it cannot do is not asked for
		m.QoS = min(m.QoS, s.MaxQoS)
		m.Retain = m.Retain && !s.NoRetain
	}
	var e *echo
	if mqtt.Version(b.version.Load()) < mqtt.V5 && b.config.rule(p.topic) != nil {
		e = b.echoes.sending(p.topic, m.Payload)
	}
	token, err := c.Post(ctx, m)
	switch {
	case err == nil && m.QoS == 0:
		b.echoes.sent(e)
		b.count.out.Add(1)
		return false, false
	case err == nil:
		b.sent = append(b.sent, posting{token, e})
		return false, false
	}
	b.echoes.unsent(e)
	switch {
	case ctx.Err() != nil, errors.Is(err, mqtt.ErrClosed):
		return true, true
	case errors.Is(err, mqtt.ErrNoAnswer): // there was no room
		return true, false
	case errors.Is(err, mqtt.ErrDisconnected):
		if p.qos > 0 || b.config.Store.QoS0 {
			return true, false
		}
		b.count.droppedAway.Add(1)
		return false, false
	}
	b.count.rejected.Add(1)
	b.log.Debug("a message cannot be sent", "topic", p.topic, "err", err)
	return false, false
}

// message is a parcel in the form of the client.
func (b *Bridge) message(p *parcel) (mqtt.Message, error) {
	m := mqtt.Message{Topic: p.topic, QoS: p.qos, Retain: p.retain}
	var props packet.MessageProperties
	mapping.SetProperties(&props, p.m.Headers.List(), nil)
	data, err := mapping.Payload(&props, &p.m.Payload)
	if err != nil {
		return m, err
	}
	m.Payload = data
	m.ContentType, m.ResponseTopic, m.CorrelationData = props.ContentType, props.ResponseTopic, props.CorrelationData
	m.UTF8 = props.PayloadFormat == 1
	m.User = props.User
	if p.m.ID != "" {
		m.User = slices.Clip(m.User).Append(mapping.PropertyIdentity, p.m.ID)
	}
	if p.m.Expires != 0 {
		m.Expiry = time.Until(time.Unix(0, p.m.Expires))
	}
	return m, nil
}

// settle counts the postings that are acknowledged.
func (b *Bridge) settle(ctx context.Context) {
	n := 0
	for n < len(b.sent) && b.sent[n].token.Settled() {
		b.settled(ctx, &b.sent[n])
		n++
	}
	b.sent = slices.Delete(b.sent, 0, n)
	if len(b.sent) < maxPostings {
		return
	}
	b.sent = slices.DeleteFunc(b.sent, func(p posting) bool {
		if !p.token.Settled() {
			return false
		}
		b.settled(ctx, &p)
		return true
	})
}

// settled counts one.
func (b *Bridge) settled(ctx context.Context, p *posting) {
	err := p.token.Wait(ctx) // it returns at once
	b.echoes.sent(p.echo)
	switch {
	case err == nil:
		b.count.out.Add(1)
	case errors.Is(err, mqtt.ErrUncertain):
		b.count.uncertain.Add(1)
	default:
		b.count.rejected.Add(1)
		b.log.Debug("the other broker rejects a message", "err", err)
	}
}
