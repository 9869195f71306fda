package jetstream

import (
	"omnibus/bus"
	"omnibus/engine"
)

// tail holds the newest entries of this run, whose positions are consecutive,
// so that an entry is found by counting. It is a list of chunks.
type tail struct {
	first  bus.Position // of the oldest held; of the next one when empty
	n      int
	bytes  int64
	chunks []*[chunkLen]*engine.Entry // all but the last are full
	head   int                        // how many have gone from the first chunk
}

const chunkLen = 256

// push adds an entry, whose position is the next.
func (t *tail) push(e *engine.Entry) {
	at := t.head + t.n
	if at == len(t.chunks)*chunkLen {
		t.chunks = append(t.chunks, new([chunkLen]*engine.Entry))
	}
	t.chunks[at/chunkLen][at%chunkLen] = e
	t.n++
	t.bytes += memory(e)
}

// pop gives up the oldest entry.
func (t *tail) pop() {
	e := t.chunks[0][t.head]
	t.chunks[0][t.head] = nil
	t.bytes -= memory(e)
	t.first++
	t.n--
	if t.head++; t.head == chunkLen || t.n == 0 {
		t.chunks[0] = nil
		t.chunks = t.chunks[1:]
		t.head = 0
	}
}

// read returns up to max entries from a position on, which lies in the tail.
func (t *tail) read(from bus.Position, max int) []*engine.Entry {
	skip := int(from - t.first)
	out := make([]*engine.Entry, 0, min(max, t.n-skip))
	for at := t.head + skip; len(out) < cap(out); {
		part := t.chunks[at/chunkLen][at%chunkLen:]
		part = part[:min(len(part), cap(out)-len(out))]
		out = append(out, part...)
		at += len(part)
	}
	return out
}
