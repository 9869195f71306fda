package packet_test

import (
	"bytes"
	"reflect"
	"testing"

	"omnibus/dialect/mqtt/packet"
)

// FuzzFrame: a length is the same whichever way it is asked for, never more than
// the limit, and never less in a longer buffer.
func FuzzFrame(f *testing.F) {
	for _, c := range golden {
		f.Add(unhex(f, c.bytes), 0)
	}
	f.Add([]byte{0x30, 0x80, 0x80, 0x80, 0x80}, 10)
	f.Add([]byte{0x30, 0xFF, 0xFF, 0xFF, 0x7F}, 1000)
	f.Fuzz(func(t *testing.T, buf []byte, limit int) {
		h, body, n, err := packet.Frame(buf, limit)
		length, lengthErr := packet.Length(buf, limit)
		if (err == nil) != (lengthErr == nil) {
			t.Fatalf("frame: %v, length: %v", err, lengthErr)
		}
		if err != nil {
			if n != 0 || length != 0 {
				t.Fatalf("%d and %d bytes with an error", n, length)
			}
			return
		}
		if n != 0 && n != length || n == 0 && length > 0 && length <= len(buf) {
			t.Fatalf("frame says %d, length says %d of %d", n, length, len(buf))
		}
		if limit > 0 && length > limit || n > len(buf) {
			t.Fatalf("%d bytes of %d, limit %d", length, len(buf), limit)
		}
		if n == 0 {
			return
		}
		if !bytes.HasSuffix(buf[:n], body) || h.Type == 0 || h.Flags != buf[0]&15 {
			t.Fatalf("%+v and a body of %d bytes in %x", h, len(body), buf[:n])
		}
		if _, _, again, err := packet.Frame(buf[:n], limit); again != n || err != nil {
			t.Fatalf("%d bytes alone: %d, %v", n, again, err)
		}
	})
}

// fuzz feeds the decoders of some types. What they accept is written again as
// what reads as the same packet; what they keep is not much more than they were
// given.
func fuzz(f *testing.F, types ...packet.Type) {
	is := make(map[packet.Type]bool)
	for _, t := range types {
		is[t] = true
	}
	for _, c := range golden {
		if raw := unhex(f, c.bytes); is[packet.Type(raw[0]>>4)] {
			f.Add(raw[0], raw[2:], byte(c.v))
		}
	}
	for _, c := range refused {
		if is[packet.Type(c.first>>4)] {
			f.Add(c.first, unhex(f, c.body), byte(c.v))
		}
	}
	f.Fuzz(func(t *testing.T, first byte, body []byte, level byte) {
		h := packet.Header{Type: types[int(first>>4)%len(types)], Flags: first & 15}
		v := versions[int(level)%len(versions)]
		before := bytes.Clone(body)
		p := empty(h.Type)
		err := p.Decode(h, body, v)
		if !bytes.Equal(body, before) {
			t.Fatal("the body was written to")
		}
		if err != nil {
			if r := packet.ReasonOf(err); !r.Failed() || r == packet.UnspecifiedError {
				t.Fatalf("the reason of %v is %v", err, r)
			}
			return
		}
		if kept, most := keeps(reflect.ValueOf(p).Elem()), 16*len(body); kept > most {
			t.Fatalf("%d bytes kept of a body of %d", kept, len(body))
		}
		if c, ok := p.(*connect); ok {
			v = c.Version
		}
		raw := p.Append(nil, v)
		again, err := decode(t, raw, v)
		if err != nil {
			t.Fatalf("%+v is written as %x, which is refused: %v", p, raw, err)
		}
		if !equal(p, again) {
			t.Fatalf("%+v is written as %x, which is read as\n%+v", p, raw, again)
		}
		if third := again.Append(nil, v); !bytes.Equal(third, raw) {
			t.Fatalf("%+v is written as %x and then as %x", p, raw, third)
		}
	})
}

// keeps is the size of the slices of structs and strings: all that is not a view.
func keeps(v reflect.Value) int {
	switch v.Kind() {
	case reflect.Struct:
		n := 0
		for _, field := range v.Fields() {
			n += keeps(field)
		}
		return n
	case reflect.Slice:
		if v.Type().Elem().Kind() != reflect.Uint8 {
			return v.Cap() * int(v.Type().Elem().Size())
		}
	}
	return 0
}

func FuzzConnect(f *testing.F)     { fuzz(f, packet.CONNECT) }
func FuzzConnack(f *testing.F)     { fuzz(f, packet.CONNACK) }
func FuzzPublish(f *testing.F)     { fuzz(f, packet.PUBLISH) }
func FuzzAck(f *testing.F)         { fuzz(f, packet.PUBACK, packet.PUBREC, packet.PUBREL, packet.PUBCOMP) }
func FuzzSubscribe(f *testing.F)   { fuzz(f, packet.SUBSCRIBE) }
func FuzzSuback(f *testing.F)      { fuzz(f, packet.SUBACK) }
func FuzzUnsubscribe(f *testing.F) { fuzz(f, packet.UNSUBSCRIBE) }
func FuzzUnsuback(f *testing.F)    { fuzz(f, packet.UNSUBACK) }
func FuzzPing(f *testing.F)        { fuzz(f, packet.PINGREQ, packet.PINGRESP) }
func FuzzDisconnect(f *testing.F)  { fuzz(f, packet.DISCONNECT) }
func FuzzAuth(f *testing.F)        { fuzz(f, packet.AUTH) }
