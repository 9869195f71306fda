package carrier

import (
	"net"
	"sync"
)

const (
	// keptBuffer is the largest buffer that is pooled; larger ones are left to the garbage collector.
	keptBuffer = 64 << 10
	// firstBuffer is the capacity of a new one.
	firstBuffer = 1 << 10
	// fullBuffer and fullBatch are from where a batch takes no further message: enough for a write to be worth its cost,
	// and little enough that the buffer stays one that is pooled. Shared frames need no buffer, only a slow peer's time.
	fullBuffer = 32 << 10
	fullBatch  = 256 << 10
)

// batches are the buffers of busy outboxes. A pooled batch is empty.
var batches = sync.Pool{New: func() any {
	b := &batch{buf: make([]byte, 0, firstBuffer)}
	b.push = b.pushTo
	return b
}}

// batch is what is written at once: bytes copied into buf, and shared frames that belong between them. Batches that
// wait form a list.
type batch struct {
	next     *batch
	buf      []byte
	shared   []sharedFrame
	messages int
	bytes    int // of buf and of the shared frames
	done     int // how many of them are written

	// push is pushTo, made once so that using it allocates nothing. It writes up to stop and leaves its failure in err.
	push func(fd uintptr) bool
	stop int
	err  error

	store, vector net.Buffers // vector is consumed by the write, store remembers its memory
}

// sharedFrame is written when buf has been up to at.
type sharedFrame struct {
	at    int
	frame []byte
}

func newBatch() *batch {
	b, _ := batches.Get().(*batch)
	return b
}

// full tells whether to begin another one.
func (b *batch) full() bool { return len(b.buf) >= fullBuffer || b.bytes >= fullBatch }

// segments lists the pieces still to be written, in order. It is valid until reset.
func (b *batch) segments() *net.Buffers {
	b.store = b.store[:0]
	for at := b.done; at < b.bytes; {
		p := b.piece(at)
		b.store = append(b.store, p)
		at += len(p)
	}
	b.vector = b.store
	return &b.vector
}

// piece returns the bytes from at on that lie together.
func (b *batch) piece(at int) []byte {
	shared := 0 // bytes of the frames passed
	for _, s := range b.shared {
		if at < s.at+shared {
			return b.buf[at-shared : s.at]
		}
		if in := at - s.at - shared; in < len(s.frame) {
			return s.frame[in:]
		}
		shared += len(s.frame)
	}
	return b.buf[at-shared:]
}

// pushTo writes what a socket takes without waiting. It is never to be called again, which is what true says.
func (b *batch) pushTo(fd uintptr) bool {
	for b.done < b.stop && b.err == nil {
		p := b.piece(b.done)
		p = p[:min(len(p), b.stop-b.done)]
		var n int
		n, b.err = writeSocket(fd, p)
		b.done += n
		if n < len(p) {
			break
		}
	}
	return true
}

// reset empties the batch and lets go of the shared frames.
func (b *batch) reset() {
	b.next, b.buf = nil, b.buf[:0]
	b.messages, b.bytes, b.done = 0, 0, 0
	if len(b.shared) > 0 {
		clear(b.shared)
		clear(b.store[:cap(b.store)])
		b.shared, b.store, b.vector = b.shared[:0], b.store[:0], nil
	}
}

// free empties the batch and gives it back.
func (b *batch) free() {
	b.reset()
	if cap(b.buf) <= keptBuffer {
		batches.Put(b)
	}
}
