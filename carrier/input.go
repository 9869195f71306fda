package carrier

import (
	"io"
	"math/bits"
	"sync"
)

// largestBlock is the largest buffer that is pooled; those between pageSize and it are twice as large as the one before.
const largestBlock = 64 << 10

// blocks are the buffers that busy inputs borrow, by size from pageSize on. Their content means nothing.
var blocks [5]sync.Pool

// Input is a read buffer for protocols whose packets carry their length: the caller looks at the unread bytes, takes
// whole packets off them and fills the buffer when the next one is not complete.
//
//	for {
//		need := packetSize(in.Bytes()) // as far as the bytes tell
//		if in.Buffered() < need {
//			if err := in.Fill(need); err != nil {
//				return err
//			}
//			continue // perhaps the bytes tell more now
//		}
//		use(in.Bytes()[:need])
//		in.Discard(need)
//	}
//
// It holds half a kilobyte, in itself, while little arrives. It grows to 4 KiB and on, by twice, to 64 KiB as long as
// reads fill it, in buffers that inputs share, and shrinks when they do not; a connection that rests after a burst holds
// 4 KiB until the next small read. A packet above 64 KiB has a buffer of its own for its time. A length that a peer
// claims is no reason to grow: beyond 4 KiB the buffer is never above about twice the unread bytes or what one read
// has brought.
//
// An error of the source is returned as it is and not remembered: after a timeout reading may go on, and no byte is
// lost. At io.EOF Buffered tells whether a packet was cut. An Input is used by one goroutine and must not be copied.
type Input struct {
	src   io.Reader
	buf   []byte // buf[i:] is unread, up to the capacity there is room; in nook, block, or of its own
	i     int
	block *[]byte // borrowed from blocks
	last  int     // bytes of the last read
	nook  [nookSize]byte
}

// NewInput returns an Input of src.
func NewInput(src io.Reader) *Input {
	in := &Input{}
	in.Reset(src)
	return in
}

// Reset makes it an Input of src without unread bytes, whatever it was before. After its last use Reset(nil) gives back
// what it has borrowed.
func (in *Input) Reset(src io.Reader) {
	in.src, in.buf, in.i, in.last = src, in.buf[:0], 0, 0
	in.resize(nookSize)
}

// Bytes returns the unread bytes. They are valid until the next Fill or Reset; Discard leaves them alone.
func (in *Input) Bytes() []byte { return in.buf[in.i:len(in.buf):len(in.buf)] }

// Buffered tells how many bytes are unread.
func (in *Input) Buffered() int { return len(in.buf) - in.i }

// Discard takes the first n unread bytes off.
func (in *Input) Discard(n int) {
	if n < 0 || n > in.Buffered() {
		panic("carrier: discarding more than is buffered")
	}
	in.i += n
}

// Fill reads once from the source, waiting for at least one byte; with none the error says why. need is how many unread
// bytes the caller wants in all, as far as it knows; it may take several calls to have them.
func (in *Input) Fill(need int) error {
	in.makeRoom(need)
	for range maxEmptyReads {
		n, err := in.src.Read(in.buf[len(in.buf):cap(in.buf)])
		if n > 0 {
			in.buf = in.buf[:len(in.buf)+n]
			in.last = n
			return nil
		}
		if err != nil {
			return err
		}
	}
	return io.ErrNoProgress
}

// makeRoom moves the unread bytes to where the next read fits behind them.
func (in *Input) makeRoom(need int) {
	have := in.Buffered()
	size := in.next(have, need)
	switch {
	case size != cap(in.buf):
		in.resize(size)
	case have == 0:
		in.buf, in.i = in.buf[:0], 0
	case in.i > 0 && (size-in.i < need || size-len(in.buf) < size/2):
		in.buf = in.buf[:copy(in.buf, in.buf[in.i:])]
		in.i = 0
	}
}

// next chooses the size of the buffer for the next read.
func (in *Input) next(have, need int) int {
	size := cap(in.buf)
	full := len(in.buf) == size
	switch {
	case have == size && size >= largestBlock: // one large packet
		return min(max(need, size+pageSize), 2*size)
	case size > largestBlock: // it is over, or soon will be
		if fit := blockSize(2 * have); fit <= largestBlock {
			return fit
		}
	case full && size == nookSize:
		return pageSize
	case full:
		return min(2*size, largestBlock) // more is likely waiting
	case size > pageSize:
		return min(size, blockSize(2*have))
	case have == 0 && in.last <= nookSize:
		return nookSize
	}
	return size
}

// blockSize returns the size of the block that holds n bytes, as if there were one of any size.
func blockSize(n int) int {
	if n <= pageSize {
		return pageSize
	}
	return 1 << bits.Len(uint(n-1))
}

// resize moves the unread bytes, which fit, to a buffer of that size.
func (in *Input) resize(size int) {
	unread, old := in.buf[in.i:], in.block
	in.block = nil
	switch {
	case size == nookSize:
		in.buf = in.nook[:0]
	case size <= largestBlock:
		in.block = borrowBlock(size)
		in.buf = (*in.block)[:0]
	default:
		in.buf = make([]byte, 0, size)
	}
	in.buf, in.i = append(in.buf, unread...), 0
	if old != nil {
		blocksOf(len(*old)).Put(old)
	}
}

func borrowBlock(size int) *[]byte {
	if b, ok := blocksOf(size).Get().(*[]byte); ok {
		return b
	}
	b := make([]byte, size)
	return &b
}

// blocksOf returns the pool of the blocks of a size.
func blocksOf(size int) *sync.Pool {
	return &blocks[bits.Len(uint(size/pageSize))-1]
}
