package carrier

import (
	"encoding/binary"
	"errors"

	"github.com/gobwas/ws"
)

// SendFrameLater is SendFrame that starts no flusher: when kick is true the caller must call Kick soon, as with
// Outbox.CommitLater. So who has read many messages sends them to each of many connections with one write.
func (w *WebSocket) SendFrameLater(frame []byte) (kick bool, err error) {
	if w.client {
		return false, errMasked
	}
	return w.out.AppendParts(nil, frame, true)
}

// Kick sees to it that what waits is written, as Outbox.Kick does.
func (w *WebSocket) Kick() { w.out.Kick() }

// Ready tells whether the next Read returns a message without waiting for the peer: a whole one, small and unfragmented,
// has been read already. Where the last read has filled the buffer it looks, without waiting, whether the socket has
// more. Only the goroutine that reads may ask, when it is done with the last message.
func (w *WebSocket) Ready() bool {
	w.takeBack()
	if w.inFrame || w.fragmented {
		return false
	}
	if complete(w.in.unread()) {
		return true
	}
	return w.in.fillNow() && complete(w.in.unread())
}

// complete tells whether b begins with a whole message in one frame.
func complete(b []byte) bool {
	if len(b) < ws.MinHeaderSize || b[0]&finBit == 0 {
		return false
	}
	if op := Op(b[0] &^ finBit); op != Text && op != Binary {
		return false
	}
	size, length := ws.MinHeaderSize, int(b[1]&^maskBit)
	switch length {
	case length16:
		if size += 2; len(b) < size {
			return false
		}
		length = int(binary.BigEndian.Uint16(b[2:]))
	case length64:
		return false // more than the read buffer holds
	}
	if b[1]&maskBit != 0 {
		size += maskSize
	}
	return len(b) >= size+length
}

var errMasked = errors.New("sending a compiled frame: a client must mask its frames, use Send")
