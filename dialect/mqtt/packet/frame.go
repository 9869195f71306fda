package packet

import "fmt"

const (
	// maxRemaining is the longest body (1.5.5).
	maxRemaining = 268_435_455
	// MaxSize is the size of the largest packet the format can carry, with its
	// fixed header.
	MaxSize = 1 + 4 + maxRemaining
	// maxString is the longest string or binary value (1.5.4, 1.5.6).
	maxString = 65_535
)

// Header is what the fixed header says of a packet (2.1.1), its length aside.
type Header struct {
	Type Type
	// Flags are the low four bits of the first byte.
	Flags byte
	// Padded tells that the length was written in more bytes than needed, which
	// version 5 forbids and older ones do not.
	Padded bool
}

// Length tells how long the packet at the beginning of buf is, fixed header
// included, as soon as its header is there, the rest or not; 0 if more bytes are
// needed to know. Its errors are those of Frame.
func Length(buf []byte, limit int) (int, error) {
	n, _, _, err := length(buf, limit)
	if err != nil {
		return 0, err
	}
	return n, nil
}

// Frame finds the packet at the beginning of buf: its header, its body, which is
// a view of buf, and its length in all. A length of 0 says that more bytes are
// needed; Length then tells how many, if the header is there.
//
// A packet of more than limit bytes is an error with the reason PacketTooLarge as
// soon as its header is there; a limit of 0 or less stands for MaxSize. A length
// that does not end within four bytes, and the reserved type 0, are MalformedPacket.
func Frame(buf []byte, limit int) (h Header, body []byte, n int, err error) {
	if len(buf) >= 2 && buf[1] < 0x80 && buf[0] >= 0x10 { // most packets
		if n = 2 + int(buf[1]); limit <= 0 || n <= limit {
			if len(buf) < n {
				return Header{}, nil, 0, nil
			}
			return Header{Type: Type(buf[0] >> 4), Flags: buf[0] & 15}, buf[2:n:n], n, nil
		}
	}
	n, start, padded, e := length(buf, limit)
	if e != nil {
		return Header{}, nil, 0, e
	}
	if n == 0 || len(buf) < n {
		return Header{}, nil, 0, nil
	}
	return Header{Type: Type(buf[0] >> 4), Flags: buf[0] & 15, Padded: padded}, buf[start:n:n], n, nil
}

func length(buf []byte, limit int) (n, start int, padded bool, err *Error) {
	if len(buf) == 0 {
		return 0, 0, false, nil
	}
	if buf[0] < 0x10 {
		return 0, 0, false, &Error{MalformedPacket, "reading the fixed header: packet type 0 is reserved (2.1.2)"}
	}
	remaining, used, whole := varint(buf[1:])
	if used == 0 {
		if whole {
			return 0, 0, false, &Error{MalformedPacket, "reading the fixed header: the length takes more than four bytes (1.5.5)"}
		}
		return 0, 0, false, nil
	}
	start = 1 + used
	n = start + remaining
	if limit > 0 && n > limit {
		return 0, 0, false, &Error{
			PacketTooLarge,
			fmt.Sprintf("reading the fixed header: %v of %d bytes, allowed are %d (MQTT-3.1.2-24, MQTT-3.2.2-15)", Type(buf[0]>>4), n, limit),
		}
	}
	return n, start, used > varintLen(remaining), nil
}

// varint reads a variable byte integer (1.5.5) and says how many bytes it took.
// If it took 0, whole tells that four bytes were there but none of them the last.
func varint(b []byte) (value, used int, whole bool) {
	for i := range min(len(b), 4) {
		value |= int(b[i]&0x7f) << (7 * i)
		if b[i] < 0x80 {
			return value, i + 1, true
		}
	}
	return 0, 0, len(b) >= 4
}

func varintLen(n int) int {
	switch {
	case n < 1<<7:
		return 1
	case n < 1<<14:
		return 2
	case n < 1<<21:
		return 3
	}
	return 4
}

func appendVarint(dst []byte, n int) []byte {
	for n >= 0x80 { // MQTT-1.5.5-1: the fewest bytes
		dst = append(dst, byte(n)|0x80)
		n >>= 7
	}
	return append(dst, byte(n))
}

// check judges the fixed header of every packet but PUBLISH.
func (h Header) check(want Type, v Version) *Error {
	switch {
	case h.Type != want:
		return &Error{ProtocolError, "decoding " + want.String() + ": the header is that of " + h.Type.String()}
	case h.Flags != want.flags() && v != V31:
		return &Error{MalformedPacket, fmt.Sprintf("decoding %v: flags of the fixed header are %04b, not %04b (MQTT-2.1.3-1)", want, h.Flags, want.flags())}
	case h.Padded && v >= V5:
		return &Error{MalformedPacket, "decoding " + want.String() + ": the length is not in its shortest form (MQTT-1.5.5-1)"}
	}
	return nil
}
