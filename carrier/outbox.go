package carrier

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"
)

const (
	// defaultMaxBytes is about two seconds of a 4 Mbit/s link: a peer further behind than that is not keeping up, and ten
	// thousand peers that far behind still fit in one machine's memory.
	defaultMaxBytes = 1 << 20
	// defaultWriteTimeout is how long a peer may take nothing at all.
	defaultWriteTimeout = 30 * time.Second
	// sharedMin is where keeping a reference and a vectored write become cheaper than copying.
	sharedMin = 8 << 10
)

// OutboxOptions bound an Outbox. The zero value works.
type OutboxOptions struct {
	// MaxBytes bounds the bytes waiting, those being written included; 0 means 1 MiB. A single message above it is
	// refused even by an empty outbox, so it must be at least the largest message to be sent.
	MaxBytes int
	// MaxMessages bounds the messages waiting, those being written included; 0 means no limit.
	MaxMessages int
	// WriteTimeout is how long the peer may take without reading anything; 0 means 30 s, negative no limit. On TLS it is
	// the time for each 64 KiB.
	WriteTimeout time.Duration
	// OnError is called once, by the flusher, when a write fails; not when Close interrupts it. It must not call Close or
	// Flush of the outbox, which wait for it.
	OnError func(error)
}

// Outbox is the bounded queue of bytes towards one connection, and the only writer to it.
//
// Messages are written whole and in the order of the appends, many in one write (about 32 KiB, more of shared ones)
// when they come faster than the connection takes them. Appends never block on the connection. They may come from any goroutine.
type Outbox struct {
	w     io.Writer
	conn  writeDeadliner // w, when it has write deadlines
	plain bool           // w is no TLS connection: vectored writes help, a timed-out write can be resumed
	o     OutboxOptions
	run   func() // flush, made once so that starting it allocates nothing

	mu       sync.Mutex
	first    *batch // what waits for the next write; nil when nothing does
	last     *batch // of the list that begins with first: appends go there
	spare    *batch // an empty batch kept while the flusher runs
	bytes    int    // waiting, the batch being written included
	messages int
	queued   uint64        // bytes ever queued
	written  uint64        // bytes ever written
	flushing bool          // a flusher runs
	sealed   bool          // no more appends, the queue is still written
	closed   bool          // no more appends nor writes
	err      error         // why writing failed
	by       time.Time     // bounds the writes somebody waits for in commitNow
	waiting  int           // how many do
	armed    bool          // the connection has a write deadline
	progress chan struct{} // closed when something is written or the state changes; made by who waits
}

type writeDeadliner interface {
	SetWriteDeadline(t time.Time) error
}

// NewOutbox returns an empty outbox that writes to w. When w has write deadlines, as a net.Conn has, WriteTimeout is
// kept with them and Close can interrupt a write; the deadlines then belong to the outbox.
func NewOutbox(w io.Writer, o OutboxOptions) *Outbox {
	if o.MaxBytes <= 0 {
		o.MaxBytes = defaultMaxBytes
	}
	if o.WriteTimeout == 0 {
		o.WriteTimeout = defaultWriteTimeout
	}
	b := &Outbox{w: w, o: o, plain: isPlain(w)}
	b.conn, _ = w.(writeDeadliner)
	b.run = func() {
		b.mu.Lock()
		b.flushLocked()
		b.mu.Unlock()
	}
	return b
}

// Append queues a copy of one message. Past a bound it queues nothing and returns ErrFull; after Close or a failed write
// it returns an error that wraps ErrClosed, and the failure's cause.
func (o *Outbox) Append(b []byte) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if err := o.admit(len(b), 1); err != nil {
		return err
	}
	q := o.open()
	q.buf = append(q.buf, b...)
	o.accepted(len(b))
	o.start()
	return nil
}

