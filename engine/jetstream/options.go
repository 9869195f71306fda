package jetstream

import (
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"time"
)

// Policy says when what is kept is flushed to the disk.
type Policy uint8

// The policies.
const (
	// Always flushes before anything is reported as durable.
	Always Policy = iota
	// Interval flushes every Options.Every: the loss of power loses what was
	// kept since the last time.
	Interval
	// Never leaves it to the operating system.
	Never
)

// String names the policy.
func (p Policy) String() string {
	switch p {
	case Always:
		return "always"
	case Interval:
		return "interval"
	case Never:
		return "never"
	default:
		return "unknown policy"
	}
}

// The settings that hold unless Options says otherwise.
const (
	DefaultName    = "omnibus"
	DefaultEvery   = time.Second
	DefaultTail    = 16 << 20
	DefaultBacklog = 64 << 20
)

// Options are the settings of an Engine. Either Dir or URL must be given.
type Options struct {
	// Dir is the data directory of the embedded server. It is made with mode
	// 0700 and locked as long as the engine is open.
	Dir string
	// URL are addresses of an external NATS cluster, with commas between
	// them. Its streams belong to one engine at a time.
	URL string
	// Credentials is a file with the credentials for URL, if it asks for one.
	Credentials string
	// TLS is used for URL.
	TLS *tls.Config
	// Replicas is how many servers at URL hold each stream; 0 is three for
	// Always and one otherwise. It matters when a stream is made.
	Replicas int
	// SyncsAlways states that every server at URL has sync_interval: always.
	// A client cannot see that, so Always demands the statement.
	SyncsAlways bool

	// Name begins the names of all streams; empty is DefaultName. Engines
	// with different names can share an external cluster.
	Name string
	// Flush says when an embedded engine flushes, and Every how often for
	// Interval; 0 is DefaultEvery.
	Flush Policy
	Every time.Duration

	// MaxAge and MaxBytes bound the journal by how long ago an entry was
	// stored and by the size of the stream. 0 is no bound.
	MaxAge   time.Duration
	MaxBytes int64
	// MinFree is how much of the disk an embedded engine leaves to others:
	// with less it stores nothing more. 0 is a 64th of the disk, at most 256
	// MiB; below zero it takes all there is.
	MinFree int64
	// Tail bounds the memory for the newest entries, and Backlog what may
	// wait to be stored and flushed, for the journal and for the records
	// each; beyond it Append and Put wait. 0 are the defaults. A tail below
	// zero keeps only what is not stored yet.
	Tail    int64
	Backlog int64

	// Log gets what the server says and what the engine meets in the
	// background; nil discards it.
	Log *slog.Logger

	// Seams of the tests.
	hooks hooks
}

// hooks let tests fail what the operating system does.
type hooks struct {
	sync      func(dir string) error // before each flush
	plainSync bool                   // as on systems without syncfs
	room      func() error           // before each store
}

var goodName = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)

// withDefaults fills in what is not set and checks what is.
func (o Options) withDefaults() (Options, error) {
	var errs []error
	if (o.Dir == "") == (o.URL == "") {
		errs = append(errs, errors.New("either a data directory or the URL of a cluster is needed"))
	}
	if o.Name == "" {
		o.Name = DefaultName
	}
	if !goodName.MatchString(o.Name) {
		errs = append(errs, fmt.Errorf("name %q: it may have letters, digits, - and _, at most 64", o.Name))
	}
	if o.Flush > Never {
		errs = append(errs, fmt.Errorf("flush policy %d is none", o.Flush))
	}
	if o.Flush == Interval && o.Every == 0 {
		o.Every = DefaultEvery
	}
	if o.Every < 0 || o.MaxAge < 0 || o.MaxBytes < 0 || o.Backlog < 0 || o.Replicas < 0 {
		errs = append(errs, errors.New("ages, sizes and numbers cannot be negative"))
	}
	if o.URL == "" && (o.Replicas != 0 || o.SyncsAlways || o.Credentials != "" || o.TLS != nil) {
		errs = append(errs, errors.New("replicas, credentials, TLS and sync_interval are those of an external cluster, but no URL is given"))
	}
	if o.Replicas == 0 {
		o.Replicas = 1
		if o.URL != "" && o.Flush == Always {
			o.Replicas = 3
		}
	}
	if o.Tail == 0 {
		o.Tail = DefaultTail
	}
	if o.Backlog == 0 {
		o.Backlog = DefaultBacklog
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return o, errors.Join(errs...)
}
