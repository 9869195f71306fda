package jetstream

import (
	"fmt"

	"omnibus/engine"
)

// How much one request of Load reads.
const (
	loadRecords = 4096
	loadBytes   = 4 << 20
)

// load is a Load under way. The stream is read while others write to it: a
// record that is replaced meanwhile moves to its end, perhaps before it was
// reached. So every change that is not surely in the stream when it begins, and
// every later one, is told from here, at the end and only if the stream did not
// have the record before.
type load struct {
	table engine.Table
	later map[string]*op // of records.mu
	told  []string
}

// Load tells what the stream of a table holds, and what is on its way there.
func (r *records) Load(t engine.Table, each func(key string, value []byte) error) error {
	l, stored, err := r.begin(t)
	if err != nil {
		return err
	}
	defer r.over(l)
	if stored {
		if err := r.loadStream(l, each); err != nil {
			return r.e.closedOr(err)
		}
	}
	for _, o := range r.rest(l) {
		if err := each(o.key, o.value); err != nil {
			return err
		}
	}
	return nil
}

func (r *records) begin(t engine.Table) (l *load, stored bool, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return nil, false, engine.ErrClosed
	}
	l = &load{table: t, later: make(map[string]*op)}
	for _, ops := range []map[recordKey]*op{r.flying, r.queued} { // what is queued is later
		for at, o := range ops {
			if at.table == t {
				snapshot := *o
				l.later[at.key] = &snapshot
			}
		}
	}
	r.loads[l] = struct{}{}
	return l, r.tables[t], nil
}

func (r *records) over(l *load) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.loads, l)
}

// loadStream tells the records of the stream up to where it ends now.
func (r *records) loadStream(l *load, each func(key string, value []byte) error) error {
	stream := r.e.opts.tableStream(string(l.table))
	ctx := r.e.over
	var end uint64
	err := r.e.use(func(k *link) error {
		state, err := k.info(ctx, stream)
		end = state.LastSeq
		return err
	})
	if err != nil {
		return fmt.Errorf("loading table %s: %w", l.table, err)
	}
	type record struct {
		key   string
		value []byte
	}
	for from := uint64(1); from <= end; {
		var got []record
		var last uint64
		var n int
		err := r.e.use(func(k *link) error {
			got = got[:0]
			var err error
			last, n, err = k.batch(ctx, stream, from, loadRecords, loadBytes, func(data []byte) error {
				key, value, deleted, err := parseRecord(data)
				if err == nil && !deleted {
					got = append(got, record{key, value})
				}
				return err
			})
			return err
		})
		if err != nil {
			return fmt.Errorf("loading table %s: %w", l.table, err)
		}
		if n == 0 {
			break
		}
		from = last + 1
		for _, x := range got {
			if !r.tellNow(l, x.key) {
				continue
			}
			if err := each(x.key, x.value); err != nil {
				return err
			}
		}
	}
	return nil
}

// tellNow says whether a record of the stream may be told. If not, rest has
// it.
func (r *records) tellNow(l *load, key string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, ok := l.later[key]; ok {
		return false
	}
	l.told = append(l.told, key)
	return true
}

// rest returns the changes since the beginning of a load of records that were
// not told, but for deletions.
func (r *records) rest(l *load) []op {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(l.later) == 0 {
		return nil
	}
	for _, key := range l.told {
		delete(l.later, key)
	}
	out := make([]op, 0, len(l.later))
	for _, o := range l.later {
		if !o.deleted {
			out = append(out, *o)
		}
	}
	l.later = make(map[string]*op)
	return out
}

// closedOr is ErrClosed rather than an error that Close has caused.
func (e *Engine) closedOr(err error) error {
	if e.over.Err() != nil {
		return engine.ErrClosed
	}
	return err
}

// use runs f with the link, which stays as long.
func (e *Engine) use(f func(*link) error) error {
	e.linkMu.RLock()
	defer e.linkMu.RUnlock()
	switch {
	case e.ended:
		return engine.ErrClosed
	case e.link == nil:
		_, cause := e.keeper.trouble()
		return fmt.Errorf("the server is being started anew: %w", cause)
	}
	return f(e.link)
}

// hasRoom says whether a number of bytes may be written to the disk.
func (e *Engine) hasRoom(n int64) error {
	if h := e.opts.hooks.room; h != nil {
		if err := h(); err != nil {
			return err
		}
	}
	if e.root == nil || e.opts.MinFree < 0 {
		return nil
	}
	size, free, err := space(e.root)
	if err != nil {
		return err
	}
	least := e.opts.MinFree
	if least == 0 {
		least = min(size/64, defaultMinFree)
	}
	if free-n < least {
		return fmt.Errorf("%w: the disk of %s has %d bytes left, and %d are to stay free", engine.ErrFull, e.opts.Dir, free, least)
	}
	return nil
}

// defaultMinFree bounds what is left to others unless Options says otherwise.
const defaultMinFree = 256 << 20
