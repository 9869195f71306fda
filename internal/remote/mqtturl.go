package remote

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"

	"omnibus/carrier"
	"omnibus/dialect/mqtt/packet"
)

// isMQTT reports whether a URL is that of an MQTT broker. WebSockets carry other
// protocols too; the path tells.
func isMQTT(u *url.URL) bool {
	switch u.Scheme {
	case "mqtt", "mqtts":
		return true
	case "ws", "wss":
		return strings.HasSuffix(u.Path, "/mqtt")
	}
	return false
}

// mqttTarget is what a URL says of a broker and of the client.
type mqttTarget struct {
	url      *url.URL // as it was given, for people
	version  packet.Version
	clientID string
	login    *url.Userinfo
}

const (
	queryClientID = "client_id"
	queryVersion  = "version"
)

// parseMQTT reads a URL. Its errors say what is wrong with it, and not which one
// it is.
func parseMQTT(u *url.URL) (mqttTarget, error) {
	t := mqttTarget{url: u, version: packet.V5, login: u.User}
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return t, errors.New("its query cannot be read")
	}
	switch query.Get(queryVersion) {
	case "", "5", "5.0":
	case "3.1.1":
		t.version = packet.V311
	default:
		return t, errors.New("the version is 5 or 3.1.1")
	}
	// At most 23 letters and digits, which every broker takes.
	t.clientID = cmp.Or(query.Get(queryClientID), "omnibus"+rand.Text()[:16])
	if !packet.ValidString(t.clientID) {
		return t, errors.New("the client_id must be UTF-8 of at most 65,535 bytes")
	}
	if password, _ := t.login.Password(); !packet.ValidString(t.login.Username()) || len(password) > 65_535 {
		return t, errors.New("the user name must be UTF-8, and neither it nor the password longer than 65,535 bytes")
	}
	if strings.HasPrefix(u.Scheme, "ws") {
		return t, nil // the rest is for who serves the WebSocket
	}
	if u.Path != "" && u.Path != "/" {
		return t, errors.New("MQTT has no path; a topic is an argument of its own")
	}
	for key := range query {
		if key != queryClientID && key != queryVersion {
			return t, fmt.Errorf("nothing is known of %q; there are %s and %s", key, queryClientID, queryVersion)
		}
	}
	return t, nil
}

// connect opens the connection that MQTT is spoken on.
func (t mqttTarget) connect(ctx context.Context, o Options) (net.Conn, error) {
	if strings.HasPrefix(t.url.Scheme, "ws") {
		bare := *t.url
		query := bare.Query()
		query.Del(queryClientID)
		query.Del(queryVersion)
		bare.User, bare.RawQuery = nil, query.Encode() // the login is that of CONNECT
		o.MaxMessage *= 2                              // a message of the WebSocket may hold several packets
		ws, err := connect(ctx, &bare, o, "mqtt")      // MQTT-6.0.0-3
		if err != nil {
			return nil, err
		}
		return ws.Stream(), nil
	}
	port, secure := "1883", (*tls.Config)(nil)
	if t.url.Scheme == "mqtts" {
		port, secure = "8883", tlsConfig(t.url, o)
	}
	at := net.JoinHostPort(t.url.Hostname(), cmp.Or(t.url.Port(), port))
	if o.Dial == nil {
		return carrier.Dial(ctx, carrier.Endpoint{Network: "tcp", Address: at, TLS: secure})
	}
	conn, err := o.Dial(ctx, "tcp", at)
	if err != nil {
		return nil, fmt.Errorf("dialing %s: %w", t.url.Redacted(), err)
	}
	if secure == nil {
		return conn, nil
	}
	protected := tls.Client(conn, secure)
	if err := protected.HandshakeContext(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("securing the connection to %s: %w", t.url.Redacted(), err), conn.Close())
	}
	return protected, nil
}

// tlsConfig is the configuration for the host of a URL.
func tlsConfig(u *url.URL, o Options) *tls.Config {
	c := o.TLS.Clone()
	if c == nil {
		c = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	if c.ServerName == "" {
		c.ServerName = u.Hostname()
	}
	return c
}
