// Package app is the wiring: it turns a configuration into a broker with its
// engine and dialects, binds every listener before any of them serves, and
// ends them in the reverse order. It owns no rules of its own; what it decides
// is who is handed to whom.
package app

import (
	"fmt"
	"log/slog"
	"os"
	"slices"
	"time"

	"omnibus/auth"
	"omnibus/bridge"
	"omnibus/broker"
	"omnibus/bus"
	"omnibus/config"
	"omnibus/dialect"
)

// Settings are everything that can be configured, with the defaults that work
// until a file or flag changes them.
type Settings struct {
	Log      LogSettings
	Broker   BrokerSettings
	Dialects []DialectSettings
	Bridges  bridge.List
}

// LogSettings is the log section.
type LogSettings struct {
	Level  string `yaml:"level" help:"Least important lines to write: debug, info, warn or error."`
	Format string `yaml:"format" help:"text or json. Lines go to standard error."`
}

// BrokerSettings is the broker section.
type BrokerSettings struct {
	CallTimeout time.Duration  `yaml:"call_timeout" help:"How long a call of a service may take when the caller sets no deadline."`
	Policy      string         `yaml:"policy" help:"Which of several providers of one service is called: first-up, round-robin or least-busy."`
	Grace       time.Duration  `yaml:"grace" help:"How long handlers may take to finish at shutdown."`
	Deny        []string       `yaml:"deny" help:"What nobody may do, each as ACTION PATTERN, such as publish secret/#; the actions are publish, subscribe, receive, call and expose."`
	Limits      LimitsSettings `yaml:"limits" help:"What peers may take; -1 for a number is no limit. omnibus.status counts what was refused."`
}

// LimitsSettings bound peers.
type LimitsSettings struct {
	Peers         int         `yaml:"peers" help:"Peers connected at a time."`
	Sessions      int         `yaml:"sessions" help:"Sessions kept for clients that are away."`
	Subscriptions int         `yaml:"subscriptions" help:"Subscriptions of one peer."`
	Services      int         `yaml:"services" help:"Services that one peer exposes."`
	Calls         int         `yaml:"calls" help:"Calls of one peer under way at a time."`
	MessageBytes  config.Size `yaml:"message_bytes" help:"Largest payload of a message."`
	Retained      int         `yaml:"retained" help:"Retained values."`
	RetainedBytes config.Size `yaml:"retained_bytes" help:"What all retained values take together: payloads, names and headers, and about 512 bytes each."`
}

// DialectSettings is the section of one dialect.
type DialectSettings struct {
	Spec   dialect.Spec
	Config dialect.Config
}

// Defaults returns the settings for a list of dialects.
func Defaults(specs []dialect.Spec) *Settings {
	l := broker.DefaultLimits()
	s := &Settings{
		Log: LogSettings{Level: "info", Format: "text"},
		Broker: BrokerSettings{
			CallTimeout: bus.DefaultCallTimeout,
			Policy:      bus.FirstUp.String(),
			Grace:       5 * time.Second,
			Deny:        []string{},
			Limits: LimitsSettings{
				Peers: l.Peers, Sessions: l.Sessions, Subscriptions: l.Subscriptions, Services: l.Services, Calls: l.Calls,
				MessageBytes: config.Size(l.MessageBytes), Retained: l.Retained, RetainedBytes: config.Size(l.RetainedBytes),
			},
		},
	}
	for _, spec := range specs {
		s.Dialects = append(s.Dialects, DialectSettings{Spec: spec, Config: spec.Defaults()})
	}
	return s
}

// Sections are the top-level keys of the configuration file.
func (s *Settings) Sections() []config.Section {
	all := []config.Section{
		{Name: "log", Help: "What is written to standard error.", Value: &s.Log},
		{Name: "broker", Help: "What joins the dialects.", Value: &s.Broker},
	}
	for _, d := range s.Dialects {
		all = append(all, config.Section{Name: d.Spec.Name, Help: d.Spec.Title + ".", Value: d.Config})
	}
	return append(all, config.Section{
		Name: "bridges", Help: "Other MQTT brokers that are joined to this one; see docs/bridges.md.", Value: &s.Bridges,
	})
}

