package dialect

import (
	"context"
	"errors"
	"fmt"

	"omnibus/auth"
	"omnibus/bus"
	"omnibus/payload"
	"omnibus/topic"
)

// Port is the door of the broker.
type Port interface {
	// Hello opens the conversation of a peer that has arrived. It fails at
	// once when the peer is refused.
	Hello(ctx context.Context, h *Hello) (Joining, error)
}

// Hello is how a session introduces itself.
type Hello struct {
	auth.Credentials
	// Origin identifies the link; sessions that share one (the clients of a
	// hub) do not hear each other through the bus.
	Origin *bus.Origin
	// Subscriber receives what the peer subscribes to. Nil for a peer that
	// only publishes and calls.
	Subscriber Subscriber
	// Internal: this peer is the dialect itself and not one of its clients (a
	// hub, a multicast group). It is admitted without a login, to the
	// default tenant, as the principal that has the dialect's name; access
	// rules apply to it as to any other.
	Internal bool
	// Link: this peer is another broker's side of the bus, or a bridge to one.
	// While there is such a peer every message has an identity (Message.ID), and
	// what such a peer publishes keeps the one it has; what was here before, by
	// whatever way, is not routed again (Receipt.Known).
	Link bool
	// Duplicate says what happens when somebody of the same name is there.
	// Peers without a name are never duplicates.
	Duplicate Duplicate
	// Relay, when set, is handed every message of this peer after it was
	// accepted and before anybody else gets it, on the peer's goroutine. A
	// dialect that echoes on its own link (a hub) does so here.
	Relay func(m *bus.Message)
	// Session, when set, makes the peer a session that may outlive its
	// connection, kept under its name. Duplicate is then TakeOver.
	Session *SessionTerms
}

// Joining is the conversation of a peer that is not yet admitted.
type Joining interface {
	// Next takes the peer's proof, nil at the first step, and returns a
	// challenge to send or the peer, admitted; with the peer there may be
	// bytes that prove to it who we are. An error ends the conversation:
	// errors.Is(err, auth.ErrDenied) when the login is wrong, auth.ErrMethod
	// when there is no such way to log in.
	Next(ctx context.Context, proof []byte) (challenge []byte, p Peer, err error)
}

// Join is the conversation of a protocol that has no room for a challenge.
func Join(ctx context.Context, port Port, h *Hello) (Peer, error) {
	j, err := port.Hello(ctx, h)
	if err != nil {
		return nil, err
	}
	challenge, p, err := j.Next(ctx, nil)
	if err != nil {
		return nil, err
	}
	if p == nil {
		return nil, fmt.Errorf("joining: the account asks for a challenge of %d bytes, which %s has no room for: %w",
			len(challenge), h.Dialect, auth.ErrDenied)
	}
	return p, nil
}

// Peer is what an admitted session may do, from any goroutine. The order of
// messages is that of the calls of Publish by one goroutine; a Relay is called by
// all of them.
type Peer interface {
	Publisher
	Subscriptions
	Services
	Sessions
	// Principal is who the peer has shown to be.
	Principal() *auth.Principal
	// Leave ends everything the peer holds: subscriptions, services, calls.
	// It may be called again.
	Leave()
}

// Publisher sends messages.
type Publisher interface {
	// Publish routes m if rules, schemas and limits admit it. The receipt
	// tells what to wait for before acknowledging. Errors are *bus.Error;
	// Refused, Invalid and TooLarge mean that nobody got it.
	Publish(m *bus.Message) (bus.Receipt, error)
}

// Subscriptions asks for messages.
type Subscriptions interface {
	// Subscribe adds a subscription; the same pattern twice is two. What is
	// kept for new subscribers is delivered before it returns.
	Subscribe(p topic.Pattern, t Terms) (*bus.Subscription, error)
	// Unsubscribe ends one of the peer's subscriptions and reports whether
	// there was something to end.
	Unsubscribe(s *bus.Subscription) bool
	// Replay delivers what is kept for new subscribers once more to one of the
	// peer's subscriptions, or for the first time if it was made with NewsOnly.
	// Each call of next delivers at most one message, on the caller's
	// goroutine, and reports whether there may be more.
	Replay(s *bus.Subscription) (next func() bool)
}

// Terms are the terms of a subscription, beyond its pattern.
type Terms struct {
	// Echo also delivers what came in by the peer's own link.
	Echo bool
	// NewsOnly leaves out the values kept for new subscribers.
	NewsOnly bool
	// Group, when it is not empty, shares the messages among all peers and
	// functions that subscribe with the same group and an Equal pattern: each
	// goes to one of them, and none gets what is kept for new subscribers. See
	// bus.AttachOptions.Group and Member. A session that is handed a message it
	// cannot bring to its client gives it back with Subscription.Redeliver.
	Group string
	// Tag is carried to Deliver in the subscription's options.
	Tag any
}

// Services calls and provides services.
type Services interface {
	// Expose provides a service until the exposure is withdrawn or the peer
	// leaves.
	Expose(name string, s bus.Service) (*bus.Exposure, error)
	// Call calls a service and waits; it returns by the deadline. A session
	// that must go on reading meanwhile runs it on a goroutine.
	Call(ctx context.Context, name string, args *payload.Value, o CallOptions) (*payload.Value, error)
	// Callable reports whether somebody on another link exposes the service.
	Callable(name string) bool
}

// CallOptions are the terms of a call.
type CallOptions struct {
	Headers bus.Headers
	// Echo also considers services of the caller's own link.
	Echo bool
}

// Subscriber is what the broker sees of a session.
type Subscriber interface {
	bus.Receiver
	// Expelled tells the session that it is no longer a peer, and why: its
	// name was taken over, its account was removed. No Deliver begins after
	// it, but one that runs on another goroutine may still be ending: the
	// session's own lock orders the two. It must not block; the session
	// tells its client and closes the link.
	Expelled(why error)
}

// Pacer is what a Subscriber may be, too: one that can be waited for. What is
// kept for a new subscription (retained values, later a journal) may be far
// more than its outbox holds; it is delivered on the goroutine that subscribes,
// no faster than there is room.
type Pacer interface {
	// Room waits until there is room for more, or ctx ends, which it does
	// when the peer leaves.
	Room(ctx context.Context) error
}

// Member is what a Subscriber may be, too: one whose share of the messages of a
// group depends on how busy it is. Without it a session counts as ready.
type Member interface {
	// Load returns how many messages wait for the client beyond what it can
	// take now, 0 when it takes more at once, and whether the client is present:
	// while it is away messages are kept for it, and it is chosen only when
	// nobody is present. It runs on publishers' goroutines and must not block.
	Load() (waiting int, present bool)
}

// Duplicate says what happens when a peer arrives under the name of one that
// is there.
type Duplicate uint8

// The rules for a second peer of one tenant, dialect and name.
const (
	// AllowDuplicate: names are no identities, both live side by side.
	AllowDuplicate Duplicate = iota
	// TakeOver: the old peer is expelled before the new one is admitted.
	TakeOver
	// RefuseDuplicate: the new one is refused.
	RefuseDuplicate
)

// The reasons for which a peer is expelled or refused.
var (
	ErrTakenOver = errors.New("the session was taken over by another connection of the same name")
	ErrDuplicate = errors.New("somebody of that name is connected already")
)
