package carrier_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"omnibus/carrier"
)

func TestReadJoinsFragmentsAndAnswersPings(t *testing.T) {
	ws, raw := upgraded(t, carrier.WebSocketOptions{})
	frames := []frame{
		{op: opPing, mask: someMask, payload: []byte("before")},
		{op: opText, more: true, mask: someMask, payload: []byte("hel\xc3")},
		{op: opPing, mask: someMask, payload: []byte("between")},
		{op: opContinuation, more: true, mask: someMask},
		{op: opPong, mask: someMask, payload: []byte("unasked")},
		{op: opContinuation, mask: someMask, payload: []byte("\xa9o")},
		{op: opBinary, mask: []byte{0, 0, 0, 0}, payload: []byte{0xff}},
		{op: opText, mask: someMask},
	}
	for _, f := range frames {
		_, err := raw.Write(f.encode())
		noError(t, err)
	}
	for _, want := range []struct {
		op carrier.Op
		b  string
	}{{carrier.Text, "hel\xc3\xa9o"}, {carrier.Binary, "\xff"}, {carrier.Text, ""}} {
		op, b, err := ws.Read()
		if op != want.op || string(b) != want.b || err != nil {
			t.Errorf("read %v %q, %v, want %v %q", op, b, err, want.op, want.b)
		}
	}
	for _, want := range []string{"before", "between"} {
		if f := readFrame(t, raw); f.op != opPong || string(f.payload) != want || f.mask != nil || f.more {
			t.Errorf("answer %+v, want the pong %q", f, want)
		}
	}
}

func TestReadRefusesBreachesOfTheProtocol(t *testing.T) {
	masked := func(f frame) []byte { f.mask = someMask; return f.encode() }
	join := func(parts ...[]byte) []byte { return bytes.Join(parts, nil) }
	lying := func(op byte, length uint64) []byte {
		b := binary.BigEndian.AppendUint64([]byte{0x80 | op, 0x80 | 127}, length)
		return append(b, someMask...)
	}
	tests := []struct {
		name  string
		bytes []byte
		code  uint16
		words []string
	}{
		{"unmasked frame", frame{op: opText, payload: []byte("x")}.encode(), 1002, []string{"masked"}},
		{"reserved data opcode", masked(frame{op: 3}), 1002, []string{"reserved"}},
		{"reserved control opcode", masked(frame{op: 11}), 1002, []string{"reserved"}},
		{"reserved bit 1", masked(frame{op: opText, rsv: 4}), 1002, []string{"rsv"}},
		{"reserved bit 3 of a ping", masked(frame{op: opPing, rsv: 1}), 1002, []string{"rsv"}},
		{"continuation of nothing", masked(frame{op: opContinuation}), 1002, []string{"continuation"}},
		{"text inside a message", join(masked(frame{op: opText, more: true}), masked(frame{op: opText})), 1002, []string{"continuation"}},
		{"fragmented ping", masked(frame{op: opPing, more: true}), 1002, []string{"final"}},
		{"long ping", masked(frame{op: opPing, payload: make([]byte, 126)}), 1002, []string{"control frame"}},
		{"length in 16 bits for 5", join([]byte{0x82, 0x80 | 126, 0, 5}, someMask, make([]byte, 5)), 1002, []string{"length"}},
		{"length in 64 bits for 65535", lying(opBinary, 65535), 1002, []string{"length"}},
		{"length with its highest bit", lying(opBinary, 1<<63|5), 1002, []string{"significant bit"}},
		{"invalid UTF-8", masked(frame{op: opText, payload: []byte("a\xff")}), 1007, []string{"UTF-8"}},
		{"UTF-8 cut at the end", masked(frame{op: opText, payload: []byte("a\xc3")}), 1007, []string{"UTF-8"}},
		{"surrogate", masked(frame{op: opText, payload: []byte("\xed\xa0\x80")}), 1007, []string{"UTF-8"}},
		{
			"invalid UTF-8 in fragments",
			join(masked(frame{op: opText, more: true, payload: []byte("\xc3")}), masked(frame{op: opContinuation, payload: []byte("x")})),
			1007,
			[]string{"UTF-8"},
		},
		{"too large", masked(frame{op: opBinary, payload: make([]byte, 1001)}), 1009, []string{"too large", "1001", "1000"}},
		{"lying about 2^62 bytes", lying(opBinary, 1<<62), 1009, []string{"too large"}},
		{
			"too large in fragments",
			join(masked(frame{op: opText, more: true, payload: make([]byte, 600)}), masked(frame{op: opContinuation, payload: make([]byte, 401)})),
			1009,
			[]string{"too large"},
		},
		{"close of one byte", masked(frame{op: opClose, payload: []byte{3}}), 1002, []string{"close"}},
		{"close code 1005", masked(frame{op: opClose, payload: closeFrame(1005, "")}), 1002, []string{"1005"}},
		{"close code 999", masked(frame{op: opClose, payload: closeFrame(999, "")}), 1002, []string{"999"}},
		{"close code 2000", masked(frame{op: opClose, payload: closeFrame(2000, "")}), 1002, []string{"2000"}},
		{"close code 5000", masked(frame{op: opClose, payload: closeFrame(5000, "")}), 1002, []string{"5000"}},
		{"close reason that is not UTF-8", masked(frame{op: opClose, payload: closeFrame(1000, "\xff")}), 1007, []string{"UTF-8"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			ws, raw := upgraded(t, carrier.WebSocketOptions{MaxMessage: 1000})
			_, err := raw.Write(tt.bytes)
			noError(t, err)
			_, _, err = ws.Read()
			errIs(t, err, nil, append(tt.words, "reading")...)
			if tt.code == 1009 {
				errIs(t, err, carrier.ErrTooLarge)
			} else {
				errIs(t, err, carrier.ErrProtocol)
			}
			_, _, again := ws.Read()
			if !errors.Is(again, err) {
				t.Errorf("the next Read returned %v", again)
			}
			errIs(t, ws.Send(carrier.Text, []byte("x")), carrier.ErrClosed)
			if reason := wantClose(t, raw, tt.code); reason == "" {
				t.Error("the close frame gives no reason")
			}
			noError(t, raw.Close())
			noError(t, ws.Close(carrier.CloseNormal, "no second close frame"))
		})
	}
}

