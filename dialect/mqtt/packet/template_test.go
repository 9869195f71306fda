package packet_test

import (
	"bytes"
	"math/rand/v2"
	"strings"
	"testing"

	"omnibus/dialect/mqtt/packet"
)

// What a template writes is what a packet made for the one subscriber would be.
func TestATemplateWritesWhatThePacketOfEachSubscriberWouldBe(t *testing.T) {
	d := dice{rand.New(rand.NewPCG(9, 10))}
	var compiled packet.Template
	for range 2000 {
		v := versions[d.IntN(len(versions))]
		from := d.publish(v)
		if from.Topic == "" {
			continue
		}
		compiled.Compile(from, v)
		for range 5 {
			to := &packet.Delivery{PacketID: d.id(), QoS: byte(d.IntN(3)), Dup: d.yes(), Retain: d.yes()}
			want := packet.Publish{
				Topic: from.Topic, Payload: from.Payload, PacketID: to.PacketID, QoS: to.QoS, Dup: to.Dup, Retain: to.Retain,
				Properties: packet.PublishProperties{MessageProperties: from.Properties.MessageProperties},
			}
			if d.yes() {
				to.TopicAlias, to.OmitTopic = d.id(), d.yes()
				if v == packet.V5 {
					want.Properties.TopicAlias = to.TopicAlias
					if to.OmitTopic {
						want.Topic = ""
					}
				}
			}
			if d.yes() {
				to.SubscriptionIDs = to.SubscriptionIDs.Append(1).Append(1 + d.Uint32()>>4)
				want.Properties.SubscriptionIDs = to.SubscriptionIDs
			}
			raw := want.Append([]byte("before"), v)
			if got := compiled.Append([]byte("before"), to); !bytes.Equal(got, raw) {
				t.Fatalf("%+v of %+v in %v is\n%x, want\n%x", to, from, v, got, raw)
			}
			if got := append(compiled.AppendHead([]byte("before"), to), compiled.Payload()...); !bytes.Equal(got, raw) {
				t.Fatalf("head and payload of %+v are\n%x, want\n%x", to, got, raw)
			}
			if got := compiled.Size(to); got != len(raw)-len("before") {
				t.Fatalf("%+v has %d bytes and says %d", to, len(raw)-len("before"), got)
			}
		}
	}
}

func TestDUPIsNotWrittenWithQoS0(t *testing.T) {
	p := packet.Publish{Topic: "a", Dup: true}
	if raw := p.Append(nil, packet.V311); raw[0] != 0x30 {
		t.Errorf("the first byte is %#x", raw[0])
	}
}

// A stream is never left with a packet that cannot be.
func TestWhatCannotBeWrittenAppendsNothing(t *testing.T) {
	long := strings.Repeat("x", 65536)
	huge := make([]byte, packet.MaxSize)
	tooMuch := packet.SubscriptionIDs(nil)
	for _, c := range []struct {
		name string
		v    packet.Version
		p    codec
	}{
		{"a name too long", packet.V311, &packet.Publish{Topic: long}},
		{"a payload too long", packet.V311, &packet.Publish{Topic: "a", Payload: huge}},
		{"a QoS of 3", packet.V311, &packet.Publish{Topic: "a", QoS: 3, PacketID: 1}},
		{"a content type too long", packet.V5, &packet.Publish{Topic: "a", Properties: packet.PublishProperties{MessageProperties: packet.MessageProperties{ContentType: long}}}},
		{"a response topic too long", packet.V5, &packet.Publish{Topic: "a", Properties: packet.PublishProperties{MessageProperties: packet.MessageProperties{ResponseTopic: long}}}},
		{"correlation data too long", packet.V5, &packet.Publish{Topic: "a", Properties: packet.PublishProperties{MessageProperties: packet.MessageProperties{CorrelationData: []byte(long)}}}},
		{"a client identifier too long", packet.V311, &connect{packet.Connect{Version: packet.V311, ClientID: long}}},
		{"a password too long", packet.V311, &connect{packet.Connect{Version: packet.V311, HasUsername: true, HasPassword: true, Password: []byte(long)}}},
		{"a will's content type too long", packet.V5, &connect{packet.Connect{Version: packet.V5, HasWill: true, Will: packet.Will{Topic: "a", Properties: packet.WillProperties{MessageProperties: packet.MessageProperties{ContentType: long}}}}}},
		{"a filter too long", packet.V311, &packet.Subscribe{PacketID: 1, Filters: []packet.Subscription{{Filter: "a"}, {Filter: long}}}},
		{"a subscription identifier too large", packet.V5, &packet.Subscribe{PacketID: 1, Filters: []packet.Subscription{{Filter: "a"}}, Properties: packet.SubscribeProperties{SubscriptionID: 268435456}}},
		{"a filter to leave too long", packet.V311, &packet.Unsubscribe{PacketID: 1, Filters: []string{long}}},
		{"a reason string too long", packet.V5, &packet.Ack{Type: packet.PUBACK, PacketID: 1, Properties: packet.ReasonProperties{ReasonString: long}}},
		{"a reason without a return code", packet.V311, &packet.Connack{Reason: packet.MalformedPacket}},
		{"a packet of a later version", packet.V311, &packet.Auth{}},
	} {
		if got := c.p.Append([]byte("before"), c.v); string(got) != "before" {
			t.Errorf("%s: %d bytes were appended", c.name, len(got)-len("before"))
		}
		p, ok := c.p.(*packet.Publish)
		if !ok {
			continue
		}
		if n := p.Size(c.v); n != 0 {
			t.Errorf("%s: has %d bytes", c.name, n)
		}
		if got := p.AppendHead([]byte("before"), c.v); string(got) != "before" {
			t.Errorf("%s: %d bytes of a head were appended", c.name, len(got)-len("before"))
		}
		d := &packet.Delivery{QoS: p.QoS, PacketID: 1}
		var compiled packet.Template
		compiled.Compile(p, c.v)
		if compiled.Size(d) != 0 || len(compiled.Append(nil, d)) != 0 || len(compiled.AppendHead(nil, d)) != 0 {
			t.Errorf("%s: a template of it writes something", c.name)
		}
	}
	if u := user("k", "v").Append(long, ""); len(u) != len(user("k", "v")) {
		t.Error("a name too long became a user property")
	}
	if u := user("k", "v").Append("", long); len(u) != len(user("k", "v")) {
		t.Error("a value too long became a user property")
	}
	if len(tooMuch.Append(0)) != 0 || len(tooMuch.Append(268435456)) != 0 {
		t.Error("an identifier that cannot be written was added")
	}
	fits := packet.Publish{Topic: "a", Payload: huge[:packet.MaxSize-5-3]}
	if got := fits.Size(packet.V311); got != packet.MaxSize {
		t.Errorf("the largest packet has %d bytes, want %d", got, packet.MaxSize)
	}
	var compiled packet.Template
	compiled.Compile(&packet.Publish{Topic: "a", Payload: huge[:packet.MaxSize-5-3-1-2]}, packet.V5)
	if got := compiled.Size(&packet.Delivery{QoS: 1, PacketID: 1}); got != packet.MaxSize {
		t.Errorf("the largest packet of a template has %d bytes, want %d", got, packet.MaxSize)
	}
	if got := compiled.Size(&packet.Delivery{QoS: 1, PacketID: 1, TopicAlias: 1}); got != 0 {
		t.Errorf("one with an alias besides has %d bytes", got)
	}
}
