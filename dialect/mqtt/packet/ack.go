package packet

// Ack is one of the four packets that answer a PUBLISH and one another: PUBACK
// (3.4), PUBREC (3.5), PUBREL (3.6) and PUBCOMP (3.7).
type Ack struct {
	Type     Type
	PacketID uint16
	// Reason is always Success in older versions.
	Reason     ReasonCode
	Properties ReasonProperties
}

// ReasonProperties are those that explain a reason code, in the packets that have
// no others.
type ReasonProperties struct {
	// Present has the properties that were in the packet.
	Present      PropertySet
	ReasonString string
	User         UserProperties
}

const inReasonSection PropertySet = 1<<ReasonString | 1<<UserProperty

func (p *ReasonProperties) decode(r *reader) {
	s := r.properties(inReasonSection)
	for s.next() {
		if s.id == ReasonString {
			p.ReasonString = s.text()
		}
	}
	p.Present, p.User = r.end(&s)
}

func (p *ReasonProperties) write(w *writer) {
	from := w.properties()
	w.reason(p.ReasonString, p.Present)
	w.users(p.User)
	w.length(from)
}

// Decode reads the body of a packet of version v, of the type in the header.
func (a *Ack) Decode(h Header, body []byte, v Version) error {
	*a = Ack{Type: h.Type}
	if h.Type < PUBACK || h.Type > PUBCOMP {
		return h.check(PUBACK, v)
	}
	r := begin(h, h.Type, body, v)
	a.PacketID = r.packetID()
	if v >= V5 && len(r.rest) > 0 { // without more it is Success (3.4.2.1)
		a.Reason = r.reason() // MQTT-3.4.2-1, MQTT-3.5.2-1, MQTT-3.6.2-1, MQTT-3.7.2-1
		if len(r.rest) > 0 {
			a.Properties.decode(&r)
		}
	}
	return r.done()
}

// Append appends the packet in the form of version v, as short as it can be.
func (a *Ack) Append(dst []byte, v Version) []byte {
	return a.AppendWithin(dst, v, Limits{})
}

// AppendWithin appends the packet without what the receiver does not want and,
// if it exceeds the maximum, without user properties and reason string.
func (a *Ack) AppendWithin(dst []byte, v Version, l Limits) []byte {
	w := write(dst, l)
	for w.again() {
		a.write(&w, v)
	}
	return w.packet()
}

func (a *Ack) write(w *writer, v Version) {
	w.open(a.Type)
	w.uint16(a.PacketID)
	if v >= V5 {
		w.byte(byte(a.Reason))
		a.Properties.write(w)
		w.trim(2, a.Reason)
	}
	w.close()
}

// trim takes an empty section of properties off the end of the body, and then a
// reason code that says nothing; before both there are some bytes. (3.4.2.1,
// 3.14.2.1, 3.15.2.1)
func (w *writer) trim(before int, reason ReasonCode) {
	if len(w.b)-w.body != before+2 {
		return
	}
	w.b = w.b[:len(w.b)-1]
	if reason == Success {
		w.b = w.b[:len(w.b)-1]
	}
}

// AppendAck appends a PUBACK, PUBREC, PUBREL or PUBCOMP without properties.
func AppendAck(dst []byte, t Type, id uint16, reason ReasonCode, v Version) []byte {
	first := byte(t)<<4 | t.flags()
	if v < V5 || reason == Success {
		return append(dst, first, 2, byte(id>>8), byte(id))
	}
	return append(dst, first, 3, byte(id>>8), byte(id), byte(reason))
}
