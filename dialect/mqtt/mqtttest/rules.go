package mqtttest

import (
	"fmt"

	"omnibus/dialect/mqtt/packet"
)

// Rule is what holds for every packet of a broker, whatever the script.
type Rule struct {
	// Name says what it is.
	Name string
	// Shows are the ids of the statements it watches.
	Shows []string
	// broken says what is wrong with a packet that arrives.
	broken func(s *state, a *arrived) string
}

// Rules are all that is watched. Every packet must also be one that package
// packet decodes, and that a server may send.
func Rules() []Rule {
	return []Rule{
		{"nothing before CONNACK", []string{"MQTT-3.2.0-1", "MQTT-3.14.0-1"}, beforeConnack},
		{"one CONNACK", []string{"MQTT-3.2.0-2"}, oneConnack},
		{"nothing after the end", []string{"MQTT-3.14.4-1", "MQTT-3.2.2-7", "MQTT-4.13.2-1"}, afterEnd},
		{"the client's packet size", []string{
			"MQTT-3.1.2-24", "MQTT-3.2.2-19", "MQTT-3.2.2-20", "MQTT-3.4.2-2", "MQTT-3.4.2-3", "MQTT-3.5.2-2", "MQTT-3.5.2-3",
			"MQTT-3.6.2-2", "MQTT-3.6.2-3", "MQTT-3.7.2-2", "MQTT-3.7.2-3", "MQTT-3.9.2-1", "MQTT-3.9.2-2", "MQTT-3.11.2-1", "MQTT-3.11.2-2",
			"MQTT-3.14.2-3", "MQTT-3.14.2-4", "MQTT-3.15.2-2", "MQTT-3.15.2-3",
		}, tooLarge},
		{"the client's topic aliases", []string{"MQTT-3.1.2-26", "MQTT-3.1.2-27", "MQTT-3.3.2-11", "MQTT-3.3.2-7"}, aliases},
		{"the client's receive maximum", []string{"MQTT-3.3.4-9", "MQTT-4.9.0-1", "MQTT-4.9.0-2"}, receiveMaximum},
		{"unused packet identifiers", []string{"MQTT-2.2.1-4", "MQTT-4.3.2-1", "MQTT-4.3.3-1"}, unusedID},
		{"no explanations for who wants none", []string{"MQTT-3.1.2-29"}, explanations},
		{"no response information unasked", []string{"MQTT-3.1.2-28"}, responseInformation},
		{"the client's authentication method", []string{"MQTT-4.12.0-5", "MQTT-4.12.0-6"}, method},
	}
}

// state is what a connection has come to.
type state struct {
	version  packet.Version
	connect  *packet.Connect // that was sent, if it was well-formed
	answered bool            // by a CONNACK
	accepted bool
	ended    bool // by a refusal or a DISCONNECT
	aliases  map[uint16]string
	unacked  map[uint16]bool // identifiers in use; true if they count as messages
}

func newState(v packet.Version) *state {
	return &state{version: v, aliases: make(map[uint16]string), unacked: make(map[uint16]bool)}
}

// sent follows what a client sends.
func (s *state) sent(raw []byte) {
	for len(raw) > 0 {
		h, body, n, err := packet.Frame(raw, 0)
		if err != nil || n == 0 {
			return
		}
		raw = raw[n:]
		switch h.Type {
		case packet.CONNECT:
			c := &packet.Connect{}
			if s.connect == nil && c.Decode(h, body) == nil {
				s.connect, s.version = c, c.Version
			}
		case packet.PUBACK, packet.PUBCOMP:
			var a packet.Ack
			if a.Decode(h, body, s.version) == nil {
				delete(s.unacked, a.PacketID)
			}
		case packet.PUBREC:
			var a packet.Ack
			if a.Decode(h, body, s.version) == nil && a.Reason.Failed() {
				delete(s.unacked, a.PacketID)
			}
		}
	}
}

// received judges a packet and follows it.
func (s *state) received(a *arrived) string {
	for _, r := range Rules() {
		if text := r.broken(s, a); text != "" {
			return fmt.Sprintf("%s breaks the rule %q %v: %s", a, r.Name, r.Shows, text)
		}
	}
	switch p := a.packet.(type) {
	case *packet.Connack:
		s.answered = true
		s.accepted = p.Reason == packet.Success
		s.ended = !s.accepted
	case *packet.Disconnect:
		s.ended = true
	case *packet.Publish:
		if p.QoS > 0 {
			s.unacked[p.PacketID] = true
		}
		if p.Properties.TopicAlias != 0 && p.Topic != "" {
			s.aliases[p.Properties.TopicAlias] = p.Topic
		}
	case *packet.Ack:
		if _, known := s.unacked[p.PacketID]; p.Type == packet.PUBREL && !known {
			s.unacked[p.PacketID] = false // of an earlier connection
		}
	}
	return ""
}

