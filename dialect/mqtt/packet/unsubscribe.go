package packet

// Unsubscribe is the UNSUBSCRIBE packet (3.10).
type Unsubscribe struct {
	PacketID uint16
	// Filters has at least one.
	Filters    []string
	Properties UnsubscribeProperties
}

// UnsubscribeProperties are those of UNSUBSCRIBE (3.10.2.1).
type UnsubscribeProperties struct {
	User UserProperties
}

// Decode reads the body of an UNSUBSCRIBE of version v. It uses the memory of
// Filters again.
func (u *Unsubscribe) Decode(h Header, body []byte, v Version) error {
	filters := u.Filters[:0]
	*u = Unsubscribe{}
	r := begin(h, UNSUBSCRIBE, body, v)
	u.PacketID = r.packetID()
	if v >= V5 {
		s := r.properties(1 << UserProperty)
		for s.next() {
			continue
		}
		_, u.Properties.User = r.end(&s)
	}
	if r.err == nil && len(r.rest) == 0 {
		r.fail(ProtocolError, "has no topic filter (MQTT-3.10.3-2)")
	}
	if n := countStrings(r.rest, 0); n > cap(filters) {
		filters = make([]string, 0, n)
	}
	for len(r.rest) > 0 {
		filters = append(filters, r.filter(v))
	}
	u.Filters = filters
	return r.done()
}

// Append appends the packet in the form of version v.
func (u *Unsubscribe) Append(dst []byte, v Version) []byte {
	w := write(dst, Limits{})
	for w.again() {
		u.write(&w, v)
	}
	return w.packet()
}

func (u *Unsubscribe) write(w *writer, v Version) {
	w.open(UNSUBSCRIBE)
	w.uint16(u.PacketID)
	if v >= V5 {
		from := w.properties()
		w.users(u.Properties.User)
		w.length(from)
	}
	for _, filter := range u.Filters {
		w.text(filter)
	}
	w.close()
}

// Unsuback is the UNSUBACK packet (3.11). In older versions it has a packet
// identifier and nothing else.
type Unsuback struct {
	PacketID uint16
	// Codes has one for each filter, in their order (MQTT-3.11.3-1).
	Codes      []ReasonCode
	Properties ReasonProperties
}

// Decode reads the body of an UNSUBACK of version v.
func (u *Unsuback) Decode(h Header, body []byte, v Version) error {
	*u = Unsuback{}
	r := begin(h, UNSUBACK, body, v)
	u.PacketID = r.packetID()
	if v >= V5 {
		u.Properties.decode(&r)
		u.Codes = r.codes()
	}
	return r.done()
}

// Append appends the packet in the form of version v.
func (u *Unsuback) Append(dst []byte, v Version) []byte {
	return u.AppendWithin(dst, v, Limits{})
}

// AppendWithin appends the packet without what the client does not want and, if
// it exceeds the maximum, without user properties and reason string.
func (u *Unsuback) AppendWithin(dst []byte, v Version, l Limits) []byte {
	w := write(dst, l)
	for w.again() {
		u.write(&w, v)
	}
	return w.packet()
}

func (u *Unsuback) write(w *writer, v Version) {
	w.open(UNSUBACK)
	w.uint16(u.PacketID)
	if v >= V5 {
		u.Properties.write(w)
		for _, code := range u.Codes {
			w.byte(byte(code))
		}
	}
	w.close()
}
