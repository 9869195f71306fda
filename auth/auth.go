// Package auth answers two questions for the whole bus: who is this, and may
// they. It knows no protocol: every dialect's login is told as [Credentials]
// and a conversation of challenges and proofs, and ends in a [Principal].
//
// [Open] lets everybody in and allows everything. It is the default, because
// all listeners bind the loopback interface by default; a warning names each
// listener that is open to other machines without accounts.
package auth

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
)

// Action is what a principal wants to do to a topic.
type Action uint8

// The actions.
const (
	// Publish: send a message to the topic.
	Publish Action = iota
	// Subscribe: ask for messages by a pattern. It is asked with the
	// pattern's text; what is delivered is decided by Receive.
	Subscribe
	// Receive: be given a message on the topic. It is asked for every
	// delivered message, so that no pattern gets round a rule.
	Receive
	// Call: call the service.
	Call
	// Expose: provide the service.
	Expose
	// Admin: inspect and change the bus itself.
	Admin
)

var actionNames = [...]string{"publish", "subscribe", "receive", "call", "expose", "admin"}

// String returns the action's name, as access rules write it.
func (a Action) String() string {
	if int(a) < len(actionNames) {
		return actionNames[a]
	}
	return "unknown action"
}

// Principal is who a peer has shown to be.
type Principal struct {
	// Name identifies the account; empty for an anonymous peer.
	Name string
	// Tenant is the space the principal lives in; the empty one is the
	// default. Tenants see nothing of each other.
	Tenant string
	// Groups are what access rules may also name.
	Groups []string
}

// Credentials are what a peer says of itself when it arrives. Which fields are
// set depends on the dialect.
type Credentials struct {
	Dialect string // "mqtt", "rembus", …
	// Name is what the peer calls itself: a client id, a component name.
	Name     string
	Username string
	Password []byte
	// Method names a challenge-response method the peer wants to use.
	Method string
	// Data is the first data of that method.
	Data        []byte
	Certificate *x509.Certificate
	Remote      net.Addr
	// Loopback: the connection came in by a listener that only this machine
	// reaches.
	Loopback bool
}

// Authenticator decides who gets in.
type Authenticator interface {
	// Begin opens the conversation with a peer. It does not block on the
	// peer; an error refuses it at once (ErrDenied when the credentials are
	// wrong).
	Begin(ctx context.Context, c *Credentials) (Conversation, error)
}

// Conversation is the login of one peer, in as many steps as its method needs.
type Conversation interface {
	// Next takes the peer's proof (nil at the first step) and returns either
	// a challenge to send to it, or the principal when it is admitted, which
	// may come with last bytes to send.
	Next(ctx context.Context, proof []byte) (challenge []byte, p *Principal, err error)
}

// Authorizer decides what a principal may do. Allow is called on the live path
// and must be fast.
type Authorizer interface {
	Allow(p *Principal, a Action, name string) bool
}

// ErrDenied is wrapped by every error that refuses a login.
var ErrDenied = errors.New("access denied")

// ErrMethod is wrapped by the error that refuses a login, besides ErrDenied, when
// its Credentials name a Method that there is not.
var ErrMethod = errors.New("there is no such method of login")

// Open admits everybody under the name they give and allows everything. It has no
// methods of challenge and response.
type Open struct{}

// Begin admits c.
func (Open) Begin(_ context.Context, c *Credentials) (Conversation, error) {
	if c.Method != "" {
		return nil, fmt.Errorf("%w: %.80q: %w", ErrMethod, c.Method, ErrDenied)
	}
	return Admitted(Principal{Name: c.Name}), nil
}

// Allow allows it.
func (Open) Allow(*Principal, Action, string) bool { return true }

// Admitted is a conversation that is over before it began, with p admitted.
func Admitted(p Principal) Conversation { return admitted{&p} }

type admitted struct{ p *Principal }

func (a admitted) Next(context.Context, []byte) ([]byte, *Principal, error) { return nil, a.p, nil }
