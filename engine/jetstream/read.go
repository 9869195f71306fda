package jetstream

import (
	"context"
	"errors"
	"fmt"

	"omnibus/bus"
	"omnibus/engine"
)

// How much one request reads.
const (
	readBlocks = 256
	readBytes  = 512 << 10
)

// readStream reads entries that are in the stream from a position on. None
// and no error means that something has changed meanwhile.
func (j *journal) readStream(ctx context.Context, from bus.Position, max int) (out []*engine.Entry, err error) {
	j.mu.RLock()
	lo, hi := j.index.where(from)
	// As many blocks as will hold max entries if they are of middling size.
	blocks := 2 + uint64(max)/(1+j.count()/(j.index.last-j.index.first+1))
	j.mu.RUnlock()

	var seq, last uint64
	var whole bool // of the last block
	err = j.e.use(func(l *link) error {
		if seq, err = j.find(ctx, l, from, lo, hi); err != nil {
			return err
		}
		out, last, whole, err = j.fetch(ctx, l, seq, int(min(blocks, readBlocks)), from, max)
		return err
	})

	j.mu.Lock()
	defer j.mu.Unlock()
	switch {
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case j.closed:
		return nil, engine.ErrClosed
	case from <= j.gone:
		return nil, fmt.Errorf("reading from %d: %w; the oldest is %d", from, engine.ErrTrimmed, j.first)
	case errors.Is(err, errGone):
		return nil, j.again(from)
	case err != nil:
		return nil, fmt.Errorf("reading from %d: %w", from, err)
	case len(out) == 0:
		return nil, j.again(from)
	}
	if whole {
		last++
	}
	j.index.goesOn(out[len(out)-1].Position, last)
	return out, nil
}

// again is called when an entry that must be there was not found. That may be
// the fault of what was remembered; without it there is no excuse.
func (j *journal) again(from bus.Position) error {
	if len(j.index.after) == 0 && len(j.index.known) == 0 {
		return fmt.Errorf("reading from %d: the stream does not have it, though it was stored: %w", from, errGone)
	}
	j.index.forget()
	return nil
}

// find returns the first of some messages whose last entry is not before from.
func (j *journal) find(ctx context.Context, l *link, from bus.Position, lo, hi uint64) (uint64, error) {
	for lo < hi {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		mid := lo + (hi-lo)/2
		data, _, err := l.get(j.e.opts.journalStream(), mid)
		if err != nil {
			return 0, err
		}
		h, _, err := parseHeader(data)
		if err != nil {
			return 0, err
		}
		if h.last() < from {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	return lo, nil
}

// fetch reads up to max entries from a position on, from messages from seq on.
// It says which message was the last one looked at, and whether all of it.
func (j *journal) fetch(ctx context.Context, l *link, seq uint64, blocks int, from bus.Position, max int) (out []*engine.Entry, last uint64, whole bool, err error) {
	used := 0 // how many of the messages
	end, n, err := l.batch(ctx, j.e.opts.journalStream(), seq, min(max, blocks), readBytes, func(data []byte) error {
		if len(out) >= max {
			return nil
		}
		h, entries, err := parseHeader(data)
		if err != nil {
			return err
		}
		if out, err = decodeEntries(out, h, entries, from, max); err != nil {
			return err
		}
		used++
		whole = len(out) > 0 && out[len(out)-1].Position == h.last()
		return nil
	})
	if n == 0 || err != nil {
		return nil, 0, false, err
	}
	// Only the front of the stream is ever purged, so they were consecutive.
	return out, end - uint64(n-used), whole, nil
}