func TestClientRefusesMaskedFrames(t *testing.T) {
	server, client := webSockets(t, carrier.WebSocketOptions{})
	// What a client sends is masked, so a client that gets it must refuse.
	masked := frame{op: opText, mask: someMask, payload: []byte("x")}.encode()
	noError(t, server.SendFrame(masked))
	_, _, err := client.Read()
	errIs(t, err, nil, "not masked")
	_, _, err = server.Read()
	closed, ok := errors.AsType[*carrier.CloseError](err)
	if !ok || closed.Code != carrier.CloseProtocol {
		t.Errorf("the server reads %v", err)
	}
	noError(t, server.Close(1000, ""))
	noError(t, client.Close(1000, ""))
}

func TestReadReportsHowThePeerLeft(t *testing.T) {
	clean := func(payload []byte) []byte { return frame{op: opClose, mask: someMask, payload: payload}.encode() }
	tests := []struct {
		name   string
		bytes  []byte
		code   int
		reason string
		echo   []byte // payload of our close frame; nil: none
	}{
		{"with code and reason", clean(closeFrame(4000, "done")), 4000, "done", closeFrame(4000, "")},
		{"going away", clean(closeFrame(1001, "")), 1001, "", closeFrame(1001, "")},
		{"registered later", clean(closeFrame(1012, "")), 1012, "", closeFrame(1012, "")},
		{"without code", clean(nil), 1005, "", []byte{}},
		{"without close frame", nil, 1006, "", nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			ws, raw := upgraded(t, carrier.WebSocketOptions{})
			_, err := raw.Write(tt.bytes)
			noError(t, err)
			noError(t, raw.(interface{ CloseWrite() error }).CloseWrite())
			_, _, err = ws.Read()
			closed, ok := errors.AsType[*carrier.CloseError](err)
			if !ok || closed.Code != tt.code || closed.Reason != tt.reason || !errors.Is(err, io.EOF) || err.Error() == "" {
				t.Fatalf("read %v", err)
			}
			if tt.echo != nil {
				if f := readFrame(t, raw); f.op != opClose || !bytes.Equal(f.payload, tt.echo) {
					t.Errorf("answer %+v", f)
				}
			}
		})
	}
}

