package packet

import "fmt"

// Connack is the CONNACK packet (3.2).
type Connack struct {
	SessionPresent bool
	// Reason is written as a return code in older versions, and read from one.
	Reason     ReasonCode
	Properties ConnackProperties
}

// ConnackProperties are those of CONNACK (3.2.2.3). What a server has unless it
// says otherwise is named the other way round, so that zero is the default.
type ConnackProperties struct {
	// Present has the properties that were in the packet.
	Present PropertySet
	// SessionExpiryInterval and ServerKeepAlive replace what the client asked for
	// only if they are present, also with the value 0.
	SessionExpiryInterval uint32
	// MaximumPacketSize of 0 is no limit, ReceiveMaximum of 0 is 65,535.
	MaximumPacketSize uint32
	ReceiveMaximum    uint16
	TopicAliasMaximum uint16
	ServerKeepAlive   uint16
	// MaximumQoS is 0 or 1 if it is present; see QoSLimit.
	MaximumQoS                 byte
	RetainUnavailable          bool
	WildcardsUnavailable       bool
	SubscriptionIDsUnavailable bool
	SharedUnavailable          bool
	AssignedClientID           string
	ReasonString               string
	ResponseInformation        string
	ServerReference            string
	AuthenticationMethod       string
	AuthenticationData         []byte
	User                       UserProperties
}

const inConnackSection PropertySet = 1<<SessionExpiryInterval | 1<<ReceiveMaximum | 1<<MaximumQoS | 1<<RetainAvailable |
	1<<MaximumPacketSize | 1<<AssignedClientIdentifier | 1<<TopicAliasMaximum | 1<<ReasonString | 1<<UserProperty |
	1<<WildcardSubscriptionAvailable | 1<<SubscriptionIdentifierAvailable | 1<<SharedSubscriptionAvailable |
	1<<ServerKeepAlive | 1<<ResponseInformation | 1<<ServerReference | 1<<AuthenticationMethod | 1<<AuthenticationData

// QoSLimit is the highest QoS the server takes (3.2.2.3.4).
func (p *ConnackProperties) QoSLimit() byte {
	if p.Present.Has(MaximumQoS) {
		return p.MaximumQoS
	}
	return 2
}

// SetQoSLimit makes QoSLimit qos. A limit of 2 is told by saying nothing.
func (p *ConnackProperties) SetQoSLimit(qos byte) {
	p.Present &^= 1 << MaximumQoS
	p.MaximumQoS = 0
	if qos < 2 {
		p.Present.Add(MaximumQoS)
		p.MaximumQoS = qos
	}
}

// Decode reads the body of a CONNACK to a client of version v.
func (c *Connack) Decode(h Header, body []byte, v Version) error {
	*c = Connack{}
	r := begin(h, CONNACK, body, v)
	flags := r.byte("acknowledge flags")
	c.SessionPresent = flags&1 != 0 && v != V31
	if flags > 1 && v != V31 {
		r.fail(MalformedPacket, "reserved acknowledge flags are set (MQTT-3.2.2-1)")
	}
	if v >= V5 {
		c.Reason = r.reason() // MQTT-3.2.2-8
		c.Properties.decode(&r)
	} else {
		code := r.byte("return code")
		var ok bool
		if c.Reason, ok = ReasonOfReturn(code); !ok {
			r.fail(ProtocolError, fmt.Sprintf("return code %d is reserved (3.1.1: 3.2.2.3)", code))
		}
	}
	if r.err == nil && c.SessionPresent && c.Reason != Success {
		r.fail(ProtocolError, "session present with a refusal (MQTT-3.2.2-6)")
	}
	return r.done()
}

// Append appends the packet for a client of version v.
func (c *Connack) Append(dst []byte, v Version) []byte {
	return c.AppendWithin(dst, v, Limits{})
}

// AppendWithin appends the packet without user properties, and if need be without
// the reason string, if it exceeds the client's maximum. NoProblemInformation
// does not concern CONNACK.
func (c *Connack) AppendWithin(dst []byte, v Version, l Limits) []byte {
	l.NoProblemInformation = false
	w := write(dst, l)
	for w.again() {
		c.write(&w, v)
	}
	return w.packet()
}

func (c *Connack) write(w *writer, v Version) {
	w.open(CONNACK)
	var flags byte
	if c.SessionPresent && c.Reason == Success && v != V31 { // MQTT-3.2.2-6
		flags = 1
	}
	w.byte(flags)
	if v >= V5 {
		w.byte(byte(c.Reason))
		c.Properties.write(w)
	} else {
		code, ok := c.Reason.ReturnCode()
		w.bad = w.bad || !ok
		w.byte(code)
	}
	w.close()
}

func (p *ConnackProperties) decode(r *reader) {
	s := r.properties(inConnackSection)
	for s.next() {
		switch s.id {
		case SessionExpiryInterval:
			p.SessionExpiryInterval = s.num
		case MaximumPacketSize:
			p.MaximumPacketSize = s.num
		case ReceiveMaximum:
			p.ReceiveMaximum = uint16(s.num)
		case TopicAliasMaximum:
			p.TopicAliasMaximum = uint16(s.num)
		case ServerKeepAlive:
			p.ServerKeepAlive = uint16(s.num)
		case MaximumQoS:
			p.MaximumQoS = byte(s.num)
		case RetainAvailable:
			p.RetainUnavailable = s.num == 0
		case WildcardSubscriptionAvailable:
			p.WildcardsUnavailable = s.num == 0
		case SubscriptionIdentifierAvailable:
			p.SubscriptionIDsUnavailable = s.num == 0
		case SharedSubscriptionAvailable:
			p.SharedUnavailable = s.num == 0
		case AssignedClientIdentifier:
			p.AssignedClientID = s.text()
		case ReasonString:
			p.ReasonString = s.text()
		case ResponseInformation:
			p.ResponseInformation = s.text()
		case ServerReference:
			p.ServerReference = s.text()
		case AuthenticationMethod:
			p.AuthenticationMethod = s.text()
		case AuthenticationData:
			p.AuthenticationData = s.data
		}
	}
	p.Present, p.User = r.end(&s)
	r.authentication(p.Present)
}

func (p *ConnackProperties) write(w *writer) {
	from := w.properties()
	w.prop32(SessionExpiryInterval, p.SessionExpiryInterval, p.Present)
	w.prop16(ReceiveMaximum, p.ReceiveMaximum, p.Present)
	w.propByte(MaximumQoS, p.MaximumQoS, p.Present)
	w.propOff(RetainAvailable, p.RetainUnavailable, p.Present)
	w.prop32(MaximumPacketSize, p.MaximumPacketSize, p.Present)
	w.propText(AssignedClientIdentifier, p.AssignedClientID, p.Present)
	w.prop16(TopicAliasMaximum, p.TopicAliasMaximum, p.Present)
	w.reason(p.ReasonString, p.Present)
	w.users(p.User)
	w.propOff(WildcardSubscriptionAvailable, p.WildcardsUnavailable, p.Present)
	w.propOff(SubscriptionIdentifierAvailable, p.SubscriptionIDsUnavailable, p.Present)
	w.propOff(SharedSubscriptionAvailable, p.SharedUnavailable, p.Present)
	w.prop16(ServerKeepAlive, p.ServerKeepAlive, p.Present)
	w.propText(ResponseInformation, p.ResponseInformation, p.Present)
	w.propText(ServerReference, p.ServerReference, p.Present)
	w.propText(AuthenticationMethod, p.AuthenticationMethod, p.Present)
	w.propBinary(AuthenticationData, p.AuthenticationData, p.Present)
	w.length(from)
}
