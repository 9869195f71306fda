package mycroft

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"time"
)

// DefaultURL is where the hubs of both generations listen.
const DefaultURL = "ws://127.0.0.1:8181/core"

// Options say where a client connects and what it may hold. The zero value
// works.
type Options struct {
	// URL is ws://HOST:PORT/ROUTE, or wss for TLS; empty means DefaultURL. A
	// GUI bus is usually at ws://HOST:18181/gui.
	URL string
	// TLS is the configuration for wss; nil is the default one.
	TLS *tls.Config
	// Dial opens connections; nil is the network.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// DialTimeout bounds one attempt to connect; 0 means 10 s.
	DialTimeout time.Duration

	// RetryMin is the wait before the first attempt to reconnect; it doubles
	// with each that fails, up to RetryMax. 0 means 5 s and 60 s.
	RetryMin, RetryMax time.Duration
	// Jitter is the part of a wait that is left to chance, on both sides; 0
	// means 0.2, a negative one none.
	Jitter float64
	// NoReconnect ends the client with its first connection.
	NoReconnect bool
	// KeepAlive is how often the hub is pinged; one that is silent for twice as
	// long is taken for dead. 0 means 30 s, a negative one never.
	KeepAlive time.Duration

	// Timeout bounds waits whose context has no deadline; 0 means 3 s.
	Timeout time.Duration
	// MaxMessage bounds a frame in either direction, in bytes; 0 means 25 MiB.
	MaxMessage int
	// SendBuffer bounds the bytes that wait to be written; 0 means 4 MiB. Emit
	// waits when it is full.
	SendBuffer int
	// Offline is how many messages are kept while there is no connection, and
	// sent when there is one; 0 means none, Emit then waits for the connection.
	Offline int
	// OfflineBytes bounds their bytes; 0 means 4 MiB.
	OfflineBytes int
	// Queue is how many messages of one type may wait for their handlers; 0
	// means 1000.
	Queue int
	// QueueBytes bounds the bytes of all messages that wait for handlers; 0
	// means 64 MiB.
	QueueBytes int
	// Workers is how many messages of one type are handled at a time; 0 means 1,
	// which keeps their order.
	Workers int

	// SecretKey is the key of the payload encryption of OVOS, 16, 24 or 32
	// bytes; nil for none. With a key everything sent is encrypted, and what
	// comes unencrypted is dropped unless AllowUnencrypted.
	SecretKey        []byte
	AllowUnencrypted bool

	// Events are told about the connection.
	Events Events
	// Log gets what Events.Error would; nil for nothing.
	Log *slog.Logger
}

// Events are functions that are told about the connection; any may be nil. They
// are called one at a time, in the order of what happened, and may use the
// client but not close it.
type Events struct {
	// Open is called when a connection has been made.
	Open func()
	// Close is called when it has ended, with the reason; nil after
	// Client.Close.
	Close func(err error)
	// Error is called for what went wrong without being anybody's result: a
	// connection that failed, a frame that is no message, a handler that
	// panicked (*PanicError) or is too slow.
	Error func(err error)
	// Reconnecting is called before each new attempt, after the wait for it.
	// Attempts are counted from 1 after each connection.
	Reconnecting func(attempt int)
}

func (o Options) withDefaults() Options {
	set := func(x *int, value int) {
		if *x <= 0 {
			*x = value
		}
	}
	wait := func(x *time.Duration, value time.Duration) {
		if *x == 0 {
			*x = value
		}
	}
	if o.URL == "" {
		o.URL = DefaultURL
	}
	wait(&o.DialTimeout, 10*time.Second)
	wait(&o.RetryMin, 5*time.Second)
	wait(&o.RetryMax, max(o.RetryMin, time.Minute))
	wait(&o.KeepAlive, 30*time.Second)
	wait(&o.Timeout, 3*time.Second)
	if o.Jitter == 0 {
		o.Jitter = 0.2
	}
	o.Jitter = min(max(o.Jitter, 0), 1)
	set(&o.MaxMessage, 25<<20)
	set(&o.SendBuffer, 4<<20)
	set(&o.OfflineBytes, 4<<20)
	set(&o.Queue, 1000)
	set(&o.QueueBytes, 64<<20)
	set(&o.Workers, 1)
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return o
}

// ErrURL is wrapped by errors about the URL of a hub itself.
var ErrURL = errors.New("URL of the hub")

// parseURL reads the URL of a hub.
func parseURL(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	switch {
	case err != nil: // the error of package url would repeat a password
		return nil, fmt.Errorf("%w: not a URL; give one such as %s", ErrURL, DefaultURL)
	case u.Scheme != "ws" && u.Scheme != "wss":
		return nil, fmt.Errorf("%w %s: the scheme must be ws or wss, as in %s", ErrURL, u.Redacted(), DefaultURL)
	case u.Hostname() == "":
		return nil, fmt.Errorf("%w %s: the host is missing; give one such as %s", ErrURL, u.Redacted(), DefaultURL)
	case u.Path == "":
		return nil, fmt.Errorf("%w %s: the route is missing, such as /core", ErrURL, u.Redacted())
	}
	return u, nil
}
