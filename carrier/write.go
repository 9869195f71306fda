package carrier

import (
	"crypto/tls"
	"io"
)

// tlsPiece is how much goes to a TLS connection in one write: it cannot resume a write that timed out, so each piece
// has the whole timeout.
const tlsPiece = 64 << 10

// plain tells writers that are no TLS connections: vectored writes help, and a timed-out write can be resumed.
func (o *Outbox) plain() bool {
	_, isTLS := o.w.(*tls.Conn)
	return !isTLS
}

// write writes what is left of a batch, waiting for the peer. It is called by the flusher, without the lock.
func (o *Outbox) write(b *batch) error {
	if len(b.shared) == 0 {
		if b.done == len(b.buf) {
			return nil // messages without bytes
		}
		return o.writeBytes(b.buf[b.done:])
	}
	segments := b.segments()
	if !o.plain() || len(*segments) == 1 {
		for _, s := range *segments {
			if err := o.writeBytes(s); err != nil {
				return err
			}
		}
		return nil
	}
	for {
		n, err := segments.WriteTo(o.w)
		if err == nil {
			return nil
		}
		if !o.resume(n > 0, err) {
			return err
		}
	}
}

// writeBytes writes all of p.
func (o *Outbox) writeBytes(p []byte) error {
	for {
		piece := p
		if !o.plain() {
			piece = p[:min(len(p), tlsPiece)]
		}
		n, err := o.w.Write(piece)
		if err == nil && n != len(piece) {
			return io.ErrShortWrite
		}
		if err != nil && !o.resume(n > 0, err) {
			return err
		}
		p = p[n:]
		if len(p) == 0 {
			return nil
		}
		if err == nil {
			if err := o.rearm(); err != nil {
				return err
			}
		}
	}
}

// resume tells whether a write that ended early may go on: the peer took something, only not everything in time.
func (o *Outbox) resume(progressed bool, err error) bool {
	return o.plain() && progressed && isTimeout(err) && o.rearm() == nil
}
