package carrier_test

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"omnibus/carrier"
)

func TestStreamCarriesBytes(t *testing.T) {
	server, client := webSockets(t, carrier.WebSocketOptions{Outbox: carrier.OutboxOptions{MaxBytes: 50 << 10}})
	a, b := server.Stream(), client.Stream()
	r := rand.New(rand.NewPCG(7, 8))
	want := make([]byte, 1<<20)
	for i := range want {
		want[i] = byte(r.Uint32())
	}
	var writer sync.WaitGroup
	writer.Go(func() {
		for rest := want; len(rest) > 0; {
			n := min(len(rest), 1+r.IntN(100<<10))
			if m, err := a.Write(rest[:n]); m != n || err != nil {
				t.Errorf("wrote %d of %d: %v", m, n, err)
				return
			}
			rest = rest[n:]
		}
		noError(t, a.Close())
	})
	got, err := io.ReadAll(b)
	noError(t, err)
	if !bytes.Equal(got, want) {
		t.Errorf("read %d bytes, which are not the %d written", len(got), len(want))
	}
	_ = b.Close()
	writer.Wait()
	_, err = a.Write([]byte("x"))
	errIs(t, err, net.ErrClosed)
	if a.RemoteAddr() == nil || a.LocalAddr() == nil {
		t.Error("no addresses")
	}
}

func TestStreamRefusesText(t *testing.T) {
	ws, raw := upgraded(t, carrier.WebSocketOptions{})
	_, err := raw.Write(frame{op: opText, mask: someMask, payload: []byte("x")}.encode())
	noError(t, err)
	_, err = ws.Stream().Read(make([]byte, 10))
	errIs(t, err, nil, "text message")
	wantClose(t, raw, carrier.CloseUnsupported)
}

func TestStreamDeadlines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server, client := webSockets(t, carrier.WebSocketOptions{})
		s := server.Stream()
		noError(t, s.SetReadDeadline(time.Now().Add(time.Second)))
		_, err := s.Read(make([]byte, 1))
		errIs(t, err, os.ErrDeadlineExceeded)
		noError(t, client.Send(carrier.Binary, []byte("late")))
		noError(t, s.SetDeadline(time.Time{}))
		got := make([]byte, 4)
		if _, err := io.ReadFull(s, got); err != nil || string(got) != "late" {
			t.Errorf("read %q, %v", got, err)
		}

		start := time.Now()
		time.AfterFunc(2*time.Second, func() { noError(t, s.SetWriteDeadline(time.Now())) })
		_, err = s.Write(make([]byte, 1<<20)) // nobody reads
		errIs(t, err, os.ErrDeadlineExceeded)
		if d := time.Since(start); d != 2*time.Second {
			t.Errorf("the write was interrupted after %v", d)
		}
		_ = s.Close()
		_ = client.Drop()
	})
}

// TestStreamDeadlineDoesNotConcernPongs checks that what the WebSocket itself sends is not bound by the deadline of a
// stream's last write, which is long past on a quiet connection.
func TestStreamDeadlineDoesNotConcernPongs(t *testing.T) {
	for _, timeout := range []time.Duration{0, -1} {
		synctest.Test(t, func(t *testing.T) {
			ws, raw := upgraded(t, carrier.WebSocketOptions{Outbox: carrier.OutboxOptions{WriteTimeout: timeout}})
			s := ws.Stream()
			noError(t, s.SetWriteDeadline(time.Now().Add(time.Second)))
			_, err := s.Write([]byte("x"))
			noError(t, err)
			time.Sleep(time.Minute)
			_, err = raw.Write(frame{op: opPing, mask: someMask, payload: []byte("there?")}.encode())
			noError(t, err)
			noError(t, s.SetReadDeadline(time.Now().Add(time.Second)))
			_, err = s.Read(make([]byte, 1))
			errIs(t, err, os.ErrDeadlineExceeded)
			for _, want := range []string{"x", "there?"} {
				if f := readFrame(t, raw); string(f.payload) != want {
					t.Errorf("got %+v, want %q", f, want)
				}
			}
			if n, err := s.Write([]byte("late")); n != 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("wrote %d bytes after the deadline: %v", n, err)
			}
			noError(t, s.SetWriteDeadline(time.Time{}))
			_, err = s.Write([]byte("again"))
			noError(t, err)
			noError(t, ws.Flush(t.Context()))
			if f := readFrame(t, raw); string(f.payload) != "again" {
				t.Errorf("got %+v", f)
			}
			noError(t, raw.Close())
			_ = ws.Drop()
		})
	}
}

// TestOutboxOnAStream is how a protocol of bytes runs over WebSocket.
func TestOutboxOnAStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server, client := webSockets(t, carrier.WebSocketOptions{})
		o := carrier.NewOutbox(server.Stream(), carrier.OutboxOptions{MaxBytes: 200 << 10})
		noError(t, o.Append([]byte("one ")))
		noError(t, o.Append([]byte("two")))
		noError(t, o.Flush(t.Context()))
		got := make([]byte, 7)
		if _, err := io.ReadFull(client.Stream(), got); err != nil || string(got) != "one two" {
			t.Errorf("read %q, %v", got, err)
		}
		for i := 0; !errors.Is(o.Append(make([]byte, 1000)), carrier.ErrFull); i++ {
			if i > 10000 {
				t.Fatal("never full: the stream takes more than its peer reads")
			}
			synctest.Wait()
		}
		start := time.Now()
		noError(t, o.Close())
		if d := time.Since(start); d != 0 {
			t.Errorf("Close took %v", d)
		}
		_ = server.Drop()
		_ = client.Drop()
	})
}
