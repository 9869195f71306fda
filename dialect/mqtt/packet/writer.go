package packet

// Limits are what a receiver asked for that lets a sender leave things out.
type Limits struct {
	// MaximumPacketSize is the largest packet the receiver takes (3.1.2.11.4,
	// 3.2.2.3.6); 0 for no limit.
	MaximumPacketSize uint32
	// NoProblemInformation tells that the client does not want reason strings and
	// user properties where they can be left out (3.1.2.11.7).
	NoProblemInformation bool
}

// What is left out of a packet, more and more, to make it fit.
const (
	leaveNothing = iota
	leaveUsers
	leaveReason // and users
)

// writer writes one packet. It begins again with less when the packet is too
// large, and gives up when it still is or cannot be written at all.
type writer struct {
	b       []byte
	start   int // of the packet
	body    int // of its body
	max     int
	leave   int
	started bool
	bad     bool
}

func write(dst []byte, l Limits) writer {
	w := writer{b: dst, start: len(dst), max: MaxSize}
	if l.MaximumPacketSize > 0 {
		w.max = int(min(l.MaximumPacketSize, MaxSize))
	}
	if l.NoProblemInformation { // MQTT-3.1.2-29
		w.leave = leaveReason
	}
	return w
}

// again tells that the packet is to be written, first or once more.
func (w *writer) again() bool {
	switch {
	case !w.started:
		w.started = true
		return true
	case w.bad || len(w.b)-w.start <= w.max:
		return false
	case w.leave == leaveReason:
		w.bad = true // MQTT-3.1.2-24: never more than the receiver takes
		return false
	}
	w.leave++
	w.b = w.b[:w.start]
	return true
}

// packet is dst with the packet, or as it was.
func (w *writer) packet() []byte {
	if w.bad {
		return w.b[:w.start]
	}
	return w.b
}

// open writes the fixed header.
func (w *writer) open(t Type) {
	w.b = append(w.b, byte(t)<<4|t.flags(), 0)
	w.body = len(w.b)
}

// close puts the length into the fixed header.
func (w *writer) close() { w.length(w.body) }

// length puts the length of what begins at from before it, where there is a byte
// for it.
func (w *writer) length(from int) {
	n := len(w.b) - from
	if n > maxRemaining {
		w.bad = true
		return
	}
	if n < 0x80 {
		w.b[from-1] = byte(n)
		return
	}
	var none [3]byte
	w.b = append(w.b, none[:varintLen(n)-1]...)
	copy(w.b[from-1+varintLen(n):], w.b[from:from+n])
	appendVarint(w.b[:from-1], n)
}

// properties begins the properties and is what to end them with.
func (w *writer) properties() (from int) {
	w.b = append(w.b, 0) // MQTT-2.2.2-1
	return len(w.b)
}

func (w *writer) byte(b byte) { w.b = append(w.b, b) }

func (w *writer) uint16(n uint16) { w.b = append(w.b, byte(n>>8), byte(n)) }

func (w *writer) uint32(n uint32) {
	w.b = append(w.b, byte(n>>24), byte(n>>16), byte(n>>8), byte(n))
}

func (w *writer) text(s string) {
	if len(s) > maxString {
		w.bad = true // MQTT-4.7.3-3
		return
	}
	w.uint16(uint16(len(s)))
	w.b = append(w.b, s...)
}

func (w *writer) binary(b []byte) { w.text(view(b)) }

// Properties, if they are not zero or present all the same.

func (w *writer) propByte(id PropertyID, value byte, present PropertySet) {
	if value != 0 || present.Has(id) {
		w.b = append(w.b, byte(id), value)
	}
}

// propOn is 1 for true.
func (w *writer) propOn(id PropertyID, value bool, present PropertySet) {
	var b byte
	if value {
		b = 1
	}
	w.propByte(id, b, present)
}

// propOff is 0 for true: what is available unless somebody says otherwise.
func (w *writer) propOff(id PropertyID, value bool, present PropertySet) {
	if value {
		w.b = append(w.b, byte(id), 0)
	} else if present.Has(id) {
		w.b = append(w.b, byte(id), 1)
	}
}

func (w *writer) prop16(id PropertyID, value uint16, present PropertySet) {
	if value != 0 || present.Has(id) {
		w.byte(byte(id))
		w.uint16(value)
	}
}

func (w *writer) prop32(id PropertyID, value uint32, present PropertySet) {
	if value != 0 || present.Has(id) {
		w.byte(byte(id))
		w.uint32(value)
	}
}

func (w *writer) propText(id PropertyID, value string, present PropertySet) {
	if value != "" || present.Has(id) {
		w.byte(byte(id))
		w.text(value)
	}
}

func (w *writer) propBinary(id PropertyID, value []byte, present PropertySet) {
	w.propText(id, view(value), present)
}

// reason is the reason string, unless it is left out.
func (w *writer) reason(s string, present PropertySet) {
	if w.leave < leaveReason { // MQTT-3.2.2-19, MQTT-3.4.2-2, MQTT-3.14.2-3 and their like
		w.propText(ReasonString, s, present)
	}
}

// users are the user properties, unless they are left out.
func (w *writer) users(u UserProperties) {
	if w.leave < leaveUsers { // MQTT-3.2.2-20, MQTT-3.4.2-3, MQTT-3.14.2-4 and their like
		w.b = appendOnly(w.b, u, UserProperty)
	}
}
