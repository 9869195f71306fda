package mqtt

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	"omnibus/auth"
	"omnibus/bus"
	"omnibus/carrier"
	"omnibus/dialect"
	"omnibus/dialect/mqtt/mapping"
	"omnibus/dialect/mqtt/packet"
)

// connect reads CONNECT and admits the client or refuses it.
func (c *conn) connect() error {
	if err := c.nc.SetReadDeadline(time.Now().Add(c.server.config.ConnectTimeout)); err != nil {
		return err
	}
	certificate, err := c.handshake()
	if err != nil {
		return err
	}
	if err := c.in.Fill(1); err != nil {
		return err
	}
	if first := packet.Type(c.in.Bytes()[0] >> 4); first != packet.CONNECT { // MQTT-3.1.0-1
		return breach(packet.ProtocolError, "the connection begins with %v, not with CONNECT", first) // whatever follows
	}
	h, body, err := c.next()
	if err != nil {
		return err
	}
	var p packet.Connect
	err = p.Decode(h, body)
	c.version = p.Version
	if err == nil {
		err = c.judge(&p)
	}
	if err != nil {
		fault, _ := errors.AsType[*packet.Error](err)
		if fault.Reason == packet.UnsupportedProtocolVersion { // 3.1.1: MQTT-3.1.2-2, in the form that it knows
			c.version = packet.V311
		}
		if p.Version != 0 { // something like MQTT is spoken
			c.refuse(fault.Reason, fault.Text)
		}
		return err
	}
	c.limits = p.Properties.Limits()
	_, c.link = p.Properties.User.Get(mapping.PropertyLink)
	if err := c.admit(&p, certificate); err != nil {
		return err
	}
	if err := c.nc.SetReadDeadline(time.Time{}); err != nil {
		return err
	}
	if c.ending.Load() != 0 { // and that has ended the waiting for it, too
		return errLeft
	}
	if c.keepAlive > 0 {
		c.watch()
	}
	return nil
}

// handshake is that of TLS, if there is TLS.
func (c *conn) handshake() (*x509.Certificate, error) {
	t, ok := c.nc.(*tls.Conn)
	if !ok {
		return nil, nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), c.server.config.ConnectTimeout)
	defer cancel()
	if err := t.HandshakeContext(ctx); err != nil {
		return nil, breach(packet.UnspecifiedError, "TLS handshake: %v", err)
	}
	if peers := t.ConnectionState().PeerCertificates; len(peers) > 0 {
		return peers[0], nil
	}
	return nil, nil
}

// next waits for the next packet and returns a copy of its body.
func (c *conn) next() (packet.Header, []byte, error) {
	limit := int(c.server.config.MaxPacket)
	for {
		h, body, n, err := packet.Frame(c.in.Bytes(), limit)
		if err != nil {
			return h, nil, err
		}
		if n > 0 {
			body = bytes.Clone(body)
			c.in.Discard(n)
			return h, body, nil
		}
		need, err := packet.Length(c.in.Bytes(), limit)
		if err != nil {
			return h, nil, err
		}
		if err := c.in.Fill(need); err != nil {
			return h, nil, err
		}
	}
}

// judge refuses what is well-formed and not to be had.
func (c *conn) judge(p *packet.Connect) error {
	if p.ClientID == "" {
		if p.NeedsClientID() { // 3.1.1: MQTT-3.1.3-8
			return breach(packet.ClientIdentifierNotValid, "the client identifier is empty, which version %s allows with a clean session only", p.Version)
		}
		p.ClientID = "omnibus-" + rand.Text() // MQTT-3.1.3-6, MQTT-3.1.3-7
		if p.Version == packet.V5 {
			p.Properties.Present.Add(packet.AssignedClientIdentifier) // so that CONNACK tells it
		}
	}
	if p.HasWill && reserved(p.Will.Topic) {
		return breach(packet.TopicNameInvalid, "the will's topic %.80q is the server's own", p.Will.Topic)
	}
	return nil
}

// refuse answers CONNECT with a failure, if the version can tell it.
func (c *conn) refuse(reason packet.ReasonCode, why string) {
	ack := packet.Connack{Reason: reason}
	ack.Properties.ReasonString = why
	_ = c.out.AppendLast(ack.AppendWithin(nil, max(c.version, packet.V31), c.limits)) // it is ending in any case
}

