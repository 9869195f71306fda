package carrier

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"time"
)

// pipeBuffer is how many bytes one direction of a pipe holds before a writer waits, about what a socket does.
const pipeBuffer = 64 << 10

// pipeKept is the largest buffer an empty direction keeps.
const pipeKept = 1 << 10

// Pipe returns the two ends of a connection in memory. Each direction is buffered, so that a writer waits only when 64
// KiB are unread. Deadlines, Close and concurrent use behave as those of a socket: what was written before Close can
// still be read, then Read returns io.EOF; CloseWrite closes one direction. It uses only package sync and time and
// works inside testing/synctest bubbles.
func Pipe() (a, b net.Conn) {
	return pipe("pipe")
}

func pipe(name string) (a, b *pipeConn) {
	there, back := newHalf(), newHalf()
	return &pipeConn{in: back, out: there, addr: memoryAddr(name)}, &pipeConn{in: there, out: back, addr: memoryAddr(name)}
}

// memoryAddr is the address of a connection or listener in memory.
type memoryAddr string

func (memoryAddr) Network() string  { return networkMemory }
func (a memoryAddr) String() string { return string(a) }

// half is one direction of a pipe.
type half struct {
	mu       sync.Mutex
	changed  sync.Cond // any field below changed, or a deadline passed
	buf      []byte    // buf[off:] is unread
	off      int
	writing  bool // a Write is under way; others wait, so that writes do not mix
	eof      bool // nothing more will be written
	unread   bool // nobody will read any more
	readBy   deadline
	writeBy  deadline
	readEnd  bool // the reading side was closed locally
	writeEnd bool // the writing side was closed locally
}

func newHalf() *half {
	h := &half{}
	h.changed.L = &h.mu
	return h
}

// deadline wakes everybody on a half when it passes.
type deadline struct {
	at    time.Time
	timer *time.Timer
}

func (d *deadline) passed() bool { return !d.at.IsZero() && !time.Now().Before(d.at) }

// set is called with the half's lock held.
func (d *deadline) set(t time.Time, h *half) {
	d.at = t
	if d.timer != nil {
		d.timer.Stop()
	}
	if !t.IsZero() {
		if wait := time.Until(t); wait > 0 {
			if d.timer == nil {
				d.timer = time.AfterFunc(wait, h.wake)
			} else {
				d.timer.Reset(wait)
			}
		}
	}
	h.changed.Broadcast()
}

// wake takes the lock: a waiter between its look at the clock and its Wait would miss the broadcast.
func (h *half) wake() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.changed.Broadcast()
}

func (h *half) read(p []byte) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for {
		switch {
		case h.readEnd:
			return 0, net.ErrClosed
		case h.readBy.passed():
			return 0, os.ErrDeadlineExceeded
		case len(p) == 0:
			return 0, nil
		case h.off < len(h.buf):
			n := copy(p, h.buf[h.off:])
			h.off += n
			if h.off == len(h.buf) {
				h.off, h.buf = 0, h.buf[:0]
				if cap(h.buf) > pipeKept {
					h.buf = nil
				}
			}
			h.changed.Broadcast()
			return n, nil
		case h.eof:
			return 0, io.EOF
		}
		h.changed.Wait()
	}
}

func (h *half) write(p []byte) (n int, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	mine := false
	defer func() {
		if mine {
			h.writing = false
			h.changed.Broadcast()
		}
	}()
	for {
		switch {
		case h.writeEnd:
			return n, net.ErrClosed
		case h.writeBy.passed():
			return n, os.ErrDeadlineExceeded
		case h.unread:
			return n, io.ErrClosedPipe
		case mine || !h.writing:
			mine, h.writing = true, true
			if room := pipeBuffer - (len(h.buf) - h.off); room > 0 {
				m := min(room, len(p)-n)
				h.append(p[n : n+m])
				n += m
				h.changed.Broadcast()
			}
			if n == len(p) {
				return n, nil
			}
		}
		h.changed.Wait()
	}
}

// append adds bytes, moving the unread ones to the front when that makes them fit.
func (h *half) append(p []byte) {
	if h.off > 0 && len(h.buf)+len(p) > cap(h.buf) {
		h.buf = h.buf[:copy(h.buf, h.buf[h.off:])]
		h.off = 0
	}
	h.buf = append(h.buf, p...)
}

func (h *half) update(change func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	change()
	h.changed.Broadcast()
}

// pipeConn is one end of a pipe.
type pipeConn struct {
	in, out *half
	addr    memoryAddr
}

func (c *pipeConn) Read(p []byte) (int, error) {
	n, err := c.in.read(p)
	if err != nil && !errors.Is(err, io.EOF) { // io.EOF stays bare: many compare it
		err = fmt.Errorf("reading from %s: %w", c.addr, err)
	}
	return n, err
}

func (c *pipeConn) Write(p []byte) (int, error) {
	n, err := c.out.write(p)
	if err != nil {
		err = fmt.Errorf("writing to %s: %w", c.addr, err)
	}
	return n, err
}

// Close ends both directions. The peer still reads what was written.
func (c *pipeConn) Close() error {
	c.in.update(func() {
		c.in.readEnd, c.in.unread = true, true
		c.in.buf, c.in.off = nil, 0
		c.in.readBy.stop()
	})
	c.out.update(func() {
		c.out.writeEnd, c.out.eof = true, true
		c.out.writeBy.stop()
	})
	return nil
}

// CloseWrite ends the writing direction, so that the peer reads io.EOF after what was written.
func (c *pipeConn) CloseWrite() error {
	c.out.update(func() { c.out.writeEnd, c.out.eof = true, true })
	return nil
}

func (d *deadline) stop() {
	if d.timer != nil {
		d.timer.Stop()
	}
}

func (c *pipeConn) LocalAddr() net.Addr  { return c.addr }
func (c *pipeConn) RemoteAddr() net.Addr { return c.addr }

func (c *pipeConn) SetDeadline(t time.Time) error {
	if err := c.SetReadDeadline(t); err != nil {
		return err
	}
	return c.SetWriteDeadline(t)
}

func (c *pipeConn) SetReadDeadline(t time.Time) error {
	c.in.mu.Lock()
	defer c.in.mu.Unlock()
	if c.in.readEnd {
		return net.ErrClosed
	}
	c.in.readBy.set(t, c.in)
	return nil
}

func (c *pipeConn) SetWriteDeadline(t time.Time) error {
	c.out.mu.Lock()
	defer c.out.mu.Unlock()
	if c.out.writeEnd {
		return net.ErrClosed
	}
	c.out.writeBy.set(t, c.out)
	return nil
}
