package mycroft

import (
	"context"
	"fmt"
	"net"
	"strings"
	"time"

	"omnibus/carrier"
	"omnibus/config"
	"omnibus/dialect"
	"omnibus/topic"
)

// Spec is the dialect for the wiring's list.
func Spec() dialect.Spec {
	return dialect.Spec{
		Name:     "mycroft",
		Title:    "Mycroft and OVOS message bus (WebSocket)",
		Defaults: func() dialect.Config { return Defaults() },
	}
}

// Config is the mycroft section of the configuration.
type Config struct {
	On            bool          `yaml:"enabled" help:"Whether to speak this dialect."`
	Listen        string        `yaml:"listen" help:"Address and port of the hub. Other machines can reach it when this is not a loopback address."`
	Route         string        `yaml:"route" help:"Path of the WebSocket; clients are refused on any other."`
	TLS           dialect.TLS   `yaml:"tls" help:"Serve wss instead of ws."`
	MaxMessage    config.Size   `yaml:"max_message" help:"Largest frame accepted; a client that sends more is disconnected (close code 1009)."`
	MaxQueue      config.Size   `yaml:"max_queue" help:"Bytes that wait for a client that reads slowly; beyond it the client is disconnected."`
	MaxClients    int           `yaml:"max_clients" help:"Clients connected at a time."`
	Grace         time.Duration `yaml:"grace" help:"How long clients' queues may take to be flushed at shutdown."`
	CallTimeout   time.Duration `yaml:"call_timeout" help:"How long the hub waits for a service before it answers a client with an error."`
	RelayAnything bool          `yaml:"relay_anything" help:"Also relay frames that are not JSON objects, and messages named like the clients' local events. Old clients reconnect when they get one."`
	PingInterval  time.Duration `yaml:"ping_interval" help:"A client that has been quiet for so long is pinged. 0 does without: a client that vanishes is then found when something is sent to it."`
	PingTimeout   time.Duration `yaml:"ping_timeout" help:"How long a pinged client may take to be heard of; then it is disconnected."`
	CheckSessions bool          `yaml:"check_sessions" help:"Drop messages whose context.session is not an object, and tell all clients so, as newer OVOS does. Older OVOS clients reconnect when they get one."`
	Filter        bool          `yaml:"filter" help:"Log every message of a client, but those of the types under filter_logs."`
	FilterLogs    []string      `yaml:"filter_logs" help:"Message types that filter does not log."`
	AnswersTo     bool          `yaml:"answers_to_destination" help:"Send .response and .handling messages only to the clients that are their destination, when the hub knows them by the source of what they sent."`
	MaxPatterns   int           `yaml:"max_patterns" help:"Types and patterns that one client may ask for."`
	Export        []string      `yaml:"export" help:"Topics that are sent to the hub's clients."`
	Origins       []string      `yaml:"origins" help:"Web origins (https://host) whose pages may connect, besides this machine's and this server's own; \"*\" allows every page, as the original hubs do."`
	Services      []string      `yaml:"services" help:"Message types that skills answer; the rest of the bus can call them."`
}

// Defaults returns the settings that work without a configuration.
func Defaults() *Config {
	return &Config{
		On:          true,
		Listen:      "127.0.0.1:8181",
		Route:       "/core",
		MaxMessage:  25 << 20,
		MaxQueue:    32 << 20,
		MaxClients:  10_000,
		Grace:       3 * time.Second,
		CallTimeout: 10 * time.Second,

		PingInterval:  30 * time.Second,
		PingTimeout:   time.Minute,
		CheckSessions: true,
		FilterLogs:    []string{"gui.status.request", "gui.page.upload"},
		MaxPatterns:   100,

		Export:   defaultExport(),
		Origins:  []string{},
		Services: []string{},
	}
}

// Enabled reports whether the dialect is to run.
func (c *Config) Enabled() bool { return c.On }

// Validate returns all that is wrong.
func (c *Config) Validate() []dialect.Problem {
	var all []dialect.Problem
	bad := func(path, text string) { all = append(all, dialect.Problem{Path: path, Text: text}) }
	if _, _, err := net.SplitHostPort(c.Listen); err != nil {
		bad("listen", "want host:port, such as 127.0.0.1:8181: "+err.Error())
	}
	if !strings.HasPrefix(c.Route, "/") {
		bad("route", "must begin with /")
	}
	all = append(all, c.TLS.Validate()...)
	if c.MaxMessage < 1 {
		bad("max_message", "must be at least 1")
	}
	if c.MaxQueue < c.MaxMessage {
		bad("max_queue", "must hold at least one message of max_message")
	}
	if c.MaxClients < 1 {
		bad("max_clients", "must be at least 1")
	}
	if c.CallTimeout <= 0 {
		bad("call_timeout", "must be more than zero")
	}
	if c.Grace < 0 {
		bad("grace", "must not be negative")
	}
	switch {
	case c.PingInterval < 0:
		bad("ping_interval", "must not be negative")
	case c.PingInterval > 0 && c.PingTimeout <= 0:
		bad("ping_timeout", "must be more than zero")
	}
	if c.MaxPatterns < 0 {
		bad("max_patterns", "must not be negative")
	}
	for i, text := range c.Export {
		if _, err := topic.Parse(text); err != nil {
			bad(fmt.Sprintf("export[%d]", i), err.Error())
		}
	}
	for i, o := range c.Origins {
		if _, err := carrier.AllowOrigins(o); err != nil {
			bad(fmt.Sprintf("origins[%d]", i), err.Error())
		}
	}
	for i, name := range c.Services {
		if err := topic.CheckName(name); err != nil {
			bad(fmt.Sprintf("services[%d]", i), err.Error())
		} else if isLocalEvent(name) {
			bad(fmt.Sprintf("services[%d]", i), fmt.Sprintf("%q: clients take a message of this type for an event of their own connection", name))
		}
	}
	return all
}

// Open makes the hub.
func (c *Config) Open(env dialect.Env) (dialect.Dialect, error) {
	export, err := dialect.NewSelection(c.Export)
	if err != nil {
		return nil, err
	}
	origins, err := carrier.AllowOrigins(c.Origins...)
	if err != nil {
		return nil, err
	}
	return &server{config: *c, hub: newHub(*c, env, export, origins)}, nil
}

// server is the opened dialect.
type server struct {
	config Config
	hub    *hub
}

// Listeners is the one place where clients connect.
func (s *server) Listeners() []dialect.Listener {
	return []dialect.Listener{{Option: "mycroft.listen", Bind: s.bind}}
}

func (s *server) bind(ctx context.Context) (dialect.Bound, error) {
	return dialect.BindTCP(ctx, s.config.Listen, s.config.TLS, dialect.StreamListener{
		Scheme: "ws",
		Path:   s.config.Route,
		Serve:  s.hub.serve,
	})
}