// admit lets the client in and gives it its session.
func (c *conn) admit(p *packet.Connect, certificate *x509.Certificate) error {
	s := c.server
	for {
		id := strings.Clone(p.ClientID) // p is a view of the packet, which has a password
		// Others find the session as soon as the broker lists it: they wait in claim
		// until it has its peer and its first connection.
		fresh := &session{server: s, id: id, origin: origin(id), changing: true}
		hello := &dialect.Hello{
			Credentials: auth.Credentials{
				Dialect: "mqtt", Name: fresh.id, Username: strings.Clone(p.Username), Password: p.Password,
				Method: strings.Clone(p.Properties.AuthenticationMethod), Data: p.Properties.AuthenticationData,
				Certificate: certificate, Remote: c.nc.RemoteAddr(), Loopback: carrier.IsLoopback(c.nc.LocalAddr()),
			},
			Origin:     fresh.origin,
			Subscriber: fresh,
			Link:       c.link,
			Duplicate:  dialect.TakeOver,
			Session:    &dialect.SessionTerms{Clean: p.CleanStart},
		}
		peer, last, err := c.authenticate(hello)
		if err != nil {
			return c.refused(p, err)
		}
		hello.Password, hello.Data, hello.Certificate = nil, nil, nil // the session keeps it
		its, _ := peer.Resumed().(*session)
		present := its != nil
		if !present {
			its = fresh
			its.peer = peer
		}
		if its.attach(c, c.terms(p, present, last)) {
			return nil
		}
		if !present || hello.Method != "" {
			return breach(packet.SessionTakenOver, "another connection took the session over")
		}
	}
}

// refused tells the client that it is not admitted.
func (c *conn) refused(p *packet.Connect, err error) error {
	if _, wrong := errors.AsType[*packet.Error](err); wrong || errors.Is(err, errLeft) {
		if wrong {
			c.refuse(packet.ReasonOf(err), err.Error())
		}
		return err
	}
	c.server.count.refused.Add(1)
	reason := connectCode(err, p.HasUsername || p.HasPassword)
	c.refuse(reason, err.Error())
	c.log().Info("a client was refused", "client", p.ClientID, "reason", reason, "err", err)
	return errLeft
}

// terms are what a connection and its session are given.
type terms struct {
	ack       packet.Connack
	expiry    time.Duration
	will      *bus.Message
	willLife  time.Duration
	willDelay time.Duration
}

// forever is an expiry that never comes.
const forever = time.Duration(math.MaxInt64)

// lifetime is the duration of a message expiry interval, of which the largest is
// not for ever.
func lifetime(n uint32) time.Duration { return time.Duration(n) * time.Second }

// seconds is the duration of a session expiry interval or will delay.
func seconds(n uint32) time.Duration {
	if n == math.MaxUint32 { // 3.1.2.11.2
		return forever
	}
	return time.Duration(n) * time.Second
}

// terms settles keep-alive, expiry and limits with the client, and says in CONNACK
// what differs from what it asked for.
func (c *conn) terms(p *packet.Connect, present bool, last []byte) *terms {
	config := &c.server.config
	t := &terms{ack: packet.Connack{SessionPresent: present}} // MQTT-3.2.2-2, MQTT-3.2.2-3
	ack := &t.ack.Properties

	alive := time.Duration(p.KeepAlive) * time.Second
	if most := config.MaxKeepAlive; most > 0 && (alive == 0 || alive > most) {
		alive = most.Truncate(time.Second)
		ack.ServerKeepAlive = uint16(alive / time.Second)
		ack.Present.Add(packet.ServerKeepAlive)
	}
	c.keepAlive = alive + alive/2 // MQTT-3.1.2-22

	if p.Version == packet.V5 {
		t.expiry = seconds(p.Properties.SessionExpiryInterval)
	} else if !p.CleanStart {
		t.expiry = forever
	}
	if most := config.MaxSessionExpiry; most > 0 && t.expiry > most {
		t.expiry = most.Truncate(time.Second)
		ack.SessionExpiryInterval = uint32(t.expiry / time.Second)
		ack.Present.Add(packet.SessionExpiryInterval) // MQTT-3.2.2-… 3.2.2.3.2
	}
	c.window = config.MaxInflight
	if p.Version == packet.V5 {
		if n := int(p.Properties.ReceiveMaximum); n > 0 { // MQTT-3.3.4-9
			c.window = min(c.window, n)
		}
		if n := min(int(p.Properties.TopicAliasMaximum), config.TopicAliases); n > 0 { // MQTT-3.1.2-26, MQTT-3.1.2-27
			c.outward = &aliases{max: uint16(n)}
		}
		ack.ReceiveMaximum = uint16(config.ReceiveMaximum)
		ack.TopicAliasMaximum = uint16(config.TopicAliases)
		ack.MaximumPacketSize = uint32(config.MaxPacket)
		if p.Properties.Present.Has(packet.AssignedClientIdentifier) {
			ack.AssignedClientID = p.ClientID // MQTT-3.2.2-16
		}
		c.method = strings.Clone(p.Properties.AuthenticationMethod)
		ack.AuthenticationMethod, ack.AuthenticationData = c.method, last // MQTT-4.12.0-5
	}
	if p.HasWill {
		w := &p.Will
		t.will = &bus.Message{Topic: w.Topic, QoS: w.QoS, Retain: w.Retain, Headers: bus.MakeHeaders(mapping.Headers(&w.Properties.MessageProperties)...)}
		mapping.SetPayload(&t.will.Payload, w.Properties.ContentType, w.Payload)
		t.will = t.will.Clone()
		if w.Properties.Present.Has(packet.MessageExpiryInterval) {
			t.willLife = lifetime(w.Properties.MessageExpiryInterval)
		}
		t.willDelay = seconds(w.Properties.DelayInterval)
	}
	return t
}