func TestReadOfAnInterruptedMessage(t *testing.T) {
	whole := frame{op: opText, mask: someMask, payload: make([]byte, 200)}.encode()
	first := frame{op: opText, more: true, mask: someMask, payload: []byte("x")}.encode()
	for _, b := range [][]byte{whole[:1], whole[:3], whole[:7], whole[:50], first} {
		ws, raw := upgraded(t, carrier.WebSocketOptions{})
		_, err := raw.Write(b)
		noError(t, err)
		noError(t, raw.Close())
		_, _, err = ws.Read()
		errIs(t, err, io.ErrUnexpectedEOF)
	}
}

func TestReadGoesOnAfterATimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ws, raw := upgraded(t, carrier.WebSocketOptions{})
		large := bytes.Repeat([]byte("0123456789"), 2000)
		stream := frame{op: opPing, mask: someMask, payload: []byte("p")}.encode()
		stream = append(stream, frame{op: opText, more: true, mask: someMask, payload: large}.encode()...)
		stream = append(stream, frame{op: opContinuation, mask: someMask, payload: []byte("end")}.encode()...)
		stream = append(stream, frame{op: opBinary, mask: someMask, payload: large[:3000]}.encode()...)
		var writer sync.WaitGroup
		writer.Go(func() {
			for len(stream) > 0 {
				n := min(len(stream), 1+rand.IntN(700))
				_, _ = raw.Write(stream[:n])
				stream = stream[n:]
				time.Sleep(time.Second)
			}
		})
		timeouts := 0
		for _, want := range []string{string(large) + "end", string(large[:3000])} {
			for {
				noError(t, ws.SetReadDeadline(time.Now().Add(300*time.Millisecond)))
				_, b, err := ws.Read()
				if errors.Is(err, os.ErrDeadlineExceeded) {
					timeouts++
					continue
				}
				noError(t, err)
				if string(b) != want {
					t.Fatalf("read %d bytes, want %d", len(b), len(want))
				}
				break
			}
		}
		writer.Wait()
		if timeouts == 0 {
			t.Error("nothing timed out")
		}
		if f := readFrame(t, raw); f.op != opPong {
			t.Errorf("answer %+v", f)
		}
		if d := time.Since(ws.LastActivity()); d < 0 || d > time.Minute {
			t.Errorf("last activity %v ago", d)
		}
		noError(t, raw.Close())
		_ = ws.Drop()
	})
}

// TestEchoOfRandomMessages sends messages of random sizes, cut into random fragments and written in random pieces, and
// compares what comes back with what was sent.
func TestEchoOfRandomMessages(t *testing.T) {
	ws, raw := upgraded(t, carrier.WebSocketOptions{})
	var server sync.WaitGroup
	server.Go(func() { echoMessages(ws) })
	r := rand.New(rand.NewPCG(5, 6))
	size := func() int {
		switch r.IntN(10) {
		case 0:
			return r.IntN(70000)
		case 1:
			return 125 + r.IntN(3)
		case 2:
			return 4090 + r.IntN(12)
		default:
			return r.IntN(300)
		}
	}
	for i := range 1000 {
		payload := make([]byte, size())
		op := byte(opBinary)
		if r.IntN(2) == 0 {
			op = opText
		}
		for i := range payload {
			payload[i] = byte(' ' + r.IntN(90))
		}
		writePieces(t, raw, r, fragments(r, op, payload))
		got := readFrame(t, raw)
		for got.op == opPong {
			got = readFrame(t, raw)
		}
		if got.op != op || got.more || got.mask != nil || !bytes.Equal(got.payload, payload) {
			t.Fatalf("message %d: sent %d bytes with opcode %d, got %d bytes with %d", i, len(payload), op, len(got.payload), got.op)
		}
	}
	noError(t, raw.Close())
	server.Wait()
}

// fragments cuts a message into frames, with pings in between.
func fragments(r *rand.Rand, op byte, payload []byte) []byte {
	var b []byte
	mask := func() []byte { return binary.BigEndian.AppendUint32(nil, r.Uint32()) }
	for {
		n := len(payload)
		if r.IntN(2) == 0 {
			n = r.IntN(len(payload) + 1)
		}
		more := n < len(payload) || r.IntN(10) == 0
		b = append(b, frame{op: op, more: more, mask: mask(), payload: payload[:n]}.encode()...)
		if r.IntN(4) == 0 {
			b = append(b, frame{op: opPing, mask: mask(), payload: payload[:min(n, 20)]}.encode()...)
		}
		payload, op = payload[n:], opContinuation
		if !more {
			return b
		}
	}
}

