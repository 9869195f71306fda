package mqtt

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"math"
	"net"
	"time"

	"omnibus/dialect/mqtt/packet"
)

// Options of a client. The zero value works: version 5 or, where that is not spoken, 3.1.1; a session that ends with
// its connection, and no reconnection.
type Options struct {
	// ClientID names the session. Empty lets the broker choose; 3.1, and 3.1.1 with a SessionExpiry, want a name.
	ClientID string
	// Version is the one to speak; 0 tries 5 and then 3.1.1.
	Version Version
	// Username is sent if it is not empty, Password if it is not nil; those of the URL are used when both are missing.
	Username string
	Password []byte
	// CleanStart throws away what the broker has of the session. It concerns the first connection alone.
	CleanStart bool
	// SessionExpiry is how long the broker keeps the session after a connection, in whole seconds; 0 ends it at once,
	// negative keeps it for ever. Before version 5 it is kept as long as the broker likes, if it is not 0.
	SessionExpiry time.Duration
	// KeepAlive is the longest silence on the connection; 0 means 60 s, negative turns it off. The broker may replace it.
	KeepAlive time.Duration
	// PingTimeout is how long the broker may take to answer a PINGREQ; 0 means 5 s.
	PingTimeout time.Duration
	// Timeout is how long the broker may take to answer anything else, and connecting may take; 0 means 60 s, negative
	// leaves it to the context of each call.
	Timeout time.Duration
	// Will is published by the broker when the connection breaks; nil is none.
	Will *Will
	// Auth is the enhanced authentication of version 5; nil is none.
	Auth Authenticator
	// User are the user properties of CONNECT.
	User UserProperties

	// Reconnect connects again, after a pause, whenever the connection is lost.
	Reconnect bool
	// Backoff is the pause before.
	Backoff Backoff
	// GiveUp is asked after each failure whether to end the client instead of connecting again; nil gives up when the
	// session was taken over by another connection of the same client id, and otherwise never. It must not use the client.
	GiveUp func(err error) bool
	// NoResubscribe leaves it to OnConnect to subscribe again on a connection to which the broker has not kept the
	// session; else the client does.
	NoResubscribe bool

	// OnConnect is called whenever a connection was made, the first one included.
	OnConnect func(c *Client, s Server)
	// OnDisconnect is called when a connection was lost, with the reason.
	OnDisconnect func(c *Client, err error)
	// OnMessage gets what no subscription matches: what a broker sends for a session that an earlier process began, say.
	OnMessage func(m *Message)
	// OnError is told what nobody else is: panics of callbacks, subscriptions refused on a new connection, failed
	// attempts to reconnect, failures of the Store. It may be called from any goroutine, and must not wait.
	OnError func(err error)

	// MaxInFlight bounds the messages of QoS 1 and 2 that are not acknowledged; 0 means 1024, at most 65,535 are possible.
	// More wait. The broker may want to have fewer under way; then the others wait for their turn.
	MaxInFlight int
	// MaxInFlightBytes bounds their size; 0 means 16 MiB. One message is always taken.
	MaxInFlightBytes int
	// ReceiveMaximum bounds the messages of QoS 1 and 2 that the broker may send before they are handled; 0 means 1024.
	ReceiveMaximum uint16
	// MaxQueued and MaxQueuedBytes bound the messages that wait for their handlers, of any QoS; 0 means 1024 and 4 MiB. At
	// the bound nothing more is read, which the broker notices.
	MaxQueued      int
	MaxQueuedBytes int
	// MaxPacket bounds a packet from the broker, in bytes; 0 means 4 MiB. Version 5 tells the broker, which then drops
	// larger messages; before, one ends the connection.
	MaxPacket int
	// MaxOutbox bounds the bytes that wait to be written; 0 means 1 MiB. Publishing waits at the bound.
	MaxOutbox int
	// TopicAliases bounds the topic aliases, in each direction, that save bytes on the wire in version 5; 0 is none.
	TopicAliases uint16

	// Store keeps messages in flight beyond the process, see OpenFile; nil keeps them in memory.
	Store Store
	// TLS is used for tls, mqtts and wss; nil is the default configuration.
	TLS *tls.Config
	// Dial opens connections; nil is the network. TLS and WebSocket are spoken on top.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
}

