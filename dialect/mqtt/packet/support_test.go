package packet_test

import (
	"encoding/hex"
	"reflect"
	"strings"
	"testing"

	"omnibus/dialect/mqtt/packet"
)

// codec is what all packets have in common, once CONNECT and the pings are
// dressed up.
type codec interface {
	Decode(h packet.Header, body []byte, v packet.Version) error
	Append(dst []byte, v packet.Version) []byte
}

type connect struct{ packet.Connect }

func (c *connect) Decode(h packet.Header, body []byte, _ packet.Version) error {
	return c.Connect.Decode(h, body)
}

func (c *connect) Append(dst []byte, _ packet.Version) []byte { return c.Connect.Append(dst) }

type ping struct{ Type packet.Type }

func (p *ping) Decode(h packet.Header, body []byte, v packet.Version) error {
	p.Type = h.Type
	return packet.DecodePing(h, body, v)
}

func (p *ping) Append(dst []byte, _ packet.Version) []byte {
	if p.Type == packet.PINGREQ {
		return packet.AppendPingreq(dst)
	}
	return packet.AppendPingresp(dst)
}

// empty is a packet of the type, to decode into.
func empty(t packet.Type) codec {
	switch t {
	case packet.CONNECT:
		return new(connect)
	case packet.CONNACK:
		return new(packet.Connack)
	case packet.PUBLISH:
		return new(packet.Publish)
	case packet.PUBACK, packet.PUBREC, packet.PUBREL, packet.PUBCOMP:
		return new(packet.Ack)
	case packet.SUBSCRIBE:
		return new(packet.Subscribe)
	case packet.SUBACK:
		return new(packet.Suback)
	case packet.UNSUBSCRIBE:
		return new(packet.Unsubscribe)
	case packet.UNSUBACK:
		return new(packet.Unsuback)
	case packet.DISCONNECT:
		return new(packet.Disconnect)
	case packet.AUTH:
		return new(packet.Auth)
	}
	return new(ping)
}

// decode decodes a whole packet, and nothing but one.
func decode(t testing.TB, raw []byte, v packet.Version) (codec, error) {
	t.Helper()
	h, body, n, err := packet.Frame(raw, 0)
	if err != nil {
		return nil, err
	}
	if n != len(raw) {
		t.Fatalf("a packet of %d bytes is framed as %d: %x", len(raw), n, raw)
	}
	p := empty(h.Type)
	return p, p.Decode(h, body, v)
}

// unhex reads hex with spaces, and "text" for the bytes of a text.
func unhex(t testing.TB, s string) []byte {
	t.Helper()
	var b []byte
	for i, part := range strings.Split(s, `"`) {
		if i%2 == 1 {
			b = append(b, part...)
			continue
		}
		raw, err := hex.DecodeString(strings.Join(strings.Fields(part), ""))
		if err != nil {
			t.Fatalf("%q: %v", s, err)
		}
		b = append(b, raw...)
	}
	return b
}

// equal compares packets: slices of no length are nil, and user properties and
// subscription identifiers are their lists, whatever stood between them.
func equal(a, b codec) bool {
	tidy(reflect.ValueOf(a).Elem())
	tidy(reflect.ValueOf(b).Elem())
	return reflect.DeepEqual(a, b)
}

func tidy(v reflect.Value) {
	switch v.Kind() {
	case reflect.Struct:
		for _, field := range v.Fields() {
			tidy(field)
		}
	case reflect.Slice:
		switch s := v.Interface().(type) {
		case packet.UserProperties:
			var only packet.UserProperties
			for name, value := range s.All() {
				only = only.Append(name, value)
			}
			v.SetBytes(only)
		case packet.SubscriptionIDs:
			var only packet.SubscriptionIDs
			for id := range s.All() {
				only = only.Append(id)
			}
			v.SetBytes(only)
		}
		if v.Len() == 0 {
			v.SetZero()
		}
	}
}

var versions = []packet.Version{packet.V31, packet.V311, packet.V5}
