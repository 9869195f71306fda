package packet

import "slices"

// Publish is the PUBLISH packet (3.3).
type Publish struct {
	// Topic is empty if only a topic alias stands for it.
	Topic   string
	Payload []byte
	// PacketID counts only if QoS is not 0.
	PacketID   uint16
	QoS        byte
	Dup        bool
	Retain     bool
	Properties PublishProperties
}

// PublishProperties are those of PUBLISH (3.3.2.3).
type PublishProperties struct {
	MessageProperties
	// TopicAlias is 0 if there is none.
	TopicAlias      uint16
	SubscriptionIDs SubscriptionIDs
}

const inPublishSection = inMessage | 1<<TopicAlias | 1<<SubscriptionIdentifier

// The flags of PUBLISH (3.3.1).
const (
	flagRetained = 0x01
	flagDup      = 0x08
	shiftQoS     = 1
)

// Decode reads the body of a PUBLISH of version v. It allocates nothing.
func (p *Publish) Decode(h Header, body []byte, v Version) error {
	p.Properties = PublishProperties{}
	p.QoS = h.Flags >> shiftQoS & 3
	p.Dup = h.Flags&flagDup != 0
	p.Retain = h.Flags&flagRetained != 0
	p.PacketID = 0
	if h.Type != PUBLISH || p.QoS == 3 || p.QoS == 0 && p.Dup || h.Padded && v >= V5 {
		return p.headerFault(h)
	}
	topic, rest, ok := cutString(body)
	if !ok {
		return publishError(MalformedPacket, "topic name is cut off")
	}
	if fault, reason := nameFault(topic); fault != "" { // MQTT-3.3.2-1, MQTT-3.3.2-2
		return publishError(reason, "topic name "+fault)
	}
	p.Topic = view(topic)
	if p.QoS > 0 { // MQTT-2.2.1-2
		if len(rest) < 2 {
			return publishError(MalformedPacket, "packet identifier is cut off")
		}
		p.PacketID = uint16(rest[0])<<8 | uint16(rest[1])
		rest = rest[2:]
		if p.PacketID == 0 {
			return publishError(ProtocolError, "packet identifier is 0 (MQTT-2.2.1-3)")
		}
	}
	if v >= V5 {
		if len(rest) > 0 && rest[0] == 0 {
			rest = rest[1:]
		} else {
			r := reader{rest: rest, of: PUBLISH}
			p.Properties.decode(&r)
			if r.err != nil {
				return r.err
			}
			rest = r.rest
		}
	}
	if len(topic) == 0 && p.Properties.TopicAlias == 0 {
		return p.topicFault(v)
	}
	p.Payload = rest
	return nil
}

func publishError(reason ReasonCode, what string) error {
	return &Error{reason, "decoding PUBLISH: " + what}
}

func (p *Publish) headerFault(h Header) error {
	switch {
	case h.Type != PUBLISH:
		return publishError(ProtocolError, "the header is that of "+h.Type.String())
	case p.QoS == 3:
		return publishError(MalformedPacket, "QoS is 3 (MQTT-3.3.1-4)")
	case p.QoS == 0 && p.Dup:
		return publishError(MalformedPacket, "DUP with QoS 0 (MQTT-3.3.1-2)")
	}
	return publishError(MalformedPacket, "the length is not in its shortest form (MQTT-1.5.5-1)")
}

func (p *Publish) topicFault(v Version) error {
	if v < V5 {
		return publishError(TopicNameInvalid, "topic name "+noTopic)
	}
	return publishError(ProtocolError, "topic name is empty and there is no topic alias (3.3.2.1)")
}

func (p *PublishProperties) decode(r *reader) {
	s := r.properties(inPublishSection)
	for s.next() {
		if s.id == TopicAlias {
			p.TopicAlias = uint16(s.num)
		} else {
			p.take(&s)
		}
	}
	p.Present, p.User = r.end(&s)
	p.SubscriptionIDs = s.identifiers()
}

// CheckSender tells whether that side may send what is in the packet.
func (p *Publish) CheckSender(from Sender) error {
	if from == FromClient && p.Properties.Present.Has(SubscriptionIdentifier) {
		return publishError(ProtocolError, "a client sent a subscription identifier (MQTT-3.3.4-6)")
	}
	return nil
}

// first is the first byte of a PUBLISH.
func first(qos byte, dup, retain bool) byte {
	b := byte(PUBLISH)<<4 | qos<<shiftQoS
	if dup && qos > 0 { // MQTT-3.3.1-2, MQTT-4.3.1-1
		b |= flagDup
	}
	if retain {
		b |= flagRetained
	}
	return b
}

