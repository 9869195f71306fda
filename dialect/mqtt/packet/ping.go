package packet

// DecodePing judges a PINGREQ (3.12) or PINGRESP (3.13), which have no body.
func DecodePing(h Header, body []byte, v Version) error {
	want := PINGREQ
	if h.Type == PINGRESP {
		want = PINGRESP
	}
	r := begin(h, want, body, v)
	return r.done()
}

// AppendPingreq appends a PINGREQ; it is the same in all versions.
func AppendPingreq(dst []byte) []byte { return append(dst, byte(PINGREQ)<<4, 0) }

// AppendPingresp appends a PINGRESP; it is the same in all versions.
func AppendPingresp(dst []byte) []byte { return append(dst, byte(PINGRESP)<<4, 0) }