// AppendShared is Append for a message sent to many: a large one is not copied but kept by reference until written, so
// its bytes must never change afterwards.
func (o *Outbox) AppendShared(b []byte) error {
	if len(b) < sharedMin {
		return o.Append(b)
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if err := o.admit(len(b), 1); err != nil {
		return err
	}
	q := o.open()
	q.shared = append(q.shared, sharedFrame{at: len(q.buf), frame: b})
	o.accepted(len(b))
	o.start()
	return nil
}

// Begin locks the outbox and hands out a buffer to append one message to, in place. Commit must follow on the same
// goroutine, with no other call of the outbox in between. The bytes already in the buffer must be left alone.
func (o *Outbox) Begin() []byte {
	o.mu.Lock()
	return o.open().buf
}

// Commit queues what was appended to the buffer of Begin, under the conditions of Append, and unlocks. Handing back the
// buffer as Begin gave it queues nothing.
func (o *Outbox) Commit(buf []byte) error {
	defer o.mu.Unlock()
	if err := o.take(buf); err != nil {
		return err
	}
	o.start()
	return nil
}

// take makes buf, the last batch's buffer with one message appended, the last batch's buffer.
func (o *Outbox) take(buf []byte) error {
	n := len(buf) - len(o.last.buf)
	err := o.admit(n, 1)
	if err != nil || n == 0 {
		if cap(buf) <= keptBuffer {
			o.last.buf = buf[:len(o.last.buf)] // it may have grown: keep that
		}
		o.trim()
		return err
	}
	o.last.buf = buf
	o.accepted(n)
	return nil
}

// commitNow is Commit by a caller that wants the message written before it returns.
func (o *Outbox) commitNow(buf []byte) error {
	defer o.mu.Unlock()
	if !o.by.IsZero() && !time.Now().Before(o.by) {
		buf = buf[:len(o.last.buf)]
		return errors.Join(o.take(buf), os.ErrDeadlineExceeded)
	}
	if err := o.take(buf); err != nil {
		return err
	}
	o.waiting++
	defer func() { o.waiting-- }()
	target := o.queued
	if !o.flushing && o.first != nil {
		o.flushing = true
		o.flushLocked()
	}
	return o.waitLocked(context.Background(), target)
}

// appendLast queues a message past the bounds and refuses all others from then on.
func (o *Outbox) appendLast(b []byte) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if err := o.refusal(); err != nil {
		return err
	}
	o.sealed = true
	q := o.open()
	q.buf = append(q.buf, b...)
	o.accepted(len(b))
	o.start()
	return nil
}

// seal refuses all appends from now on; what is queued is still written.
func (o *Outbox) seal() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.sealed = true
}

// Pending returns what is waiting, the messages being written included.
func (o *Outbox) Pending() (bytes, messages int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.bytes, o.messages
}

// Flush waits until everything queued before is written. It returns the failure when writing failed, an error wrapping
// ErrClosed when the outbox was closed first, and the context's error when that ends first.
func (o *Outbox) Flush(ctx context.Context) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.waitLocked(ctx, o.queued)
}

// Close refuses further appends, interrupts a write under way, throws away what is queued and waits for the flusher to
// be gone. It does not write what is queued (Flush first) and does not close the connection. A writer without deadlines
// cannot be interrupted: Close waits for its Write.
func (o *Outbox) Close() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.closed = true
	if o.flushing && o.conn != nil {
		_ = o.conn.SetWriteDeadline(longAgo()) // fails only on a connection that is gone, whose write ends by itself
	}
	o.wake()
	for o.flushing {
		<-o.nextProgress()
		o.mu.Lock()
	}
	o.drop()
	return nil
}

// failed returns why writing failed, if it has.
func (o *Outbox) failed() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.err
}

// setDeadline bounds commitNow, in addition to WriteTimeout; also the one under way. Other writes are not concerned.
func (o *Outbox) setDeadline(t time.Time) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.by = t
	if o.waiting == 0 || !o.flushing || o.closed {
		return nil
	}
	return o.arm()
}

// All below is called with mu held, unless it says otherwise.

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
func (o *Outbox) admit(bytes, messages int) error {
	if err := o.refusal(); err != nil {
		return err
	}
	if bytes > o.o.MaxBytes-o.bytes || o.o.MaxMessages > 0 && messages > o.o.MaxMessages-o.messages {
		return ErrFull
	}
	return nil
}

