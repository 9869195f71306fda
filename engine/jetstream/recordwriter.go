package jetstream

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"omnibus/engine"
)

// How much of the queue one round takes.
const (
	roundOps   = 1024
	roundBytes = 4 << 20
)

// deletedFor is how long a stream remembers that a record was deleted.
const deletedFor = time.Minute

// write stores changes, round by round, until ctx is done.
func (r *records) write(ctx context.Context) {
	for {
		round, size := r.take()
		if len(round) == 0 {
			select {
			case <-r.work:
			case <-ctx.Done():
				return
			}
			continue
		}
		if err := r.e.hasRoom(size); err != nil {
			r.settle(round, make([]bool, len(round)))
			r.e.fail(noRoom, err)
			continue
		}
		kept := make([]bool, len(round))
		err := r.e.use(func(l *link) error { return r.send(l, round, kept) })
		r.settle(round, kept)
		if err != nil {
			r.e.fail(storing, err)
		}
	}
}

// take moves the oldest changes from the queue to those that are with the
// server.
func (r *records) take() (round []*op, size int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.failed != nil {
		return nil, 0
	}
	for len(r.queue) > 0 && len(round) < roundOps && size < roundBytes {
		o := r.queue[0]
		r.queue[0] = nil
		r.queue = r.queue[1:]
		at := recordKey{o.table, o.key}
		delete(r.queued, at)
		r.flying[at] = o
		round = append(round, o)
		size += o.size()
	}
	return round, size
}

// settle takes note of which changes of a round are stored. The others go back
// to where they were, unless there are later ones of the same key, which then
// stand for both.
func (r *records) settle(round []*op, kept []bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	var again []*op
	failed := false
	for i, o := range round {
		at := recordKey{o.table, o.key}
		delete(r.flying, at)
		failed = failed || !kept[i]
		switch later := r.queued[at]; {
		case kept[i]:
			r.waiting -= o.size()
		case later != nil:
			r.waiting -= o.size()
			later.since = o.since
		default:
			r.queued[at] = o
			again = append(again, o)
		}
	}
	if failed {
		r.queue = append(again, r.queue...)
		slices.SortFunc(r.queue, func(a, b *op) int { return cmp.Compare(a.since, b.since) })
	}
	r.stored = r.version
	if len(r.queue) > 0 {
		r.stored = r.queue[0].since - 1
	}
	r.tell()
	r.e.flusher.dirty.Store(true)
}

// send stores a round of changes of different keys, and notes which of them
// the server has.
func (r *records) send(l *link, round []*op, kept []bool) error {
	for _, o := range round {
		if err := r.ensure(l, o.table); err != nil {
			return err
		}
	}
	a, err := l.ask()
	if err != nil {
		return fmt.Errorf("storing records: %w", err)
	}
	defer a.end()
	for i, o := range round {
		m := &nats.Msg{
			Subject: r.e.opts.tableSubject(string(o.table)) + "." + digest(o.key),
			Data:    appendRecord(make([]byte, 0, recordSize(o.key, o.value)), o),
		}
		if o.deleted {
			m.Header = nats.Header{"Nats-TTL": {deletedFor.String()}}
		}
		if err := a.send(m, i); err != nil {
			return fmt.Errorf("storing records: %w", err)
		}
	}
	var errs []error
	for range round {
		m, i, err := a.next()
		if err == nil && i >= len(round) {
			err = fmt.Errorf("an answer to message %d of %d", i, len(round))
		}
		if err != nil {
			return fmt.Errorf("storing records: %w", err)
		}
		if _, err := parseAck(m); err != nil {
			if len(errs) < 3 {
				errs = append(errs, err)
			}
			continue
		}
		kept[i] = true
	}
	return errors.Join(errs...)
}

// ensure makes the stream of a table when it is used for the first time.
func (r *records) ensure(l *link, t engine.Table) error {
	if r.has(t) {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	_, _, err := l.ensure(ctx, r.e.opts.tableConfig(string(t)))
	if err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.tables[t] = true
	return nil
}

func (r *records) has(t engine.Table) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.tables[t]
}

// open finds out which tables there are.
func (r *records) open(ctx context.Context, l *link) error {
	prefix := r.e.opts.tableStream("")
	names := l.js.StreamNames(ctx)
	for name := range names.Name() {
		if t, ok := strings.CutPrefix(name, prefix); ok {
			if _, _, err := l.ensure(ctx, r.e.opts.tableConfig(t)); err != nil {
				return err
			}
			r.tables[engine.Table(t)] = true
		}
	}
	if err := names.Err(); err != nil {
		return fmt.Errorf("asking for streams: %w", err)
	}
	return nil
}
