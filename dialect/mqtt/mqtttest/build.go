package mqtttest

import (
	"fmt"
	"strconv"
	"strings"

	"omnibus/dialect/mqtt/packet"
)

// given is a field of a packet to be sent, with its value.
type given struct {
	name, text string
	num        uint32
}

// given are all fields with their values.
func (n *notation) given(vars variables) ([]given, error) {
	all := make([]given, 0, len(n.fields))
	for _, f := range n.fields {
		g := given{name: f.name}
		var err error
		if g.text, err = vars.one(f.value); err != nil {
			return nil, err
		}
		base := 10
		switch keys[n.typ][f.name].kind {
		case reason:
			base = 16
		case number:
		default:
			all = append(all, g)
			continue
		}
		num, err := strconv.ParseUint(g.text, base, 32)
		if err != nil {
			return nil, fmt.Errorf("the value of %s: %w", g.name, err)
		}
		g.num = uint32(num)
		if g.num == 0 && (g.name == "alias" || g.name == "sub-id") {
			return nil, fmt.Errorf("the value of %s: package packet writes no 0; use hex", g.name)
		}
		all = append(all, g)
	}
	return all, nil
}

// connect is the CONNECT packet that is written.
func (n *notation) connect(vars variables, v packet.Version) (*packet.Connect, error) {
	fields, err := n.given(vars)
	c := &packet.Connect{Version: v}
	p := &c.Properties
	for _, g := range fields {
		if will, ok := strings.CutPrefix(g.name, "will-"); ok {
			c.HasWill = true
			setWill(&c.Will, will, g)
			continue
		}
		switch g.name {
		case "v5", "v311", "v31":
			c.Version = versions[g.name]
		case "id":
			c.ClientID = g.text
		case "clean":
			c.CleanStart = true
		case "keepalive":
			c.KeepAlive = uint16(g.num)
		case "username":
			c.HasUsername, c.Username = true, g.text
		case "password":
			c.HasPassword, c.Password = true, []byte(g.text)
		case "session-expiry":
			p.SessionExpiryInterval = g.num
			p.Present.Add(packet.SessionExpiryInterval)
		case "receive-max":
			p.ReceiveMaximum = uint16(g.num)
			p.Present.Add(packet.ReceiveMaximum)
		case "max-packet-size":
			p.MaximumPacketSize = g.num
			p.Present.Add(packet.MaximumPacketSize)
		case "alias-max":
			p.TopicAliasMaximum = uint16(g.num)
			p.Present.Add(packet.TopicAliasMaximum)
		case "request-response-info":
			p.RequestResponseInformation = g.num == 1
			p.Present.Add(packet.RequestResponseInformation)
		case "request-problem-info":
			p.NoProblemInformation = g.num == 0
			p.Present.Add(packet.RequestProblemInformation)
		case "method":
			p.AuthenticationMethod = g.text
			p.Present.Add(packet.AuthenticationMethod)
		case "data":
			p.AuthenticationData = []byte(g.text)
			p.Present.Add(packet.AuthenticationData)
		case "user":
			p.User = addUser(p.User, g.text)
		}
	}
	return c, err
}

func setWill(w *packet.Will, name string, g given) {
	switch name {
	case "topic":
		w.Topic = g.text
	case "payload":
		w.Payload = []byte(g.text)
	case "qos":
		w.QoS = byte(g.num)
	case "retain":
		w.Retain = true
	case "delay":
		w.Properties.DelayInterval = g.num
		w.Properties.Present.Add(packet.WillDelayInterval)
	default:
		setMessage(&w.Properties.MessageProperties, name, g)
	}
}

func setMessage(m *packet.MessageProperties, name string, g given) {
	switch name {
	case "format":
		m.PayloadFormat = byte(g.num)
		m.Present.Add(packet.PayloadFormatIndicator)
	case "expiry":
		m.MessageExpiryInterval = g.num
		m.Present.Add(packet.MessageExpiryInterval)
	case "content-type":
		m.ContentType = g.text
		m.Present.Add(packet.ContentType)
	case "response-topic":
		m.ResponseTopic = g.text
		m.Present.Add(packet.ResponseTopic)
	case "correlation":
		m.CorrelationData = []byte(g.text)
		m.Present.Add(packet.CorrelationData)
	case "user":
		m.User = addUser(m.User, g.text)
	}
}

func addUser(u packet.UserProperties, pair string) packet.UserProperties {
	name, value, _ := strings.Cut(pair, ":")
	return u.Append(name, value)
}

