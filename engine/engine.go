// Package engine is the contract for what a broker keeps. An engine holds four
// things and nothing else:
//
//   - the journal: messages that some durable interest matched, and the small
//     steps of their delivery, in one order;
//   - the retained set: for each topic the value that new subscribers get;
//   - sessions: what must be known of an absent client;
//   - services, keys and rules that must outlive a restart.
//
// The last three are records: bytes under a key in a table.
//
// # Order
//
// Append puts entries into the journal in the order given. Each has a position
// above zero: those of one call are consecutive, those of a later call are
// greater, and none is ever used again, also after a restart or when the
// journal was empty in between. Once Read has returned an entry, or none,
// nothing is ever inserted before it: a reader that goes on from the position
// after the last one it saw misses nothing.
//
// One call of Append is atomic. Readers see all of its entries or none (a Read
// may end in their midst, the next one goes on). After a crash all of them are
// there or none; what is missing is then a whole number of the last calls.
//
// Put and Delete are ordered with each other for one key. A record is replaced
// as a whole or not at all.
//
// # Durability
//
// An entry can be read as soon as Append returns; it is durable once Flushed
// reports its position. When flushing fails, Flushed says so, and who waits
// refuses the acknowledgement. Records are durable when a
// Sync that began after the change has returned without an error. Engines flush
// many changes with one operation; nobody waits for a flush on the live path.
// Close flushes everything: unless it fails, what was accepted before it is
// there when the engine is opened again.
//
// What "durable" means, and what else an engine can do, it says in its
// [Promise]. A configuration that asks for more is refused at start.
//
// # Limits
//
// An engine may bound the journal by a setting. When it is full the oldest
// entries go, as by Trim, and the engine counts them. An entry, a batch or a
// record that it could not hold even if it held nothing else is refused with
// ErrTooLarge; one for which there is only no room now, with ErrFull. How many
// records there are is bounded by whoever puts them.
//
// Topics of at least 65,535 bytes, keys of at least 70,000, and payloads and
// records of at least 1 MiB are accepted, unless a bound that was set is lower;
// larger ones are stored whole or refused with ErrTooLarge. All bytes are
// stored as they are. Nil and empty are the same, for payloads, headers and
// records.
//
// # Ownership
//
// Engines copy what they are given before they return, and change none of it.
// What they return must not be changed, and stays valid for ever.
//
// Engines are safe for use by many goroutines. Close flushes what was appended
// and releases everything; afterwards every method that returns an error
// answers ErrClosed, the journal has the bounds of an empty one that ended where
// it did, and Close does nothing. The errors named here may be wrapped.
package engine

import (
	"context"
	"errors"

	"omnibus/bus"
	"omnibus/payload"
)

// The errors of an engine.
var (
	// ErrClosed: the engine has been closed. Nothing was stored.
	ErrClosed = errors.New("the engine is closed")
	// ErrTrimmed: what was asked for is no longer in the journal.
	ErrTrimmed = errors.New("no longer in the journal")
	// ErrFull: there is no room now (disk full, read-only). What was refused
	// was not stored; it may be tried again.
	ErrFull = errors.New("no room to store it")
	// ErrTooLarge: it is beyond what the engine can hold at all. It was not
	// stored; trying again does not help.
	ErrTooLarge = errors.New("too large to be stored")
)

// Durability is what survives once something is flushed.
type Durability uint8

// The degrees, each including those before it.
const (
	// Process: nothing outlives the process.
	Process Durability = iota
	// Crash: survives the death of the process, not of the machine.
	Crash
	// PowerLoss: survives the loss of power.
	PowerLoss
	// NodeLoss: survives the loss of a machine.
	NodeLoss
)

// String names the degree.
func (d Durability) String() string {
	switch d {
	case Process:
		return "process"
	case Crash:
		return "crash"
	case PowerLoss:
		return "power loss"
	case NodeLoss:
		return "node loss"
	default:
		return "unknown durability"
	}
}

// Promise is what an engine can keep.
type Promise struct {
	Name       string // for people: "memory", "jetstream (embedded)"
	Durability Durability
}

// Engine keeps things.
type Engine interface {
	// Promise says what it can keep. It never changes.
	Promise() Promise
	// Journal returns the one journal, always the same.
	Journal() Journal
	// Records returns the records, always the same.
	Records() Records
	// Close flushes and releases everything, and waits for calls that are
	// under way.
	Close() error
}

