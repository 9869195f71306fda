package jetstream

import (
	"context"
	"time"

	"omnibus/bus"
)

// purgeBytes is how much given up at least lies at the front of the stream
// before it is removed: removing a part of a file rewrites it.
const purgeBytes = 4 << 20

// nextCheck is how long the journal may go without a look at its bounds.
func (j *journal) nextCheck() time.Duration {
	if age := j.e.opts.MaxAge; age > 0 {
		return max(age/64, 10*time.Millisecond)
	}
	return time.Hour
}

// bound gives up what is beyond the bounds of age and size, and removes from
// the stream what was given up.
func (j *journal) bound(ctx context.Context) error {
	return j.e.use(func(l *link) error {
		if j.e.opts.MaxAge > 0 {
			if err := j.boundAge(l); err != nil {
				return err
			}
		}
		force := false
		if j.e.opts.MaxBytes > 0 {
			var err error
			if force, err = j.boundBytes(l); err != nil {
				return err
			}
		}
		return j.purge(ctx, l, force)
	})
}

// ends returns the first and the last message of the stream, and its size.
func (j *journal) ends() (first, last, bytes uint64) {
	j.mu.RLock()
	defer j.mu.RUnlock()
	return j.index.first, j.index.last, j.bytes
}

// expire gives up what lies before a position, and counts it.
func (j *journal) expire(before bus.Position) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.givenUp += j.giveUp(before)
	j.trimTail()
}

func (j *journal) boundAge(l *link) error {
	lo, last, _ := j.ends()
	limit := time.Now().Add(-j.e.opts.MaxAge)
	var before bus.Position
	for hi := last + 1; lo < hi; { // the first message that is younger
		mid := lo + (hi-lo)/2
		data, at, err := l.get(j.e.opts.journalStream(), mid)
		if err != nil {
			return err
		}
		if at.After(limit) {
			hi = mid
			continue
		}
		h, _, err := parseHeader(data)
		if err != nil {
			return err
		}
		lo, before = mid+1, h.last()+1
	}
	j.expire(before)
	return nil
}

// boundBytes gives up as many of the oldest blocks as are too many if they
// are of middling size. What remains too much goes the next time.
func (j *journal) boundBytes(l *link) (over bool, err error) {
	first, last, bytes := j.ends()
	most := uint64(j.e.opts.MaxBytes)
	if bytes <= most || first >= last {
		return false, nil
	}
	n := last - first + 1
	// A little more, so that it need not be done for every block.
	cut := first + ((bytes-most+most/64)*n+bytes-1)/bytes
	data, _, err := l.get(j.e.opts.journalStream(), min(cut, last))
	if err != nil {
		return true, err
	}
	h, _, err := parseHeader(data)
	if err != nil {
		return true, err
	}
	j.expire(h.first)
	return true, nil
}

// purge removes from the stream the blocks that were given up whole. The last
// one stays: it says where the journal ends.
func (j *journal) purge(ctx context.Context, l *link, force bool) error {
	j.mu.RLock()
	from, all := j.first, j.first > j.last
	lo, hi := j.index.where(from)
	first, last, bytes := j.index.first, j.index.last, j.bytes
	j.mu.RUnlock()
	if first >= last {
		return nil
	}
	cut := last
	if !all && from <= j.ackedNow() {
		var err error
		if cut, err = j.find(ctx, l, from, lo, hi); err != nil {
			return err
		}
		cut = min(cut, last)
	}
	if freed := bytes / (last - first + 1) * (cut - first); cut <= first || freed < purgeBytes && !force && !all {
		return nil
	}
	if err := l.purge(ctx, j.e.opts.journalStream(), cut); err != nil {
		return err
	}
	state, err := l.info(ctx, j.e.opts.journalStream())
	if err != nil {
		return err
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	j.index.purged(state.FirstSeq)
	j.bytes = state.Bytes
	if j.e.opts.MaxBytes > 0 && j.bytes > uint64(j.e.opts.MaxBytes) && j.index.first < j.index.last {
		j.e.keeper.kick()
	}
	return nil
}
