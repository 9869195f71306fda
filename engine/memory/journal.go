package memory

import (
	"context"
	"fmt"
	"sync"

	"omnibus/bus"
	"omnibus/engine"
)

// journal is a list of chunks. The positions of what it holds are consecutive,
// so that an entry is found by counting.
type journal struct {
	opts Options

	mu     sync.RWMutex
	closed bool
	first  bus.Position // of the oldest held; of the next one when empty
	last   bus.Position // of the newest ever held
	chunks []*chunk     // in order; all but the last are full
	head   int          // how many have gone from the first chunk
	bytes  int64
	lost   uint64
	grown  chan struct{} // made for who waits, closed by the next Append and by Close
}

const chunkLen = 256

// chunk is a stretch of the journal. What has gone is nil.
type chunk struct {
	entries [chunkLen]*engine.Entry
	bytes   int64
}

// Append stores copies of entries.
func (j *journal) Append(entries ...*engine.Entry) (bus.Position, error) {
	if len(entries) == 0 {
		return 0, nil
	}
	bytes := int64(0)
	for _, e := range entries {
		bytes += size(e)
	}
	var few [4]*engine.Entry
	copies := few[:0]
	fits := len(entries) <= j.opts.MaxEntries && bytes <= j.opts.MaxBytes
	if fits {
		for _, e := range entries {
			copies = append(copies, keep(e))
		}
	}

	j.mu.Lock()
	defer j.mu.Unlock()
	switch {
	case j.closed:
		return 0, engine.ErrClosed
	case !fits:
		return 0, fmt.Errorf("appending %d entries, %d bytes: the journal's bounds are %d and %d: %w",
			len(entries), bytes, j.opts.MaxEntries, j.opts.MaxBytes, engine.ErrTooLarge)
	}
	for j.held()+len(copies) > j.opts.MaxEntries || j.bytes+bytes > j.opts.MaxBytes {
		j.pop()
		j.lost++
	}
	for _, e := range copies {
		j.push(e)
	}
	if j.grown != nil {
		close(j.grown)
		j.grown = nil
	}
	return j.last, nil
}

// Flushed returns the position of the newest entry: there is nothing to flush.
func (j *journal) Flushed() (upto bus.Position, changed <-chan struct{}, err error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.grown == nil {
		j.grown = make(chan struct{})
		if j.closed {
			close(j.grown)
		}
	}
	if j.closed {
		err = engine.ErrClosed
	}
	return j.last, j.grown, err
}

// Read returns what is stored, not copies of it.
func (j *journal) Read(ctx context.Context, from bus.Position, max int) ([]*engine.Entry, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	j.mu.RLock()
	defer j.mu.RUnlock()
	switch {
	case j.closed:
		return nil, engine.ErrClosed
	case from < j.first && j.first > 1:
		return nil, fmt.Errorf("reading from %d: %w; the oldest is %d", from, engine.ErrTrimmed, j.first)
	case from > j.last:
		return nil, nil
	}
	if max < 1 {
		max = 1
	}
	skip := int(from - min(from, j.first)) // position 0 is before the first
	out := make([]*engine.Entry, 0, min(max, j.held()-skip))
	for at := j.head + skip; len(out) < cap(out); {
		part := j.chunks[at/chunkLen].entries[at%chunkLen:]
		part = part[:min(len(part), cap(out)-len(out))]
		out = append(out, part...)
		at += len(part)
	}
	return out, nil
}

// Bounds returns where the journal begins and ends.
func (j *journal) Bounds() (first, last bus.Position) {
	j.mu.RLock()
	defer j.mu.RUnlock()
	return j.first, j.last
}

// Trim gives up what lies before a position, chunk by chunk.
func (j *journal) Trim(before bus.Position) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.closed {
		return engine.ErrClosed
	}
	before = min(before, j.last+1)
	for j.first < before {
		if n := min(chunkLen-j.head, j.held()); n <= int(before-j.first) {
			j.popChunk(n)
		} else {
			j.pop()
		}
	}
	return nil
}

func (j *journal) stats() Stats {
	j.mu.RLock()
	defer j.mu.RUnlock()
	return Stats{Entries: j.held(), Bytes: j.bytes, GivenUp: j.lost}
}

func (j *journal) close() {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.closed {
		return
	}
	j.closed = true
	j.chunks, j.head, j.bytes, j.first = nil, 0, 0, j.last+1
	if j.grown != nil {
		close(j.grown)
	}
}

// The rest is called with the lock held.

func (j *journal) held() int { return int(j.last + 1 - j.first) }

func (j *journal) push(e *engine.Entry) {
	at := j.head + j.held()
	if at == len(j.chunks)*chunkLen {
		j.chunks = append(j.chunks, new(chunk))
	}
	j.last++
	e.Position = j.last
	c := j.chunks[at/chunkLen]
	c.entries[at%chunkLen] = e
	c.bytes += size(e)
	j.bytes += size(e)
}

// pop gives up the oldest entry.
func (j *journal) pop() {
	c := j.chunks[0]
	n := size(c.entries[j.head])
	c.entries[j.head] = nil
	c.bytes -= n
	j.bytes -= n
	j.first++
	j.head++
	if j.head == chunkLen {
		j.dropChunk()
	}
}

// popChunk gives up the first chunk with the n entries that it still has.
func (j *journal) popChunk(n int) {
	j.bytes -= j.chunks[0].bytes
	j.first += bus.Position(n)
	j.dropChunk()
}

func (j *journal) dropChunk() {
	j.chunks[0] = nil
	j.chunks = j.chunks[1:]
	j.head = 0
}
