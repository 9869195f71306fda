package dialect

import (
	"context"
	"log/slog"

	"omnibus/bus"
)

// Spec is a dialect as the wiring knows it.
type Spec struct {
	// Name is the dialect's name: its key in the configuration, its label in
	// counters and logs.
	Name string
	// Title says in one line what it speaks to whom.
	Title string
	// Defaults returns a Config that holds the defaults and can be decoded
	// into.
	Defaults func() Config
}

// Config is a dialect's settings, a pointer to a struct with yaml and help
// tags; it is also the constructor.
type Config interface {
	// Enabled reports whether the dialect is to run.
	Enabled() bool
	// Validate returns all that is wrong, each with the setting's path below
	// the dialect's section ("tls.cert").
	Validate() []Problem
	// Open makes the dialect. It binds nothing.
	Open(Env) (Dialect, error)
}

// Problem is one thing wrong with a configuration.
type Problem struct {
	Path string // "listen", "tls.cert"
	Text string // what is wrong and what would be right
}

// Env is what a dialect is given to live with.
type Env struct {
	Port Port
	// Log is the dialect's own logger.
	Log *slog.Logger
	// Counter returns the counter of that name in the dialect's group,
	// always the same one.
	Counter func(name string) Counter
	// Version is the program's.
	Version string
}

// Counter counts events.
type Counter interface{ Add(n int64) }

// Dialect is an opened dialect.
type Dialect interface {
	// Listeners are the places where it meets the outside.
	Listeners() []Listener
}

// Listener is one such place.
type Listener struct {
	// Option is the setting that says where ("mycroft.listen").
	Option string
	// Bind takes the place; nothing is served before Run. Errors say which
	// address and why.
	Bind func(ctx context.Context) (Bound, error)
}

// Bound is a listener that has its place.
type Bound interface {
	// URL is what people and clients type to come here.
	URL() string
	// Exposed reports whether other machines can reach it.
	Exposed() bool
	// Run serves until ctx ends and returns when all it started has ended.
	// Once Run has been called it owns the place; before, Close gives it up.
	Run(ctx context.Context) error
	Close() error
}

// Codes is a table from kinds of error to a dialect's own codes. Every dialect
// has one and it names them all.
type Codes[C any] [bus.Kinds]C

// Of returns the code for an error.
func (t *Codes[C]) Of(err error) C { return t[bus.KindOf(err)] }