// open returns the batch to append a message to.
func (o *Outbox) open() *batch {
	switch {
	case o.last == nil:
		o.last = o.fresh()
		o.first = o.last
	case o.last.full():
		o.last.next = o.fresh()
		o.last = o.last.next
	}
	return o.last
}

// fresh returns an empty batch.
func (o *Outbox) fresh() *batch {
	if b := o.spare; b != nil {
		o.spare = nil
		return b
	}
	return newBatch()
}

// accepted counts a message that was added to the last batch.
func (o *Outbox) accepted(n int) {
	o.last.bytes += n
	o.last.messages++
	o.bytes += n
	o.messages++
	o.queued += uint64(n)
}

// start makes sure that somebody writes the queue.
func (o *Outbox) start() {
	if !o.flushing {
		o.flushing = true
		go o.run()
	}
}

// trim gives back a queue that stayed empty.
func (o *Outbox) trim() {
	if o.first != nil && o.first.messages == 0 && !o.flushing {
		o.drop()
	}
}

// flushLocked is the flusher: it writes until nothing waits, unlocking while it writes. flushing is set by who starts it.
func (o *Outbox) flushLocked() {
	for o.first != nil && o.first.messages > 0 && !o.closed && o.err == nil {
		b := o.first
		if o.first, b.next = b.next, nil; o.first == nil {
			o.last = nil
		}
		err := o.arm()
		o.mu.Unlock()
		if err == nil {
			err = o.write(b)
		}
		o.mu.Lock()
		o.bytes -= b.bytes
		o.messages -= b.messages
		if err == nil {
			o.written += uint64(b.bytes)
		}
		b.reset()
		if o.spare == nil && cap(b.buf) <= keptBuffer {
			o.spare = b
		} else {
			b.free()
		}
		if err != nil && !o.closed {
			o.fail(err)
		}
		o.wake()
	}
	if o.spare != nil {
		o.spare.free()
		o.spare = nil
	}
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
		err := o.err
		o.mu.Unlock()
		o.o.OnError(err)
		o.mu.Lock()
	}
}

// drop throws the queue away.
func (o *Outbox) drop() {
	for b := o.first; b != nil; {
		next := b.next
		o.bytes -= b.bytes
		o.messages -= b.messages
		b.reset()
		b.free()
		b = next
	}
	o.first, o.last = nil, nil
}

// waitLocked waits until written reaches target.
func (o *Outbox) waitLocked(ctx context.Context, target uint64) error {
	for o.written < target {
		if o.err != nil {
			return o.err
		}
		if o.closed {
			return ErrClosed
		}
		progress := o.nextProgress()
		select {
		case <-progress:
			o.mu.Lock()
		case <-ctx.Done():
			o.mu.Lock()
			if o.written < target {
				return fmt.Errorf("flushing: %w", ctx.Err())
			}
		}
	}
	return nil
}

// nextProgress unlocks and returns a channel that is closed by the next wake.
func (o *Outbox) nextProgress() <-chan struct{} {
	if o.progress == nil {
		o.progress = make(chan struct{})
	}
	progress := o.progress
	o.mu.Unlock()
	return progress
}

func (o *Outbox) wake() {
	if o.progress != nil {
		close(o.progress)
		o.progress = nil
	}
}

// arm sets the deadline of the next write.
func (o *Outbox) arm() error {
	if o.conn == nil {
		return nil
	}
	var by time.Time
	if o.o.WriteTimeout > 0 {
		by = time.Now().Add(o.o.WriteTimeout)
	}
	if o.waiting > 0 && !o.by.IsZero() && (by.IsZero() || o.by.Before(by)) {
		by = o.by
	}
	if by.IsZero() && !o.armed {
		return nil
	}
	o.armed = !by.IsZero()
	return o.conn.SetWriteDeadline(by)
}

// longAgo is a deadline that interrupts.
func longAgo() time.Time { return time.Unix(1, 0) }
