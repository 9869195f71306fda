package packet_test

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"omnibus/dialect/mqtt/packet"
)

func TestFramesAreFoundOnceTheyAreComplete(t *testing.T) {
	for _, size := range []int{0, 1, 127, 128, 16383, 16384, 2097151, 2097152} {
		header := []byte{0x30}
		for n := size; ; n >>= 7 {
			if n < 0x80 {
				header = append(header, byte(n))
				break
			}
			header = append(header, byte(n)|0x80)
		}
		raw := append(header, bytes.Repeat([]byte{7}, size+3)...) // and something behind it
		whole := len(header) + size
		for _, n := range []int{0, 1, len(header) - 1, len(header), whole - 1} {
			if n >= whole {
				continue
			}
			if _, body, used, err := packet.Frame(raw[:n], 0); used != 0 || body != nil || err != nil {
				t.Errorf("%d of %d bytes: %d used, %v", n, whole, used, err)
			}
		}
		for n := range len(header) {
			if got, err := packet.Length(raw[:n], 0); got != 0 || err != nil {
				t.Errorf("length of %d bytes in %d: %d, %v", whole, n, got, err)
			}
		}
		if got, err := packet.Length(header, 0); got != whole || err != nil {
			t.Errorf("length is %d, want %d: %v", got, whole, err)
		}
		h, body, used, err := packet.Frame(raw, whole)
		if used != whole || len(body) != size || cap(body) != size || err != nil || h != (packet.Header{Type: packet.PUBLISH}) {
			t.Errorf("%d bytes: %d used, body of %d (room for %d), %+v, %v", whole, used, len(body), cap(body), h, err)
		}
		if whole > 2 {
			if _, _, _, err := packet.Frame(raw[:len(header)], whole-1); packet.ReasonOf(err) != packet.PacketTooLarge {
				t.Errorf("%d bytes with a limit of %d: %v", whole, whole-1, err)
			}
			if _, err := packet.Length(raw[:len(header)], whole-1); packet.ReasonOf(err) != packet.PacketTooLarge {
				t.Errorf("length of %d bytes with a limit of %d: %v", whole, whole-1, err)
			}
		}
	}
}

func TestFixedHeadersThatCannotBeAreRefused(t *testing.T) {
	for _, raw := range []string{`00`, `00 00`, `0F 02 00 00`, `30 80 80 80 80`, `30 FF FF FF FF 7F`} {
		if _, _, n, err := packet.Frame(unhex(t, raw), 0); packet.ReasonOf(err) != packet.MalformedPacket || n != 0 {
			t.Errorf("%s: %d, %v", raw, n, err)
		}
	}
	if n, err := packet.Length(unhex(t, `30 FF FF FF 7F`), 0); n != packet.MaxSize || err != nil {
		t.Errorf("the largest packet has %d bytes, want %d: %v", n, packet.MaxSize, err)
	}
}

// A stream cut into reads anywhere gives the same packets.
func TestAStreamIsReadInPiecesOfAnySize(t *testing.T) {
	var stream []byte
	for _, c := range golden {
		stream = append(stream, unhex(t, c.bytes)...)
	}
	rnd := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		var buf []byte
		seen := 0
		for rest := stream; len(rest) > 0; {
			n := min(1+rnd.IntN(40), len(rest))
			buf, rest = append(buf, rest[:n]...), rest[n:]
			for {
				h, body, n, err := packet.Frame(buf, 0)
				if err != nil {
					t.Fatal(err)
				}
				if n == 0 {
					break
				}
				c := golden[seen]
				p := empty(h.Type)
				if err := p.Decode(h, body, c.v); err != nil {
					t.Fatal(err)
				}
				if !equal(p, c.packet) {
					t.Fatalf("packet %d is %+v, want %+v", seen, p, c.packet)
				}
				buf = buf[n:]
				seen++
			}
		}
		if seen != len(golden) || len(buf) != 0 {
			t.Fatalf("%d packets of %d, %d bytes left", seen, len(golden), len(buf))
		}
	}
}
