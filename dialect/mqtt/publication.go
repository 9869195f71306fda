package mqtt

import (
	"fmt"
	"slices"
	"sync"
	"time"

	"omnibus/bus"
	"omnibus/dialect/mqtt/mapping"
	"omnibus/dialect/mqtt/packet"
)

// publication is a message in MQTT's own form, made once for all who receive it
// while it is routed. It belongs to the goroutine that routes the message.
type publication struct {
	p        packet.Publish
	err      error // why it cannot be written in MQTT
	scratch  []byte
	compiled [3]bool // before version 5, it, and it with the identity
	template [3]packet.Template
	stable   []byte // the payload in memory that never changes, if somebody needed that
}

// memoKey is under what a message carries its publication.
type memoKey struct{}

// publications are those of messages that are not being routed.
var publications = sync.Pool{New: func() any { return new(publication) }}

// fresh forgets what was made of p.
func (p *publication) fresh() {
	p.err, p.compiled, p.stable = nil, [3]bool{}, nil
}

// publicationOf returns the publication of a message, and what to call when it is
// no longer used.
func publicationOf(m *bus.Message) (p *publication, pooled bool) {
	memo, current := m.Memo(memoKey{})
	p, _ = memo.(*publication)
	if current {
		return p, false
	}
	if p == nil {
		p, _ = publications.Get().(*publication)
		pooled = true
	}
	p.from(m)
	if m.SetMemo(memoKey{}, p) {
		pooled = false
	}
	return p, pooled
}

// from makes it of a message of whatever dialect.
func (p *publication) from(m *bus.Message) {
	p.fresh()
	p.p = packet.Publish{Topic: m.Topic}
	if !packet.ValidTopicName(m.Topic) {
		p.err = fmt.Errorf("%w: topic %.80q has a wildcard", errUnwritable, m.Topic)
		return
	}
	props := &p.p.Properties.MessageProperties
	if !m.Headers.IsEmpty() {
		p.scratch = mapping.SetProperties(props, m.Headers.List(), p.scratch[:0])
	}
	data, err := mapping.Payload(props, &m.Payload)
	if err != nil {
		p.err = fmt.Errorf("%w: %w", errUnwritable, err)
		return
	}
	p.p.Payload = data
	if m.Expires != 0 { // MQTT-3.3.2-6: what is left of it
		left := time.Until(time.Unix(0, m.Expires))
		props.MessageExpiryInterval = uint32(min(max(0, (left+time.Second-1)/time.Second), 1<<32-2))
		props.Present.Add(packet.MessageExpiryInterval)
	}
}

// of returns the packet for clients of a version.
func (p *publication) of(v packet.Version) *packet.Template {
	i := 0
	if v >= packet.V5 {
		i = 1
	}
	if !p.compiled[i] {
		p.template[i].Compile(&p.p, v)
		p.compiled[i] = true
	}
	return &p.template[i]
}

// marked returns the packet for bridges to other brokers: it has the identity of
// the message.
func (p *publication) marked(id string) *packet.Template {
	const i = 2
	if !p.compiled[i] {
		with := p.p
		props := &with.Properties.MessageProperties
		props.User = slices.Clip(props.User).Append(mapping.PropertyIdentity, id)
		props.Present.Add(packet.UserProperty)
		p.template[i].Compile(&with, packet.V5)
		p.compiled[i] = true
	}
	return &p.template[i]
}

// shareable returns the payload in memory that never changes: that of the copy that
// all share who keep the message.
func (p *publication) shareable(m *bus.Message) ([]byte, error) {
	if p.stable == nil {
		var none packet.MessageProperties
		none.ContentType = p.p.Properties.ContentType
		data, err := mapping.Payload(&none, &m.Keep().Payload)
		if err != nil {
			return nil, err
		}
		p.stable = data
	}
	return p.stable, nil
}

func (p *publication) free() {
	if cap(p.scratch) <= 4<<10 {
		p.fresh()
		p.p = packet.Publish{}
		p.template = [3]packet.Template{}
		publications.Put(p)
	}
}
