package packet_test

import (
	"bytes"
	"math/rand/v2"
	"strings"
	"testing"

	"omnibus/dialect/mqtt/packet"
)

// dice makes packets that are allowed, of any kind and version.
type dice struct{ *rand.Rand }

func (d dice) yes() bool { return d.IntN(2) == 0 }

func (d dice) id() uint16 { return uint16(1 + d.IntN(65535)) }

// length is mostly short, and sometimes around where lengths take more bytes.
func (d dice) length() int {
	switch d.IntN(20) {
	case 0:
		return 120 + d.IntN(16)
	case 1:
		return 16370 + d.IntN(20)
	}
	return d.IntN(12)
}

func (d dice) bytes() []byte {
	b := make([]byte, d.length())
	for i := range b {
		b[i] = byte(d.Uint32())
	}
	return b
}

func (d dice) text() string {
	letters := []string{"a", "Z", "0", " ", "/", "+", "#", "$", "\x01", "ö", "℃", "😀", "\uFEFF"}
	var s strings.Builder
	for n := d.length(); s.Len() < n; {
		s.WriteString(letters[d.IntN(len(letters))])
	}
	return s.String()
}

func (d dice) name() string {
	return "t" + strings.NewReplacer("+", "-", "#", "=").Replace(d.label())
}

// label is a text without control characters.
func (d dice) label() string { return strings.ReplaceAll(d.text(), "\x01", "~") }

func (d dice) filter() string {
	levels := []string{"+", "a", "", "größe", "$SYS"}
	s := levels[d.IntN(len(levels))]
	for range d.IntN(4) {
		s += "/" + levels[d.IntN(len(levels))]
	}
	if s == "" || d.IntN(4) == 0 {
		s += "/#"
	}
	return s
}

func (d dice) users() (u packet.UserProperties) {
	for range d.IntN(3) {
		u = u.Append(d.text(), d.text())
	}
	return u
}

// some flips a coin for each property and tells which came up.
func (d dice) some(set *packet.PropertySet, id packet.PropertyID) bool {
	if d.yes() {
		return false
	}
	set.Add(id)
	return true
}

func (d dice) usersOf(set *packet.PropertySet) packet.UserProperties {
	u := d.users()
	if len(u) > 0 {
		set.Add(packet.UserProperty)
	}
	return u
}

func (d dice) message() (p packet.MessageProperties) {
	if d.some(&p.Present, packet.PayloadFormatIndicator) {
		p.PayloadFormat = byte(d.IntN(2))
	}
	if d.some(&p.Present, packet.MessageExpiryInterval) {
		p.MessageExpiryInterval = d.Uint32() >> d.IntN(33)
	}
	if d.some(&p.Present, packet.ContentType) {
		p.ContentType = d.text()
	}
	if d.some(&p.Present, packet.ResponseTopic) {
		p.ResponseTopic = d.name()
	}
	if d.some(&p.Present, packet.CorrelationData) {
		p.CorrelationData = d.bytes()
	}
	p.User = d.usersOf(&p.Present)
	return p
}

func (d dice) publish(v packet.Version) *packet.Publish {
	p := &packet.Publish{Topic: d.name(), Payload: d.bytes(), QoS: byte(d.IntN(3)), Retain: d.yes()}
	if p.QoS > 0 {
		p.PacketID, p.Dup = d.id(), d.yes()
	}
	if v < packet.V5 {
		return p
	}
	p.Properties.MessageProperties = d.message()
	if d.some(&p.Properties.Present, packet.TopicAlias) {
		p.Properties.TopicAlias = d.id()
		if d.yes() {
			p.Topic = ""
		}
	}
	if d.some(&p.Properties.Present, packet.SubscriptionIdentifier) {
		for range 1 + d.IntN(3) {
			p.Properties.SubscriptionIDs = p.Properties.SubscriptionIDs.Append(1 + d.Uint32()>>(4+d.IntN(28)))
		}
	}
	return p
}

