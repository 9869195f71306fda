package carrier

import (
	"context"
	"errors"
	"io"
	"time"
)

// Who reads a WebSocket. The reader takes phaseReading for the time of a Read. Close takes phaseClosing when nobody
// reads, or phaseLeaving while somebody does: the reader then closes left on its way out.
const (
	phaseIdle int32 = iota
	phaseReading
	phaseClosing
	phaseLeaving
)

const (
	// farewell bounds the writing of what is queued when a connection is ended.
	farewell = time.Second
	// linger bounds the wait for the peer to end the connection too. Closing with unread bytes would reset it and take
	// what was written last, the close code included, away from the peer.
	linger = 500 * time.Millisecond
	// lingerBytes bounds what is read meanwhile.
	lingerBytes = 4 << 20
)

// Close ends the connection: it queues a close frame (unless one was sent, as after an error of Read), writes what is
// queued within a second, gives the peer half a second to read it, closes the connection and waits for the flusher. A
// Read under way ends. Codes that must not be sent, such as 0, make a close frame without one; a long reason is cut.
//
// It returns an error when what was queued could not be written. Only the first of Close and Drop counts; the others
// wait for it and return what it returned.
func (w *WebSocket) Close(code int, reason string) error {
	return w.finish(func() { w.tell(code, reason) })
}

// Drop ends the connection as Close does, but without a close frame: some clients only reconnect then.
func (w *WebSocket) Drop() error {
	return w.finish(w.out.seal)
}

func (w *WebSocket) finish(last func()) error {
	w.end.Do(func() {
		last()
		ctx, cancel := context.WithTimeout(context.Background(), farewell)
		defer cancel()
		w.ended = w.out.Flush(ctx)
		if w.ended == nil {
			w.lingerOn()
		} else {
			w.stopReading()
		}
		_ = w.out.Close() // never fails
		hardClose(w.c)
	})
	return w.ended
}

// stopReading makes every further Read fail. It tells whether the caller may read now; otherwise a Read is under way.
func (w *WebSocket) stopReading() (mine bool) {
	for {
		if w.phase.CompareAndSwap(phaseIdle, phaseClosing) {
			return true
		}
		if w.phase.CompareAndSwap(phaseReading, phaseLeaving) {
			return false
		}
	}
}

// lingerOn ends our direction of the connection and reads on until the peer has ended its own.
func (w *WebSocket) lingerOn() {
	until := time.Now().Add(linger)
	mine := w.stopReading()
	w.deadlines.Lock()
	err := w.c.SetDeadline(until)
	w.deadlines.Unlock()
	if err != nil {
		return // it is gone
	}
	if half, ok := w.c.(interface{ CloseWrite() error }); ok {
		if half.CloseWrite() != nil {
			return
		}
	}
	if !mine {
		timer := time.NewTimer(linger)
		defer timer.Stop()
		select {
		case <-w.left:
		case <-timer.C:
			return
		}
	}
	if errors.Is(w.failure, io.EOF) || errors.Is(w.failure, io.ErrUnexpectedEOF) {
		return // the peer has ended it already
	}
	page, _ := pages.Get().(*[pageSize]byte)
	defer pages.Put(page)
	for total := 0; total < lingerBytes; {
		n, err := w.c.Read(page[:])
		if err != nil {
			return
		}
		total += n
	}
}