func writePieces(t *testing.T, c net.Conn, r *rand.Rand, b []byte) {
	t.Helper()
	for len(b) > 0 {
		n := len(b)
		if r.IntN(3) > 0 {
			n = 1 + r.IntN(len(b))
		}
		if _, err := c.Write(b[:n]); err != nil {
			t.Fatal(err)
		}
		b = b[n:]
	}
}

func TestSendEncodesFrames(t *testing.T) {
	server, raw := upgraded(t, carrier.WebSocketOptions{})
	for _, size := range []int{0, 1, 125, 126, 127, 65535, 65536, 70000} {
		payload := bytes.Repeat([]byte("p"), size)
		compiled := carrier.CompileFrame(carrier.Text, payload)
		if want := (frame{op: opText, payload: payload}).encode(); !bytes.Equal(compiled, want) || cap(compiled) != len(compiled) {
			t.Errorf("size %d: compiled %d bytes in %d, want %d", size, len(compiled), cap(compiled), len(want))
		}
		if got := carrier.AppendFrame([]byte("x"), carrier.Text, payload); string(got) != "x"+string(compiled) {
			t.Errorf("size %d: AppendFrame differs from CompileFrame", size)
		}
		var reading sync.WaitGroup
		reading.Go(func() {
			for _, op := range []byte{opBinary, opText, opPing} {
				f := readFrame(t, raw)
				if f.op != op || f.mask != nil || f.more || f.rsv != 0 || op != opPing && !bytes.Equal(f.payload, payload) {
					t.Errorf("size %d: got opcode %d with %d bytes, want %d", size, f.op, len(f.payload), op)
				}
			}
		})
		noError(t, server.Send(carrier.Binary, payload))
		noError(t, server.SendFrame(compiled))
		noError(t, server.Ping())
		reading.Wait()
	}
}

func TestClientMasksFrames(t *testing.T) {
	far, near := carrier.Pipe()
	var server *carrier.WebSocket
	var upgrading sync.WaitGroup
	upgrading.Go(func() { server, _ = carrier.Upgrade(far, carrier.WebSocketOptions{}) })
	client, err := carrier.ConnectWebSocket(t.Context(), near, "ws://bus/", carrier.WebSocketOptions{})
	noError(t, err)
	upgrading.Wait()
	masks := make(map[string]bool)
	for _, size := range []int{0, 1, 3, 4, 5, 200, 70000} {
		payload := bytes.Repeat([]byte("m"), size)
		var f frame
		var reading sync.WaitGroup
		reading.Go(func() { f = readFrame(t, far) })
		noError(t, client.Send(carrier.Binary, payload))
		reading.Wait()
		if f.op != opBinary || !bytes.Equal(f.payload, payload) || f.mask == nil {
			t.Errorf("size %d: got %d bytes, opcode %d, mask %x", size, len(f.payload), f.op, f.mask)
		}
		masks[string(f.mask)] = true
	}
	if len(masks) < 6 {
		t.Errorf("%d different masks in 7 frames", len(masks))
	}
	errIs(t, client.SendFrame(carrier.CompileFrame(carrier.Text, nil)), nil, "mask")
	noError(t, server.Drop())
	_ = client.Drop()
}

func TestSlowReaderGetsErrFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ws, raw := upgraded(t, carrier.WebSocketOptions{Outbox: carrier.OutboxOptions{MaxBytes: 200 << 10}})
		compiled := carrier.CompileFrame(carrier.Text, make([]byte, 5000))
		var err error
		for i := 0; err == nil; i++ {
			if i > 10000 {
				t.Fatal("never full")
			}
			err = ws.SendFrame(compiled)
			synctest.Wait()
		}
		errIs(t, err, carrier.ErrFull)
		errIs(t, ws.Send(carrier.Text, make([]byte, 5000)), carrier.ErrFull)
		if b, _ := ws.Pending(); b > 200<<10 {
			t.Errorf("%d bytes pending", b)
		}
		start := time.Now()
		if err := ws.Close(carrier.CloseTryLater, "too slow"); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Close returned %v", err)
		}
		if d := time.Since(start); d > 5*time.Second {
			t.Errorf("Close took %v", d)
		}
		noError(t, raw.Close())
	})
}

func TestFailedWriteEndsRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		told := 0
		ws, raw := upgraded(t, carrier.WebSocketOptions{Outbox: carrier.OutboxOptions{
			WriteTimeout: time.Second,
			OnError:      func(error) { told++ },
		}})
		noError(t, ws.Send(carrier.Binary, make([]byte, 500<<10)))
		_, _, err := ws.Read()
		errIs(t, err, os.ErrDeadlineExceeded, "writing")
		errIs(t, ws.Send(carrier.Text, nil), os.ErrDeadlineExceeded)
		if told != 1 {
			t.Errorf("told %d times", told)
		}
		errIs(t, ws.Drop(), os.ErrDeadlineExceeded)
		noError(t, raw.Close())
	})
}

func TestCloseSendsWhatIsQueuedAndTheCode(t *testing.T) {
	tests := []struct {
		code   int
		reason string
		want   []byte
	}{
		{1000, "", closeFrame(1000, "")},
		{4999, "why", closeFrame(4999, "why")},
		{1012, "restart", closeFrame(1012, "restart")},
		{0, "ignored", nil},
		{1005, "", nil},
		{1000, strings.Repeat("é", 100), closeFrame(1000, strings.Repeat("é", 61))},
		{1000, "\xff", closeFrame(1000, "")},
	}
	for _, tt := range tests {
		synctest.Test(t, func(t *testing.T) {
			ws, raw := upgraded(t, carrier.WebSocketOptions{})
			reader := make(chan error, 1)
			go func() {
				_, _, err := ws.Read()
				reader <- err
			}()
			noError(t, ws.Send(carrier.Text, []byte("last words")))
			start := time.Now()
			noError(t, ws.Close(tt.code, tt.reason)) // the peer does not answer
			if d := time.Since(start); d > 2*time.Second {
				t.Errorf("Close took %v", d)
			}
			errIs(t, <-reader, carrier.ErrClosed)
			noError(t, ws.Close(1001, "again"))
			noError(t, ws.Drop())
			if f := readFrame(t, raw); f.op != opText || string(f.payload) != "last words" {
				t.Errorf("first frame %+v", f)
			}
			if f := readFrame(t, raw); f.op != opClose || !bytes.Equal(f.payload, tt.want) {
				t.Errorf("second frame %d %q, want close %q", f.op, f.payload, tt.want)
			}
			if rest := readAll(raw); rest != "" {
				t.Errorf("more came: %q", rest)
			}
			errIs(t, ws.Send(carrier.Text, nil), carrier.ErrClosed)
			errIs(t, ws.Ping(), carrier.ErrClosed)
			errIs(t, ws.SetReadDeadline(time.Time{}), carrier.ErrClosed)
			_, _, err := ws.Read()
			errIs(t, err, net.ErrClosed)
			noError(t, raw.Close())
		})
	}
}

func TestDropSendsNoCloseFrame(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ws, raw := upgraded(t, carrier.WebSocketOptions{})
		noError(t, ws.Send(carrier.Text, []byte("last words")))
		noError(t, ws.Drop())
		if f := readFrame(t, raw); string(f.payload) != "last words" {
			t.Errorf("first frame %+v", f)
		}
		if rest := readAll(raw); rest != "" {
			t.Errorf("more came: %q", rest)
		}
		noError(t, raw.Close())
	})
}

// TestCloseReachesAPeerThatIsSending checks that the close code is not lost to a reset.
func TestCloseReachesAPeerThatIsSending(t *testing.T) {
	server, client := tcpPair(t, false)
	_, err := io.WriteString(client, handshakeRequest+"\r\n")
	noError(t, err)
	ws, err := carrier.Upgrade(server, carrier.WebSocketOptions{MaxMessage: 1000})
	noError(t, err)
	readHead(t, client)
	_, err = client.Write(frame{op: opBinary, mask: someMask, payload: make([]byte, 64<<10)}.encode())
	noError(t, err)
	_, _, err = ws.Read()
	errIs(t, err, carrier.ErrTooLarge)
	var closing sync.WaitGroup
	closing.Go(func() { noError(t, ws.Close(0, "")) })
	wantClose(t, client, carrier.CloseTooLarge)
	noError(t, client.Close())
	closing.Wait()
}

