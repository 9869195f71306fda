package carrier

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"unicode/utf8"

	"github.com/gobwas/ws"
)

// Op is the kind of a WebSocket message.
type Op uint8

// The two kinds of message.
const (
	Text   = Op(ws.OpText)
	Binary = Op(ws.OpBinary)
)

// String is "text" or "binary".
func (op Op) String() string {
	switch op {
	case Text:
		return "text"
	case Binary:
		return "binary"
	default:
		return fmt.Sprintf("op(%d)", uint8(op))
	}
}

// Close codes of RFC 6455 section 7.4.1 and its registry that this package sends or explains. Others pass through.
const (
	CloseNormal      = 1000
	CloseGoingAway   = 1001
	CloseProtocol    = 1002
	CloseUnsupported = 1003
	CloseInvalidData = 1007
	ClosePolicy      = 1008
	CloseTooLarge    = 1009
	CloseInternal    = 1011
	CloseTryLater    = 1013

	codeNoStatus = 1005 // reported for a close frame without a code, never sent
	codeAbnormal = 1006 // reported when there was no close frame, never sent
	codeLast     = 1014 // the last registered code
	codeOwn      = 3000 // from here codes belong to libraries and applications
	codeEnd      = 5000
)

const (
	maxControl  = ws.MaxControlFramePayloadSize
	finBit      = 0x80
	maskBit     = 0x80
	maskSize    = 4
	length16    = 126 // the length follows in 16 bits
	length64    = 127 // the length follows in 64 bits
	maxLength16 = 1<<16 - 1
)

// CompileFrame returns a server's frame that carries the payload as one message, to be given to SendFrame of many
// connections. It allocates once.
func CompileFrame(op Op, payload []byte) []byte {
	return AppendFrame(make([]byte, 0, headerSize(len(payload))+len(payload)), op, payload)
}

// AppendFrame appends a server's frame that carries the payload as one message.
func AppendFrame(dst []byte, op Op, payload []byte) []byte {
	return append(appendHeader(dst, ws.OpCode(op), len(payload), 0), payload...)
}

// appendClientFrame appends a masked frame. RFC 6455 section 5.3 wants masks nobody can predict, which is what
// math/rand/v2's own source is.
func appendClientFrame(dst []byte, op ws.OpCode, payload []byte) []byte {
	var mask [maskSize]byte
	binary.LittleEndian.PutUint32(mask[:], rand.Uint32())
	dst = appendHeader(dst, op, len(payload), maskBit)
	dst = append(dst, mask[:]...)
	dst = append(dst, payload...)
	ws.Cipher(dst[len(dst)-len(payload):], mask, 0)
	return dst
}

// headerSize is the size of an unmasked frame's header.
func headerSize(n int) int {
	switch {
	case n < length16:
		return 2
	case n <= maxLength16:
		return 4
	default:
		return 10
	}
}

// appendHeader appends the header of a final frame, without the mask that follows when maskBit is set.
func appendHeader(dst []byte, op ws.OpCode, n int, mask byte) []byte {
	dst = append(dst, finBit|byte(op))
	switch {
	case n < length16:
		return append(dst, mask|byte(n))
	case n <= maxLength16:
		return binary.BigEndian.AppendUint16(append(dst, mask|length16), uint16(n))
	default:
		return binary.BigEndian.AppendUint64(append(dst, mask|length64), uint64(n))
	}
}

// closePayload is the content of a close frame. Codes that must not be sent make it empty; the reason is cut to what
// fits, at a character's boundary.
func closePayload(code int, reason string) []byte {
	if !mayBeSent(code) {
		return nil
	}
	const room = maxControl - 2
	if len(reason) > room {
		reason = reason[:room]
		for len(reason) > 0 && !utf8.ValidString(reason) {
			reason = reason[:len(reason)-1]
		}
	}
	if !utf8.ValidString(reason) {
		reason = ""
	}
	return append(binary.BigEndian.AppendUint16(nil, uint16(code)), reason...)
}

// mayBeSent tells the codes that may stand in a close frame.
func mayBeSent(code int) bool {
	switch {
	case code >= codeOwn:
		return code < codeEnd
	case code == 1004, code == codeNoStatus, code == codeAbnormal:
		return false
	default:
		return code >= CloseNormal && code <= codeLast
	}
}

// parseClose reads the content of a close frame. wrong says what is wrong with it, code then is what to answer.
func parseClose(p []byte) (code int, reason, wrong string) {
	switch {
	case len(p) == 0:
		return codeNoStatus, "", ""
	case len(p) == 1:
		return CloseProtocol, "", "a close frame of one byte"
	}
	code = int(binary.BigEndian.Uint16(p))
	if !mayBeSent(code) {
		return CloseProtocol, "", fmt.Sprintf("close code %d must not be sent", code)
	}
	if !utf8.Valid(p[2:]) {
		return CloseInvalidData, "", "a close reason that is not UTF-8"
	}
	return code, string(p[2:]), ""
}
