package carrier

// The queue of an outbox. All here is called with its lock held.

// refusal is why nothing is taken any more.
func (o *Outbox) refusal() error {
	if o.err != nil {
		return o.err
	}
	if o.closed || o.sealed {
		return ErrClosed
	}
	return nil
}

// admit says whether a message may be queued.
func (o *Outbox) admit(bytes int) error {
	if err := o.refusal(); err != nil {
		return err
	}
	if o.messages > 0 && (bytes > o.o.MaxBytes-o.bytes || o.o.MaxMessages > 0 && o.messages >= o.o.MaxMessages) {
		o.wanted = o.o.OnRoom != nil
		return ErrFull
	}
	return nil
}

// open returns the batch to append a message to.
func (o *Outbox) open() *batch {
	switch {
	case o.last == nil:
		o.last = newBatch()
		o.first = o.last
	case o.last.full():
		o.last.next = newBatch()
		o.last = o.last.next
	}
	return o.last
}

// accepted counts a message that was added to the last batch.
func (o *Outbox) accepted(n int) {
	o.last.bytes += n
	o.last.messages++
	o.bytes += n
	o.messages++
	o.queued += uint64(n)
}

// waits tells whether there is something to write.
func (o *Outbox) waits() bool {
	return o.first != nil && o.first.messages > 0 && !o.closed && o.err == nil
}

// promise tells the caller to kick, unless what it has queued is written without that.
func (o *Outbox) promise() (kick bool) {
	if o.flushing || o.promised {
		return false
	}
	o.promised = true
	return true
}

// pop takes the first batch out of the queue, for writing it.
func (o *Outbox) pop() *batch {
	b := o.first
	if o.first, b.next = b.next, nil; o.first == nil {
		o.last = nil
	}
	return b
}

// putBack undoes pop: what is left of the batch is written next.
func (o *Outbox) putBack(b *batch) {
	b.next, o.first = o.first, b
	if o.last == nil {
		o.last = b
	}
}

// done takes a popped batch that was written out of the account; what is left of it is lost.
func (o *Outbox) done(b *batch) {
	if left := b.bytes - b.done; left > 0 {
		o.bytes -= left
		o.queued -= uint64(left)
		o.lost = true
	}
	o.messages -= b.messages
	b.free()
}

// drop throws the queue away.
func (o *Outbox) drop() {
	for o.first != nil {
		o.done(o.pop())
	}
}

// trim gives back a queue that stayed empty.
func (o *Outbox) trim() {
	if o.first != nil && o.first.messages == 0 && !o.flushing {
		o.drop()
	}
}

// roomDue tells whether OnRoom is to be called now.
func (o *Outbox) roomDue() bool {
	return o.wanted && !o.closed && o.err == nil &&
		o.bytes <= o.o.MaxBytes/2 && (o.o.MaxMessages <= 0 || o.messages <= o.o.MaxMessages/2)
}
