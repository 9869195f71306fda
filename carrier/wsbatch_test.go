package carrier_test

import (
	"bytes"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"omnibus/carrier"
)

// socketPair is a server's WebSocket on a loopback socket and the raw client.
func socketPair(t *testing.T, withTLS bool) (*carrier.WebSocket, net.Conn) {
	t.Helper()
	far, near := tcpPair(t, withTLS)
	done := make(chan *carrier.WebSocket, 1)
	go func() {
		ws, err := carrier.Upgrade(far, carrier.WebSocketOptions{})
		if err != nil {
			t.Errorf("upgrading: %v", err)
		}
		done <- ws
	}()
	if _, err := near.Write([]byte("GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n")); err != nil {
		t.Fatal(err)
	}
	readHead(t, near)
	ws := <-done
	t.Cleanup(func() { _ = ws.Drop() })
	return ws, near
}

// TestReadyTellsWhatReadFinds sends a few writes of many frames: a reader that
// flushes its answers only when nothing is Ready never waits with them.
func TestReadyTellsWhatReadFinds(t *testing.T) {
	for _, withTLS := range []bool{false, true} {
		t.Run(fmt.Sprintf("TLS %v", withTLS), func(t *testing.T) {
			ws, client := socketPair(t, withTLS)
			noError(t, ws.SetReadDeadline(time.Now().Add(10*time.Second))) // real time: of a test that fails
			if ws.Ready() {
				t.Error("ready before anything was sent")
			}
			next, flushes := 0, 0
			for round := range 5 {
				var all bytes.Buffer
				const n = 500
				for i := range n {
					all.Write(frame{op: opText, mask: someMask, payload: []byte(fmt.Sprint(round*n+i, strings.Repeat("x", i%90)))}.encode())
				}
				// The last frame comes in two halves.
				whole := all.Bytes()
				cut := len(whole) - 3
				_, err := client.Write(whole[:cut])
				noError(t, err)
				for got := range n {
					if got == n-1 {
						if ws.Ready() {
							t.Error("ready for half a frame")
						}
						_, err := client.Write(whole[cut:])
						noError(t, err)
					}
					_, p, err := ws.Read()
					noError(t, err)
					if !strings.HasPrefix(string(p), fmt.Sprint(next)) {
						t.Fatalf("read %q, want message %d", p, next)
					}
					next++
					if !ws.Ready() {
						flushes++
					}
				}
			}
			if flushes > next/10 {
				t.Errorf("of %d messages %d were not followed by one that was ready", next, flushes)
			}
		})
	}
}

func TestReadyIsForWholeMessages(t *testing.T) {
	data := func(f frame) []byte { f.mask = someMask; return f.encode() }
	first := data(frame{op: opText, payload: []byte("first")})
	for name, c := range map[string]struct {
		after []byte
		ready bool
	}{
		"nothing":            {nil, false},
		"one byte":           {[]byte{0x81}, false},
		"a header":           {data(frame{op: opText, payload: []byte("abc")})[:6], false},
		"a text":             {data(frame{op: opText, payload: []byte("abc")}), true},
		"an empty text":      {data(frame{op: opText}), true},
		"a binary message":   {data(frame{op: opBinary, payload: []byte("abc")}), true},
		"a fragment":         {data(frame{op: opText, more: true, payload: []byte("abc")}), false},
		"a ping":             {data(frame{op: opPing}), false},
		"a longer length":    {data(frame{op: opText, payload: make([]byte, 300)}), true},
		"half of it":         {data(frame{op: opText, payload: make([]byte, 300)})[:200], false},
		"half of a length":   {data(frame{op: opText, payload: make([]byte, 300)})[:3], false},
		"the largest length": {data(frame{op: opText, payload: make([]byte, 1<<16)})[:400], false},
	} {
		t.Run(name, func(t *testing.T) {
			ws, client := upgraded(t, carrier.WebSocketOptions{})
			_, err := client.Write(append(bytes.Clone(first), c.after...))
			noError(t, err)
			_, _, err = ws.Read()
			noError(t, err)
			if ws.Ready() != c.ready {
				t.Errorf("ready %v", !c.ready)
			}
		})
	}
}

func TestFramesThatAreSentLaterWaitForAKick(t *testing.T) {
	ws, client := upgraded(t, carrier.WebSocketOptions{})
	for i := range 3 {
		kick, err := ws.SendFrameLater(carrier.CompileFrame(carrier.Text, fmt.Append(nil, i)))
		noError(t, err)
		if kick != (i == 0) {
			t.Errorf("frame %d: kick %v", i, kick)
		}
	}
	if _, n := ws.Pending(); n != 3 {
		t.Errorf("%d wait", n)
	}
	ws.Kick()
	for i := range 3 {
		if got := readFrame(t, client); string(got.payload) != fmt.Sprint(i) {
			t.Errorf("received %q", got.payload)
		}
	}
	_, other := webSockets(t, carrier.WebSocketOptions{})
	_, err := other.SendFrameLater(nil)
	errIs(t, err, nil, "mask")
}