// EntryKind tells messages from steps.
type EntryKind uint8

// The kinds of entry.
const (
	// MessageEntry is a published message.
	MessageEntry EntryKind = iota
	// StepEntry is a step of a delivery: a small record of one session,
	// appended in the same flush group as messages.
	StepEntry
)

// Entry is one item of the journal. All fields are kept, whatever the kind: a
// message that waits for a handshake has a session and a step, too.
type Entry struct {
	Position bus.Position // in what Read returns; Append does not look at it
	Time     int64        // when it was appended, Unix nanoseconds; set by the caller
	Kind     EntryKind
	Tenant   string

	// Of a message.
	Topic   string
	Form    payload.Form
	Payload []byte
	Headers []bus.Header
	ID      string // the identity a message keeps through bridges
	From    string // the link it came in by, so that it does not go back there
	QoS     uint8
	Retain  bool
	Expires int64 // Unix nanoseconds, 0 is never

	// Of a step.
	Session string
	Step    []byte
}

// Journal is the one log that all durable interest reads.
type Journal interface {
	// Append stores entries in order and returns the position of the last.
	// Without entries it does nothing and returns zero. After ErrFull,
	// ErrTooLarge and ErrClosed none of them is stored; after any other error
	// it is not known, and they may still turn up.
	Append(entries ...*Entry) (bus.Position, error)
	// Flushed returns the position up to which all is durable, which never
	// falls. When err is not nil flushing has failed: what lies beyond upto
	// is not known to be durable, though it can be read and may yet turn out
	// to be kept. err is nil again when the engine has recovered. After Close
	// upto is final and err is ErrClosed. changed is closed as soon as upto
	// or err is another; after Close it is closed already.
	//
	// Who waits for a position looks at upto first: once it is reached, the
	// position is durable and may be acknowledged, whatever err is. If it is
	// not and err is not nil, the acknowledgement is refused for good, so
	// that the sender tries again or gives up. Otherwise one waits for
	// changed and asks again.
	Flushed() (upto bus.Position, changed <-chan struct{}, err error)
	// Read returns up to max entries from the first whose position is at
	// least from, in order. It may return fewer, but none only at the end,
	// where it does not wait. A max below one counts as one. It answers
	// ErrTrimmed when an entry at from or after it was given up: never to a
	// reader that goes on after the last entry given up. When ctx is done it
	// answers with ctx's error.
	Read(ctx context.Context, from bus.Position, max int) ([]*Entry, error)
	// Bounds returns the positions of the oldest entry held and of the newest
	// one ever appended, which is zero when there has been none. When none is
	// held first is last+1. Reading goes on from first without ErrTrimmed
	// unless more was given up since; a reader that begins at last+1 gets
	// what is appended from now on.
	Bounds() (first, last bus.Position)
	// Trim gives up every entry now held before a position, which may lie
	// beyond the end. What was given up may be back after a crash, but not
	// after Close.
	Trim(before bus.Position) error
}

// Table names a set of records.
type Table string

// The tables.
const (
	Retained Table = "retained" // topic → message
	Sessions Table = "sessions" // tenant, dialect and name → session
	Services Table = "services" // service → its terms
	Keys     Table = "keys"     // account → credentials
	Rules    Table = "rules"    // rule → its text
)

// Records holds small values that are replaced as a whole.
type Records interface {
	// Put stores a record under a key that is not empty. After ErrFull,
	// ErrTooLarge and ErrClosed the old one is there as before; after any
	// other error it is not known whether the old or the new one is.
	Put(t Table, key string, value []byte) error
	// Delete removes one; that there is none is no error.
	Delete(t Table, key string) error
	// Load calls each for the records of a table, one after the other on the
	// caller's goroutine and in no order. A record is told at most once, as it
	// was at some moment since Load began; one that is there all the time is
	// told. At the first error of each it stops and returns that error. When
	// the records cannot be read whole it returns an error of its own, perhaps
	// after some were told: only nil says that they were all. each may use the
	// engine but not close it.
	Load(t Table, each func(key string, value []byte) error) error
	// Sync returns when everything put and deleted before is durable.
	Sync(ctx context.Context) error
}
