package carrier_test

import (
	"bytes"
	"errors"
	"io"
	"net"
	"runtime"
	"slices"
	"testing"
	"time"
	"unicode/utf8"

	"omnibus/carrier"
)

// script is a connection that delivers given bytes and takes everything.
type script struct {
	net.Conn
	in    io.Reader
	out   bytes.Buffer
	piece int // how much one Read delivers
}

func (s *script) Read(p []byte) (int, error)     { return s.in.Read(p[:min(len(p), s.piece)]) }
func (s *script) Write(p []byte) (int, error)    { return s.out.Write(p) }
func (s *script) Close() error                   { return nil }
func (s *script) RemoteAddr() net.Addr           { return &net.TCPAddr{} }
func (s *script) LocalAddr() net.Addr            { return &net.TCPAddr{} }
func (*script) SetDeadline(time.Time) error      { return nil }
func (*script) SetReadDeadline(time.Time) error  { return nil }
func (*script) SetWriteDeadline(time.Time) error { return nil }

// expected reads the frames of a client in the most naive way and returns the messages before the first thing that is
// wrong, which may be the end.
func expected(b []byte, limit int) (messages []string) {
	var message []byte
	open := false
	var op byte
	for {
		if len(b) < 6 {
			return messages
		}
		kind, fin, n := b[0]&15, b[0]&0x80 != 0, uint64(b[1]&0x7f)
		if b[0]&0x70 != 0 || b[1]&0x80 == 0 || kind > 2 && kind < 8 || kind > 10 {
			return messages
		}
		size := 2
		if n >= 126 {
			size = map[uint64]int{126: 4, 127: 10}[n]
			if len(b) < size {
				return messages
			}
			n = 0
			for _, c := range b[2:size] {
				n = n<<8 | uint64(c)
			}
			if n < 126 || size == 10 && n < 65536 {
				return messages
			}
		}
		if kind >= 8 && (n > 125 || !fin) || kind < 8 && (kind == 0) != open {
			return messages
		}
		if n > uint64(len(b)) || len(b) < size+4+int(n) {
			return messages
		}
		payload := slices.Clone(b[size+4 : size+4+int(n)])
		for i := range payload {
			payload[i] ^= b[size+i%4]
		}
		b = b[size+4+int(n):]
		if kind == opClose {
			return messages
		}
		if kind > opClose {
			continue
		}
		if kind != 0 {
			op = kind
		}
		if message = append(message, payload...); len(message) > limit {
			return messages
		}
		if open = !fin; open {
			continue
		}
		if op == opText && !utf8.Valid(message) {
			return messages
		}
		messages = append(messages, string(message))
		message = nil
	}
}

func FuzzRead(f *testing.F) {
	text := frame{op: opText, mask: someMask, payload: []byte("hello")}.encode()
	f.Add(text, uint16(1))
	f.Add(append(frame{op: opText, more: true, mask: someMask, payload: []byte("x")}.encode(), text...), uint16(3))
	f.Add(append(frame{op: opPing, mask: someMask, payload: []byte("x")}.encode(), text...), uint16(1000))
	f.Add(frame{op: opBinary, mask: someMask, payload: make([]byte, 5000)}.encode(), uint16(700))
	f.Add(slices.Concat(frame{op: opBinary, more: true, mask: someMask, payload: make([]byte, 300)}.encode(),
		frame{op: opContinuation, mask: someMask, payload: make([]byte, 5000)}.encode(), text), uint16(4096))
	f.Add(frame{op: opClose, mask: someMask, payload: closeFrame(1000, "bye")}.encode(), uint16(2))
	f.Add([]byte{0x82, 0xff, 0x3f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 2, 3, 4, 5}, uint16(9))
	f.Fuzz(func(t *testing.T, b []byte, piece uint16) {
		const limit = 10000
		request := handshakeRequest + "\r\n"
		s := &script{in: io.MultiReader(bytes.NewReader([]byte(request)), bytes.NewReader(b)), piece: int(piece)%5000 + 1}
		ws, err := carrier.Upgrade(s, carrier.WebSocketOptions{MaxMessage: limit})
		noError(t, err)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		var got []string
		copied := 0
		for {
			op, m, err := ws.Read()
			if err != nil {
				break
			}
			if op != carrier.Text && op != carrier.Binary || len(m) > limit {
				t.Fatalf("%v of %d bytes", op, len(m))
			}
			got = append(got, string(m))
			copied += len(m)
		}
		runtime.ReadMemStats(&after)
		// Each message is copied once here; each answer to a ping is queued and written.
		if n := after.TotalAlloc - before.TotalAlloc; n > uint64(256<<10+8*len(b)+40*len(got)) {
			t.Errorf("%d bytes made it allocate %d", len(b), n)
		}
		if want := expected(b, limit); !slices.Equal(got, want) {
			t.Errorf("read %d messages, want %d", len(got), len(want))
		}
		_, _, again := ws.Read()
		if again == nil || errors.Is(again, carrier.ErrFull) {
			t.Errorf("after the end: %v", again)
		}
		_ = ws.Drop()
	})
}

func FuzzUpgrade(f *testing.F) {
	f.Add([]byte(handshakeRequest+"\r\n"), uint16(10))
	f.Add([]byte("GET / HTTP/1.1\n\n"), uint16(1))
	f.Add([]byte("GET  HTTP/1.1\r\nSec-WebSocket-Protocol: ,,\"\r\n\r\n"), uint16(1))
	f.Fuzz(func(t *testing.T, b []byte, piece uint16) {
		s := &script{in: bytes.NewReader(b), piece: int(piece)%5000 + 1}
		ws, err := carrier.Upgrade(s, carrier.WebSocketOptions{Path: "/core", Subprotocols: []string{"mqtt"}})
		if err == nil {
			if ws.URL.Path != "/core" || !bytes.HasPrefix(s.out.Bytes(), []byte("HTTP/1.1 101 ")) {
				t.Errorf("accepted %v with %q", ws.URL, s.out.Bytes())
			}
			_ = ws.Drop()
			return
		}
		if bytes.Contains(s.out.Bytes(), []byte(" 101 ")) {
			t.Errorf("refused (%v) with %q", err, s.out.Bytes())
		}
	})
}

func FuzzConnect(f *testing.F) {
	f.Add([]byte("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: x\r\n\r\n"))
	f.Add([]byte("HTTP/1.1 404 Not Found\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		s := &script{in: bytes.NewReader(b), piece: 5000}
		if _, err := carrier.ConnectWebSocket(t.Context(), s, "ws://bus/core", carrier.WebSocketOptions{}); err == nil {
			t.Error("accepted an answer that cannot know the key")
		}
	})
}
