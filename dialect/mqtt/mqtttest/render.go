package mqtttest

import (
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"omnibus/dialect/mqtt/packet"
)

// arrived is a packet of the broker.
type arrived struct {
	typ    packet.Type
	size   int
	fields []found
	packet any // the struct of package packet
}

// found is a field of a packet that arrived. Those that have their default are
// left out.
type found struct {
	name, text string
	property   bool
}

// String is the packet in the notation of scripts.
func (a *arrived) String() string {
	var out strings.Builder
	out.WriteString(a.typ.String())
	for _, f := range a.fields {
		out.WriteByte(' ')
		out.WriteString(f.name)
		if keys[a.typ][f.name].kind != flag {
			out.WriteByte('=')
			out.WriteString(written(f.text))
		}
	}
	return out.String()
}

// written is a value as it is written in a script.
func written(text string) string {
	plain := text != "" && text != "_" && !strings.HasPrefix(text, "hex:")
	for _, r := range text {
		if !(r > ' ' && r < 0x7f) || strings.ContainsRune("\"$|()", r) {
			plain = false
		}
	}
	switch {
	case plain && len(text) <= 200:
		return text
	case len(text) > 200:
		return fmt.Sprintf("%s… (%d bytes)", written(text[:20]), len(text))
	case utf8.ValidString(text):
		return strconv.Quote(text)
	}
	return "hex:" + hex.EncodeToString([]byte(text))
}

// decode reads a packet of the broker and puts its fields in the order in which
// scripts have them.
func decode(h packet.Header, body []byte, v packet.Version) (*arrived, error) {
	r := &arrived{typ: h.Type}
	var err error
	switch h.Type {
	case packet.CONNACK:
		p := &packet.Connack{}
		err = p.Decode(h, body, v)
		r.connack(p, v)
	case packet.PUBLISH:
		p := &packet.Publish{}
		if err = p.Decode(h, body, v); err == nil {
			err = p.CheckSender(packet.FromServer)
		}
		r.publish(p)
	case packet.PUBACK, packet.PUBREC, packet.PUBREL, packet.PUBCOMP:
		p := &packet.Ack{}
		err = p.Decode(h, body, v)
		r.number("id", uint32(p.PacketID), true)
		r.reason(p.Reason)
		r.explained(p.Properties.Present, p.Properties.ReasonString, p.Properties.User)
		r.packet = p
	case packet.SUBACK:
		p := &packet.Suback{}
		err = p.Decode(h, body, v)
		r.acked(p.PacketID, p.Codes, p.Properties)
		r.packet = p
	case packet.UNSUBACK:
		p := &packet.Unsuback{}
		err = p.Decode(h, body, v)
		r.acked(p.PacketID, p.Codes, p.Properties)
		r.packet = p
	case packet.PINGRESP:
		err = packet.DecodePing(h, body, v)
	case packet.DISCONNECT:
		p := &packet.Disconnect{}
		if err = p.Decode(h, body, v); err == nil {
			err = p.CheckSender(packet.FromServer)
		}
		r.reason(p.Reason)
		has := p.Properties.Present
		r.text("server-reference", p.Properties.ServerReference, has.Has(packet.ServerReference))
		r.explained(has, p.Properties.ReasonString, p.Properties.User)
		r.packet = p
	case packet.AUTH:
		p := &packet.Auth{}
		if err = p.Decode(h, body, v); err == nil {
			err = p.CheckSender(packet.FromServer)
		}
		r.reason(p.Reason)
		has := p.Properties.Present
		r.text("method", p.Properties.AuthenticationMethod, has.Has(packet.AuthenticationMethod))
		r.text("data", string(p.Properties.AuthenticationData), has.Has(packet.AuthenticationData))
		r.explained(has, p.Properties.ReasonString, p.Properties.User)
		r.packet = p
	default:
		err = fmt.Errorf("%v is nothing a broker sends", h.Type)
	}
	return r, err
}

func (a *arrived) add(name, text string, there bool) {
	if there {
		a.fields = append(a.fields, found{name, text, keys[a.typ][name].property})
	}
}

func (a *arrived) text(name, text string, there bool) { a.add(name, text, there) }

func (a *arrived) number(name string, n uint32, there bool) {
	a.add(name, strconv.FormatUint(uint64(n), 10), there)
}

