package carrier

import "time"

// start makes sure that somebody writes the queue. It is called with the lock held, as everything here that does not
// say otherwise.
func (o *Outbox) start() {
	if !o.flushing {
		o.flushing, o.promised = true, false
		o.launch()
	}
}

// launch starts the flusher; flushing is set.
func (o *Outbox) launch() {
	if o.run == nil {
		o.run = o.flush
	}
	go o.run()
}

// flush is the flusher. It takes the lock.
func (o *Outbox) flush() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.flushLocked()
}

// flushLocked writes until nothing waits, unlocking while it writes. flushing is set by who calls it.
func (o *Outbox) flushLocked() {
	for o.tellRoom() || o.waits() {
		if !o.waits() {
			continue
		}
		b := o.pop()
		err := o.arm()
		o.mu.Unlock()
		if err == nil {
			err = o.write(b)
		}
		o.mu.Lock()
		if err == nil {
			o.bytes -= b.bytes - b.done
			b.done = b.bytes
		}
		o.done(b)
		if err != nil && !o.closed {
			o.fail(err)
		}
		o.wake()
	}
	o.ended()
}

// ended is the end of a flush.
func (o *Outbox) ended() {
	o.flushing = false
	if o.err != nil || o.closed {
		o.drop()
	}
	o.trim()
	o.wake()
}

// fail ends writing for good and tells it, unlocking meanwhile.
func (o *Outbox) fail(cause error) {
	o.err = &writeError{cause}
	o.drop()
	o.wake()
	if o.o.OnError != nil {
		o.mu.Unlock()
		defer o.mu.Lock()  // also after a panic, which who kicked may recover from
		o.o.OnError(o.err) // nobody writes err again
	}
}

// tellRoom calls OnRoom if that is due, unlocking meanwhile, and tells whether it was.
func (o *Outbox) tellRoom() bool {
	if !o.roomDue() {
		return false
	}
	o.wanted = false
	o.mu.Unlock()
	defer o.mu.Lock() // as in fail
	o.o.OnRoom()
	return true
}

// arm sets the deadline of the next write.
func (o *Outbox) arm() error {
	conn, ok := o.w.(writeDeadliner)
	if !ok {
		return nil
	}
	var by time.Time
	if o.o.WriteTimeout > 0 {
		by = time.Now().Add(o.o.WriteTimeout)
	}
	if u := o.urgent; u != nil && u.waiting > 0 && !u.by.IsZero() && (by.IsZero() || u.by.Before(by)) {
		by = u.by
	}
	if by.IsZero() && !o.armed {
		return nil
	}
	o.armed = !by.IsZero()
	return conn.SetWriteDeadline(by)
}

// rearm is arm for another piece of the same batch. It takes the lock.
func (o *Outbox) rearm() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.closed {
		return ErrClosed
	}
	return o.arm()
}

// longAgo is a deadline that interrupts.
func longAgo() time.Time { return time.Unix(1, 0) }