func beforeConnack(s *state, a *arrived) string {
	if !s.answered && a.typ != packet.CONNACK && a.typ != packet.AUTH {
		return "the client has not had its CONNACK"
	}
	return ""
}

func oneConnack(s *state, a *arrived) string {
	if s.answered && a.typ == packet.CONNACK {
		return "it is the second"
	}
	return ""
}

func afterEnd(s *state, _ *arrived) string {
	if s.ended {
		return "the broker has refused or disconnected the client"
	}
	return ""
}

func tooLarge(s *state, a *arrived) string {
	if s.connect == nil {
		return ""
	}
	if most := s.connect.Properties.MaximumPacketSize; most > 0 && a.size > int(most) {
		return fmt.Sprintf("it has %d bytes, the client takes %d", a.size, most)
	}
	return ""
}

func aliases(s *state, a *arrived) string {
	p, ok := a.packet.(*packet.Publish)
	if !ok || s.connect == nil {
		return ""
	}
	alias := p.Properties.TopicAlias
	if most := s.connect.Properties.TopicAliasMaximum; alias > most {
		return fmt.Sprintf("the alias is %d, the client takes %d", alias, most)
	}
	if p.Topic == "" && s.aliases[alias] == "" {
		return fmt.Sprintf("the alias %d has not been told to the client on this connection", alias)
	}
	return ""
}

func receiveMaximum(s *state, a *arrived) string {
	p, ok := a.packet.(*packet.Publish)
	if !ok || p.QoS == 0 || s.connect == nil || s.connect.Properties.ReceiveMaximum == 0 {
		return ""
	}
	messages := 1
	for _, counts := range s.unacked {
		if counts {
			messages++
		}
	}
	if most := int(s.connect.Properties.ReceiveMaximum); messages > most {
		return fmt.Sprintf("%d messages are not acknowledged, the client takes %d", messages, most)
	}
	return ""
}

func unusedID(s *state, a *arrived) string {
	p, ok := a.packet.(*packet.Publish)
	if !ok || p.QoS == 0 {
		return ""
	}
	if _, used := s.unacked[p.PacketID]; used {
		return fmt.Sprintf("the identifier %d is in use", p.PacketID)
	}
	return ""
}

func explanations(s *state, a *arrived) string {
	if s.connect == nil || !s.connect.Properties.NoProblemInformation {
		return ""
	}
	switch a.typ {
	case packet.PUBLISH, packet.CONNACK, packet.DISCONNECT:
		return ""
	}
	for _, f := range a.fields {
		if f.name == "reason-string" || f.name == "user" {
			return "it has the field " + f.name
		}
	}
	return ""
}

func responseInformation(s *state, a *arrived) string {
	p, ok := a.packet.(*packet.Connack)
	if ok && p.Properties.Present.Has(packet.ResponseInformation) && (s.connect == nil || !s.connect.Properties.RequestResponseInformation) {
		return "it has response information"
	}
	return ""
}

func method(s *state, a *arrived) string {
	var has packet.PropertySet
	var got string
	switch p := a.packet.(type) {
	case *packet.Connack:
		has, got = p.Properties.Present, p.Properties.AuthenticationMethod
		if s.version < packet.V5 || p.Reason != packet.Success && !has.Has(packet.AuthenticationMethod) {
			return ""
		}
	case *packet.Auth:
		has, got = p.Properties.Present, p.Properties.AuthenticationMethod
		if s.connect == nil || !s.connect.Properties.Present.Has(packet.AuthenticationMethod) {
			return "the client has named no method"
		}
	default:
		return ""
	}
	want, named := "", false
	if s.connect != nil {
		want, named = s.connect.Properties.AuthenticationMethod, s.connect.Properties.Present.Has(packet.AuthenticationMethod)
	}
	if got != want || has.Has(packet.AuthenticationMethod) != named {
		return fmt.Sprintf("the method is %q, the client's %q", got, want)
	}
	return ""
}
