package jetstream

import "omnibus/bus"

// The seams through which tests fail the operating system.

// WithSync returns options that call f before each flush.
func (o Options) WithSync(f func(dir string) error) Options {
	o.hooks.sync = f
	return o
}

// WithRoom returns options that ask f before anything is stored.
func (o Options) WithRoom(f func() error) Options {
	o.hooks.room = f
	return o
}

// WithPlainSync returns options as on systems that cannot flush a filesystem.
func (o Options) WithPlainSync() Options {
	o.hooks.plainSync = true
	return o
}

// Decode reads a block as the journal does.
var (
	ParseHeader   = parseHeader
	DecodeEntries = decodeEntries
	AppendHeader  = appendHeader
	AppendEntry   = appendEntry
	EntrySize     = entrySize
	ParseRecord   = parseRecord
)

// Header is the beginning of a block.
type Header = header

// NewHeader returns the beginning of a block.
func NewHeader(first bus.Position, count uint32) Header { return header{first, count} }

// Saved and Marks are the positions of a journal.
type (
	Saved = saved
	Marks = marks
	Gap   = gap
)

// What marks say.
func (m *marks) First() bus.Position               { return m.first }
func (m *marks) Last() bus.Position                { return m.last }
func (m *marks) Next() bus.Position                { return m.next }
func (m *marks) Gone() bus.Position                { return m.gone }
func (m *marks) Count() uint64                     { return m.count() }
func (m *marks) Held(p bus.Position) bus.Position  { return m.held(p) }
func (m *marks) GiveUp(before bus.Position) uint64 { return m.giveUp(before) }

// Resume finds the marks of a journal that is opened.
func Resume(s Saved, streamFirst, streamLast bus.Position, purged bool) *Marks {
	m := resume(s, streamFirst, streamLast, purged)
	return &m
}
