package packet_test

import (
	"testing"

	"omnibus/dialect/mqtt/packet"
)

type limited interface {
	AppendWithin(dst []byte, v packet.Version, l packet.Limits) []byte
}

var why = packet.ReasonProperties{ReasonString: "because", User: user("some", "detail")}

// explained are all packets that may be sent without their explanations.
var explained = []struct {
	name   string
	packet limited
	// quiet tells that explanations can be unwanted.
	quiet bool
	// whole, reason and bare are the sizes with everything, without user
	// properties, and without the reason string too.
	whole, reason, bare int
}{
	{"connack", &packet.Connack{Reason: packet.Banned, Properties: packet.ConnackProperties{ReasonString: why.ReasonString, User: why.User}}, false, 30, 15, 5},
	{"puback", &packet.Ack{Type: packet.PUBACK, PacketID: 1, Reason: packet.QuotaExceeded, Properties: why}, true, 31, 16, 5},
	{"pubcomp, success", &packet.Ack{Type: packet.PUBCOMP, PacketID: 1, Properties: why}, true, 31, 16, 4},
	{"suback", &packet.Suback{PacketID: 1, Codes: []packet.ReasonCode{0}, Properties: why}, true, 31, 16, 6},
	{"unsuback", &packet.Unsuback{PacketID: 1, Codes: []packet.ReasonCode{0}, Properties: why}, true, 31, 16, 6},
	{"disconnect", &packet.Disconnect{Reason: packet.ServerBusy, Properties: packet.DisconnectProperties{ReasonString: why.ReasonString, User: why.User}}, false, 29, 14, 3},
	{"auth", &packet.Auth{Reason: packet.ContinueAuthentication, Properties: packet.AuthProperties{AuthenticationMethod: "m", ReasonString: why.ReasonString, User: why.User}}, true, 33, 18, 8},
}

func TestExplanationsAreLeftOutOfWhatIsTooLarge(t *testing.T) {
	for _, c := range explained {
		for limit := uint32(1); limit < 40; limit++ {
			want := 0
			for _, size := range []int{c.bare, c.reason, c.whole} {
				if size <= int(limit) {
					want = size
				}
			}
			raw := c.packet.AppendWithin([]byte("before"), packet.V5, packet.Limits{MaximumPacketSize: limit})[len("before"):]
			if len(raw) != want {
				t.Errorf("%s within %d: %d bytes, want %d", c.name, limit, len(raw), want)
			}
			if len(raw) == 0 {
				continue
			}
			if _, err := decode(t, raw, packet.V5); err != nil {
				t.Errorf("%s within %d: %v", c.name, limit, err)
			}
		}
	}
}

func TestExplanationsNobodyWantsAreLeftOut(t *testing.T) {
	for _, c := range explained {
		want := c.whole
		if c.quiet {
			want = c.bare
		}
		if raw := c.packet.AppendWithin(nil, packet.V5, packet.Limits{NoProblemInformation: true}); len(raw) != want {
			t.Errorf("%s: %d bytes, want %d", c.name, len(raw), want)
		}
	}
}

func TestTheLimitsOfAClientAreItsProperties(t *testing.T) {
	p := packet.ConnectProperties{MaximumPacketSize: 7, NoProblemInformation: true}
	if got := p.Limits(); got != (packet.Limits{MaximumPacketSize: 7, NoProblemInformation: true}) {
		t.Errorf("%+v", got)
	}
}

func TestAShortAckIsTheSameAsALongOne(t *testing.T) {
	for _, v := range versions {
		for ack := packet.PUBACK; ack <= packet.PUBCOMP; ack++ {
			for code := range 256 {
				a := packet.Ack{Type: ack, PacketID: 0x1234, Reason: packet.ReasonCode(code)}
				want := string(a.Append([]byte("x"), v))
				if got := string(packet.AppendAck([]byte("x"), ack, 0x1234, a.Reason, v)); got != want {
					t.Errorf("%v %v %v: %x, want %x", v, ack, a.Reason, got, want)
				}
			}
		}
	}
}
