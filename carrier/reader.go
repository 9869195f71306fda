package carrier

import (
	"bufio"
	"errors"
	"io"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

const (
	// nookSize is the buffer a Reader always has: enough for a usual small message in one read.
	nookSize = 512
	// pageSize is the buffer a Reader borrows while more arrives than fits the nook.
	pageSize = 4096
	// maxEmptyReads is how often a source may return nothing and no error.
	maxEmptyReads = 100
)

// pages are the buffers that busy readers borrow. Their content means nothing.
var pages = sync.Pool{New: func() any { return new([pageSize]byte) }}

// Reader buffers a connection with little memory: 512 bytes while it waits, 4 KiB borrowed only as long as more than
// that keeps arriving. It is used by one goroutine.
//
// An error of the source is returned as it is and is not remembered: after a timeout reading may go on, and no byte is
// lost.
type Reader struct {
	src  io.Reader
	buf  []byte // the nook, a page, or bytes read before the Reader existed
	i, j int    // buf[i:j] is unread
	page *[pageSize]byte
	full bool          // the last read filled the buffer: more is likely waiting
	seen *atomic.Int64 // when bytes last arrived, if somebody wants to know: nanoseconds of the Unix clock
	now  *nowReader    // made by the first fillNow
	nook [nookSize]byte
}

// nowReader reads from a socket what is there.
type nowReader struct {
	raw  syscall.RawConn // nil where that cannot be done
	to   []byte
	n    int
	pull func(fd uintptr) bool // made once so that using it allocates nothing
}

// NewReader returns a Reader of src.
func NewReader(src io.Reader) *Reader {
	r := &Reader{}
	r.reset(src, nil)
	return r
}

// reset starts the reader with bytes that were read from src already; it keeps them.
func (r *Reader) reset(src io.Reader, before []byte) {
	r.src = src
	r.buf, r.i, r.j = before, 0, len(before)
	if len(before) == 0 {
		r.buf = r.nook[:]
	}
}

// Buffered tells how many bytes can be read without touching the source.
func (r *Reader) Buffered() int { return r.j - r.i }

// Peek returns the next n bytes without consuming them, waiting for them if need be. They are valid until the next
// call. With fewer the error says why: io.EOF before the first byte, io.ErrUnexpectedEOF after it, bufio.ErrBufferFull
// when n is above 4096.
func (r *Reader) Peek(n int) ([]byte, error) {
	if n > pageSize && n > r.j-r.i {
		return nil, bufio.ErrBufferFull
	}
	for r.j-r.i < n {
		if n > len(r.buf) {
			r.borrow()
		}
		if err := r.fill(n); err != nil {
			if errors.Is(err, io.EOF) && r.j > r.i {
				err = io.ErrUnexpectedEOF
			}
			return nil, err
		}
	}
	return r.buf[r.i : r.i+n], nil
}

// Discard consumes n bytes that Peek has shown.
func (r *Reader) Discard(n int) {
	if n < 0 || n > r.j-r.i {
		panic("carrier: discarding more than is buffered")
	}
	r.i += n
}

// ReadByte consumes one byte.
func (r *Reader) ReadByte() (byte, error) {
	if r.i == r.j {
		if err := r.fill(1); err != nil {
			return 0, err
		}
	}
	b := r.buf[r.i]
	r.i++
	return b, nil
}

// Read consumes up to len(p) bytes. What is buffered comes first; a large p is filled straight from the source.
func (r *Reader) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if r.i == r.j {
		if len(p) >= nookSize {
			r.giveBack()
			n, err := r.src.Read(p)
			r.stamp(n)
			return n, err
		}
		if err := r.fill(1); err != nil {
			return 0, err
		}
	}
	n := copy(p, r.buf[r.i:r.j])
	r.i += n
	return n, nil
}

// fill reads at least one byte. want is how many unread bytes the caller needs in the buffer, which has that size.
func (r *Reader) fill(want int) error {
	if r.i == r.j {
		r.i, r.j = 0, 0
		switch {
		case r.full && r.page == nil:
			r.borrow()
		case !r.full && want <= nookSize:
			r.giveBack()
		}
	} else if len(r.buf)-r.i < want {
		r.j = copy(r.buf, r.buf[r.i:r.j])
		r.i = 0
	}
	for range maxEmptyReads {
		n, err := r.src.Read(r.buf[r.j:])
		r.stamp(n)
		r.full = n == len(r.buf)-r.j
		r.j += n
		if n > 0 {
			return nil
		}
		if err != nil {
			return err
		}
	}
	return io.ErrNoProgress
}

// unread are the bytes that are buffered.
func (r *Reader) unread() []byte { return r.buf[r.i:r.j] }

// fillNow reads what has arrived on the socket, without waiting, if the last read has filled the buffer, and tells
// whether that was something. What goes wrong shows in the next read.
func (r *Reader) fillNow() bool {
	if !r.full || r.j-r.i == pageSize {
		return false
	}
	if r.now == nil {
		now := &nowReader{raw: rawConn(r.src)}
		now.pull = func(fd uintptr) bool {
			now.n = readSocket(fd, now.to)
			return true // never to be called again
		}
		r.now = now
	}
	if r.now.raw == nil {
		return false
	}
	if r.page == nil {
		r.borrow()
	} else if r.i > 0 {
		r.j = copy(r.buf, r.buf[r.i:r.j])
		r.i = 0
	}
	r.now.to, r.now.n = r.buf[r.j:], 0
	err := r.now.raw.Read(r.now.pull)
	r.now.to = nil
	if err != nil || r.now.n <= 0 {
		r.full = false
		return false
	}
	r.stamp(r.now.n)
	r.full = r.now.n == len(r.buf)-r.j
	r.j += r.now.n
	return true
}

// stamp notes that n bytes have arrived.
func (r *Reader) stamp(n int) {
	if n > 0 && r.seen != nil {
		r.seen.Store(time.Now().UnixNano())
	}
}

// borrow moves the unread bytes, which fit, to a page.
func (r *Reader) borrow() {
	page, _ := pages.Get().(*[pageSize]byte)
	r.j = copy(page[:], r.buf[r.i:r.j])
	r.i = 0
	if r.page != nil {
		pages.Put(r.page)
	}
	r.page, r.buf = page, page[:]
}

// giveBack returns the page of an empty reader.
func (r *Reader) giveBack() {
	if r.page != nil {
		pages.Put(r.page)
		r.page = nil
	}
	r.buf, r.i, r.j, r.full = r.nook[:], 0, 0, false
}