// Load reads a configuration file into the settings; the error names every
// problem with its line.
func (s *Settings) Load(file string) error {
	data, err := os.ReadFile(file)
	if err != nil {
		return fmt.Errorf("reading the configuration: %w", err)
	}
	return config.Parse(file, data, s.Sections(), s.problems)
}

// Check validates settings that were changed by flags.
func (s *Settings) Check() error {
	return config.Parse("", nil, s.Sections(), s.problems)
}

// Set changes one setting by its path, such as "mycroft.listen".
func (s *Settings) Set(path, value string) error { return config.Set(s.Sections(), path, value) }

// problems validates one section.
func (s *Settings) problems(section config.Section) []config.Problem {
	var found []dialect.Problem
	switch v := section.Value.(type) {
	case dialect.Config:
		found = v.Validate()
	case *LogSettings:
		found = v.validate()
	case *BrokerSettings:
		found = v.validate()
	case *bridge.List:
		found = v.Validate()
	}
	all := make([]config.Problem, len(found))
	for i, p := range found {
		all[i] = config.Problem{Path: p.Path, Text: p.Text}
	}
	return all
}

func (l *LogSettings) validate() (all []dialect.Problem) {
	if _, err := l.level(); err != nil {
		all = append(all, dialect.Problem{Path: "level", Text: "want debug, info, warn or error"})
	}
	if !slices.Contains([]string{"text", "json"}, l.Format) {
		all = append(all, dialect.Problem{Path: "format", Text: "want text or json"})
	}
	return all
}

func (l *LogSettings) level() (slog.Level, error) {
	var level slog.Level
	err := level.UnmarshalText([]byte(l.Level))
	return level, err
}

func (b *BrokerSettings) validate() (all []dialect.Problem) {
	if b.CallTimeout <= 0 {
		all = append(all, dialect.Problem{Path: "call_timeout", Text: "must be more than zero"})
	}
	if _, ok := bus.ParsePolicy(b.Policy); !ok {
		all = append(all, dialect.Problem{Path: "policy", Text: "want first-up, round-robin or least-busy"})
	}
	if b.Grace <= 0 {
		all = append(all, dialect.Problem{Path: "grace", Text: "must be more than zero"})
	}
	for i, rule := range b.Deny {
		if _, err := broker.NewDeny([]string{rule}); err != nil {
			all = append(all, dialect.Problem{Path: fmt.Sprintf("deny[%d]", i), Text: err.Error()})
		}
	}
	return append(all, b.Limits.validate()...)
}

// validate refuses zero, which the broker would take for its default.
func (l *LimitsSettings) validate() (all []dialect.Problem) {
	for _, x := range []struct {
		name string
		n    int64
	}{
		{"peers", int64(l.Peers)},
		{"sessions", int64(l.Sessions)},
		{"subscriptions", int64(l.Subscriptions)},
		{"services", int64(l.Services)},
		{"calls", int64(l.Calls)},
		{"message_bytes", int64(l.MessageBytes)},
		{"retained", int64(l.Retained)},
		{"retained_bytes", int64(l.RetainedBytes)},
	} {
		if x.n == 0 {
			all = append(all, dialect.Problem{Path: "limits." + x.name, Text: "must not be 0"})
		}
	}
	return all
}

// options are the broker's.
func (b *BrokerSettings) options() broker.Options {
	l := b.Limits
	policy, _ := bus.ParsePolicy(b.Policy) // validated
	var access auth.Authorizer = auth.Open{}
	if len(b.Deny) > 0 {
		access, _ = broker.NewDeny(b.Deny) // validated
	}
	return broker.Options{
		Access:      access,
		CallTimeout: b.CallTimeout,
		Policy:      policy,
		Limits: broker.Limits{
			Peers: l.Peers, Sessions: l.Sessions, Subscriptions: l.Subscriptions, Services: l.Services, Calls: l.Calls,
			MessageBytes: int(l.MessageBytes), Retained: l.Retained, RetainedBytes: int64(l.RetainedBytes),
		},
	}
}