func (d dice) connect(v packet.Version) *connect {
	c := &connect{packet.Connect{Version: v, CleanStart: d.yes(), KeepAlive: d.id(), ClientID: d.label(), HasWill: d.yes(), HasUsername: d.yes()}}
	c.HasPassword = (c.HasUsername || v == packet.V5) && d.yes()
	if c.HasUsername {
		c.Username = d.label()
	}
	if c.HasPassword {
		c.Password = d.bytes()
	}
	if c.HasWill {
		c.Will = packet.Will{Topic: d.name(), Payload: d.bytes(), QoS: byte(d.IntN(3)), Retain: d.yes()}
	}
	if v < packet.V5 {
		return c
	}
	if c.HasWill {
		c.Will.Properties.MessageProperties = d.message()
		if d.some(&c.Will.Properties.Present, packet.WillDelayInterval) {
			c.Will.Properties.DelayInterval = d.Uint32()
		}
	}
	p := &c.Properties
	if d.some(&p.Present, packet.SessionExpiryInterval) {
		p.SessionExpiryInterval = d.Uint32()
	}
	if d.some(&p.Present, packet.ReceiveMaximum) {
		p.ReceiveMaximum = d.id()
	}
	if d.some(&p.Present, packet.MaximumPacketSize) {
		p.MaximumPacketSize = 1 + d.Uint32()>>1
	}
	if d.some(&p.Present, packet.TopicAliasMaximum) {
		p.TopicAliasMaximum = d.id() - 1
	}
	p.RequestResponseInformation = d.some(&p.Present, packet.RequestResponseInformation) && d.yes()
	p.NoProblemInformation = d.some(&p.Present, packet.RequestProblemInformation) && d.yes()
	if d.some(&p.Present, packet.AuthenticationMethod) {
		p.AuthenticationMethod = d.text()
		if d.some(&p.Present, packet.AuthenticationData) {
			p.AuthenticationData = d.bytes()
		}
	}
	p.User = d.usersOf(&p.Present)
	return c
}

func (d dice) connack(v packet.Version) *packet.Connack {
	c := &packet.Connack{Reason: d.reason(packet.CONNACK, v)}
	c.SessionPresent = c.Reason == packet.Success && v > packet.V31 && d.yes()
	if v < packet.V5 {
		return c
	}
	p := &c.Properties
	if d.some(&p.Present, packet.SessionExpiryInterval) {
		p.SessionExpiryInterval = d.Uint32()
	}
	if d.some(&p.Present, packet.ReceiveMaximum) {
		p.ReceiveMaximum = d.id()
	}
	if d.some(&p.Present, packet.MaximumPacketSize) {
		p.MaximumPacketSize = 1 + d.Uint32()>>1
	}
	if d.some(&p.Present, packet.TopicAliasMaximum) {
		p.TopicAliasMaximum = d.id() - 1
	}
	if d.some(&p.Present, packet.ServerKeepAlive) {
		p.ServerKeepAlive = d.id() - 1
	}
	p.SetQoSLimit(byte(d.IntN(3)))
	p.RetainUnavailable = d.some(&p.Present, packet.RetainAvailable) && d.yes()
	p.WildcardsUnavailable = d.some(&p.Present, packet.WildcardSubscriptionAvailable) && d.yes()
	p.SubscriptionIDsUnavailable = d.some(&p.Present, packet.SubscriptionIdentifierAvailable) && d.yes()
	p.SharedUnavailable = d.some(&p.Present, packet.SharedSubscriptionAvailable) && d.yes()
	for id, s := range map[packet.PropertyID]*string{
		packet.AssignedClientIdentifier: &p.AssignedClientID, packet.ReasonString: &p.ReasonString,
		packet.ResponseInformation: &p.ResponseInformation, packet.ServerReference: &p.ServerReference,
	} {
		if d.some(&p.Present, id) {
			*s = d.text()
		}
	}
	if d.some(&p.Present, packet.AuthenticationMethod) {
		p.AuthenticationMethod = d.text()
		if d.some(&p.Present, packet.AuthenticationData) {
			p.AuthenticationData = d.bytes()
		}
	}
	p.User = d.usersOf(&p.Present)
	return c
}

// reason is one that may stand in the packet.
func (d dice) reason(t packet.Type, v packet.Version) packet.ReasonCode {
	for {
		r := packet.ReasonCode(d.IntN(256))
		if v < packet.V5 && t == packet.CONNACK {
			r, _ = packet.ReasonOfReturn(byte(d.IntN(6)))
		}
		if v < packet.V5 && t == packet.SUBACK && r > 2 {
			r = packet.UnspecifiedError
		}
		if r.ValidIn(t) {
			return r
		}
	}
}

func (d dice) reasons(t packet.Type, v packet.Version) (all []packet.ReasonCode) {
	for range 1 + d.IntN(5) {
		all = append(all, d.reason(t, v))
	}
	return all
}

func (d dice) why(v packet.Version) (p packet.ReasonProperties) {
	if v < packet.V5 {
		return p
	}
	if d.some(&p.Present, packet.ReasonString) {
		p.ReasonString = d.text()
	}
	p.User = d.usersOf(&p.Present)
	return p
}

