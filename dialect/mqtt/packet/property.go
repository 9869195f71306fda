package packet

import "strconv"

// PropertyID names a property of version 5 (2.2.2.2).
type PropertyID byte

// The properties.
const (
	PayloadFormatIndicator          PropertyID = 0x01
	MessageExpiryInterval           PropertyID = 0x02
	ContentType                     PropertyID = 0x03
	ResponseTopic                   PropertyID = 0x08
	CorrelationData                 PropertyID = 0x09
	SubscriptionIdentifier          PropertyID = 0x0B
	SessionExpiryInterval           PropertyID = 0x11
	AssignedClientIdentifier        PropertyID = 0x12
	ServerKeepAlive                 PropertyID = 0x13
	AuthenticationMethod            PropertyID = 0x15
	AuthenticationData              PropertyID = 0x16
	RequestProblemInformation       PropertyID = 0x17
	WillDelayInterval               PropertyID = 0x18
	RequestResponseInformation      PropertyID = 0x19
	ResponseInformation             PropertyID = 0x1A
	ServerReference                 PropertyID = 0x1C
	ReasonString                    PropertyID = 0x1F
	ReceiveMaximum                  PropertyID = 0x21
	TopicAliasMaximum               PropertyID = 0x22
	TopicAlias                      PropertyID = 0x23
	MaximumQoS                      PropertyID = 0x24
	RetainAvailable                 PropertyID = 0x25
	UserProperty                    PropertyID = 0x26
	MaximumPacketSize               PropertyID = 0x27
	WildcardSubscriptionAvailable   PropertyID = 0x28
	SubscriptionIdentifierAvailable PropertyID = 0x29
	SharedSubscriptionAvailable     PropertyID = 0x2A
)

// form is how the value of a property is written.
type form byte

const (
	unknown form = iota
	oneByte
	twoBytes
	fourBytes
	variable
	text
	binaryData
	textPair
)

// rule is what a value must be beyond its form.
type rule byte

const (
	anyValue rule = iota
	notZero
	zeroOrOne
)

var properties = [64]struct {
	name string
	form form
	rule rule
}{
	PayloadFormatIndicator:          {"payload format indicator", oneByte, zeroOrOne},
	MessageExpiryInterval:           {"message expiry interval", fourBytes, anyValue},
	ContentType:                     {"content type", text, anyValue},
	ResponseTopic:                   {"response topic", text, anyValue},
	CorrelationData:                 {"correlation data", binaryData, anyValue},
	SubscriptionIdentifier:          {"subscription identifier", variable, notZero},
	SessionExpiryInterval:           {"session expiry interval", fourBytes, anyValue},
	AssignedClientIdentifier:        {"assigned client identifier", text, anyValue},
	ServerKeepAlive:                 {"server keep alive", twoBytes, anyValue},
	AuthenticationMethod:            {"authentication method", text, anyValue},
	AuthenticationData:              {"authentication data", binaryData, anyValue},
	RequestProblemInformation:       {"request problem information", oneByte, zeroOrOne},
	WillDelayInterval:               {"will delay interval", fourBytes, anyValue},
	RequestResponseInformation:      {"request response information", oneByte, zeroOrOne},
	ResponseInformation:             {"response information", text, anyValue},
	ServerReference:                 {"server reference", text, anyValue},
	ReasonString:                    {"reason string", text, anyValue},
	ReceiveMaximum:                  {"receive maximum", twoBytes, notZero},
	TopicAliasMaximum:               {"topic alias maximum", twoBytes, anyValue},
	TopicAlias:                      {"topic alias", twoBytes, notZero},
	MaximumQoS:                      {"maximum QoS", oneByte, zeroOrOne},
	RetainAvailable:                 {"retain available", oneByte, zeroOrOne},
	UserProperty:                    {"user property", textPair, anyValue},
	MaximumPacketSize:               {"maximum packet size", fourBytes, notZero},
	WildcardSubscriptionAvailable:   {"wildcard subscription available", oneByte, zeroOrOne},
	SubscriptionIdentifierAvailable: {"subscription identifier available", oneByte, zeroOrOne},
	SharedSubscriptionAvailable:     {"shared subscription available", oneByte, zeroOrOne},
}

// String is the name in the specification, in lower case.
func (id PropertyID) String() string {
	if int(id) < len(properties) && properties[id].form != unknown {
		return properties[id].name
	}
	return "property " + strconv.Itoa(int(id))
}

// PropertySet is a set of properties, a bit for each.
type PropertySet uint64

// Properties is the set of ids.
func Properties(ids ...PropertyID) PropertySet {
	var s PropertySet
	for _, id := range ids {
		s |= 1 << id
	}
	return s
}

// Has tells whether id is in the set.
func (s PropertySet) Has(id PropertyID) bool { return s&(1<<id) != 0 }

// Add puts id into the set.
func (s *PropertySet) Add(id PropertyID) { *s |= 1 << id }

