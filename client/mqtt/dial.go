package mqtt

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"

	"omnibus/carrier"
)

// target is where a broker is.
type target struct {
	url *url.URL // without the login
	// network and address are those to dial.
	network, address string
	secure, web      bool
}

const schemes = "give one such as tcp://host:1883 (or mqtt), tls://host:8883 (or mqtts), ws://host:8083/mqtt (or wss), or unix:/path"

// parse reads the URL of a broker.
func parse(raw string) (t target, login *url.Userinfo, err error) {
	u, err := url.Parse(raw)
	if err != nil {
		// The error of package url would repeat a password.
		return t, nil, fmt.Errorf("%w broker URL: not a URL; %s", ErrInvalid, schemes)
	}
	login = u.User
	u.User = nil
	t = target{url: u, network: "tcp"}
	var port string
	switch u.Scheme {
	case "tcp", "mqtt":
		port = "1883"
	case "tls", "ssl", "mqtts":
		port, t.secure = "8883", true
	case "ws":
		port, t.web = "80", true
	case "wss":
		port, t.web, t.secure = "443", true, true
	case "unix":
		t.network, t.address = "unix", cmp.Or(u.Opaque, u.Host+u.Path)
		if t.address == "" {
			return t, nil, fmt.Errorf("%w broker URL %s: the path of the socket is missing; %s", ErrInvalid, u, schemes)
		}
		return t, login, nil
	default:
		return t, nil, fmt.Errorf("%w broker URL %s: the scheme is not known; %s", ErrInvalid, u, schemes)
	}
	switch {
	case u.Hostname() == "":
		return t, nil, fmt.Errorf("%w broker URL %s: the host is missing; %s", ErrInvalid, u, schemes)
	case !t.web && strings.Trim(u.Path, "/") != "":
		return t, nil, fmt.Errorf("%w broker URL %s: only a WebSocket has a path; %s", ErrInvalid, u, schemes)
	}
	t.address = net.JoinHostPort(u.Hostname(), cmp.Or(u.Port(), port))
	return t, login, nil
}

// open opens the connection that MQTT is spoken on.
func (t *target) open(ctx context.Context, o *Options) (net.Conn, error) {
	var config *tls.Config
	if t.secure {
		config = t.tls(o)
	}
	if o.Dial == nil && !t.web {
		return carrier.Dial(ctx, carrier.Endpoint{Network: t.network, Address: t.address, TLS: config})
	}
	conn, err := t.dial(ctx, o, config)
	if err != nil || !t.web {
		return conn, err
	}
	ws, err := carrier.ConnectWebSocket(ctx, conn, t.url.String(), carrier.WebSocketOptions{
		Subprotocols: []string{"mqtt"}, // MQTT-6.0.0-3
		MaxMessage:   2 * o.MaxPacket,  // a message may hold several packets
	})
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return ws.Stream(), nil
}

// dial opens a connection with what Options.Dial, or the network, gives.
func (t *target) dial(ctx context.Context, o *Options, config *tls.Config) (net.Conn, error) {
	if o.Dial == nil {
		return carrier.Dial(ctx, carrier.Endpoint{Network: t.network, Address: t.address, TLS: config})
	}
	conn, err := o.Dial(ctx, t.network, t.address)
	if err != nil {
		return nil, fmt.Errorf("dialing %s: %w", t.url, err)
	}
	if config == nil {
		return conn, nil
	}
	secured := tls.Client(conn, config)
	if err := secured.HandshakeContext(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("securing the connection to %s: %w", t.url, err), conn.Close())
	}
	return secured, nil
}

// tls is the configuration for the host of the URL.
func (t *target) tls(o *Options) *tls.Config {
	c := o.TLS.Clone()
	if c == nil {
		c = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	if c.ServerName == "" {
		c.ServerName = t.url.Hostname()
	}
	return c
}
