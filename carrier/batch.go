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
var batches = sync.Pool{New: func() any { return &batch{buf: make([]byte, 0, firstBuffer)} }}

// batch is what is written at once: bytes copied into buf, and shared frames that belong between them. Batches that
// wait form a list.
type batch struct {
	next     *batch
	buf      []byte
	shared   []sharedFrame
	messages int
	bytes    int // of buf and of the shared frames

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

func (b *batch) full() bool { return len(b.buf) >= fullBuffer || b.bytes >= fullBatch }

// segments lists the pieces to write, in order. It is valid until reset.
func (b *batch) segments() *net.Buffers {
	b.store = b.store[:0]
	done := 0
	for _, s := range b.shared {
		if s.at > done {
			b.store = append(b.store, b.buf[done:s.at])
			done = s.at
		}
		b.store = append(b.store, s.frame)
	}
	if done < len(b.buf) {
		b.store = append(b.store, b.buf[done:])
	}
	b.vector = b.store
	return &b.vector
}

// reset empties the batch and lets go of the shared frames.
func (b *batch) reset() {
	b.next, b.buf = nil, b.buf[:0]
	b.messages, b.bytes = 0, 0
	if len(b.shared) > 0 {
		clear(b.shared)
		clear(b.store[:cap(b.store)])
		b.shared, b.store, b.vector = b.shared[:0], b.store[:0], nil
	}
}

// free gives an empty batch back.
func (b *batch) free() {
	if cap(b.buf) <= keptBuffer {
		batches.Put(b)
	}
}
