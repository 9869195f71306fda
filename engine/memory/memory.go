package memory

import (
	"omnibus/engine"
)

// The bounds of a journal unless Options says otherwise.
const (
	DefaultMaxEntries = 100_000
	DefaultMaxBytes   = 64 << 20
)

// Options are the settings of an Engine. The zero value works.
type Options struct {
	// MaxEntries bounds the journal; 0 is DefaultMaxEntries.
	MaxEntries int
	// MaxBytes bounds the memory of the journal, in which each entry counts
	// for a little more than the bytes it carries, and that of each record by
	// itself; 0 is DefaultMaxBytes.
	MaxBytes int64
}

// Stats are figures of the journal.
type Stats struct {
	Entries int
	Bytes   int64
	// GivenUp counts the entries that had to go because the journal was
	// full, not those that Trim gave up.
	GivenUp uint64
}

// Engine keeps things in memory.
type Engine struct {
	journal journal
	records records
}

var _ engine.Engine = (*Engine)(nil)

// New returns an engine that is empty and ready to use.
func New(o Options) *Engine {
	if o.MaxEntries <= 0 {
		o.MaxEntries = DefaultMaxEntries
	}
	if o.MaxBytes <= 0 {
		o.MaxBytes = DefaultMaxBytes
	}
	e := new(Engine)
	e.journal.opts = o
	e.journal.first = 1
	e.records.maxBytes = o.MaxBytes
	e.records.tables = make(map[engine.Table]map[string][]byte)
	return e
}

// Promise says that nothing outlives the process.
func (e *Engine) Promise() engine.Promise {
	return engine.Promise{Name: "memory", Durability: engine.Process}
}

// Journal returns the journal.
func (e *Engine) Journal() engine.Journal { return &e.journal }

// Records returns the records.
func (e *Engine) Records() engine.Records { return &e.records }

// Stats returns the figures of the journal.
func (e *Engine) Stats() Stats { return e.journal.stats() }

// Close forgets everything.
func (e *Engine) Close() error {
	e.journal.close()
	e.records.close()
	return nil
}
