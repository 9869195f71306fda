package carrier

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync"
	"unicode/utf8"

	"github.com/gobwas/ws"
)

// firstMessage is what a message that does not fit the read buffer starts with; it doubles as bytes arrive.
const firstMessage = 8 << 10

// messages are the buffers of messages that do not fit the read buffer.
var messages = sync.Pool{New: func() any { return new(message) }}

// message is one being reassembled.
type message struct{ b []byte }

func newMessage() *message {
	m, _ := messages.Get().(*message)
	return m
}

// free gives the buffer back, unless it is large.
func (m *message) free() {
	if cap(m.b) <= keptBuffer {
		m.b = m.b[:0]
		messages.Put(m)
	}
}

// room returns where to put the next bytes, of which at most missing will come. Memory grows with what has arrived.
func (m *message) room(missing int) []byte {
	if len(m.b) == cap(m.b) {
		grown := make([]byte, len(m.b), min(len(m.b)+missing, max(2*len(m.b), firstMessage)))
		copy(grown, m.b)
		m.b = grown
	}
	space := m.b[len(m.b):cap(m.b)]
	return space[:min(len(space), missing)]
}

// Read returns the next message, with its fragments joined. The bytes are valid until the next Read. Control frames are
// handled inside: a ping is answered, unless the outbox is full, and a close frame too.
//
// When the peer ends the connection Read returns a *CloseError, which wraps io.EOF; in the middle of a frame an error
// wrapping io.ErrUnexpectedEOF. A peer that breaks the protocol (1002), sends a text that is not UTF-8 (1007) or a
// message above the limit (1009, ErrTooLarge) is told so in a close frame, and the error says what, wrapping ErrProtocol but for
// the last. A timeout set by
// SetReadDeadline may be followed by another Read; after any other error only Close and Drop are left. After those Read
// returns ErrClosed.
func (w *WebSocket) Read() (Op, []byte, error) {
	if !w.phase.CompareAndSwap(phaseIdle, phaseReading) {
		if w.phase.Load() == phaseReading {
			return 0, nil, errors.New("reading: another goroutine reads this connection")
		}
		return 0, nil, ErrClosed
	}
	op, b, err := w.next()
	if !w.phase.CompareAndSwap(phaseReading, phaseIdle) {
		close(w.left)
		if err != nil {
			err = ErrClosed
		}
	}
	return op, b, err
}

// next is Read by who holds the phase.
func (w *WebSocket) next() (Op, []byte, error) {
	w.takeBack()
	if w.failure != nil {
		return 0, nil, w.failure
	}
	for {
		// The header is waited for here, not in frame: the less stack a waiting reader uses the better, there are many.
		var b []byte
		var complete bool
		err := w.header()
		if err == nil {
			b, complete, err = w.frame()
		}
		switch {
		case err != nil:
			if !isTimeout(err) {
				w.failure = err
			}
			return 0, nil, err
		case complete:
			return w.op, b, nil
		}
	}
}

// takeBack takes back the bytes returned last.
func (w *WebSocket) takeBack() {
	if w.lent > 0 {
		w.in.Discard(w.lent)
		w.lent = 0
	}
	if w.lentWhole {
		w.message.free()
		w.message, w.lentWhole = nil, false
	}
}

// frame reads the payload of a frame, or goes on where a timeout interrupted it, and returns the message when that
// completes it.
func (w *WebSocket) frame() (whole []byte, complete bool, err error) {
	if w.head.OpCode.IsControl() {
		return nil, false, w.controlFrame()
	}
	size := int(w.head.Length)
	if w.message == nil && w.head.Fin && size <= pageSize {
		// The usual case: the message stays in the read buffer.
		p, err := w.in.Peek(size)
		if err != nil {
			return nil, false, w.broken(err)
		}
		w.unmask(p, 0)
		w.inFrame, w.lent = false, size
		return p, true, w.checkText(p)
	}
	if err := w.gather(size); err != nil {
		return nil, false, w.broken(err)
	}
	w.inFrame = false
	w.fragmented = !w.head.Fin
	if w.fragmented {
		return nil, false, nil
	}
	w.lentWhole = true
	return w.message.b, true, w.checkText(w.message.b)
}

// checkText refuses a text that is not UTF-8.
func (w *WebSocket) checkText(b []byte) error {
	if w.op == Text && !utf8.Valid(b) {
		return w.breach(CloseInvalidData, errors.New("a text message that is not UTF-8"))
	}
	return nil
}

// gather appends the payload of the frame to the message.
func (w *WebSocket) gather(size int) error {
	if w.message == nil {
		w.message = newMessage()
	}
	m := w.message
	for w.missing > 0 {
		n, err := w.in.Read(m.room(w.missing))
		p := m.b[len(m.b) : len(m.b)+n]
		w.unmask(p, size-w.missing)
		m.b = m.b[:len(m.b)+n]
		w.missing -= n
		if err != nil && w.missing > 0 {
			return err
		}
	}
	return nil
}