// Size is how many bytes Append appends; 0 if the packet cannot be written.
func (p *Publish) Size(v Version) int {
	n, _ := p.remaining(v)
	if n < 0 {
		return 0
	}
	return 1 + varintLen(n) + n
}

// remaining is the length of the body and of the properties; -1 for a packet
// that cannot be written.
func (p *Publish) remaining(v Version) (n, props int) {
	n = 2 + len(p.Topic) + len(p.Payload)
	if p.QoS > 0 {
		n += 2
	}
	if v >= V5 {
		if props = p.Properties.size(); props < 0 {
			return -1, 0
		}
		n += varintLen(props) + props
	}
	if n > maxRemaining || len(p.Topic) > maxString || p.QoS > 2 {
		return -1, 0
	}
	return n, props
}

// Append appends the packet in the form of version v.
func (p *Publish) Append(dst []byte, v Version) []byte {
	n, props := p.remaining(v)
	if n < 0 {
		return dst
	}
	dst = slices.Grow(dst, 1+4+n)
	return append(p.head(dst, v, n, props), p.Payload...)
}

// AppendHead appends all of the packet but the payload, which is to follow it in
// the stream: for payloads too large to be copied.
func (p *Publish) AppendHead(dst []byte, v Version) []byte {
	n, props := p.remaining(v)
	if n < 0 {
		return dst
	}
	return p.head(dst, v, n, props)
}

func (p *Publish) head(dst []byte, v Version, n, props int) []byte {
	dst = appendVarint(append(dst, first(p.QoS, p.Dup, p.Retain)), n)
	dst = append(dst, byte(len(p.Topic)>>8), byte(len(p.Topic)))
	dst = append(dst, p.Topic...)
	if p.QoS > 0 {
		dst = append(dst, byte(p.PacketID>>8), byte(p.PacketID))
	}
	if v >= V5 {
		dst = appendVarint(dst, props)
		if props > 0 {
			dst = p.Properties.append(dst)
		}
	}
	return dst
}

func (p *PublishProperties) size() int {
	n := p.MessageProperties.size()
	if n < 0 {
		return n
	}
	if p.TopicAlias != 0 {
		n += 3
	}
	if len(p.SubscriptionIDs) > 0 {
		n += sizeOnly(p.SubscriptionIDs, SubscriptionIdentifier)
	}
	return n
}

func (p *PublishProperties) append(dst []byte) []byte {
	dst = p.MessageProperties.append(dst)
	if p.TopicAlias != 0 {
		dst = append(dst, byte(TopicAlias), byte(p.TopicAlias>>8), byte(p.TopicAlias))
	}
	if len(p.SubscriptionIDs) > 0 {
		dst = appendOnly(dst, p.SubscriptionIDs, SubscriptionIdentifier)
	}
	return dst
}

// size is how much append appends; -1 if a value is too long.
func (p *MessageProperties) size() int {
	n := 0
	if p.PayloadFormat != 0 || p.Present.Has(PayloadFormatIndicator) {
		n += 2
	}
	if p.MessageExpiryInterval != 0 || p.Present.Has(MessageExpiryInterval) {
		n += 5
	}
	if p.ContentType != "" || p.Present.Has(ContentType) {
		n += 3 + len(p.ContentType)
	}
	if p.ResponseTopic != "" || p.Present.Has(ResponseTopic) {
		n += 3 + len(p.ResponseTopic)
	}
	if len(p.CorrelationData) != 0 || p.Present.Has(CorrelationData) {
		n += 3 + len(p.CorrelationData)
	}
	if max(len(p.ContentType), len(p.ResponseTopic), len(p.CorrelationData)) > maxString {
		return -1
	}
	if len(p.User) > 0 {
		n += sizeOnly(p.User, UserProperty)
	}
	return n
}

func (p *MessageProperties) append(dst []byte) []byte {
	w := writer{b: dst}
	w.propByte(PayloadFormatIndicator, p.PayloadFormat, p.Present)
	w.prop32(MessageExpiryInterval, p.MessageExpiryInterval, p.Present)
	w.propText(ContentType, p.ContentType, p.Present)
	w.propText(ResponseTopic, p.ResponseTopic, p.Present)
	w.propBinary(CorrelationData, p.CorrelationData, p.Present)
	w.users(p.User) // MQTT-3.3.2-17, MQTT-3.3.2-18
	return w.b
}
