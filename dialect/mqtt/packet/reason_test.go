package packet_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"omnibus/dialect/mqtt/packet"
)

// table26 is which reason codes each packet may have, by the sections on them.
var table26 = map[packet.Type]string{
	packet.CONNACK:    "00 80 81 82 83 84 85 86 87 88 89 8A 8C 90 95 97 99 9A 9B 9C 9D 9F",
	packet.PUBACK:     "00 10 80 83 87 90 91 97 99",
	packet.PUBREC:     "00 10 80 83 87 90 91 97 99",
	packet.PUBREL:     "00 92",
	packet.PUBCOMP:    "00 92",
	packet.SUBACK:     "00 01 02 80 83 87 8F 91 97 9E A1 A2",
	packet.UNSUBACK:   "00 11 80 83 87 8F 91",
	packet.DISCONNECT: "00 04 80 81 82 83 87 89 8B 8C 8D 8E 8F 90 93 94 95 96 97 98 99 9A 9B 9C 9D 9E 9F A0 A1 A2",
	packet.AUTH:       "00 18 19",
}

func TestReasonCodesStandWhereTheSpecificationHasThem(t *testing.T) {
	for p := range packet.Type(17) {
		var got []string
		for code := range 256 {
			if packet.ReasonCode(code).ValidIn(p) {
				got = append(got, fmt.Sprintf("%02X", code))
			}
		}
		if got := strings.Join(got, " "); got != table26[p] {
			t.Errorf("%v: %s, want %s", p, got, table26[p])
		}
	}
}

func TestReasonCodesHaveNames(t *testing.T) {
	seen := make(map[string]bool)
	for code := range 256 {
		name := packet.ReasonCode(code).String()
		if seen[name] {
			t.Errorf("%#x: the name %q is that of another", code, name)
		}
		seen[name] = true
		used := false
		for p := range packet.Type(16) {
			used = used || packet.ReasonCode(code).ValidIn(p)
		}
		if named := !strings.HasPrefix(name, "reason code 0x"); named != used {
			t.Errorf("%#x is called %q, used in packets: %t", code, name, used)
		}
	}
}

func TestReturnCodesAndReasonCodesSayTheSame(t *testing.T) {
	for code := range 256 {
		reason, ok := packet.ReasonOfReturn(byte(code))
		if ok != (code < 6) {
			t.Errorf("return code %d: %t", code, ok)
		}
		if !ok {
			continue
		}
		if back, ok := reason.ReturnCode(); !ok || int(back) != code {
			t.Errorf("return code %d is %v, which is return code %d, %t", code, reason, back, ok)
		}
	}
	for reason, want := range map[packet.ReasonCode]byte{
		packet.Banned: 5, packet.ServerBusy: 3, packet.QuotaExceeded: 3, packet.BadAuthenticationMethod: 5,
	} {
		if code, ok := reason.ReturnCode(); !ok || code != want {
			t.Errorf("%v is return code %d, %t, want %d", reason, code, ok, want)
		}
	}
	for _, reason := range []packet.ReasonCode{packet.MalformedPacket, packet.ProtocolError, packet.PacketTooLarge, packet.GrantedQoS1} {
		if code, ok := reason.ReturnCode(); ok {
			t.Errorf("%v is return code %d, want none", reason, code)
		}
	}
}

func TestTheReasonOfAnErrorIsFound(t *testing.T) {
	wrapped := fmt.Errorf("reading from peer: %w", &packet.Error{Reason: packet.PacketTooLarge, Text: "x"})
	for _, c := range []struct {
		err  error
		want packet.ReasonCode
	}{
		{nil, packet.Success},
		{wrapped, packet.PacketTooLarge},
		{errors.New("other"), packet.UnspecifiedError},
	} {
		if got := packet.ReasonOf(c.err); got != c.want {
			t.Errorf("%v: %v, want %v", c.err, got, c.want)
		}
	}
	if got, want := wrapped.Error(), "reading from peer: x: packet too large (0x95)"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestThingsHaveNames(t *testing.T) {
	for got, want := range map[fmt.Stringer]string{
		packet.V31: "3.1", packet.V311: "3.1.1", packet.V5: "5.0", packet.Version(6): "level 6",
		packet.CONNECT: "CONNECT", packet.AUTH: "AUTH", packet.Type(16): "packet 16",
		packet.TopicAlias: "topic alias", packet.PropertyID(0): "property 0", packet.PropertyID(99): "property 99",
	} {
		if got.String() != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func TestAClientMayGoWithoutAnIdentifierWhereItsVersionLetsIt(t *testing.T) {
	for _, c := range []struct {
		v     packet.Version
		clean bool
		want  bool
	}{
		{packet.V31, true, true},
		{packet.V31, false, true},
		{packet.V311, true, false},
		{packet.V311, false, true},
		{packet.V5, true, false},
		{packet.V5, false, false},
	} {
		p := packet.Connect{Version: c.v, CleanStart: c.clean}
		if got := p.NeedsClientID(); got != c.want {
			t.Errorf("%v, clean %t: %t", c.v, c.clean, got)
		}
	}
}

func TestUserPropertiesKeepTheirOrder(t *testing.T) {
	u := user("b", "1", "a", "2", "b", "3")
	var got []string
	for name, value := range u.All() {
		got = append(got, name+value)
	}
	if s := strings.Join(got, " "); s != "b1 a2 b3" {
		t.Errorf("%s", s)
	}
	for range u.All() {
		break // a loop may be left
	}
	if value, ok := u.Get("b"); value != "1" || !ok {
		t.Errorf("b is %q, %t", value, ok)
	}
	if value, ok := u.Get("c"); value != "" || ok {
		t.Errorf("c is %q, %t", value, ok)
	}
	for n := range len(u) { // what is cut off is no property, and nothing else happens
		count := 0
		for range u[:n].All() {
			count++
		}
		if want := n / 7; count != want {
			t.Errorf("%d bytes hold %d pairs, want %d", n, count, want)
		}
	}
}

func TestTheQoSLimitIsSaidOnlyWhenThereIsOne(t *testing.T) {
	var p packet.ConnackProperties
	for _, qos := range []byte{2, 0, 1, 2} {
		p.SetQoSLimit(qos)
		if p.QoSLimit() != qos || p.Present.Has(packet.MaximumQoS) != (qos < 2) {
			t.Errorf("a limit of %d is %+v", qos, p)
		}
	}
}
