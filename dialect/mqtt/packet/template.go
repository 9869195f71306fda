package packet

import "slices"

// Template is a PUBLISH compiled once and sent to many subscribers, whose packets
// differ in packet identifier, QoS, RETAIN and DUP only, or in what a Delivery
// tells besides. Compile may be called again and again and uses its memory again.
// Between two calls a template does not change and may be read by many goroutines.
//
// It keeps views of topic and payload, which must not change as long as it is used.
type Template struct {
	version Version
	bad     bool
	topic   string
	payload []byte
	// head holds everything before the payload, twice: in packets of QoS 0, and in
	// those of more, with room for the packet identifier at id.
	head []byte
	zero int // length of the first head
	id   int
	// props are the encoded properties, without their length, in head.
	props []byte
}

// Delivery is what differs between the subscribers of one message.
type Delivery struct {
	// PacketID counts only if QoS is not 0, and so does Dup.
	PacketID uint16
	QoS      byte
	Dup      bool
	Retain   bool
	// The rest is for version 5 alone.

	// OmitTopic leaves the topic name out, since the receiver knows TopicAlias.
	OmitTopic  bool
	TopicAlias uint16
	// SubscriptionIDs are those of the matching subscriptions (MQTT-3.3.4-3).
	SubscriptionIDs SubscriptionIDs
}

// Compile prepares topic, payload and properties of p for receivers of version v.
// What belongs to the connection p came from is not taken over: topic alias,
// subscription identifiers, packet identifier and flags.
func (t *Template) Compile(p *Publish, v Version) {
	*t = Template{version: v, topic: p.Topic, payload: p.Payload, head: t.head[:0]}
	n := 2 + len(p.Topic) + len(p.Payload)
	props := 0
	if v >= V5 {
		props = p.Properties.MessageProperties.size()
		n += varintLen(max(props, 0)) + props
	}
	if props < 0 || n+2 > maxRemaining || len(p.Topic) > maxString {
		t.bad = true
		return
	}
	t.head = slices.Grow(t.head, 2*(1+4+2+len(p.Topic)+2+4+props))
	t.open(first(0, false, false), n)
	if v >= V5 {
		t.head = appendVarint(t.head, props)
		t.head = p.Properties.MessageProperties.append(t.head)
	}
	t.zero = len(t.head)
	tail := t.head[1+varintLen(n)+2+len(p.Topic) : t.zero]
	t.open(first(1, false, false), n+2)
	t.id = len(t.head) - t.zero
	t.head = append(append(t.head, 0, 0), tail...)
	t.props = t.head[t.zero-props : t.zero]
}

// open writes the fixed header and the topic name.
func (t *Template) open(first byte, n int) {
	t.head = appendVarint(append(t.head, first), n)
	t.head = append(t.head, byte(len(t.topic)>>8), byte(len(t.topic)))
	t.head = append(t.head, t.topic...)
}

// Payload is the payload, to be sent behind what AppendHead appended.
func (t *Template) Payload() []byte { return t.payload }

// Append appends the packet for one subscriber; nothing if it cannot be written.
func (t *Template) Append(dst []byte, d *Delivery) []byte {
	if t.odd(d) {
		n, props := t.remaining(d)
		if n < 0 {
			return dst
		}
		return append(t.special(slices.Grow(dst, 1+4+n), d, n, props), t.payload...)
	}
	return append(t.usual(dst, d, len(t.payload)), t.payload...)
}

// AppendHead appends all of the packet but the payload, which is to follow it in
// the stream: for payloads too large to be copied for each subscriber.
func (t *Template) AppendHead(dst []byte, d *Delivery) []byte {
	if t.odd(d) {
		n, props := t.remaining(d)
		if n < 0 {
			return dst
		}
		return t.special(dst, d, n, props)
	}
	return t.usual(dst, d, 0)
}

// odd tells that none of the prepared heads is right, or that nothing is.
func (t *Template) odd(d *Delivery) bool {
	return t.bad || d.QoS > 2 || t.version >= V5 && (d.TopicAlias != 0 || len(d.SubscriptionIDs) > 0)
}

// Size is how many bytes Append appends; 0 if the packet cannot be written.
func (t *Template) Size(d *Delivery) int {
	switch {
	case t.odd(d):
		n, _ := t.remaining(d)
		if n < 0 {
			return 0
		}
		return 1 + varintLen(n) + n
	case d.QoS == 0:
		return t.zero + len(t.payload)
	}
	return len(t.head) - t.zero + len(t.payload)
}

// usual appends one of the two prepared heads, with room for more behind it.
func (t *Template) usual(dst []byte, d *Delivery, more int) []byte {
	head := t.head[:t.zero]
	if d.QoS > 0 {
		head = t.head[t.zero:]
	}
	at := len(dst)
	if cap(dst)-at < len(head)+more {
		dst = slices.Grow(dst, len(head)+more)
	}
	dst = append(dst, head...)
	dst[at] = first(d.QoS, d.Dup, d.Retain)
	if d.QoS > 0 {
		dst[at+t.id], dst[at+t.id+1] = byte(d.PacketID>>8), byte(d.PacketID)
	}
	return dst
}

// remaining is the length of the body and of the properties of a special packet;
// -1 for one that cannot be written.
func (t *Template) remaining(d *Delivery) (n, props int) {
	if t.bad || d.QoS > 2 {
		return -1, 0
	}
	props = len(t.props) + sizeOnly(d.SubscriptionIDs, SubscriptionIdentifier)
	if d.TopicAlias != 0 {
		props += 3
	}
	n = 2 + varintLen(props) + props + len(t.payload)
	if !t.omits(d) {
		n += len(t.topic)
	}
	if d.QoS > 0 {
		n += 2
	}
	if n > maxRemaining {
		return -1, 0
	}
	return n, props
}

func (t *Template) omits(d *Delivery) bool { return d.OmitTopic && d.TopicAlias != 0 }

// special appends a head that has more properties, or no topic name.
func (t *Template) special(dst []byte, d *Delivery, n, props int) []byte {
	dst = appendVarint(append(dst, first(d.QoS, d.Dup, d.Retain)), n)
	topic := t.topic
	if t.omits(d) {
		topic = ""
	}
	dst = append(append(dst, byte(len(topic)>>8), byte(len(topic))), topic...)
	if d.QoS > 0 {
		dst = append(dst, byte(d.PacketID>>8), byte(d.PacketID))
	}
	dst = append(appendVarint(dst, props), t.props...)
	if d.TopicAlias != 0 {
		dst = append(dst, byte(TopicAlias), byte(d.TopicAlias>>8), byte(d.TopicAlias))
	}
	return appendOnly(dst, d.SubscriptionIDs, SubscriptionIdentifier)
}