// authenticate goes through the conversation with the broker, and asks the client
// for what it needs (4.12).
func (c *conn) authenticate(hello *dialect.Hello) (p dialect.Peer, last []byte, err error) {
	ctx := context.Background() // nobody waits for the client but this goroutine, which has a deadline
	j, err := c.server.env.Port.Hello(ctx, hello)
	if err != nil {
		return nil, nil, err
	}
	var proof []byte
	for {
		challenge, p, err := j.Next(ctx, proof)
		if err != nil || p != nil {
			return p, challenge, err
		}
		if hello.Method == "" { // MQTT-4.12.0-6
			return nil, nil, fmt.Errorf("the account asks for a challenge, which needs an authentication method: %w", auth.ErrDenied)
		}
		a := packet.Auth{Reason: packet.ContinueAuthentication} // MQTT-4.12.0-2
		a.Properties.AuthenticationMethod, a.Properties.AuthenticationData = hello.Method, challenge
		if err := c.out.Append(a.AppendWithin(nil, c.version, c.limits)); err != nil {
			return nil, nil, err
		}
		if proof, err = c.proof(hello.Method); err != nil {
			return nil, nil, err
		}
	}
}

// proof waits for the client's answer to a challenge.
func (c *conn) proof(method string) ([]byte, error) {
	h, body, err := c.next()
	if err != nil {
		return nil, err
	}
	switch h.Type {
	case packet.AUTH:
	case packet.DISCONNECT:
		return nil, errLeft
	default: // MQTT-3.1.2-30
		return nil, breach(packet.ProtocolError, "%v before the authentication has ended", h.Type)
	}
	var a packet.Auth
	if err := a.Decode(h, body, c.version); err != nil {
		return nil, err
	}
	if a.Reason != packet.ContinueAuthentication { // MQTT-4.12.0-3
		return nil, breach(packet.ProtocolError, "AUTH with reason %q where the authentication continues", a.Reason)
	}
	if a.Properties.AuthenticationMethod != method { // MQTT-4.12.0-5
		return nil, breach(packet.ProtocolError, "another authentication method than in CONNECT")
	}
	return a.Properties.AuthenticationData, nil
}

// login is an authentication of a client that is connected (4.12.1).
type login struct{ talk dialect.Joining }

// reauthenticate is one step of it. Messages go on meanwhile.
func (c *conn) reauthenticate(h packet.Header, body []byte) error {
	var a packet.Auth
	if err := a.Decode(h, body, c.version); err != nil {
		return err
	}
	if err := a.CheckSender(packet.FromClient); err != nil {
		return err
	}
	if c.method == "" || a.Properties.AuthenticationMethod != c.method { // MQTT-4.12.1-1
		return breach(packet.ProtocolError, "AUTH with another authentication method than in CONNECT")
	}
	ctx := context.Background()
	data := bytes.Clone(a.Properties.AuthenticationData)
	var proof []byte
	switch {
	case a.Reason == packet.Reauthenticate && c.login == nil:
		talk, err := c.session.peer.Reauthenticate(ctx, &auth.Credentials{
			Dialect: "mqtt", Name: c.session.id, Method: c.method, Data: data,
			Remote: c.nc.RemoteAddr(), Loopback: carrier.IsLoopback(c.nc.LocalAddr()),
		})
		if err != nil {
			return breach(packet.NotAuthorized, "authenticating again: %v", err) // MQTT-4.12.1-2
		}
		c.login = &login{talk}
	case a.Reason == packet.ContinueAuthentication && c.login != nil:
		proof = data
	default:
		return breach(packet.ProtocolError, "AUTH with reason %q, which does not follow on what was said before", a.Reason)
	}
	challenge, p, err := c.login.talk.Next(ctx, proof)
	if err != nil {
		return breach(packet.NotAuthorized, "authenticating again: %v", err) // MQTT-4.12.1-2
	}
	answer := packet.Auth{Reason: packet.ContinueAuthentication}
	if p != nil {
		answer.Reason = packet.Success
		c.login = nil
	}
	answer.Properties.AuthenticationMethod, answer.Properties.AuthenticationData = c.method, challenge
	return c.answer(func(dst []byte) []byte { return answer.AppendWithin(dst, c.version, c.limits) })
}
