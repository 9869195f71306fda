package jetstream

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"sync"

	"omnibus/bus"
	"omnibus/engine"
)

// Engine keeps things in JetStream.
type Engine struct {
	opts    Options
	promise engine.Promise
	lock    *os.File // of the data directory
	root    *os.File // the folder of the store, to flush its filesystem by
	limit   int64    // of what a block may be
	journal journal
	records records
	flusher flusher
	keeper  keeper

	messageCost uint64 // what the store adds to a block

	over    context.Context // done when the engine is closed
	cancel  context.CancelCauseFunc
	work    sync.WaitGroup
	closing sync.Once

	linkMu sync.RWMutex // held for reading while the link is used
	link   *link        // nil while an embedded server is started anew
	ended  bool
}

var _ engine.Engine = (*Engine)(nil)

// Stats are figures for people.
type Stats struct {
	StreamBytes    uint64 // size of the journal's stream
	GivenUp        uint64 // entries that had to go because of a bound, not those that Trim gave up
	Waiting        int64  // bytes of entries that are not flushed
	WaitingRecords int64  // bytes of changes of records that are not stored
	TailEntries    int
	TailBytes      int64
	Flushes        uint64
	Failures       uint64 // how often nothing durable was accepted for a while
}

// Stats returns figures of the journal and the records.
func (e *Engine) Stats() Stats {
	j, r := &e.journal, &e.records
	j.mu.RLock()
	s := Stats{StreamBytes: j.bytes, GivenUp: j.givenUp, Waiting: j.waiting, TailEntries: j.tail.n, TailBytes: j.tail.bytes}
	j.mu.RUnlock()
	r.mu.Lock()
	defer r.mu.Unlock()
	s.WaitingRecords = r.waiting
	s.Failures, s.Flushes = e.keeper.failures.Load(), e.flusher.flushes.Load()
	return s
}

// stateTable is the table in which the engine keeps what it must know itself.
const (
	stateTable = engine.Table("state")
	stateKey   = "journal"
)

// Open opens the engine that keeps its things in a data directory or in an
// external cluster.
func Open(o Options) (*Engine, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, fmt.Errorf("opening the engine: %w", err)
	}
	e := &Engine{opts: o}
	e.over, e.cancel = context.WithCancelCause(context.Background())
	e.journal.init(e)
	e.records.init(e)
	e.flusher.init(e)
	e.keeper.init(e)
	if err := e.open(); err != nil {
		e.release()
		return nil, fmt.Errorf("opening the engine: %w", err)
	}
	for _, run := range []func(context.Context){e.journal.write, e.records.write, e.flusher.run, e.keeper.run} {
		e.work.Go(func() { run(e.over) })
	}
	e.keeper.kick()
	return e, nil
}

func (e *Engine) open() (err error) {
	if e.opts.Dir != "" {
		if e.lock, err = lockDir(e.opts.Dir); err != nil {
			return err
		}
		if err := os.MkdirAll(storeDir(e.opts.Dir), 0o700); err != nil {
			return fmt.Errorf("making the folder of the store: %w", err)
		}
		if e.root, err = os.Open(storeDir(e.opts.Dir)); err != nil {
			return fmt.Errorf("opening the folder of the store: %w", err)
		}
	}
	if e.link, err = connect(e.opts, e.onLoss); err != nil {
		return err
	}
	e.limit = int64(e.link.maxMessage())
	ctx, cancel := context.WithTimeout(e.over, startTime)
	defer cancel()
	if e.promise, err = e.opts.promise(e.link); err != nil {
		return err
	}
	if err := e.records.open(ctx, e.link); err != nil {
		return err
	}
	return e.openJournal(ctx)
}

// openJournal finds where the journal begins and ends, and notes that it is
// open before anything is appended.
func (e *Engine) openJournal(ctx context.Context) error {
	j, l, name := &e.journal, e.link, e.opts.journalStream()
	info, _, err := l.ensure(ctx, e.opts.journalConfig())
	if err != nil {
		return err
	}
	var ends [2]bus.Position
	if s := info.State; s.Msgs > 0 {
		for i, seq := range []uint64{s.FirstSeq, s.LastSeq} {
			data, _, err := l.get(name, seq)
			if err != nil {
				return err
			}
			h, _, err := parseHeader(data)
			if err != nil {
				return fmt.Errorf("reading the journal: message %d of stream %s: %w", seq, name, err)
			}
			ends[i] = h.first
			if i == 1 {
				ends[i] = h.last()
			}
		}
	}
	var before saved
	if err := e.loadState(&before); err != nil {
		return err
	}
	j.marks = resume(before, ends[0], ends[1], info.State.FirstSeq > 1)
	j.tail.first = j.next
	j.began, j.found = j.next, ends[1]
	j.acked, j.flushed = j.last, j.last
	j.index.first, j.index.last, j.bytes = max(info.State.FirstSeq, 1), info.State.LastSeq, info.State.Bytes
	if err := e.saveState(false); err != nil {
		return err
	}
	// Streams that were just made have to be on the disk, too: without their
	// descriptions nothing in them would be found again.
	return e.syncDisk()
}