func (a *arrived) flag(name string, there bool) { a.add(name, set, there) }

func (a *arrived) reason(r packet.ReasonCode) {
	a.add("reason", fmt.Sprintf("%02x", byte(r)), r != packet.Success)
}

func (a *arrived) users(u packet.UserProperties) {
	for name, value := range u.All() {
		a.add("user", name+":"+value, true)
	}
}

func (a *arrived) explained(has packet.PropertySet, text string, u packet.UserProperties) {
	a.text("reason-string", text, has.Has(packet.ReasonString))
	a.users(u)
}

func (a *arrived) acked(id uint16, codes []packet.ReasonCode, p packet.ReasonProperties) {
	a.number("id", uint32(id), true)
	list := make([]string, 0, len(codes))
	for _, c := range codes {
		list = append(list, fmt.Sprintf("%02x", byte(c)))
	}
	a.text("codes", strings.Join(list, ","), len(list) > 0)
	a.explained(p.Present, p.ReasonString, p.User)
}

func (a *arrived) connack(p *packet.Connack, v packet.Version) {
	a.packet = p
	if v >= packet.V5 {
		a.reason(p.Reason)
	} else {
		code, _ := p.Reason.ReturnCode() // it was decoded from one
		a.number("code", uint32(code), code != 0)
	}
	a.flag("session-present", p.SessionPresent)
	c := &p.Properties
	has := func(id packet.PropertyID) bool { return c.Present.Has(id) }
	available := func(name string, id packet.PropertyID, not bool) {
		a.number(name, 0, has(id) && not)
		a.number(name, 1, has(id) && !not)
	}
	a.number("session-expiry", c.SessionExpiryInterval, has(packet.SessionExpiryInterval))
	a.number("receive-max", uint32(c.ReceiveMaximum), has(packet.ReceiveMaximum))
	a.number("max-qos", uint32(c.MaximumQoS), has(packet.MaximumQoS))
	available("retain-available", packet.RetainAvailable, c.RetainUnavailable)
	a.number("max-packet-size", c.MaximumPacketSize, has(packet.MaximumPacketSize))
	a.text("assigned-id", c.AssignedClientID, has(packet.AssignedClientIdentifier))
	a.number("alias-max", uint32(c.TopicAliasMaximum), has(packet.TopicAliasMaximum))
	available("wildcards", packet.WildcardSubscriptionAvailable, c.WildcardsUnavailable)
	available("sub-ids", packet.SubscriptionIdentifierAvailable, c.SubscriptionIDsUnavailable)
	available("shared", packet.SharedSubscriptionAvailable, c.SharedUnavailable)
	a.number("server-keepalive", uint32(c.ServerKeepAlive), has(packet.ServerKeepAlive))
	a.text("response-info", c.ResponseInformation, has(packet.ResponseInformation))
	a.text("server-reference", c.ServerReference, has(packet.ServerReference))
	a.text("method", c.AuthenticationMethod, has(packet.AuthenticationMethod))
	a.text("data", string(c.AuthenticationData), has(packet.AuthenticationData))
	a.explained(c.Present, c.ReasonString, c.User)
}

func (a *arrived) publish(p *packet.Publish) {
	a.packet = p
	a.text("topic", p.Topic, p.Topic != "")
	a.text("payload", string(p.Payload), len(p.Payload) > 0)
	a.number("id", uint32(p.PacketID), p.QoS > 0)
	a.number("qos", uint32(p.QoS), p.QoS > 0)
	a.flag("dup", p.Dup)
	a.flag("retain", p.Retain)
	m := &p.Properties
	has := func(id packet.PropertyID) bool { return m.Present.Has(id) }
	a.number("format", uint32(m.PayloadFormat), has(packet.PayloadFormatIndicator))
	a.number("expiry", m.MessageExpiryInterval, has(packet.MessageExpiryInterval))
	a.text("content-type", m.ContentType, has(packet.ContentType))
	a.text("response-topic", m.ResponseTopic, has(packet.ResponseTopic))
	a.text("correlation", string(m.CorrelationData), has(packet.CorrelationData))
	a.number("alias", uint32(m.TopicAlias), m.TopicAlias != 0)
	for _, id := range slices.Sorted(m.SubscriptionIDs.All()) {
		a.number("sub-id", id, true)
	}
	a.users(m.User)
}
