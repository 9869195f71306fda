package jetstream

import (
	"context"
	"fmt"
	"sync"

	"omnibus/bus"
	"omnibus/engine"
)

// blockTarget is the size at which a block takes no further call.
const blockTarget = 64 << 10

// tailEntries bounds the number of entries in the tail.
const tailEntries = 64 << 10

// block is a stretch of the journal on its way to the stream.
type block struct {
	header

	data []byte // with room for the header until it is sealed
	seq  uint64 // in the stream, once it is stored
}

// seal writes the header of a block that takes no further call.
func (b *block) seal() { appendHeader(b.data[:0], b.header) }

// journal is the way of entries: Append puts them into the tail, where they
// can be read, and into a block; the writer stores blocks one after the other;
// the flusher makes them durable.
type journal struct {
	e *Engine

	mu     sync.RWMutex
	room   sync.Cond // of mu: waiting has fallen, or whoever waits is refused
	closed bool      // everything answers ErrClosed
	marks

	refusing bool         // Append answers ErrClosed
	began    bus.Position // what the first entry of this run got, or will
	found    bus.Position // where the stream ended when it was opened

	tail    tail
	queue   []*block // not stored yet; Append fills the last one
	stored  []*block // stored and not flushed
	waiting int64    // bytes of queue and stored
	acked   bus.Position
	flushed bus.Position
	failed  error         // why nothing is stored or flushed now
	changed chan struct{} // closed when flushed or failed changes; made for who waits
	work    chan struct{} // tells the writer that queue is not empty

	index   index
	bytes   uint64 // of the stream
	givenUp uint64
}

func (j *journal) init(e *Engine) {
	j.e = e
	j.room.L = &j.mu
	j.work = make(chan struct{}, 1)
	j.index.init()
}

// Append copies entries into the tail and the block that is being filled.
func (j *journal) Append(entries ...*engine.Entry) (bus.Position, error) {
	if len(entries) == 0 {
		return 0, nil
	}
	size := int64(headerLen)
	for _, e := range entries {
		size += int64(entrySize(e))
	}
	limit := j.e.maxBlock()
	fits := size <= limit
	var few [4]*engine.Entry
	copies := few[:0]
	if fits {
		for _, e := range entries {
			copies = append(copies, keep(e))
		}
	}

	j.mu.Lock()
	defer j.mu.Unlock()
	for !j.refusing && fits && j.failed == nil && j.waiting > 0 && j.waiting+size > j.e.opts.Backlog {
		j.room.Wait()
	}
	switch {
	case j.refusing:
		return 0, engine.ErrClosed
	case !fits:
		return 0, fmt.Errorf("appending %d entries, up to %d bytes: the bound is %d: %w", len(entries), size, limit, engine.ErrTooLarge)
	case j.failed != nil:
		return 0, fmt.Errorf("appending: %w", refusal(j.failed))
	}
	j.add(copies, size)
	j.trimTail()
	select {
	case j.work <- struct{}{}:
	default:
	}
	return j.last, nil
}

// add puts the entries of one call into one block.
func (j *journal) add(entries []*engine.Entry, size int64) {
	var b *block
	if n := len(j.queue); n > 0 && int64(len(j.queue[n-1].data))+size <= blockTarget && !j.queue[n-1].sealed() {
		b = j.queue[n-1]
	} else {
		b = &block{header: header{first: j.next}, data: make([]byte, headerLen, size)}
		j.queue = append(j.queue, b)
	}
	before := len(b.data)
	if b.count == 0 {
		before = 0
	}
	for _, e := range entries {
		e.Position = j.next
		b.data = appendEntry(b.data, e)
		b.count++
		j.tail.push(e)
		j.appended()
	}
	j.waiting += int64(len(b.data) - before)
}

// sealed says whether a block is, or has been, with the server.
func (b *block) sealed() bool { return b.data[0] == blockVersion }

// trimTail gives up what the tail has too much of, but for what can only be
// read there.
func (j *journal) trimTail() {
	for j.tail.n > 0 && j.tail.first <= j.acked && (j.tail.n > tailEntries || j.tail.bytes > j.e.opts.Tail || j.tail.first < j.first) {
		j.tail.pop()
	}
}

// Flushed returns how far the journal is durable.
func (j *journal) Flushed() (upto bus.Position, changed <-chan struct{}, err error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.changed == nil {
		j.changed = make(chan struct{})
		if j.closed {
			close(j.changed)
		}
	}
	err = j.failed
	if j.closed {
		err = engine.ErrClosed
	}
	return j.flushed, j.changed, err
}

// tell wakes all who wait for a flush or for room.
func (j *journal) tell() {
	if j.changed != nil {
		close(j.changed)
		j.changed = nil
	}
	j.room.Broadcast()
}

// Read reads from the tail, or what is older from the stream.
func (j *journal) Read(ctx context.Context, from bus.Position, max int) ([]*engine.Entry, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if max < 1 {
		max = 1
	}
	for {
		got, done, err := j.readTail(&from, max)
		if done {
			return got, err
		}
		if got, err = j.readStream(ctx, from, max); err != nil || len(got) > 0 {
			return got, err
		}
	}
}

// readTail is done unless from, which it moves to the first entry held, lies
// in the stream alone.
func (j *journal) readTail(from *bus.Position, max int) (got []*engine.Entry, done bool, err error) {
	j.mu.RLock()
	defer j.mu.RUnlock()
	switch {
	case j.closed:
		return nil, true, engine.ErrClosed
	case *from <= j.gone && j.gone > 0:
		return nil, true, fmt.Errorf("reading from %d: %w; the oldest is %d", *from, engine.ErrTrimmed, j.first)
	case *from > j.last:
		return nil, true, nil
	}
	if *from = j.held(*from); *from < j.tail.first {
		return nil, false, nil
	}
	return j.tail.read(*from, max), true, nil
}

// Bounds returns where the journal begins and ends.
func (j *journal) Bounds() (first, last bus.Position) {
	j.mu.RLock()
	defer j.mu.RUnlock()
	if j.closed {
		return j.last + 1, j.last
	}
	return j.first, j.last
}

// Trim gives up what lies before a position. The stream follows in the
// background.
func (j *journal) Trim(before bus.Position) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.closed {
		return engine.ErrClosed
	}
	if j.giveUp(before) > 0 {
		j.trimTail()
		j.e.keeper.kick()
	}
	return nil
}