// bytes are those of the packet in the form of version v.
func (n *notation) bytes(vars variables, v packet.Version) ([]byte, error) {
	fields, err := n.given(vars)
	if err != nil {
		return nil, err
	}
	switch n.typ {
	case packet.CONNECT:
		c, err := n.connect(vars, v)
		if err != nil {
			return nil, err
		}
		return c.Append(nil), nil
	case packet.PUBLISH:
		return publish(fields).Append(nil, v), nil
	case packet.PUBACK, packet.PUBREC, packet.PUBREL, packet.PUBCOMP:
		a := packet.Ack{Type: n.typ}
		for _, g := range fields {
			switch g.name {
			case "id":
				a.PacketID = uint16(g.num)
			case "reason":
				a.Reason = packet.ReasonCode(g.num)
			default:
				explain(&a.Properties, g)
			}
		}
		return a.Append(nil, v), nil
	case packet.SUBSCRIBE:
		return subscribe(fields).Append(nil, v), nil
	case packet.UNSUBSCRIBE:
		var u packet.Unsubscribe
		for _, g := range fields {
			switch g.name {
			case "id":
				u.PacketID = uint16(g.num)
			case "filter":
				u.Filters = append(u.Filters, g.text)
			case "user":
				u.Properties.User = addUser(u.Properties.User, g.text)
			}
		}
		return u.Append(nil, v), nil
	case packet.PINGREQ:
		return packet.AppendPingreq(nil), nil
	case packet.DISCONNECT:
		return disconnect(fields).Append(nil, v), nil
	case packet.AUTH:
		return auth(fields).Append(nil, v), nil
	}
	return nil, fmt.Errorf("%v is sent by brokers; write it in hex", n.typ)
}

func explain(p *packet.ReasonProperties, g given) {
	switch g.name {
	case "reason-string":
		p.ReasonString = g.text
		p.Present.Add(packet.ReasonString)
	case "user":
		p.User = addUser(p.User, g.text)
	}
}

func publish(fields []given) *packet.Publish {
	p := &packet.Publish{}
	for _, g := range fields {
		switch g.name {
		case "topic":
			p.Topic = g.text
		case "payload":
			p.Payload = []byte(g.text)
		case "id":
			p.PacketID = uint16(g.num)
		case "qos":
			p.QoS = byte(g.num)
		case "dup":
			p.Dup = true
		case "retain":
			p.Retain = true
		case "alias":
			p.Properties.TopicAlias = uint16(g.num)
			p.Properties.Present.Add(packet.TopicAlias)
		case "sub-id":
			p.Properties.SubscriptionIDs = p.Properties.SubscriptionIDs.Append(g.num)
		default:
			setMessage(&p.Properties.MessageProperties, g.name, g)
		}
	}
	return p
}

func subscribe(fields []given) *packet.Subscribe {
	s := &packet.Subscribe{Filters: make([]packet.Subscription, 0, 1)}
	last := &packet.Subscription{}
	for _, g := range fields {
		switch g.name {
		case "id":
			s.PacketID = uint16(g.num)
		case "filter":
			s.Filters = append(s.Filters, packet.Subscription{Filter: g.text})
			last = &s.Filters[len(s.Filters)-1]
		case "qos":
			last.QoS = byte(g.num)
		case "no-local":
			last.NoLocal = true
		case "rap":
			last.RetainAsPublished = true
		case "rh":
			last.RetainHandling = byte(g.num)
		case "sub-id":
			s.Properties.SubscriptionID = g.num
			s.Properties.Present.Add(packet.SubscriptionIdentifier)
		case "user":
			s.Properties.User = addUser(s.Properties.User, g.text)
		}
	}
	return s
}

func disconnect(fields []given) *packet.Disconnect {
	d := &packet.Disconnect{}
	for _, g := range fields {
		switch g.name {
		case "reason":
			d.Reason = packet.ReasonCode(g.num)
		case "session-expiry":
			d.Properties.SessionExpiryInterval = g.num
			d.Properties.Present.Add(packet.SessionExpiryInterval)
		case "reason-string":
			d.Properties.ReasonString = g.text
			d.Properties.Present.Add(packet.ReasonString)
		case "server-reference":
			d.Properties.ServerReference = g.text
			d.Properties.Present.Add(packet.ServerReference)
		case "user":
			d.Properties.User = addUser(d.Properties.User, g.text)
		}
	}
	return d
}

func auth(fields []given) *packet.Auth {
	a := &packet.Auth{}
	for _, g := range fields {
		switch g.name {
		case "reason":
			a.Reason = packet.ReasonCode(g.num)
		case "method":
			a.Properties.AuthenticationMethod = g.text
			a.Properties.Present.Add(packet.AuthenticationMethod)
		case "data":
			a.Properties.AuthenticationData = []byte(g.text)
			a.Properties.Present.Add(packet.AuthenticationData)
		case "reason-string":
			a.Properties.ReasonString = g.text
			a.Properties.Present.Add(packet.ReasonString)
		case "user":
			a.Properties.User = addUser(a.Properties.User, g.text)
		}
	}
	return a
}
