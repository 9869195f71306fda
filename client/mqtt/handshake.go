package mqtt

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"syscall"
	"time"

	"omnibus/carrier"
	"omnibus/dialect/mqtt/packet"
)

// Authenticator is the client's part of an enhanced authentication (version 5, section 4.12), such as SCRAM or
// Kerberos. Its functions are called one at a time and must not use the client.
type Authenticator interface {
	// Method is its name.
	Method() string
	// Begin returns the first data, for a connection or for a re-authentication.
	Begin() ([]byte, error)
	// Next answers data of the broker. With last the broker is content: only the error counts then, which tells that the
	// client is not.
	Next(data []byte, last bool) ([]byte, error)
}

// olderError is the error of a broker that may speak an older version.
type olderError struct{ error }

func (e olderError) Unwrap() error { return e.error }

// connect makes a connection with the version wanted, or with the best that the broker speaks.
func (c *Client) connect(ctx context.Context) (*link, error) {
	if limit := c.o.Timeout; limit > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, limit, fmt.Errorf("connecting to %s: %w within %s", c.target.url, ErrNoAnswer, limit))
		defer cancel()
	}
	l, err := c.connectAs(ctx, c.version)
	if _, older := errors.AsType[olderError](err); older && c.o.Version == 0 && c.version == V5 && c.o.Auth == nil && (c.o.ClientID != "" || c.o.SessionExpiry == 0) {
		if l, err = c.connectAs(ctx, V311); err == nil {
			c.version = V311
		}
	}
	return l, err
}

// connectAs makes a connection with a version.
func (c *Client) connectAs(ctx context.Context, v Version) (*link, error) {
	conn, err := c.target.open(ctx, &c.o)
	if err != nil {
		return nil, timely(ctx, err)
	}
	l := &link{conn: conn}
	l.in.Reset(conn)
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) }) // ends what is under way
	err = c.introduce(l, v)
	if !stop() && err == nil {
		err = context.Cause(ctx)
	}
	if err != nil {
		l.in.Reset(nil)
		return nil, errors.Join(timely(ctx, err), ignoreClosed(conn.Close()))
	}
	l.out = carrier.NewOutbox(conn, carrier.OutboxOptions{
		MaxBytes: c.o.MaxOutbox,
		OnError:  func(err error) { l.fail(lost(err)) },
		OnRoom:   func() { c.room(l) },
	})
	return l, nil
}

// timely is the error of what was cut short by its context, if it was.
func timely(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// ignoreClosed leaves out the error of closing what is closed.
func ignoreClosed(err error) error {
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

// introduce sends CONNECT and takes part in what follows until CONNACK.
func (c *Client) introduce(l *link, v Version) error {
	p, err := c.hello(v)
	if err != nil {
		return err
	}
	raw := p.Append(nil)
	if len(raw) == 0 {
		return fmt.Errorf("%w options: CONNECT cannot be written", ErrInvalid)
	}
	if _, err := l.conn.Write(raw); err != nil {
		return lost(err)
	}
	for answered := false; ; answered = true {
		h, body, n, err := l.answer(c.o.MaxPacket)
		if err != nil {
			return c.silent(l, answered, err)
		}
		if h.Type == packet.AUTH && v >= V5 && c.o.Auth != nil {
			raw, err := c.answerAuth(h, body)
			if err != nil {
				return err
			}
			if _, err := l.conn.Write(raw); err != nil {
				return lost(err)
			}
			l.in.Discard(n)
			continue
		}
		err = c.accepted(l, p, h, body)
		l.in.Discard(n)
		return err
	}
}

// answer is next before CONNACK. Another protocol is told by its first byte: what it takes for a length may never come.
func (l *link) answer(limit int) (h packet.Header, body []byte, n int, err error) {
	if l.in.Buffered() == 0 {
		if err := l.in.Fill(1); err != nil {
			return h, nil, 0, err
		}
	}
	if kind := packet.Type(l.in.Bytes()[0] >> 4); kind != packet.CONNACK && kind != packet.AUTH {
		return h, nil, 0, &packet.Error{Reason: packet.ProtocolError, Text: "its answer begins with the byte of " + kind.String()}
	}
	return l.next(limit)
}

// silent is the error of a connection that ended instead of being accepted.
func (c *Client) silent(l *link, answered bool, err error) error {
	if !answered && l.in.Buffered() == 0 && (errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET)) {
		return olderError{lost(fmt.Errorf("%s closed the connection and did not answer CONNECT; does it speak MQTT?", c.target.url))}
	}
	if _, ok := errors.AsType[*packet.Error](err); ok {
		return fmt.Errorf("%s does not seem to speak MQTT: %w: %w", c.target.url, ErrProtocol, err)
	}
	return lost(err)
}

// hello is the CONNECT of a connection.
func (c *Client) hello(v Version) (*packet.Connect, error) {
	o := &c.o
	p := &packet.Connect{
		Version:    v,
		CleanStart: o.clean(v, c.first),
		KeepAlive:  uint16(min(seconds(o.KeepAlive), 0xFFFF)),
		ClientID:   c.clientID,
		Username:   o.Username,
		Password:   o.Password, HasPassword: o.Password != nil,
	}
	p.HasUsername = o.Username != "" || p.HasPassword && v < V5
	p.Properties = packet.ConnectProperties{
		SessionExpiryInterval: o.expiry(),
		MaximumPacketSize:     uint32(o.MaxPacket),
		ReceiveMaximum:        o.ReceiveMaximum,
		TopicAliasMaximum:     o.TopicAliases,
		User:                  o.User,
	}
	if w := o.Will; w != nil {
		p.HasWill = true
		p.Will = packet.Will{Topic: w.Topic, Payload: w.Payload, QoS: w.QoS, Retain: w.Retain}
		p.Will.Properties = packet.WillProperties{MessageProperties: w.properties(), DelayInterval: seconds(w.Delay)}
	}
	if o.Auth != nil {
		data, err := o.Auth.Begin()
		if err != nil {
			return nil, fmt.Errorf("authenticating: %w", err)
		}
		p.Properties.AuthenticationMethod, p.Properties.AuthenticationData = o.Auth.Method(), data
	}
	return p, nil
}

// answerAuth is the AUTH that answers the one of a broker.
func (c *Client) answerAuth(h packet.Header, body []byte) ([]byte, error) {
	var a packet.Auth
	if err := a.Decode(h, body, V5); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrProtocol, err)
	}
	if a.Reason != packet.ContinueAuthentication || a.Properties.AuthenticationMethod != c.o.Auth.Method() {
		return nil, broken(packet.ProtocolError, "AUTH with the reason %s and the method %.40q", a.Reason, a.Properties.AuthenticationMethod)
	}
	data, err := c.o.Auth.Next(a.Properties.AuthenticationData, false)
	if err != nil {
		return nil, fmt.Errorf("authenticating: %w", err)
	}
	answer := packet.Auth{Reason: packet.ContinueAuthentication}
	answer.Properties.AuthenticationMethod, answer.Properties.AuthenticationData = c.o.Auth.Method(), data
	return answer.Append(nil, V5), nil
}

