package carrier

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/gobwas/ws"
)

// streamFrame is the most a stream puts into one frame.
const streamFrame = 32 << 10

// Stream returns the WebSocket as a stream of bytes in binary messages, whose boundaries mean nothing; a text message
// ends it with close code 1003. While it is used, Read of the WebSocket is not.
//
// Write returns when the bytes are written to the connection, so an Outbox on top of it sees its pace. A write that
// is interrupted by its deadline breaks the connection; one that begins after it only fails. Read returns io.EOF when the peer closes. Close is WebSocket.Close with
// code 1000.
func (w *WebSocket) Stream() net.Conn { return &stream{w: w} }

type stream struct {
	w    *WebSocket
	rest []byte // of the message read last
}

func (s *stream) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	for len(s.rest) == 0 {
		op, b, err := s.w.Read()
		if errors.Is(err, io.EOF) {
			return 0, io.EOF
		}
		if err != nil {
			return 0, err
		}
		if op != Binary {
			s.w.tell(CloseUnsupported, "only binary messages")
			return 0, errors.New("reading: a text message where only binary ones are allowed")
		}
		s.rest = b
	}
	n := copy(p, s.rest)
	s.rest = s.rest[n:]
	return n, nil
}

func (s *stream) Write(p []byte) (written int, err error) {
	room := min(streamFrame, s.w.out.o.MaxBytes-ws.MaxHeaderSize)
	if room <= 0 {
		return 0, fmt.Errorf("writing a stream: an outbox of %d bytes holds no frame", s.w.out.o.MaxBytes)
	}
	for len(p) > 0 {
		n := min(len(p), room)
		if err := s.writeFrame(p[:n]); err != nil {
			return written, err
		}
		written += n
		p = p[n:]
	}
	return written, nil
}

// writeFrame writes one message, after what others have queued.
func (s *stream) writeFrame(p []byte) error {
	out := s.w.out
	for {
		buf := out.Begin()
		if s.w.client {
			buf = appendClientFrame(buf, ws.OpBinary, p)
		} else {
			buf = AppendFrame(buf, Binary, p)
		}
		err := out.commitNow(buf)
		if !errors.Is(err, ErrFull) {
			return err
		}
		if err := out.Flush(context.Background()); err != nil {
			return err
		}
	}
}

func (s *stream) Close() error                       { return s.w.Close(CloseNormal, "") }
func (s *stream) LocalAddr() net.Addr                { return s.w.LocalAddr() }
func (s *stream) RemoteAddr() net.Addr               { return s.w.RemoteAddr() }
func (s *stream) SetReadDeadline(t time.Time) error  { return s.w.SetReadDeadline(t) }
func (s *stream) SetWriteDeadline(t time.Time) error { return s.w.out.setDeadline(t) }

func (s *stream) SetDeadline(t time.Time) error {
	return errors.Join(s.SetReadDeadline(t), s.SetWriteDeadline(t))
}
