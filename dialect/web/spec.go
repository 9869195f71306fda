package web

import (
	"context"
	"net"
	"time"

	"omnibus/config"
	"omnibus/dialect"
)

// Spec is the dialect for the wiring's list.
func Spec() dialect.Spec {
	return dialect.Spec{
		Name:     "web",
		Title:    "HTTP: publish, server-sent events, calls",
		Defaults: func() dialect.Config { return Defaults() },
	}
}

// Config is the web section of the configuration.
type Config struct {
	On          bool          `yaml:"enabled" help:"Whether to speak this dialect."`
	Listen      string        `yaml:"listen" help:"Address and port of the HTTP server. Other machines can reach it when this is not a loopback address. Requests that come in by a loopback address must call the server localhost, by an IP address, or by a name that stands here or in web.origins."`
	TLS         dialect.TLS   `yaml:"tls" help:"Serve https instead of http."`
	MaxBody     config.Size   `yaml:"max_body" help:"Largest request body; larger ones are answered with status 413."`
	MaxQueue    config.Size   `yaml:"max_queue" help:"Bytes of events that wait for a listener that reads slowly; beyond it events are lost and counted."`
	MaxClients  int           `yaml:"max_clients" help:"Connections at a time."`
	MaxPatterns int           `yaml:"max_patterns" help:"Different patterns that one event stream may ask for; more are answered with status 429."`
	IOTimeout   time.Duration `yaml:"io_timeout" help:"How long each 64 KiB of a request's body or of an answer may take; a body that stalls is answered with status 408, then the connection is closed. Event streams are not concerned."`
	CallTimeout time.Duration `yaml:"call_timeout" help:"How long a call may take unless the request says ?timeout=."`
	Heartbeat   time.Duration `yaml:"heartbeat" help:"How often a quiet event stream gets a comment line, so that proxies keep it open."`
	Grace       time.Duration `yaml:"grace" help:"How long requests may take to end at shutdown."`
	Origins     []string      `yaml:"origins" help:"Web origins (https://host) whose pages may publish, call and provide services, besides this server's own. Their hosts are also names by which this server may be called."`
}

// Defaults returns the settings that work without a configuration.
func Defaults() *Config {
	return &Config{
		On:          true,
		Listen:      "127.0.0.1:8080",
		MaxBody:     25 << 20,
		MaxQueue:    4 << 20,
		MaxClients:  10_000,
		MaxPatterns: 64,
		IOTimeout:   30 * time.Second,
		CallTimeout: 30 * time.Second,
		Heartbeat:   15 * time.Second,
		Grace:       3 * time.Second,
		Origins:     []string{},
	}
}

// Enabled reports whether the dialect is to run.
func (c *Config) Enabled() bool { return c.On }

// Validate returns all that is wrong.
func (c *Config) Validate() []dialect.Problem {
	var all []dialect.Problem
	bad := func(path, text string) { all = append(all, dialect.Problem{Path: path, Text: text}) }
	if _, _, err := net.SplitHostPort(c.Listen); err != nil {
		bad("listen", "want host:port, such as 127.0.0.1:8080: "+err.Error())
	}
	all = append(all, c.TLS.Validate()...)
	if c.MaxBody < 1 {
		bad("max_body", "must be at least 1")
	}
	if c.MaxQueue < 1024 {
		bad("max_queue", "must be at least 1KiB")
	}
	if c.MaxClients < 1 {
		bad("max_clients", "must be at least 1")
	}
	if c.MaxPatterns < 1 {
		bad("max_patterns", "must be at least 1")
	}
	if c.IOTimeout <= 0 {
		bad("io_timeout", "must be more than zero")
	}
	if c.CallTimeout <= 0 {
		bad("call_timeout", "must be more than zero")
	}
	if c.Heartbeat <= 0 {
		bad("heartbeat", "must be more than zero")
	}
	if _, err := newGuard(c.Listen, c.Origins); err != nil {
		bad("origins", err.Error())
	}
	return all
}

// Open makes the server.
func (c *Config) Open(env dialect.Env) (dialect.Dialect, error) { return newServer(*c, env) }

// Listeners is the one place where clients connect.
func (s *server) Listeners() []dialect.Listener {
	return []dialect.Listener{{Option: "web.listen", Bind: s.bind}}
}

func (s *server) bind(ctx context.Context) (dialect.Bound, error) {
	return dialect.BindTCP(ctx, s.config.Listen, s.config.TLS, dialect.StreamListener{
		Scheme: "http",
		Serve:  s.serve,
	})
}
