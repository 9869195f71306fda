package remote

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"

	"omnibus/bus"
	"omnibus/payload"
	"omnibus/topic"
)

// ErrURL is wrapped by errors about a broker's URL itself.
var ErrURL = errors.New("broker URL")

// Client is a connection to a broker.
type Client interface {
	// Publish sends one message and returns when the broker has taken it, or
	// with a *bus.Error that tells why it has not. With MQTT's QoS 0, which
	// has no answer, it returns when the message is written. Options the
	// dialect does not know are an error.
	Publish(ctx context.Context, name string, v *payload.Value, o PublishOptions) error
	// Subscribe calls fn with what matches any of the patterns, once per
	// message, until ctx ends, which returns nil, or the connection fails.
	// The message is fn's own. ready, if not nil, is called once when the
	// subscription is in place. Neither may use the client.
	Subscribe(ctx context.Context, patterns []topic.Pattern, ready func(), fn func(*bus.Message)) error
	// Call calls a service; ctx should have a deadline. What the service or
	// the broker answered instead of a result is a *bus.Error with its kind.
	Call(ctx context.Context, name string, args *payload.Value) (*payload.Value, error)
	// Expose provides a service until ctx ends, which returns nil, or the
	// connection fails. s is called on goroutines of its own, several at a
	// time; its context ends when Expose is to end. ready is as for
	// Subscribe, but may use the client.
	Expose(ctx context.Context, name string, ready func(), s bus.Service) error
	// Close ends the connection and everything that uses it.
	Close() error
}

// PublishOptions are the terms of a message.
type PublishOptions struct {
	// Retain keeps the message as the value that new subscribers get.
	Retain bool
	// QoS is 0, 1 or 2.
	QoS uint8
}

// Options of a connection. The zero value works.
type Options struct {
	// TLS is used for https, wss and mqtts; nil is the default configuration.
	TLS *tls.Config
	// Dial opens connections; nil is the network.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// MaxMessage bounds what is read at a time, in bytes; 0 means 64 MiB.
	MaxMessage int
	// Notice is told what went wrong without ending anything, in words. It
	// may be called from any goroutine.
	Notice func(text string)
}

func (o Options) withDefaults() Options {
	if o.MaxMessage <= 0 {
		o.MaxMessage = 64 << 20
	}
	if o.Notice == nil {
		o.Notice = func(string) {}
	}
	return o
}

// The number of requests of one Expose that may be under way; more are
// answered with bus.Full.
const maxRequests = 1024

// Dial returns a client of the broker at a URL. The web dialect connects with the
// first request, the others at once; ctx bounds the connecting alone. An error
// about the URL itself wraps ErrURL.
func Dial(ctx context.Context, rawURL string, o Options) (Client, error) {
	o = o.withDefaults()
	u, err := parse(rawURL)
	if err != nil {
		return nil, err
	}
	switch {
	case isMQTT(u):
		return dialMQTT(ctx, u, o)
	case u.Scheme == "http" || u.Scheme == "https":
		return newWeb(u, o), nil
	}
	return dialMycroft(ctx, u, o)
}

// Check returns what is wrong with a broker's URL. It connects to nothing.
func Check(rawURL string) error {
	_, err := parse(rawURL)
	return err
}

const known = "give one such as http://127.0.0.1:8080 (also https), mqtt://127.0.0.1:1883 (also mqtts, ws and wss with a path that ends in /mqtt) or ws://127.0.0.1:8181/core (also wss)"

func parse(rawURL string) (*url.URL, error) {
	u, err := url.Parse(rawURL)
	if err != nil {
		// The error of package url would repeat a password.
		return nil, fmt.Errorf("%w: not a URL; %s", ErrURL, known)
	}
	switch u.Scheme {
	case "http", "https", "mqtt", "mqtts":
	case "ws", "wss":
		if u.Path == "" || u.Path == "/" {
			return nil, fmt.Errorf("%w %s: the path is missing, which says what is spoken there; %s", ErrURL, u.Redacted(), known)
		}
	default:
		return nil, fmt.Errorf("%w %s: no dialect is known for it; %s", ErrURL, u.Redacted(), known)
	}
	if u.Host == "" {
		return nil, fmt.Errorf("%w %s: the host is missing; %s", ErrURL, u.Redacted(), known)
	}
	if isMQTT(u) {
		if _, _, err := parseMQTT(u); err != nil {
			return nil, fmt.Errorf("%w %s: %w", ErrURL, u.Redacted(), err)
		}
	}
	return u, nil
}

// Redacted returns a broker's URL without its password.
func Redacted(rawURL string) string {
	u, err := url.Parse(rawURL)
	if err != nil {
		return "the broker"
	}
	return u.Redacted()
}