// cutString takes a length of two bytes and as many bytes off b.
func cutString(b []byte) (value, rest []byte, ok bool) {
	if len(b) < 2 {
		return nil, nil, false
	}
	n := 2 + int(b[0])<<8 + int(b[1])
	if len(b) < n {
		return nil, nil, false
	}
	return b[2:n:n], b[n:], true
}

// cutProperty takes a property off b: its number, or its one or two strings. Of
// what the values must be, it checks nothing.
func cutProperty(b []byte, p *property) (rest []byte, ok bool) {
	p.id, b = PropertyID(b[0]), b[1:]
	if int(p.id) >= len(properties) {
		return nil, false
	}
	switch properties[p.id].form {
	case oneByte:
		if len(b) < 1 {
			return nil, false
		}
		p.num = uint32(b[0])
		return b[1:], true
	case twoBytes:
		if len(b) < 2 {
			return nil, false
		}
		p.num = uint32(b[0])<<8 | uint32(b[1])
		return b[2:], true
	case fourBytes:
		if len(b) < 4 {
			return nil, false
		}
		p.num = uint32(b[0])<<24 | uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3])
		return b[4:], true
	case variable:
		n, used, _ := varint(b)
		if used == 0 || used > varintLen(n) { // MQTT-1.5.5-1
			return nil, false
		}
		p.num = uint32(n)
		return b[used:], true
	case text, binaryData:
		p.data, b, ok = cutString(b)
		return b, ok
	case textPair:
		if p.data, b, ok = cutString(b); !ok {
			return nil, false
		}
		p.value, b, ok = cutString(b)
		return b, ok
	}
	return nil, false
}

// property is one of them, as read.
type property struct {
	id          PropertyID
	num         uint32
	data, value []byte
}

// scan reads the properties of a packet one by one. It holds no pointer to the
// reader, which would move it to the heap with the views.
type scan struct {
	property
	of      Type
	err     *Error
	section []byte // all properties, without their length
	rest    []byte // those not yet read
	allowed PropertySet
	seen    PropertySet
	// Where the first of the user properties and subscription identifiers
	// begins, and the last one ends.
	user, ids struct{ from, to int }
}

// next reads one more property. It is false after the last and after an error.
func (s *scan) next() bool {
	if len(s.rest) == 0 {
		return false
	}
	from := len(s.section) - len(s.rest)
	id := PropertyID(s.rest[0])
	if id >= 64 || !s.allowed.Has(id) {
		return s.fail(MalformedPacket, id, "is not allowed here (2.2.2.2)")
	}
	if s.seen.Has(id) && id != UserProperty && (id != SubscriptionIdentifier || s.of != PUBLISH) {
		return s.fail(ProtocolError, id, "occurs twice (2.2.2.2)")
	}
	rest, ok := cutProperty(s.rest, &s.property)
	if !ok {
		return s.fail(MalformedPacket, id, "is cut off or has a length that is not in its shortest form (2.2.2.2)")
	}
	s.rest = rest
	to := len(s.section) - len(s.rest)
	switch properties[id].rule {
	case notZero:
		if s.num == 0 {
			if id == TopicAlias {
				return s.fail(TopicAliasInvalid, id, "is 0 (MQTT-3.3.2-8)")
			}
			return s.fail(ProtocolError, id, "is 0 (2.2.2.2)")
		}
	case zeroOrOne:
		if s.num > 1 {
			return s.fail(ProtocolError, id, "is neither 0 nor 1 (2.2.2.2)")
		}
	}
	switch properties[id].form {
	case text:
		if fault := textFault(s.data); fault != "" {
			return s.fail(MalformedPacket, id, fault)
		}
	case textPair:
		if fault := textFault(s.data); fault != "" { // MQTT-1.5.7-1
			return s.fail(MalformedPacket, id, "has a name that "+fault)
		}
		if fault := textFault(s.value); fault != "" {
			return s.fail(MalformedPacket, id, "has a value that "+fault)
		}
		if !s.seen.Has(id) {
			s.user.from = from
		}
		s.user.to = to
	case variable:
		if !s.seen.Has(id) {
			s.ids.from = from
		}
		s.ids.to = to
	}
	s.seen.Add(id)
	return true
}

func (s *scan) fail(reason ReasonCode, id PropertyID, what string) bool {
	s.err = &Error{reason, "decoding " + s.of.String() + ": " + id.String() + " " + what}
	s.rest = nil
	return false
}

// text is the string just read.
func (s *scan) text() string { return view(s.data) }

// users are all user properties read.
func (s *scan) users() UserProperties {
	if s.user.to == 0 {
		return nil
	}
	return UserProperties(s.section[s.user.from:s.user.to:s.user.to])
}

// identifiers are all subscription identifiers read.
func (s *scan) identifiers() SubscriptionIDs {
	if s.ids.to == 0 {
		return nil
	}
	return SubscriptionIDs(s.section[s.ids.from:s.ids.to:s.ids.to])
}
