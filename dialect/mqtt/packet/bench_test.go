package packet_test

import (
	"bytes"
	"fmt"
	"testing"

	"omnibus/dialect/mqtt/packet"
)

func message64(qos byte) *packet.Publish {
	return &packet.Publish{Topic: "home/kitchen/temperature", Payload: bytes.Repeat([]byte("x"), 64), QoS: qos, PacketID: 7}
}

// rich is a message with the properties a request has.
func rich() *packet.Publish {
	p := message64(1)
	p.Properties.MessageProperties = packet.MessageProperties{
		MessageExpiryInterval: 60, ContentType: "application/json", ResponseTopic: "answers/17", CorrelationData: []byte("0123456789abcdef"),
		User: user("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"),
	}
	return p
}

func tenFilters() *packet.Subscribe {
	s := &packet.Subscribe{PacketID: 1}
	for i := range 10 {
		s.Filters = append(s.Filters, packet.Subscription{Filter: fmt.Sprintf("home/room%d/+/temperature/#", i), QoS: 1})
	}
	return s
}

// Packets are decoded and written without allocating, in structs and buffers that
// are used again.
func TestNothingIsAllocated(t *testing.T) {
	connects := golden[4].packet
	for _, v := range versions {
		cases := []codec{message64(0), message64(1), message64(2), tenFilters()}
		if v == packet.V5 {
			cases = append(cases, rich(), connects)
		}
		for _, c := range golden {
			if c.v == v {
				cases = append(cases, c.packet)
			}
		}
		for _, c := range cases {
			raw := c.Append(nil, v)
			p, err := decode(t, raw, v)
			if err != nil {
				t.Fatal(err)
			}
			if n := testing.AllocsPerRun(100, func() {
				h, body, _, _ := packet.Frame(raw, 0)
				if p.Decode(h, body, v) != nil {
					panic("refused")
				}
			}); n != 0 {
				t.Errorf("decoding %T of %v: %v allocations", c, v, n)
			}
			dst := make([]byte, 0, 2*len(raw))
			if n := testing.AllocsPerRun(100, func() { p.Append(dst, v) }); n != 0 {
				t.Errorf("writing %T of %v: %v allocations", c, v, n)
			}
		}
	}
}

func TestATemplateIsUsedAgainWithoutAllocating(t *testing.T) {
	var compiled packet.Template
	p := rich()
	dst := make([]byte, 0, 1024)
	ids := packet.SubscriptionIDs(nil).Append(300)
	compiled.Compile(p, packet.V5)
	if n := testing.AllocsPerRun(100, func() {
		compiled.Compile(p, packet.V5)
		compiled.Append(dst, &packet.Delivery{QoS: 1, PacketID: 9})
		compiled.Append(dst, &packet.Delivery{QoS: 1, PacketID: 9, TopicAlias: 1, SubscriptionIDs: ids})
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// A packet decoded for the first time costs at most its list of filters.
func TestAListOfFiltersIsAllocatedOnce(t *testing.T) {
	raw := tenFilters().Append(nil, packet.V5)
	h, body, _, err := packet.Frame(raw, 0)
	if err != nil {
		t.Fatal(err)
	}
	if n := testing.AllocsPerRun(100, func() {
		var s packet.Subscribe
		if s.Decode(h, body, packet.V5) != nil || len(s.Filters) != 10 {
			panic("refused")
		}
	}); n > 1 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkDecodePublish(b *testing.B) {
	for _, c := range []struct {
		name string
		p    *packet.Publish
		v    packet.Version
	}{
		{"3.1.1/qos0", message64(0), packet.V311},
		{"3.1.1/qos1", message64(1), packet.V311},
		{"5/qos0", message64(0), packet.V5},
		{"5/qos1", message64(1), packet.V5},
		{"5/request", rich(), packet.V5},
	} {
		b.Run(c.name, func(b *testing.B) {
			raw := c.p.Append(nil, c.v)
			var p packet.Publish
			b.SetBytes(int64(len(raw)))
			b.ReportAllocs()
			for b.Loop() {
				h, body, _, err := packet.Frame(raw, 0)
				if err != nil {
					b.Fatal(err)
				}
				if err := p.Decode(h, body, c.v); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkAppendPublish(b *testing.B) {
	for _, c := range []struct {
		name string
		p    *packet.Publish
		v    packet.Version
	}{
		{"3.1.1/qos0", message64(0), packet.V311},
		{"5/qos0", message64(0), packet.V5},
		{"5/qos1", message64(1), packet.V5},
		{"5/request", rich(), packet.V5},
	} {
		b.Run(c.name, func(b *testing.B) {
			dst := make([]byte, 0, 1024)
			b.ReportAllocs()
			for b.Loop() {
				dst = c.p.Append(dst[:0], c.v)
			}
			b.SetBytes(int64(len(dst)))
		})
	}
}

// BenchmarkFanOut is compiling a message once and writing it for each subscriber.
func BenchmarkFanOut(b *testing.B) {
	ids := packet.SubscriptionIDs(nil).Append(300)
	for _, c := range []struct {
		name string
		v    packet.Version
		to   packet.Delivery
	}{
		{"3.1.1/qos0", packet.V311, packet.Delivery{}},
		{"5/qos1", packet.V5, packet.Delivery{QoS: 1}},
		{"5/qos1 with identifier", packet.V5, packet.Delivery{QoS: 1, SubscriptionIDs: ids}},
	} {
		for _, n := range []int{1, 100} {
			b.Run(fmt.Sprintf("%s/to %d", c.name, n), func(b *testing.B) {
				p := message64(0)
				dst := make([]byte, 0, 1024)
				var compiled packet.Template
				b.ReportAllocs()
				for b.Loop() {
					compiled.Compile(p, c.v)
					for i := range n {
						c.to.PacketID = uint16(i + 1)
						dst = compiled.Append(dst[:0], &c.to)
					}
				}
			})
		}
	}
}

func BenchmarkSubscribe(b *testing.B) {
	for _, v := range []packet.Version{packet.V311, packet.V5} {
		s := tenFilters()
		raw := s.Append(nil, v)
		b.Run("decode/"+v.String(), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				h, body, _, err := packet.Frame(raw, 0)
				if err != nil {
					b.Fatal(err)
				}
				if err := s.Decode(h, body, v); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run("append/"+v.String(), func(b *testing.B) {
			dst := make([]byte, 0, 1024)
			b.ReportAllocs()
			for b.Loop() {
				dst = s.Append(dst[:0], v)
			}
		})
	}
}

func BenchmarkAck(b *testing.B) {
	b.Run("append", func(b *testing.B) {
		dst := make([]byte, 0, 16)
		for b.Loop() {
			dst = packet.AppendAck(dst[:0], packet.PUBACK, 7, packet.Success, packet.V5)
		}
	})
	b.Run("decode", func(b *testing.B) {
		raw := packet.AppendAck(nil, packet.PUBACK, 7, packet.NoMatchingSubscribers, packet.V5)
		var a packet.Ack
		for b.Loop() {
			h, body, _, err := packet.Frame(raw, 0)
			if err != nil {
				b.Fatal(err)
			}
			if err := a.Decode(h, body, packet.V5); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkConnect(b *testing.B) {
	raw := golden[4].packet.Append(nil, packet.V5)
	var c packet.Connect
	b.ReportAllocs()
	for b.Loop() {
		h, body, _, err := packet.Frame(raw, 0)
		if err != nil {
			b.Fatal(err)
		}
		if err := c.Decode(h, body); err != nil {
			b.Fatal(err)
		}
	}
}