// Backoff is the pause between attempts to connect. It is doubled with each attempt, and a random part of up to half of
// it is left out so that clients do not come back all at once.
type Backoff struct {
	// Min is the first pause; 0 means 1 s. After each connection it begins with it again.
	Min time.Duration
	// Max is the longest one; 0 means 60 s.
	Max time.Duration
	// Attempts is how many failed ones in a row end the client; 0 means no limit.
	Attempts int
}

const (
	defaultInFlight      = 1024
	defaultInFlightBytes = 16 << 20
	defaultQueued        = 1024
	defaultQueuedBytes   = 4 << 20
	defaultMaxPacket     = 4 << 20
	defaultOutbox        = 1 << 20
	defaultKeepAlive     = time.Minute
	defaultTimeout       = time.Minute
	defaultPing          = 5 * time.Second
)

func (o Options) withDefaults() Options {
	o.Backoff.Min = cmp.Or(max(o.Backoff.Min, 0), time.Second)
	o.Backoff.Max = max(cmp.Or(max(o.Backoff.Max, 0), time.Minute), o.Backoff.Min)
	o.KeepAlive = cmp.Or(o.KeepAlive, defaultKeepAlive)
	o.PingTimeout = cmp.Or(max(o.PingTimeout, 0), defaultPing)
	o.Timeout = cmp.Or(o.Timeout, defaultTimeout)
	o.MaxInFlight = min(cmp.Or(max(o.MaxInFlight, 0), defaultInFlight), maxIDs)
	o.MaxInFlightBytes = cmp.Or(max(o.MaxInFlightBytes, 0), defaultInFlightBytes)
	o.ReceiveMaximum = cmp.Or(o.ReceiveMaximum, defaultInFlight)
	o.MaxQueued = cmp.Or(max(o.MaxQueued, 0), defaultQueued)
	o.MaxQueuedBytes = cmp.Or(max(o.MaxQueuedBytes, 0), defaultQueuedBytes)
	o.MaxPacket = min(cmp.Or(max(o.MaxPacket, 0), defaultMaxPacket), packet.MaxSize)
	o.MaxOutbox = cmp.Or(max(o.MaxOutbox, 0), defaultOutbox)
	return o
}

// check says what is wrong with the options.
func (o *Options) check() error {
	fail := func(text string) error { return fmt.Errorf("%w options: %s", ErrInvalid, text) }
	switch {
	case o.Version != 0 && (o.Version < V31 || o.Version > V5):
		return fail("the version is 3.1, 3.1.1, 5.0, or 0 for the best of the last two")
	case !packet.ValidString(o.ClientID):
		return fail("the client id is not UTF-8 of at most 65,535 bytes")
	case o.ClientID == "" && (o.Version == V31 || o.Version == V311 && o.SessionExpiry != 0):
		return fail("version " + o.Version.String() + " wants a client id here")
	case !packet.ValidString(o.Username) || len(o.Password) > math.MaxUint16:
		return fail("the user name is not UTF-8, or it or the password has more than 65,535 bytes")
	case o.Version != 0 && o.Version < V5 && o.CleanStart && o.SessionExpiry != 0:
		return fail("before version 5 there is one flag for a clean start and a session that ends: leave out CleanStart or SessionExpiry")
	case o.Version != 0 && o.Version < V5 && o.Auth != nil:
		return fail("enhanced authentication wants version 5")
	case !validPairs(o.User):
		return fail("the user properties are not UTF-8")
	}
	if o.Will != nil {
		if err := o.Will.check(); err != nil {
			return fmt.Errorf("the will: %w", err)
		}
		if len(o.Will.Payload) > math.MaxUint16 {
			return fail("the payload of the will has more than 65,535 bytes")
		}
	}
	return nil
}

// clean is the flag for a connection.
func (o *Options) clean(v Version, first bool) bool {
	if v < V5 {
		return o.SessionExpiry == 0
	}
	return first && o.CleanStart
}

// givesUp tells that no connection is to be tried any more after err.
func (o *Options) givesUp(err error) bool {
	if o.GiveUp != nil {
		return o.GiveUp(err)
	}
	d, ok := errors.AsType[*DisconnectError](err)
	return ok && d.Reason == packet.SessionTakenOver
}

// expiry is SessionExpiry as CONNECT has it.
func (o *Options) expiry() uint32 {
	if o.SessionExpiry < 0 {
		return math.MaxUint32
	}
	return seconds(o.SessionExpiry)
}
