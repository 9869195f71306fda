package dialect

import (
	"context"
	"time"

	"omnibus/auth"
	"omnibus/bus"
)

// SessionTerms are how a peer wants the session of its name.
type SessionTerms struct {
	// Clean ends the session that is there and begins a new one. Without it
	// the peer continues what is there, if it is the same principal's.
	Clean bool
}

// Sessions is what a peer with Hello.Session may do besides. A session is a
// peer that stays when its connection is gone: its subscriptions are delivered
// to its Subscriber, which keeps what must not be lost.
type Sessions interface {
	// Resumed returns the Subscriber of the session that this peer continues,
	// nil when it is a new one. The Subscriber of the Hello is then not used:
	// the session goes on with the one it has, which first ends the connection
	// that it may still have.
	Resumed() Subscriber
	// Suspend tells that the connection is gone and the session stays, until
	// its dialect lets it Leave. An error says that it cannot stay (there are
	// too many): it has ended.
	Suspend() error
	// Resume tells that the session has a connection again. It reports false
	// when the session has ended.
	Resume() bool
	// Reauthenticate opens the conversation of a login by which the peer shows
	// again who it is. It ends with the peer itself, or with an error and
	// everything as it was; somebody else it cannot become.
	Reauthenticate(ctx context.Context, c *auth.Credentials) (Joining, error)
	// Will sets the message that is published when the peer ends in whatever
	// way, instead of the one set before; nil is none. It is kept until then;
	// its life, if there is one, begins when it is published.
	Will(m *bus.Message, life time.Duration)
	// PublishWill publishes the will now, if there is one, and forgets it.
	PublishWill()
}

// Fencer is what a Subscriber may be, too: one whose connection can be ended before
// its peer is expelled because another takes its name.
type Fencer interface {
	// Fence ends the connection, with what the client had said before, and
	// returns when nothing more comes of it. The peer may have left by then.
	Fence()
}
