package mqtt

import (
	"context"
	"crypto/tls"
	"fmt"
	"math"
	"net"
	"strings"
	"time"

	"omnibus/carrier"
	"omnibus/config"
	"omnibus/dialect"
)

// Spec is the dialect for the wiring's list.
func Spec() dialect.Spec {
	return dialect.Spec{
		Name:     "mqtt",
		Title:    "MQTT 3.1, 3.1.1 and 5.0 (TCP, TLS, WebSocket, unix socket)",
		Defaults: func() dialect.Config { return Defaults() },
	}
}

// Config is the mqtt section of the configuration.
type Config struct {
	On               bool            `yaml:"enabled" help:"Whether to speak this dialect."`
	Listen           string          `yaml:"listen" help:"Address and port for MQTT over TCP; empty does without. Other machines can reach it when this is not a loopback address."`
	TLS              TLSConfig       `yaml:"tls" help:"MQTT over TLS, in addition."`
	WebSocket        WebSocketConfig `yaml:"websocket" help:"MQTT over WebSocket, in addition."`
	Unix             string          `yaml:"unix" help:"Path of a unix socket to listen on, in addition; empty does without."`
	MaxPacket        config.Size     `yaml:"max_packet" help:"Largest packet accepted; version 5 clients are told. A client that sends more is disconnected."`
	MaxQueue         config.Size     `yaml:"max_queue" help:"Bytes that wait for a client that reads slowly."`
	SlowClients      string          `yaml:"slow_clients" help:"What happens to a client whose queue is full: drop loses messages of QoS 0, disconnect ends its connection."`
	MaxClients       int             `yaml:"max_clients" help:"Connections at a time, for each place to listen."`
	ConnectTimeout   time.Duration   `yaml:"connect_timeout" help:"How long a connection may take until it has sent CONNECT."`
	MaxKeepAlive     time.Duration   `yaml:"max_keep_alive" help:"Longest keep-alive; clients that ask for more or for none get this one, and those of version 5 are told. 0 is no limit."`
	ReceiveMaximum   int             `yaml:"receive_maximum" help:"Messages of QoS 1 and 2 that a version 5 client may send before the first is acknowledged."`
	MaxInflight      int             `yaml:"max_inflight" help:"Messages of QoS 1 and 2 that are sent to a client before the first is acknowledged; its own receive maximum may be less."`
	TopicAliases     int             `yaml:"topic_aliases" help:"Topic aliases of a version 5 connection, in each direction. 0 is none."`
	MaxSessionExpiry time.Duration   `yaml:"max_session_expiry" help:"Longest time that a session waits for its client; version 5 clients are told. 0 is no limit."`
	SessionMessages  int             `yaml:"session_messages" help:"Messages of QoS 1 and 2 that wait for one client; further ones are lost and counted."`
	SessionBytes     config.Size     `yaml:"session_bytes" help:"Bytes of the messages that wait for one client: payloads, topics and headers; as much again may be sent to it and not acknowledged."`
	CallTimeout      time.Duration   `yaml:"call_timeout" help:"How long a service may take to answer a client that sets no deadline."`
	StatusInterval   time.Duration   `yaml:"status_interval" help:"How often $SYS topics are published while somebody subscribes to them. 0 does without."`
	Grace            time.Duration   `yaml:"grace" help:"How long clients' queues may take to be flushed at shutdown."`
}

// TLSConfig is where and how TLS is served.
type TLSConfig struct {
	Listen   string `yaml:"listen" help:"Address and port for MQTT over TLS; used when cert is set."`
	Cert     string `yaml:"cert" help:"Certificate file (PEM); empty is no TLS."`
	Key      string `yaml:"key" help:"Private key file (PEM)."`
	ClientCA string `yaml:"client_ca" help:"Authorities (PEM) that sign client certificates; when set, every client must have one."`
}

// WebSocketConfig is where WebSockets are served.
type WebSocketConfig struct {
	Listen  string      `yaml:"listen" help:"Address and port for MQTT over WebSocket; empty does without."`
	Path    string      `yaml:"path" help:"Path of the WebSocket."`
	TLS     dialect.TLS `yaml:"tls" help:"Serve wss instead of ws."`
	Origins []string    `yaml:"origins" help:"Web origins (https://host) whose pages may connect, besides this machine's and this server's own; \"*\" allows every page."`
}

// What happens to clients whose queue is full.
const (
	dropSlow       = "drop"
	disconnectSlow = "disconnect"
)

// Defaults returns the settings that work without a configuration.
func Defaults() *Config {
	return &Config{
		On:              true,
		Listen:          "127.0.0.1:1883",
		TLS:             TLSConfig{Listen: "127.0.0.1:8883"},
		WebSocket:       WebSocketConfig{Listen: "127.0.0.1:8083", Path: "/mqtt", Origins: []string{}},
		MaxPacket:       32 << 20,
		MaxQueue:        1 << 20,
		SlowClients:     dropSlow,
		MaxClients:      100_000,
		ConnectTimeout:  10 * time.Second,
		ReceiveMaximum:  1024,
		MaxInflight:     1024,
		TopicAliases:    64,
		SessionMessages: 100_000,
		SessionBytes:    64 << 20,
		CallTimeout:     10 * time.Second,
		StatusInterval:  10 * time.Second,
		Grace:           3 * time.Second,
	}
}

// Enabled reports whether the dialect is to run.
func (c *Config) Enabled() bool { return c.On }