func (w *WebSocket) unmask(p []byte, at int) {
	if w.head.Masked {
		ws.Cipher(p, w.head.Mask, at)
	}
}

// header reads and judges the header of a frame, unless it was read before a timeout.
func (w *WebSocket) header() error {
	if w.inFrame {
		return nil
	}
	p, err := w.in.Peek(ws.MinHeaderSize)
	if err != nil {
		return w.broken(err)
	}
	size, extra := ws.MinHeaderSize, 0
	switch p[1] &^ maskBit {
	case length16:
		extra = 2
	case length64:
		extra = 8
	}
	size += extra
	if p[1]&maskBit != 0 {
		size += maskSize
	}
	if p, err = w.in.Peek(size); err != nil {
		return w.broken(err)
	}
	h := ws.Header{
		Fin:    p[0]&finBit != 0,
		Rsv:    p[0] >> 4 & 7,
		OpCode: ws.OpCode(p[0] & 15),
		Masked: p[1]&maskBit != 0,
		Length: int64(p[1] &^ maskBit),
	}
	switch extra {
	case 2:
		h.Length = int64(binary.BigEndian.Uint16(p[2:]))
	case 8:
		h.Length = int64(binary.BigEndian.Uint64(p[2:]))
	}
	if h.Masked {
		h.Mask = [maskSize]byte(p[size-maskSize : size])
	}
	if err := w.judge(h, extra); err != nil {
		return err
	}
	w.in.Discard(size)
	w.head, w.inFrame = h, true
	if !h.OpCode.IsControl() {
		w.missing = int(h.Length)
		if h.OpCode != ws.OpContinuation {
			w.op = Op(h.OpCode)
		}
	}
	return nil
}

// judge refuses frames that RFC 6455 section 5 forbids and messages that are too large.
func (w *WebSocket) judge(h ws.Header, extra int) error {
	state := ws.StateServerSide
	if w.client {
		state = ws.StateClientSide
	}
	if w.fragmented {
		state = state.Set(ws.StateFragmented)
	}
	err := ws.CheckHeader(h, state)
	switch {
	case err != nil:
	case h.Length < 0:
		err = ws.ErrHeaderLengthMSB
	case extra == 2 && h.Length < length16, extra == 8 && h.Length <= maxLength16:
		err = errors.New("a length in more bytes than needed")
	}
	if err != nil {
		return w.breach(CloseProtocol, err)
	}
	have := 0
	if w.fragmented {
		have = len(w.message.b)
	}
	if !h.OpCode.IsControl() && h.Length > int64(w.max-have) {
		w.tell(CloseTooLarge, fmt.Sprintf("messages are at most %d bytes", w.max))
		return fmt.Errorf("reading: %w: a frame of %d bytes after %d, at most %d are accepted", ErrTooLarge, h.Length, have, w.max)
	}
	return nil
}

// controlFrame handles a control frame, which always fits the read buffer.
func (w *WebSocket) controlFrame() error {
	size := int(w.head.Length)
	p, err := w.in.Peek(size)
	if err != nil {
		return w.broken(err)
	}
	w.unmask(p, 0)
	w.inFrame = false
	w.in.Discard(size) // p stays valid until the reader is used again
	switch w.head.OpCode {
	case ws.OpPing:
		// A pong that finds the outbox full or closed is not owed to a peer that does not read.
		_ = w.control(ws.OpPong, p)
	case ws.OpClose:
		code, reason, wrong := parseClose(p)
		if wrong != "" {
			return w.breach(code, errors.New(wrong))
		}
		w.tell(code, "")
		return &CloseError{Code: code, Reason: reason}
	}
	return nil
}

// breach tells the peer what it did wrong and returns it.
func (w *WebSocket) breach(code int, err error) error {
	w.tell(code, err.Error())
	return fmt.Errorf("reading: %w: %w", ErrProtocol, err)
}

// tell queues a close frame as the last thing sent; only the first one counts.
func (w *WebSocket) tell(code int, reason string) {
	payload := closePayload(code, reason)
	frame := make([]byte, 0, ws.MaxHeaderSize+len(payload))
	if w.client {
		frame = appendClientFrame(frame, ws.OpClose, payload)
	} else {
		frame = AppendFrame(frame, Op(ws.OpClose), payload)
	}
	_ = w.out.AppendLast(frame) // a connection that ended already needs no farewell
}

// broken makes the error of a connection that did not deliver.
func (w *WebSocket) broken(err error) error {
	if isTimeout(err) {
		return fmt.Errorf("reading: %w", err)
	}
	if failed := w.out.failed(); failed != nil {
		return failed // the connection was closed because of it
	}
	if !errors.Is(err, io.EOF) {
		return fmt.Errorf("reading: %w", err)
	}
	if w.inFrame || w.fragmented {
		return fmt.Errorf("reading: the peer left in the middle of a message: %w", io.ErrUnexpectedEOF)
	}
	return &CloseError{Code: codeAbnormal}
}