// accepted judges the CONNACK and notes what it says.
func (c *Client) accepted(l *link, p *packet.Connect, h packet.Header, body []byte) error {
	v := p.Version
	if h.Type == packet.CONNACK && len(body) == 2 { // that of an older broker
		v = min(v, V311)
	}
	var a packet.Connack
	if err := a.Decode(h, body, v); err != nil {
		return fmt.Errorf("%s does not seem to speak MQTT: %w: %w", c.target.url, ErrProtocol, err)
	}
	refused := &RefusedError{What: "connection", Reason: a.Reason, Text: strings.Clone(a.Properties.ReasonString), Server: strings.Clone(a.Properties.ServerReference)}
	switch {
	case a.Reason == packet.UnsupportedProtocolVersion:
		return olderError{refused}
	case a.Reason.Failed():
		return refused
	case v != p.Version:
		return olderError{broken(packet.ProtocolError, "%s answers in MQTT %s", c.target.url, v)}
	case a.SessionPresent && (p.CleanStart || c.first && c.clientID == ""):
		return broken(packet.ProtocolError, "the broker claims to have kept a session that was to be new (MQTT-3.2.2-2)")
	}
	if c.o.Auth != nil {
		if _, err := c.o.Auth.Next(a.Properties.AuthenticationData, true); err != nil {
			return fmt.Errorf("authenticating the broker: %w", err)
		}
	}
	l.server = c.serverOf(p, &a)
	if l.server.TopicAliasMaximum > 0 {
		l.aliases = make(map[string]uint16)
	}
	return nil
}

// serverOf is what a CONNACK tells.
func (c *Client) serverOf(p *packet.Connect, a *packet.Connack) Server {
	has := a.Properties.Present.Has
	s := Server{
		Version: p.Version, SessionPresent: a.SessionPresent,
		ClientID:            strings.Clone(a.Properties.AssignedClientID),
		KeepAlive:           time.Duration(p.KeepAlive) * time.Second,
		SessionExpiry:       p.Properties.SessionExpiryInterval,
		MaxPacket:           int(a.Properties.MaximumPacketSize),
		ReceiveMaximum:      int(a.Properties.ReceiveMaximum),
		MaxQoS:              a.Properties.QoSLimit(),
		TopicAliasMaximum:   min(a.Properties.TopicAliasMaximum, c.o.TopicAliases),
		NoRetain:            a.Properties.RetainUnavailable,
		NoWildcards:         a.Properties.WildcardsUnavailable,
		NoSubscriptionIDs:   a.Properties.SubscriptionIDsUnavailable || p.Version < V5,
		NoShared:            a.Properties.SharedUnavailable,
		ResponseInformation: strings.Clone(a.Properties.ResponseInformation),
		User:                bytes.Clone(a.Properties.User),
	}
	if s.ClientID == "" {
		s.ClientID = p.ClientID
	}
	if has(packet.ServerKeepAlive) { // MQTT-3.2.2-21
		s.KeepAlive = time.Duration(a.Properties.ServerKeepAlive) * time.Second
	}
	if has(packet.SessionExpiryInterval) {
		s.SessionExpiry = a.Properties.SessionExpiryInterval
	}
	if s.ReceiveMaximum == 0 {
		s.ReceiveMaximum = maxIDs
	}
	return s
}
