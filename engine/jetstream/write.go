package jetstream

import (
	"context"
	"errors"
	"fmt"

	"omnibus/bus"
	"omnibus/engine"
)

// write stores one block after the other until ctx is done.
func (j *journal) write(ctx context.Context) {
	for {
		b, last := j.head()
		if b == nil {
			select {
			case <-j.work:
			case <-ctx.Done():
				return
			}
			continue
		}
		if err := j.e.hasRoom(int64(len(b.data))); err != nil {
			j.e.fail(noRoom, err)
			continue
		}
		err := j.e.use(func(l *link) error { return j.store(l, b, last) })
		if err != nil {
			j.e.fail(storing, err)
		}
	}
}

// head returns the block to be stored next, and the message it comes after;
// nil while there is none or nothing can be stored.
func (j *journal) head() (b *block, last uint64) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if len(j.queue) == 0 || j.failed != nil {
		return nil, 0
	}
	b = j.queue[0]
	b.seal()
	return b, j.index.last
}

// store puts the block at the head of the queue into the stream. One is under
// way at a time: calls of Append that come meanwhile fill the next one, and
// nothing can come to lie before what failed.
func (j *journal) store(l *link, b *block, last uint64) error {
	seq, err := l.store(j.e.opts.journalSubject(), last, b.data)
	if err != nil {
		return err
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	b.seq = seq
	j.queue[0] = nil
	j.queue = j.queue[1:]
	j.acked = b.last()
	j.index.stored(b.first, seq)
	j.bytes += uint64(len(b.data)) + j.e.messageCost
	if j.e.flushes() {
		j.stored = append(j.stored, b)
		j.e.flusher.wake()
	} else {
		j.flushed = j.acked
		j.waiting -= int64(len(b.data))
		j.tell()
		j.e.flusher.dirty.Store(true)
	}
	j.trimTail()
	if most := j.e.opts.MaxBytes; most > 0 && j.bytes > uint64(most) {
		j.e.keeper.kick()
	}
	return nil
}

// storeAll empties the queue while nobody else uses the link.
func (j *journal) storeAll(l *link) error {
	for {
		j.mu.Lock()
		if len(j.queue) == 0 {
			j.mu.Unlock()
			return nil
		}
		b, last := j.queue[0], j.index.last
		b.seal()
		j.mu.Unlock()
		if err := j.store(l, b, last); err != nil {
			return err
		}
	}
}

// ackedNow returns how far the journal is stored.
func (j *journal) ackedNow() bus.Position {
	j.mu.RLock()
	defer j.mu.RUnlock()
	return j.acked
}

// flushedTo takes note of a flush that began when all up to a position was
// stored.
func (j *journal) flushedTo(p bus.Position) {
	j.mu.Lock()
	defer j.mu.Unlock()
	n := 0
	for n < len(j.stored) && j.stored[n].last() <= p {
		j.waiting -= int64(len(j.stored[n].data))
		j.stored[n] = nil
		n++
	}
	if j.stored = j.stored[n:]; len(j.stored) == 0 {
		j.stored = nil
	}
	if p > j.flushed {
		j.flushed = p
		j.tell()
	}
}

// setFailed says why nothing is stored or flushed, or that it is again.
func (j *journal) setFailed(err error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.failed = err
	j.tell()
	select {
	case j.work <- struct{}{}:
	default:
	}
}

// errLost is told when the stream has lost what was durable, or has got what
// this engine did not store. Both are beyond repair from here.
var errLost = errors.New("the stream of the journal is not as this engine left it")

// reconcile finds out which blocks the stream really has after a failure. The
// others go back into the queue.
func (j *journal) reconcile(ctx context.Context, l *link) error {
	state, err := l.info(ctx, j.e.opts.journalStream())
	if err != nil {
		return err
	}
	var end bus.Position
	if state.Msgs > 0 {
		data, _, err := l.get(j.e.opts.journalStream(), state.LastSeq)
		if err != nil {
			return err
		}
		h, _, err := parseHeader(data)
		if err != nil {
			return err
		}
		end = h.last()
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	all := append(j.stored, j.queue...)
	n := 0
	for n < len(all) && all[n].last() <= end {
		n++
	}
	known := j.flushed
	switch {
	case n > 0:
		known = all[n-1].last()
	case known < j.began: // nothing of this run is stored
		known = j.found
	}
	if end != known {
		return fmt.Errorf("%w: it ends at %d, want %d: another process writes to it, or its storage is damaged", errLost, end, known)
	}
	j.stored, j.queue = all[:n:n], all[n:]
	j.acked = max(j.flushed, end)
	j.index.forget()
	j.index.first, j.index.last, j.bytes = max(state.FirstSeq, 1), state.LastSeq, state.Bytes
	return nil
}

// refuse makes Append answer ErrClosed.
func (j *journal) refuse() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.refusing = true
	j.tell()
}

// drain waits until everything is durable.
func (j *journal) drain() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	for j.flushed < j.last && j.failed == nil {
		j.room.Wait()
	}
	return j.failed
}

// end makes everything answer ErrClosed.
func (j *journal) end() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.closed, j.refusing = true, true
	j.tail, j.queue, j.stored = tail{}, nil, nil
	j.tell()
}

// marksNow returns what is saved about the journal.
func (j *journal) marksNow(clean bool) saved {
	j.mu.RLock()
	defer j.mu.RUnlock()
	return saved{Clean: clean, Last: j.last, Gone: j.gone, Next: j.next, Gaps: j.gaps}
}

var _ engine.Journal = (*journal)(nil)
