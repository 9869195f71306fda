package carrier

import (
	"errors"
	"os"
	"time"
)

const (
	// kickSteps and kickBytes bound what one Kick writes: others may go on appending, and who kicks has other things to
	// do.
	kickSteps = 4
	kickBytes = 256 << 10
)

// Kick sees to it that what waits is written. It never waits for the peer. On a TCP or unix socket it writes on the
// caller's goroutine as much as the socket takes at once, but no more than about 256 KiB; the rest, and everything on
// other connections, is left to a flusher. While somebody writes already it does nothing.
func (o *Outbox) Kick() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.promised = false
	switch {
	case o.flushing || !o.waits():
	case o.direct():
		o.flushing = true
		o.flushNow()
	default:
		o.start()
	}
}

// direct tells whether Kick can write without waiting. Like all below it is called with the lock held.
func (o *Outbox) direct() bool {
	if !o.asked {
		o.asked = true
		o.raw = rawConn(o.w)
	}
	return o.raw != nil
}

// flushNow writes what the socket takes, unlocking while it does, and leaves the rest to a flusher.
func (o *Outbox) flushNow() {
	rest := true
	defer func() {
		if rest { // also after a panic of OnRoom or OnError
			o.launch()
		}
	}()
	quota := kickBytes
	for step := 0; ; step++ {
		switch {
		case !o.waits() && !o.roomDue():
			rest = false
			o.ended()
			return
		case step >= kickSteps || quota <= 0:
			return
		case o.tellRoom():
			continue
		}
		b := o.pop()
		n, err := o.writeNow(b, quota)
		o.bytes -= n
		quota -= n
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded): // the last flusher's, long ago
			o.putBack(b)
			o.disarm()
		case err != nil || b.done == b.bytes:
			o.done(b)
			if err != nil && !o.closed {
				o.fail(err)
			}
		default: // the socket takes no more
			o.putBack(b)
			quota = 0
		}
		o.wake()
	}
}

// writeNow writes up to quota bytes of a popped batch, as far as the socket takes them, unlocking meanwhile.
func (o *Outbox) writeNow(b *batch, quota int) (n int, err error) {
	if b.done == b.bytes {
		return 0, nil // messages without bytes
	}
	before := b.done
	b.stop = min(b.bytes, before+quota)
	o.mu.Unlock()
	if err = o.raw.Write(b.push); err == nil {
		err, b.err = b.err, nil
	}
	o.mu.Lock()
	return b.done - before, err
}

// disarm takes away the write deadline, unless it is the one of Close. A failure shows in the next write.
func (o *Outbox) disarm() {
	if conn, ok := o.w.(writeDeadliner); ok && !o.closed {
		o.armed = false
		_ = conn.SetWriteDeadline(time.Time{})
	}
}