func TestOnlyOneGoroutineReads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ws, raw := upgraded(t, carrier.WebSocketOptions{})
		first := make(chan error, 1)
		go func() {
			_, _, err := ws.Read()
			first <- err
		}()
		synctest.Wait()
		_, _, err := ws.Read()
		errIs(t, err, nil, "another goroutine")
		noError(t, raw.Close())
		errIs(t, <-first, io.EOF)
		_ = ws.Drop()
	})
}

func TestSendWithoutAllocating(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector makes pools forget")
	}
	server, client := webSockets(t, carrier.WebSocketOptions{})
	var readers sync.WaitGroup
	for _, w := range []*carrier.WebSocket{server, client} {
		readers.Go(func() {
			for {
				if _, _, err := w.Read(); err != nil {
					return
				}
			}
		})
	}
	payload := make([]byte, 200)
	compiled := carrier.CompileFrame(carrier.Binary, payload)
	for name, send := range map[string]func() error{
		"SendFrame":   func() error { return server.SendFrame(compiled) },
		"server Send": func() error { return server.Send(carrier.Binary, payload) },
		"client Send": func() error { return client.Send(carrier.Binary, payload) },
	} {
		n := testing.AllocsPerRun(2000, func() {
			noError(t, send())
			for _, w := range []*carrier.WebSocket{server, client} {
				for b, _ := w.Pending(); b > 0; b, _ = w.Pending() {
					runtime.Gosched()
				}
			}
		})
		if n != 0 {
			t.Errorf("%s allocates %v times, sending and reading", name, n)
		}
	}
	noError(t, server.Close(1000, ""))
	_ = client.Close(1000, "")
	readers.Wait()
}

func TestReadLetsGoOfLargeBuffers(t *testing.T) {
	ws, raw := upgraded(t, carrier.WebSocketOptions{})
	const size = 8 << 20
	var writer sync.WaitGroup
	writer.Go(func() {
		_, err := raw.Write(frame{op: opBinary, mask: someMask, payload: make([]byte, size)}.encode())
		if err != nil {
			t.Error(err)
		}
	})
	_, b, err := ws.Read()
	if len(b) != size || err != nil {
		t.Fatalf("read %d bytes, %v", len(b), err)
	}
	b = nil
	writer.Wait()
	noError(t, ws.SetReadDeadline(time.Now()))
	_, _, err = ws.Read()
	errIs(t, err, os.ErrDeadlineExceeded)
	if n := liveHeap(); n > size {
		t.Errorf("%d bytes are still held", n)
	}
	runtime.KeepAlive(ws)
	_ = b
}

// TestIdleConnectionsHoldNoBuffers checks that a connection that was busy and now waits for its next message keeps
// neither what it read with nor what it wrote with.
func TestIdleConnectionsHoldNoBuffers(t *testing.T) {
	const conns = 200
	sockets, peers := make([]*carrier.WebSocket, conns), make([]net.Conn, conns)
	for i := range conns {
		sockets[i], peers[i] = upgraded(t, carrier.WebSocketOptions{})
	}
	idle := liveHeap()
	large := make([]byte, 7000)
	for i, w := range sockets {
		noError(t, w.Send(carrier.Binary, large))
		noError(t, w.Flush(t.Context()))
		readFrame(t, peers[i])
		for _, size := range []int{100, 7000, 3000} {
			_, err := peers[i].Write(frame{op: opBinary, mask: someMask, payload: large[:size]}.encode())
			noError(t, err)
			_, _, err = w.Read()
			noError(t, err)
		}
		noError(t, w.SetReadDeadline(time.Now()))
		_, _, err := w.Read()
		errIs(t, err, os.ErrDeadlineExceeded)
	}
	const pipes = 2 << 10 // what each direction of a pipe keeps
	if now := liveHeap(); now > idle+conns*(pipes+1000) {
		t.Errorf("each connection holds %d bytes more than before it was busy", (now-idle)/conns)
	}
	runtime.KeepAlive(sockets)
	runtime.KeepAlive(peers)
}

func liveHeap() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