// minPacket is the least that max_packet can be: a CONNECT with some properties.
const minPacket = 128

// Validate returns all that is wrong.
func (c *Config) Validate() []dialect.Problem {
	var all []dialect.Problem
	bad := func(path, text string) { all = append(all, dialect.Problem{Path: path, Text: text}) }
	address := func(path, address string, needed bool) {
		if address == "" && !needed {
			return
		}
		if _, _, err := net.SplitHostPort(address); err != nil {
			bad(path, "want host:port, such as 127.0.0.1:1883: "+err.Error())
		}
	}
	between := func(path string, n, low, high int) {
		if n < low || n > high {
			bad(path, fmt.Sprintf("must be from %d to %d", low, high))
		}
	}
	notNegative := func(path string, d time.Duration) {
		if d < 0 {
			bad(path, "must not be negative")
		}
	}
	address("listen", c.Listen, false)
	address("tls.listen", c.TLS.Listen, c.TLS.Cert != "")
	if (c.TLS.Cert == "") != (c.TLS.Key == "") {
		bad("tls", "cert and key go together")
	}
	if c.TLS.ClientCA != "" && c.TLS.Cert == "" {
		bad("tls.client_ca", "needs cert and key")
	}
	address("websocket.listen", c.WebSocket.Listen, false)
	if !strings.HasPrefix(c.WebSocket.Path, "/") {
		bad("websocket.path", "must begin with /")
	}
	for _, p := range c.WebSocket.TLS.Validate() {
		bad("websocket."+p.Path, p.Text)
	}
	for i, o := range c.WebSocket.Origins {
		if _, err := carrier.AllowOrigins(o); err != nil {
			bad(fmt.Sprintf("websocket.origins[%d]", i), err.Error())
		}
	}
	between("max_packet", int(c.MaxPacket), minPacket, 256<<20)
	between("max_queue", int(c.MaxQueue), 1<<10, math.MaxInt)
	if c.SlowClients != dropSlow && c.SlowClients != disconnectSlow {
		bad("slow_clients", "want "+dropSlow+" or "+disconnectSlow)
	}
	between("max_clients", c.MaxClients, 1, math.MaxInt)
	if c.ConnectTimeout <= 0 {
		bad("connect_timeout", "must be more than zero")
	}
	if c.MaxKeepAlive != 0 && (c.MaxKeepAlive < time.Second || c.MaxKeepAlive > math.MaxUint16*time.Second) {
		bad("max_keep_alive", "must be 0, or from 1s to 18h12m15s")
	}
	between("receive_maximum", c.ReceiveMaximum, 1, math.MaxUint16)
	between("max_inflight", c.MaxInflight, 1, math.MaxUint16)
	between("topic_aliases", c.TopicAliases, 0, math.MaxUint16)
	notNegative("max_session_expiry", c.MaxSessionExpiry)
	between("session_messages", c.SessionMessages, 1, math.MaxInt)
	between("session_bytes", int(c.SessionBytes), 1, math.MaxInt)
	if c.CallTimeout <= 0 {
		bad("call_timeout", "must be more than zero")
	}
	notNegative("status_interval", c.StatusInterval)
	notNegative("grace", c.Grace)
	return all
}

// Open makes the server.
func (c *Config) Open(env dialect.Env) (dialect.Dialect, error) {
	origins, err := carrier.AllowOrigins(c.WebSocket.Origins...)
	if err != nil {
		return nil, err
	}
	return newServer(*c, env, origins), nil
}

// Listeners are the places that are configured.
func (s *server) Listeners() []dialect.Listener {
	var all []dialect.Listener
	add := func(option string, bind func(ctx context.Context) (dialect.Bound, error)) {
		all = append(all, dialect.Listener{Option: option, Bind: bind})
	}
	c := &s.config
	if c.Listen != "" {
		add("mqtt.listen", func(ctx context.Context) (dialect.Bound, error) {
			return s.bind(ctx, "mqtt", carrier.Endpoint{Network: "tcp", Address: c.Listen})
		})
	}
	if c.TLS.Cert != "" {
		add("mqtt.tls.listen", func(ctx context.Context) (dialect.Bound, error) {
			var t *tls.Config
			t, err := carrier.LoadTLS(c.TLS.Cert, c.TLS.Key, c.TLS.ClientCA)
			if err != nil {
				return nil, err
			}
			return s.bind(ctx, "mqtts", carrier.Endpoint{Network: "tcp", Address: c.TLS.Listen, TLS: t})
		})
	}
	if c.WebSocket.Listen != "" {
		add("mqtt.websocket.listen", func(ctx context.Context) (dialect.Bound, error) {
			return dialect.BindTCP(ctx, c.WebSocket.Listen, c.WebSocket.TLS, dialect.StreamListener{
				Scheme: "ws", Path: c.WebSocket.Path, Serve: s.serveWith(s.webSocket),
			})
		})
	}
	if c.Unix != "" {
		add("mqtt.unix", func(ctx context.Context) (dialect.Bound, error) {
			return s.bind(ctx, "mqtt+unix", carrier.Endpoint{Network: "unix", Address: c.Unix})
		})
	}
	return all
}

func (s *server) bind(ctx context.Context, scheme string, at carrier.Endpoint) (dialect.Bound, error) {
	return dialect.BindStream(ctx, dialect.StreamListener{Endpoint: at, Scheme: scheme, Serve: s.serveWith(s.stream)})
}
