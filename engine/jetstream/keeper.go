package jetstream

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"omnibus/engine"
)

// trouble is what has failed, and thereby what a repair takes.
type trouble uint8

const (
	noRoom   trouble = iota // nothing was tried: it goes on when there is room
	storing                 // the server could not store, and its store is unusable until it starts anew
	flushing                // the disk may lack what was written
	lost                    // beyond repair
)

// keeper repairs what has failed, and keeps the journal within its bounds.
type keeper struct {
	e        *Engine
	work     chan struct{}
	failures atomic.Uint64

	mu    sync.Mutex // taken before those of the journal and the records
	kind  trouble
	cause error // nil: all is well
}

// How long a repair that did not succeed waits for the next one.
const (
	firstPause = 50 * time.Millisecond
	lastPause  = 2 * time.Second
)

func (k *keeper) init(e *Engine) { k.e, k.work = e, make(chan struct{}, 1) }

func (k *keeper) kick() {
	select {
	case k.work <- struct{}{}:
	default:
	}
}

func (k *keeper) trouble() (trouble, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.kind, k.cause
}

// fail stops everything that stores, until the keeper has repaired it.
func (e *Engine) fail(kind trouble, err error) {
	k := &e.keeper
	k.mu.Lock()
	before := k.cause
	if before == nil || kind > k.kind {
		k.kind, k.cause = kind, err
	}
	e.journal.setFailed(k.cause)
	e.records.setFailed(k.cause)
	k.mu.Unlock()
	if before == nil {
		k.failures.Add(1)
		e.opts.Log.Warn("nothing durable is accepted", "error", err)
	}
	k.kick()
}

// refusal is the error of what is refused because of an earlier failure.
func refusal(cause error) error {
	if errors.Is(cause, errLost) || errors.Is(cause, engine.ErrFull) {
		return cause
	}
	return fmt.Errorf("%w: %w", engine.ErrFull, cause)
}

// run repairs and keeps bounds until ctx is done.
func (k *keeper) run(ctx context.Context) {
	pause := firstPause
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		timer.Reset(k.e.journal.nextCheck())
		if kind, cause := k.trouble(); cause != nil && kind != lost {
			timer.Reset(pause)
		}
		select {
		case <-k.work:
			if _, cause := k.trouble(); cause != nil {
				continue // the timer says when
			}
		case <-timer.C:
		case <-ctx.Done():
			return
		}
		kind, cause := k.trouble()
		switch {
		case cause == nil:
			if err := k.e.journal.bound(ctx); err != nil && ctx.Err() == nil {
				k.e.opts.Log.Warn("the journal could not be kept within its bounds", "error", err)
			}
		case kind == lost:
		case k.e.repair(ctx) == nil:
			pause = firstPause
		default:
			pause = min(2*pause, lastPause)
		}
	}
}

// repair tries once to get out of trouble.
func (e *Engine) repair(ctx context.Context) error {
	kind, cause := e.keeper.trouble()
	if cause == nil {
		return nil
	}
	if kind == lost {
		return cause
	}
	if err := e.roomAgain(kind); err != nil {
		return err
	}
	if kind > noRoom {
		if err := e.rebuild(ctx, kind); err != nil {
			if errors.Is(err, errLost) {
				e.fail(lost, err)
			}
			return err
		}
	}
	e.keeper.mu.Lock()
	e.keeper.cause = nil
	e.journal.setFailed(nil)
	e.records.setFailed(nil)
	e.keeper.mu.Unlock()
	e.opts.Log.Info("durable messages are accepted again", "after", cause)
	return nil
}

// rebuild gets a link that works and brings the stream to where the journal
// is.
func (e *Engine) rebuild(ctx context.Context, kind trouble) error {
	e.linkMu.Lock()
	defer e.linkMu.Unlock()
	if e.ended {
		return engine.ErrClosed
	}
	if e.opts.Dir != "" {
		if e.link != nil {
			e.link.close()
			e.link = nil
		}
		if kind == flushing {
			if err := rewrite(storeDir(e.opts.Dir), e.flusher.lastGood()); err != nil {
				return fmt.Errorf("after a failed flush: %w", err)
			}
		}
		l, err := connect(e.opts, e.onLoss)
		if err != nil {
			return err
		}
		e.link = l
	}
	if err := e.journal.reconcile(ctx, e.link); err != nil {
		return err
	}
	if err := e.journal.storeAll(e.link); err != nil {
		return err
	}
	if e.flushes() {
		upto := e.journal.ackedNow()
		if err := e.flusher.flush(true); err != nil {
			e.keeper.mu.Lock()
			e.keeper.kind = flushing
			e.keeper.mu.Unlock()
			return err
		}
		e.journal.flushedTo(upto)
	}
	return nil
}

// roomAgain says whether there is room for a repair: a store that is found
// full by trying has to start anew each time.
func (e *Engine) roomAgain(kind trouble) error {
	if e.opts.Dir == "" {
		return nil
	}
	if err := e.hasRoom(probeSize); err != nil || kind == noRoom {
		return err
	}
	name := filepath.Join(e.opts.Dir, "probe")
	defer func() { _ = os.Remove(name) }() // it is written over the next time
	if err := os.WriteFile(name, make([]byte, probeSize), 0o600); err != nil {
		return fmt.Errorf("trying whether there is room: %w", err)
	}
	return nil
}

const probeSize = 1 << 20