func (e *Engine) loadState(s *saved) error {
	if !e.records.has(stateTable) {
		return nil
	}
	load := &load{table: stateTable}
	return e.records.loadStream(load, func(key string, value []byte) error {
		if key != stateKey {
			return nil
		}
		if err := json.Unmarshal(value, s); err != nil {
			return fmt.Errorf("reading the state of the journal: %w", err)
		}
		return nil
	})
}

// saveState stores what is to be known of the journal when it is opened again.
func (e *Engine) saveState(clean bool) error {
	value, err := json.Marshal(e.journal.marksNow(clean))
	if err != nil {
		return fmt.Errorf("noting the state of the journal: %w", err)
	}
	kept := make([]bool, 1)
	err = e.use(func(l *link) error {
		return e.records.send(l, []*op{{table: stateTable, key: stateKey, value: value}}, kept)
	})
	if err != nil {
		return fmt.Errorf("noting the state of the journal: %w", err)
	}
	return nil
}

// Promise says what the engine can keep.
func (e *Engine) Promise() engine.Promise { return e.promise }

// Journal returns the journal.
func (e *Engine) Journal() engine.Journal { return &e.journal }

// Records returns the records.
func (e *Engine) Records() engine.Records { return &e.records }

// maxBlock bounds what one message may hold.
func (e *Engine) maxBlock() int64 {
	if most := e.opts.MaxBytes; most > 0 {
		return min(e.limit, most)
	}
	return e.limit
}

// flushes says whether what is stored becomes durable by a flush of ours.
func (e *Engine) flushes() bool {
	return e.opts.Dir != "" && e.opts.Flush == Always && !e.opts.plainSync()
}

// plainSync says that the server flushes every write by itself.
func (o Options) plainSync() bool { return !groupSync || o.hooks.plainSync }

// syncDisk flushes the store of an embedded server.
func (e *Engine) syncDisk() error {
	if e.root == nil || e.opts.Flush == Never {
		return nil
	}
	if h := e.opts.hooks.sync; h != nil {
		if err := h(e.root.Name()); err != nil {
			return err
		}
	}
	if e.opts.hooks.plainSync {
		return syncTree(e.root.Name())
	}
	return syncStore(e.root)
}

// onLoss is told what the connection meets in the background.
func (e *Engine) onLoss(err error) {
	e.opts.Log.Warn("the connection to NATS met an error", "error", err)
}

// Close stores and flushes everything, and releases what the engine holds.
func (e *Engine) Close() error {
	var err error
	e.closing.Do(func() { err = e.shut() })
	return err
}

func (e *Engine) shut() error {
	e.journal.refuse()
	e.records.refuse()
	err := e.drain()
	if err != nil {
		// Perhaps there is room again.
		ctx, cancel := context.WithTimeout(e.over, patience)
		if err = e.repair(ctx); err == nil {
			err = e.drain()
		}
		cancel()
	}
	if err == nil {
		if err = e.saveState(true); err == nil {
			err = e.syncDisk()
		}
	}
	e.journal.end()
	e.records.end()
	e.cancel(engine.ErrClosed)
	e.work.Wait()
	e.release()
	if err != nil {
		return fmt.Errorf("closing the engine: what is not flushed may be lost: %w", err)
	}
	return nil
}

func (e *Engine) drain() error {
	return errors.Join(e.journal.drain(), e.records.drain())
}

// release gives back what open has taken.
func (e *Engine) release() {
	e.cancel(engine.ErrClosed)
	e.linkMu.Lock()
	defer e.linkMu.Unlock()
	e.ended = true
	if e.link != nil {
		e.link.close()
		e.link = nil
	}
	if e.root != nil {
		_ = e.root.Close() // nothing was written through it
	}
	if e.lock != nil {
		_ = e.lock.Close() // nor through this one that matters
	}
}