func (d dice) subscribe(v packet.Version) *packet.Subscribe {
	s := &packet.Subscribe{PacketID: d.id()}
	for range 1 + d.IntN(4) {
		one := packet.Subscription{Filter: d.filter(), QoS: byte(d.IntN(3))}
		if v == packet.V5 {
			one.RetainAsPublished, one.RetainHandling = d.yes(), byte(d.IntN(3))
			if d.yes() {
				one.Filter = "$share/group/" + one.Filter
			} else {
				one.NoLocal = d.yes()
			}
		}
		s.Filters = append(s.Filters, one)
	}
	if v == packet.V5 {
		if d.some(&s.Properties.Present, packet.SubscriptionIdentifier) {
			s.Properties.SubscriptionID = 1 + d.Uint32()>>(4+d.IntN(28))
		}
		s.Properties.User = d.usersOf(&s.Properties.Present)
	}
	return s
}

func (d dice) unsubscribe(v packet.Version) *packet.Unsubscribe {
	u := &packet.Unsubscribe{PacketID: d.id()}
	for range 1 + d.IntN(4) {
		u.Filters = append(u.Filters, d.filter())
	}
	if v == packet.V5 {
		u.Properties.User = d.users()
	}
	return u
}

func (d dice) unsuback(v packet.Version) *packet.Unsuback {
	u := &packet.Unsuback{PacketID: d.id(), Properties: d.why(v)}
	if v == packet.V5 {
		u.Codes = d.reasons(packet.UNSUBACK, v)
	}
	return u
}

func (d dice) disconnect(v packet.Version) *packet.Disconnect {
	x := &packet.Disconnect{}
	if v < packet.V5 {
		return x
	}
	x.Reason = d.reason(packet.DISCONNECT, v)
	p := &x.Properties
	if d.some(&p.Present, packet.SessionExpiryInterval) {
		p.SessionExpiryInterval = d.Uint32()
	}
	if d.some(&p.Present, packet.ReasonString) {
		p.ReasonString = d.text()
	}
	if d.some(&p.Present, packet.ServerReference) {
		p.ServerReference = d.text()
	}
	p.User = d.usersOf(&p.Present)
	return x
}

func (d dice) auth() *packet.Auth {
	a := &packet.Auth{Reason: d.reason(packet.AUTH, packet.V5)}
	p := &a.Properties
	p.Present.Add(packet.AuthenticationMethod)
	p.AuthenticationMethod = d.text()
	if d.some(&p.Present, packet.AuthenticationData) {
		p.AuthenticationData = d.bytes()
	}
	if d.some(&p.Present, packet.ReasonString) {
		p.ReasonString = d.text()
	}
	p.User = d.usersOf(&p.Present)
	return a
}

func (d dice) packet(v packet.Version) codec {
	t := packet.Type(1 + d.IntN(15))
	switch t {
	case packet.CONNECT:
		return d.connect(v)
	case packet.CONNACK:
		return d.connack(v)
	case packet.PUBLISH:
		return d.publish(v)
	case packet.SUBSCRIBE:
		return d.subscribe(v)
	case packet.SUBACK:
		return &packet.Suback{PacketID: d.id(), Codes: d.reasons(t, v), Properties: d.why(v)}
	case packet.UNSUBSCRIBE:
		return d.unsubscribe(v)
	case packet.UNSUBACK:
		return d.unsuback(v)
	case packet.PINGREQ, packet.PINGRESP:
		return &ping{t}
	case packet.DISCONNECT:
		return d.disconnect(v)
	case packet.AUTH:
		if v == packet.V5 {
			return d.auth()
		}
		return d.packet(v)
	}
	a := &packet.Ack{Type: t, PacketID: d.id(), Properties: d.why(v)}
	if v == packet.V5 {
		a.Reason = d.reason(t, v)
	}
	return a
}

func TestWhatIsWrittenIsReadAgain(t *testing.T) {
	d := dice{rand.New(rand.NewPCG(5, 6))}
	for range 30_000 {
		v := versions[d.IntN(len(versions))]
		p := d.packet(v)
		raw := p.Append(nil, v)
		got, err := decode(t, raw, v)
		if err != nil {
			t.Fatalf("%+v of %v is written as %x, which is refused: %v", p, v, raw, err)
		}
		if again := got.Append(nil, v); !bytes.Equal(again, raw) {
			t.Fatalf("%+v of %v is written as\n%x and then as\n%x", p, v, raw, again)
		}
		if !equal(got, p) {
			t.Fatalf("of %v:\n%+v is read as\n%+v", v, p, got)
		}
	}
}

// Sizes are told before anything is written.
func TestThePublishHasTheSizeItSays(t *testing.T) {
	d := dice{rand.New(rand.NewPCG(7, 8))}
	for range 3000 {
		v := versions[d.IntN(len(versions))]
		p := d.publish(v)
		raw := p.Append(nil, v)
		if got := p.Size(v); got != len(raw) {
			t.Fatalf("%+v has %d bytes and says %d", p, len(raw), got)
		}
		if head := p.AppendHead(nil, v); !bytes.Equal(append(head, p.Payload...), raw) {
			t.Fatalf("%+v is %x, but its head is %x", p, raw, head)
		}
	}
}
