package jetstream

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"

	"omnibus/engine"
)

type recordKey struct {
	table engine.Table
	key   string
}

// records is the way of changes: Put and Delete leave them in a queue, in
// which a later one of a key takes the place of an earlier one, and a writer
// takes them from there to the streams of their tables.
type records struct {
	e *Engine

	mu       sync.Mutex
	room     sync.Cond // of mu: waiting has fallen, or whoever waits is refused
	closed   bool      // everything answers ErrClosed
	refusing bool      // Put and Delete do
	failed   error
	queue    []*op // by since
	queued   map[recordKey]*op
	flying   map[recordKey]*op // with the server
	waiting  int64             // memory of queue and flying
	version  uint64            // how many changes there were
	stored   uint64            // up to which they are stored
	moved    chan struct{}     // closed when stored or failed changes; made for who waits
	loads    map[*load]struct{}
	work     chan struct{}         // tells the writer that queue is not empty
	tables   map[engine.Table]bool // whose streams are there; of the writer and of Load
}

func (r *records) init(e *Engine) {
	r.e = e
	r.room.L = &r.mu
	r.queued, r.flying = make(map[recordKey]*op), make(map[recordKey]*op)
	r.loads, r.tables = make(map[*load]struct{}), make(map[engine.Table]bool)
	r.work = make(chan struct{}, 1)
}

// Put leaves a copy for the writer.
func (r *records) Put(t engine.Table, key string, value []byte) error {
	if err := r.check(t, key, value); err != nil {
		return err
	}
	return r.change(&op{table: t, key: strings.Clone(key), value: bytes.Clone(value)})
}

// Delete leaves a note for the writer.
func (r *records) Delete(t engine.Table, key string) error {
	if err := r.check(t, key, nil); err != nil {
		return err
	}
	return r.change(&op{table: t, key: strings.Clone(key), deleted: true})
}

func (r *records) check(t engine.Table, key string, value []byte) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch size, limit := recordSize(key, value), r.e.maxBlock(); {
	case r.refusing:
		return engine.ErrClosed
	case !goodName.MatchString(string(t)) || t == stateTable:
		return fmt.Errorf("table %q: it may have letters, digits, - and _, at most 64", t)
	case key == "":
		return errors.New("a record needs a key")
	case size > limit:
		return fmt.Errorf("putting a record of up to %d bytes: the bound is %d: %w", size, limit, engine.ErrTooLarge)
	}
	return nil
}

func (r *records) change(o *op) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	for !r.refusing && r.failed == nil && r.waiting > 0 && r.waiting+o.size() > r.e.opts.Backlog {
		r.room.Wait()
	}
	switch {
	case r.refusing:
		return engine.ErrClosed
	case r.failed != nil:
		return fmt.Errorf("changing a record: %w", refusal(r.failed))
	}
	r.enqueue(o)
	return nil
}

// enqueue is called with the lock held.
func (r *records) enqueue(o *op) {
	r.version++
	o.since = r.version
	at := recordKey{o.table, o.key}
	for l := range r.loads {
		if l.table == o.table {
			l.later[o.key] = o
		}
	}
	r.waiting += o.size()
	if q := r.queued[at]; q != nil { // it takes its place
		r.waiting -= q.size()
		q.value, q.deleted = o.value, o.deleted
	} else {
		r.queued[at] = o
		r.queue = append(r.queue, o)
	}
	select {
	case r.work <- struct{}{}:
	default:
	}
}

// Sync waits until what was changed before is stored, and then for a flush.
func (r *records) Sync(ctx context.Context) error {
	r.mu.Lock()
	upto := r.version
	for !r.closed && r.failed == nil && r.stored < upto {
		if r.moved == nil {
			r.moved = make(chan struct{})
		}
		moved := r.moved
		r.mu.Unlock()
		select {
		case <-moved:
		case <-ctx.Done():
			return ctx.Err()
		}
		r.mu.Lock()
	}
	closed, failed := r.closed, r.failed
	r.mu.Unlock()
	switch {
	case closed:
		return engine.ErrClosed
	case failed != nil:
		return fmt.Errorf("syncing the records: %w", refusal(failed))
	}
	if err := r.e.flusher.wait(ctx); err != nil {
		return fmt.Errorf("syncing the records: %w", err)
	}
	return nil
}

// tell wakes all who wait for progress. It is called with the lock held.
func (r *records) tell() {
	if r.moved != nil {
		close(r.moved)
		r.moved = nil
	}
	r.room.Broadcast()
}

func (r *records) setFailed(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.failed = err
	r.tell()
	select {
	case r.work <- struct{}{}:
	default:
	}
}

func (r *records) refuse() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.refusing = true
	r.tell()
}

// drain waits until everything is stored.
func (r *records) drain() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	for r.stored < r.version && r.failed == nil {
		r.room.Wait()
	}
	return r.failed
}

func (r *records) end() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed, r.refusing = true, true
	r.queue, r.queued, r.flying = nil, nil, nil
	r.tell()
}

var _ engine.Records = (*records)(nil)
