package carrier

import (
	"io"
	"sync"
	"syscall"
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
	// MaxBytes bounds the bytes waiting, those being written included; 0 means 1 MiB. When nothing waits one message of
	// any size is taken, so that a large one is not refused for ever: the bound is the larger of the two.
	MaxBytes int
	// MaxMessages bounds the messages waiting, those being written included; 0 means no limit.
	MaxMessages int
	// WriteTimeout is how long the peer may take without reading anything; 0 means 30 s, negative no limit. On TLS it is
	// the time for each 64 KiB.
	WriteTimeout time.Duration
	// OnError is called once when a write fails, by who wrote: the flusher or a goroutine in Kick. It is not called when
	// Close interrupts the write. It must not call Close or Flush of the outbox, which wait for it.
	OnError func(error)
	// OnRoom is called once after an append was refused with ErrFull, or after NeedRoom, when what waits has fallen to
	// half of MaxBytes and half of MaxMessages; the next such refusal arms it again. Who writes calls it: the flusher or a
	// goroutine in Kick, one call at a time. It may append, NeedRoom and Kick; it must not call Close or Flush of the
	// outbox, which wait for it. After Close or a failed write it is not called any more.
	OnRoom func()
}

// Outbox is the bounded queue of bytes towards one connection, and the only writer to it.
//
// Messages are written whole and in the order of the appends, many in one write (about 32 KiB, more of shared ones)
// when they come faster than the connection takes them. Appends never block on the connection. They may come from any
// goroutine.
//
// An append either starts a flusher, a goroutine that writes until nothing waits, or leaves that to a later Kick
// (CommitLater, AppendParts), which suits who has many messages for many outboxes: one write for all of them, on its
// own goroutine. The two ways may be mixed.
type Outbox struct {
	w   io.Writer
	raw syscall.RawConn // w, when Kick can write to it without waiting; looked up by the first Kick
	o   OutboxOptions
	run func() // flush, made once so that starting it allocates nothing

	mu       sync.Mutex
	first    *batch // what waits for the next write; nil when nothing does
	last     *batch // of the list that begins with first: appends go there
	bytes    int    // waiting, the batch being written included
	messages int
	queued   uint64        // bytes ever queued, but for those thrown away
	err      *writeError   // why writing failed
	urgent   *urgent       // somebody writes with a deadline of their own
	progress chan struct{} // closed when something is written or the state changes; made by who waits
	flushing bool          // a flusher or Kick writes
	promised bool          // something waits and somebody was told to kick
	wanted   bool          // OnRoom is to be called when there is room
	lost     bool          // queued bytes were thrown away
	sealed   bool          // no more appends, the queue is still written
	closed   bool          // no more appends nor writes
	armed    bool          // the connection has a write deadline
	asked    bool          // raw has been looked up
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
	return &Outbox{w: w, o: o}
}

// Append queues a copy of one message. Past a bound it queues nothing and returns ErrFull; after Close or a failed write
// it returns an error that wraps ErrClosed, and the failure's cause.
func (o *Outbox) Append(b []byte) error {
	_, err := o.AppendParts(b, nil, false)
	return err
}

// AppendShared is Append for a message sent to many: a large one is not copied but kept by reference until written, so
// its bytes must never change afterwards.
func (o *Outbox) AppendShared(b []byte) error {
	_, err := o.AppendParts(nil, b, false)
	return err
}

// AppendParts queues one message made of a copy of head and of shared, under the conditions of Append. A large shared is
// not copied but kept by reference until written, so its bytes must never change afterwards. With later it starts no
// flusher; kick is then what it is for CommitLater.
func (o *Outbox) AppendParts(head, shared []byte, later bool) (kick bool, err error) {
	n := len(head) + len(shared)
	o.mu.Lock()
	defer o.mu.Unlock()
	if err := o.admit(n); err != nil {
		return false, err
	}
	q := o.open()
	q.buf = append(q.buf, head...)
	if len(shared) < sharedMin {
		q.buf = append(q.buf, shared...)
	} else {
		q.shared = append(q.shared, sharedFrame{at: len(q.buf), frame: shared})
	}
	o.accepted(n)
	if later {
		return o.promise(), nil
	}
	o.start()
	return false, nil
}

// Begin locks the outbox and hands out a buffer to append one message to, in place. Commit or CommitLater must follow on
// the same goroutine, with no other call of the outbox in between. The bytes already in the buffer must be left alone.
func (o *Outbox) Begin() []byte {
	o.mu.Lock()
	return o.open().buf
}

// Commit queues what was appended to the buffer of Begin, under the conditions of Append, and unlocks. Handing back the
// buffer as Begin gave it queues nothing.
func (o *Outbox) Commit(buf []byte) error {
	defer o.mu.Unlock()
	queued, err := o.take(buf)
	if queued {
		o.start()
	}
	return err
}

// CommitLater is Commit, but starts no flusher. When kick is true the caller must call Kick soon: nothing is being
// written, and nobody else was told to kick. So who has many messages gets it once for each outbox to be kicked in the
// end. When it is false the message is taken care of.
//
// After ErrFull a Kick may make room at once.
func (o *Outbox) CommitLater(buf []byte) (kick bool, err error) {
	defer o.mu.Unlock()
	queued, err := o.take(buf)
	return queued && o.promise(), err
}

// take makes buf, the last batch's buffer with one message appended, the last batch's buffer. It tells whether there was
// a message.
func (o *Outbox) take(buf []byte) (queued bool, err error) {
	n := len(buf) - len(o.last.buf)
	err = o.admit(n)
	if err != nil || n == 0 {
		if cap(buf) <= keptBuffer {
			o.last.buf = buf[:len(o.last.buf)] // it may have grown: keep that
		}
		o.trim()
		return false, err
	}
	o.last.buf = buf
	o.accepted(n)
	return true, nil
}

// NeedRoom arms OnRoom as a refusal with ErrFull does. When what waits is already down to half of the bounds, OnRoom is
// called soon: by who writes, after the write under way, or else by a flusher started for it, never by this call itself.
// Without OnRoom, after Close and after a failed write it does nothing.
func (o *Outbox) NeedRoom() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.wanted = o.o.OnRoom != nil
	if o.roomDue() {
		o.start()
	}
}

// AppendLast queues a message past the bounds and refuses all others from then on.
func (o *Outbox) AppendLast(b []byte) error {
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

// Close refuses further appends, interrupts a write under way, throws away what is queued and waits for who writes to
// be done. It does not write what is queued (Flush first) and does not close the connection. A writer without deadlines
// cannot be interrupted: Close waits for its Write.
func (o *Outbox) Close() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.closed = true
	if conn, ok := o.w.(writeDeadliner); ok && o.flushing {
		_ = conn.SetWriteDeadline(longAgo()) // fails only on a connection that is gone, whose write ends by itself
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
	if o.err == nil {
		return nil
	}
	return o.err
}
