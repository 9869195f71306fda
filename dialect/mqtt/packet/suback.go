package packet

import (
	"fmt"
	"unsafe"
)

// Suback is the SUBACK packet (3.9).
type Suback struct {
	PacketID uint16
	// Codes has one for each filter, in their order (MQTT-3.8.4-6, MQTT-3.9.3-1).
	// For older versions every failure is written as 0x80.
	Codes      []ReasonCode
	Properties ReasonProperties
}

// Decode reads the body of a SUBACK of version v.
func (s *Suback) Decode(h Header, body []byte, v Version) error {
	*s = Suback{}
	r := begin(h, SUBACK, body, v)
	s.PacketID = r.packetID()
	if v >= V5 {
		s.Properties.decode(&r)
	}
	s.Codes = r.codes()
	for _, code := range s.Codes {
		if v < V5 && code > GrantedQoS2 && code != UnspecifiedError {
			r.fail(ProtocolError, fmt.Sprintf("return code 0x%02X is reserved (3.1.1: MQTT-3.9.3-2)", byte(code)))
		}
	}
	return r.done()
}

// codes are all that is left, at least one.
func (r *reader) codes() []ReasonCode {
	b := r.rest
	if r.err != nil {
		return nil
	}
	if len(b) == 0 {
		r.fail(ProtocolError, "has no reason code")
		return nil
	}
	r.rest = nil
	for _, code := range b {
		if !ReasonCode(code).ValidIn(r.of) { // MQTT-3.9.3-2, MQTT-3.11.3-2
			r.fail(ProtocolError, ReasonCode(code).String()+" is no reason code of this packet (2.4)")
			return nil
		}
	}
	// A ReasonCode is a byte, and this is a view like others.
	return unsafe.Slice((*ReasonCode)(unsafe.SliceData(b)), len(b))
}

// Append appends the packet in the form of version v.
func (s *Suback) Append(dst []byte, v Version) []byte {
	return s.AppendWithin(dst, v, Limits{})
}

// AppendWithin appends the packet without what the client does not want and, if
// it exceeds the maximum, without user properties and reason string.
func (s *Suback) AppendWithin(dst []byte, v Version, l Limits) []byte {
	w := write(dst, l)
	for w.again() {
		s.write(&w, v)
	}
	return w.packet()
}

func (s *Suback) write(w *writer, v Version) {
	w.open(SUBACK)
	w.uint16(s.PacketID)
	if v >= V5 {
		s.Properties.write(w)
	}
	for _, code := range s.Codes {
		if v < V5 && code.Failed() {
			code = UnspecifiedError
		}
		w.byte(byte(code))
	}
	w.close()
}
