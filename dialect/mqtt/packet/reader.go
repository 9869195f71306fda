package packet

import "strconv"

// reader takes fields off a body. After the first error it gives zero values and
// keeps that error.
type reader struct {
	rest []byte
	of   Type
	err  *Error
}

// begin judges the fixed header and reads the body behind it.
func begin(h Header, want Type, body []byte, v Version) reader {
	if err := h.check(want, v); err != nil {
		return reader{of: want, err: err}
	}
	return reader{rest: body, of: want}
}

func (r *reader) fail(reason ReasonCode, what string) {
	if r.err == nil {
		r.err = &Error{reason, "decoding " + r.of.String() + ": " + what}
	}
	r.rest = nil
}

// done is the error, if there was one or bytes are left.
func (r *reader) done() error {
	if r.err == nil && len(r.rest) > 0 {
		r.fail(MalformedPacket, strconv.Itoa(len(r.rest))+" bytes too many at the end")
	}
	if r.err != nil {
		return r.err
	}
	return nil
}

func (r *reader) short(field string) {
	r.fail(MalformedPacket, field+" is cut off")
}

func (r *reader) byte(field string) byte {
	if len(r.rest) < 1 {
		r.short(field)
		return 0
	}
	b := r.rest[0]
	r.rest = r.rest[1:]
	return b
}

func (r *reader) uint16(field string) uint16 {
	if len(r.rest) < 2 {
		r.short(field)
		return 0
	}
	n := uint16(r.rest[0])<<8 | uint16(r.rest[1])
	r.rest = r.rest[2:]
	return n
}

func (r *reader) binary(field string) []byte {
	value, rest, ok := cutString(r.rest)
	if !ok {
		r.short(field)
		return nil
	}
	r.rest = rest
	return value
}

func (r *reader) text(field string) string {
	b := r.binary(field)
	if fault := textFault(b); fault != "" {
		r.fail(MalformedPacket, field+" "+fault)
		return ""
	}
	return view(b)
}

// label is a text without control characters.
func (r *reader) label(field string) string {
	s := r.text(field)
	if hasControl(bytesOf(s)) {
		r.fail(MalformedPacket, field+" "+controls)
		return ""
	}
	return s
}

// name is the name of a topic to publish to.
func (r *reader) name(field string) string {
	b := r.binary(field)
	if r.err != nil {
		return ""
	}
	fault, reason := nameFault(b)
	if fault == "" && len(b) == 0 {
		fault, reason = noTopic, TopicNameInvalid
	}
	if fault != "" {
		r.fail(reason, field+" "+fault)
		return ""
	}
	return view(b)
}

// filter is a topic filter.
func (r *reader) filter(v Version) string {
	s := r.label("topic filter") // MQTT-3.8.3-1, MQTT-3.10.3-1
	if r.err != nil {
		return ""
	}
	fault := filterFault(s)
	if fault == "" && v >= V5 {
		fault = sharedFault(s)
	}
	if fault != "" {
		r.fail(TopicFilterInvalid, "topic filter "+fault)
		return ""
	}
	return s
}

// packetID is one that must not be 0 (MQTT-2.2.1-3, MQTT-2.2.1-4).
func (r *reader) packetID() uint16 {
	id := r.uint16("packet identifier")
	if id == 0 {
		r.fail(ProtocolError, "packet identifier is 0 (MQTT-2.2.1-3)")
	}
	return id
}

// reason is a reason code that is allowed in the packet.
func (r *reader) reason() ReasonCode {
	code := ReasonCode(r.byte("reason code"))
	if r.err == nil && !code.ValidIn(r.of) {
		r.fail(ProtocolError, code.String()+" is no reason code of this packet (2.4)")
	}
	return code
}

// properties begins to read them (2.2.2).
func (r *reader) properties(allowed PropertySet) scan {
	s := scan{of: r.of, allowed: allowed}
	if r.err != nil {
		return s
	}
	if len(r.rest) > 0 && r.rest[0] == 0 { // mostly
		r.rest = r.rest[1:]
		return s
	}
	n, used, whole := varint(r.rest)
	switch {
	case used == 0 && whole:
		r.fail(MalformedPacket, "length of properties takes more than four bytes (1.5.5)")
	case used == 0:
		r.short("length of properties")
	case used > varintLen(n):
		r.fail(MalformedPacket, "length of properties is not in its shortest form (MQTT-1.5.5-1)")
	case n > len(r.rest)-used:
		r.fail(MalformedPacket, "properties are cut off")
	default:
		s.section = r.rest[used : used+n]
		s.rest = s.section
		r.rest = r.rest[used+n:]
	}
	return s
}

// end ends the properties: which there were, and the user properties.
func (r *reader) end(s *scan) (PropertySet, UserProperties) {
	if s.err != nil && r.err == nil {
		r.err, r.rest = s.err, nil
	}
	return s.seen, s.users()
}
