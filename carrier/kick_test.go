package carrier_test

import (
	"bufio"
	"encoding/binary"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"omnibus/carrier"
)

// later appends one message and tells whether to kick.
func later(t testing.TB, o *carrier.Outbox, s string) bool {
	t.Helper()
	kick, err := o.CommitLater(append(o.Begin(), s...))
	noError(t, err)
	return kick
}

func TestOutboxTellsOneCallerToKick(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate()
		o := carrier.NewOutbox(g, carrier.OutboxOptions{})
		steps := []struct {
			do   func() bool
			want bool
			why  string
		}{
			{func() bool { return later(t, o, "a") }, true, "it is the first"},
			{func() bool { return later(t, o, "b") }, false, "somebody will kick"},
			{func() bool { k, err := o.AppendParts(nil, []byte("c"), true); noError(t, err); return k }, false, "the same"},
			{func() bool { o.Kick(); synctest.Wait(); return later(t, o, "d") }, false, "a flusher runs"},
			{func() bool { g.open <- struct{}{}; g.open <- struct{}{}; synctest.Wait(); return later(t, o, "e") }, true, "it has ended"},
			{func() bool { noError(t, o.Append([]byte("f"))); synctest.Wait(); return later(t, o, "g") }, false, "Append started one"},
			{func() bool {
				o.Kick() // due since e, while the flusher of f is at work
				g.open <- struct{}{}
				g.open <- struct{}{}
				synctest.Wait()
				return later(t, o, "h")
			}, true, "all kicks due have come"},
			{func() bool { k, err := o.CommitLater(o.Begin()); noError(t, err); return k }, false, "nothing was appended"},
		}
		for i, s := range steps {
			if got := s.do(); got != s.want {
				t.Errorf("step %d: told to kick: %v, want %v: %s", i, got, s.want, s.why)
			}
		}
		synctest.Wait()
		if want := []string{"abc", "d", "ef", "g"}; len(g.writes) != len(want) {
			t.Errorf("writes: %q, want %q: an append without a kick writes nothing", g.writes, want)
		}
		close(g.open)
		noError(t, o.Flush(t.Context())) // does not wait for a kick
		if got := g.writes[len(g.writes)-1]; got != "h" {
			t.Errorf("wrote %q last, want h", got)
		}
		later(t, o, "never kicked")
		noError(t, o.Close())
		o.Kick()
		if b, m := o.Pending(); b != 0 || m != 0 {
			t.Errorf("%d bytes, %d messages pending after Close", b, m)
		}
		errIs(t, o.Flush(t.Context()), carrier.ErrClosed)
	})
}

// unixPair is a connection over a unix socket.
func unixPair(t testing.TB) (server, client net.Conn) {
	t.Helper()
	return dialPair(t, carrier.Endpoint{Network: "unix", Address: filepath.Join(t.TempDir(), "s")}, nil)
}

// narrow makes a socket take little at a time. (A peer with a small window would make it slow as well.)
func narrow(t testing.TB, server net.Conn) {
	t.Helper()
	s, ok := server.(*net.TCPConn)
	if !ok {
		t.Fatal("no TCP connection")
	}
	noError(t, s.SetWriteBuffer(4<<10))
}

func TestKickWritesOnTheCallersGoroutine(t *testing.T) {
	for name, pair := range map[string]func(testing.TB) (net.Conn, net.Conn){
		"tcp":  func(t testing.TB) (net.Conn, net.Conn) { return tcpPair(t, false) },
		"unix": unixPair,
	} {
		t.Run(name, func(t *testing.T) {
			server, client := pair(t)
			o := carrier.NewOutbox(server, carrier.OutboxOptions{})
			large := make([]byte, 10<<10)
			for range 3 {
				later(t, o, "small")
				_, err := o.AppendParts([]byte("head"), large, true)
				noError(t, err)
				later(t, o, "tail")
				// A deadline that passed, as an earlier flusher leaves it, does not matter.
				noError(t, server.SetWriteDeadline(time.Unix(1, 0)))
				o.Kick()
				if b, m := o.Pending(); b != 0 || m != 0 {
					t.Fatalf("%d bytes, %d messages pending after Kick", b, m)
				}
			}
			got := make([]byte, 3*(5+4+len(large)+4))
			_, err := io.ReadFull(client, got)
			noError(t, err)
			if part := got[len(got)/3:]; string(part[:9]) != "smallhead" || string(part[9+len(large):][:9]) != "tailsmall" {
				t.Error("what arrived is not what was appended")
			}
			noError(t, o.Close())
		})
	}
}

// TestKickDoesNotWaitForThePeer would hang if it did: the peer reads only when all is appended.
func TestKickDoesNotWaitForThePeer(t *testing.T) {
	server, client := tcpPair(t, false)
	narrow(t, server)
	o := carrier.NewOutbox(server, carrier.OutboxOptions{MaxBytes: 16 << 20})
	shared := make([]byte, 50<<10)
	for i := range shared {
		shared[i] = byte(i % 251)
	}
	var want []byte
	for i := range 100 {
		head := []byte{byte(i), 1, 2, 3}
		kick, err := o.AppendParts(head, shared[i:], true)
		noError(t, err)
		want = append(append(want, head...), shared[i:]...)
		if kick || i%7 == 0 {
			o.Kick()
		}
	}
	if b, _ := o.Pending(); b == 0 {
		t.Fatal("the socket took everything: the test shows nothing")
	}
	got := make([]byte, len(want))
	_, err := io.ReadFull(client, got)
	noError(t, err)
	if string(got) != string(want) {
		t.Error("what arrived is not what was appended")
	}
	noError(t, o.Flush(t.Context()))
	noError(t, o.Close())
}

func TestKickTellsAWriteErrorOnce(t *testing.T) {
	for name, end := range map[string]func(t *testing.T, server, client net.Conn){
		"closed here": func(_ *testing.T, server, _ net.Conn) { _ = server.Close() },
		"reset by the peer": func(t *testing.T, server, client net.Conn) {
			tcp, ok := client.(*net.TCPConn)
			if !ok {
				t.Fatal("no TCP connection")
			}
			noError(t, tcp.SetLinger(0))
			_ = client.Close()
			_, err := server.Read(make([]byte, 1)) // it has arrived
			errIs(t, err, nil)
		},
	} {
		t.Run(name, func(t *testing.T) {
			server, client := tcpPair(t, false)
			var told []error
			o := carrier.NewOutbox(server, carrier.OutboxOptions{OnError: func(err error) { told = append(told, err) }})
			end(t, server, client)
			later(t, o, "a")
			o.Kick()
			if len(told) != 1 {
				t.Fatalf("told %v, want one error", told)
			}
			errIs(t, told[0], carrier.ErrClosed, "writing to the peer")
			_, err := o.CommitLater(append(o.Begin(), 1))
			errIs(t, err, told[0])
			o.Kick()
			errIs(t, o.Flush(t.Context()), told[0])
			noError(t, o.Close())
			if b, m := o.Pending(); len(told) != 1 || b != 0 || m != 0 {
				t.Errorf("told %v; %d bytes, %d messages pending", told, b, m)
			}
		})
	}
}

// TestOutboxLosesNothing lets many goroutines append in every way, kicking only when told to, and never flushes: what
// nobody sees to would be missing at the peer.
func TestOutboxLosesNothing(t *testing.T) {
	for name, pair := range map[string]func(testing.TB) (net.Conn, net.Conn){
		"tcp":    func(t testing.TB) (net.Conn, net.Conn) { return tcpPair(t, false) },
		"tls":    func(t testing.TB) (net.Conn, net.Conn) { return tcpPair(t, true) },
		"unix":   unixPair,
		"memory": func(testing.TB) (net.Conn, net.Conn) { return carrier.Pipe() },
		"narrow": func(t testing.TB) (net.Conn, net.Conn) {
			server, client := tcpPair(t, false)
			narrow(t, server)
			return server, client
		},
	} {
		t.Run(name, func(t *testing.T) {
			server, client := pair(t)
			const writers, each = 8, 1500
			room := make(chan struct{}, 1)
			o := carrier.NewOutbox(server, carrier.OutboxOptions{
				MaxBytes: 200 << 10, MaxMessages: 200,
				OnError: func(err error) { t.Errorf("writing failed: %v", err) },
				OnRoom:  func() { pass(room) },
			})
			var wg sync.WaitGroup
			for i := range writers {
				wg.Go(func() { appendMany(t, o, byte(i), each, room) })
			}
			checkMany(t, client, writers, each)
			wg.Wait()
			noError(t, o.Close())
			_, _ = server.Close(), client.Close()
		})
	}
}

func pass(room chan struct{}) {
	select {
	case room <- struct{}{}:
	default:
	}
}

// TestOutboxLosesNothingInTheEnd looks for the last bytes of a short exchange, which no later append takes along.
func TestOutboxLosesNothingInTheEnd(t *testing.T) {
	server, client := tcpPair(t, false)
	o := carrier.NewOutbox(server, carrier.OutboxOptions{})
	for round := range 2000 {
		var wg sync.WaitGroup
		for i := range 3 {
			wg.Go(func() {
				if (i+round)%5 == 0 {
					if err := o.Append([]byte("x")); err != nil {
						t.Error(err)
					}
					return
				}
				kick, err := o.CommitLater(append(o.Begin(), 'x'))
				if err != nil {
					t.Error(err)
				}
				if kick {
					o.Kick()
				}
			})
		}
		wg.Wait()
		noError(t, client.SetReadDeadline(time.Now().Add(20*time.Second)))
		if n, err := io.ReadFull(client, make([]byte, 3)); err != nil {
			t.Fatalf("%d of 3 bytes arrived in round %d: %v", n, round, err)
		}
	}
	noError(t, o.Close())
}

// appendMany appends messages in batches: the writer, a number, a length, and as many bytes.
func appendMany(t *testing.T, o *carrier.Outbox, writer byte, count int, room chan struct{}) {
	r := rand.New(rand.NewPCG(uint64(writer), 8))
	payload := make([]byte, 20<<10)
	for i := range payload {
		payload[i] = writer
	}
	due := false
	for n := range count {
		p := payload[:r.IntN(100)]
		if r.IntN(30) == 0 {
			p = payload[:r.IntN(len(payload))]
		}
		head := binary.BigEndian.AppendUint32([]byte{writer}, uint32(n))
		head = binary.BigEndian.AppendUint32(head, uint32(len(p)))
		way := r.IntN(5)
		add := func() (kick bool, err error) {
			switch way {
			case 0:
				return false, o.Append(append(head, p...))
			case 1:
				return false, o.Commit(append(append(o.Begin(), head...), p...))
			case 2:
				return o.AppendParts(head, p, r.IntN(2) == 0)
			default:
				return o.CommitLater(append(append(o.Begin(), head...), p...))
			}
		}
		kick, err := add()
		for errors.Is(err, carrier.ErrFull) {
			o.Kick() // what the others wait for may be our kick
			due = false
			if kick, err = add(); errors.Is(err, carrier.ErrFull) {
				<-room
				pass(room) // others wait too
				kick, err = add()
			}
		}
		if err != nil {
			t.Error(err)
			return
		}
		due = due || kick
		if due && r.IntN(16) == 0 {
			o.Kick()
			due = false
		}
	}
	if due {
		o.Kick()
	}
}

// checkMany reads what appendMany has appended.
func checkMany(t *testing.T, client net.Conn, writers, each int) {
	next := make([]int, writers)
	in := bufio.NewReader(client)
	var head [9]byte
	for range writers * each {
		noError(t, client.SetReadDeadline(time.Now().Add(20*time.Second)))
		_, err := io.ReadFull(in, head[:])
		if errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatalf("bytes were left behind; messages read of each writer: %d", next)
		}
		noError(t, err)
		writer, n, size := head[0], binary.BigEndian.Uint32(head[1:]), binary.BigEndian.Uint32(head[5:])
		if int(writer) >= writers || int(n) != next[writer] {
			t.Fatalf("message %d of writer %d, next due are %d", n, writer, next)
		}
		next[writer]++
		payload := make([]byte, size)
		_, err = io.ReadFull(in, payload)
		noError(t, err)
		for _, b := range payload {
			if b != writer {
				t.Fatalf("a byte %d in a message of writer %d", b, writer)
			}
		}
	}
}

// TestKickAndCloseTogether looks for races between them.
func TestKickAndCloseTogether(t *testing.T) {
	for range 50 {
		server, client := tcpPair(t, false)
		narrow(t, server)
		o := carrier.NewOutbox(server, carrier.OutboxOptions{OnError: func(err error) { t.Errorf("told %v", err) }})
		var wg sync.WaitGroup
		for range 3 {
			wg.Go(func() {
				for {
					_, err := o.AppendParts([]byte("head"), make([]byte, 10<<10), true)
					o.Kick()
					if errors.Is(err, carrier.ErrClosed) {
						return
					}
				}
			})
		}
		_, err := io.ReadFull(client, make([]byte, 50<<10))
		noError(t, err)
		noError(t, o.Close())
		wg.Wait()
		if b, m := o.Pending(); b != 0 || m != 0 {
			t.Fatalf("%d bytes, %d messages pending after Close", b, m)
		}
	}
}

func TestOutboxKicksWithoutAllocating(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector makes pools forget")
	}
	server, client := tcpPair(t, false)
	var reader sync.WaitGroup
	reader.Go(func() { _, _ = io.Copy(io.Discard, client) })
	o := carrier.NewOutbox(server, carrier.OutboxOptions{})
	p, large := make([]byte, 80), make([]byte, 16<<10)
	n := testing.AllocsPerRun(2000, func() {
		for range 16 {
			_, err := o.CommitLater(append(o.Begin(), p...))
			noError(t, err)
		}
		_, err := o.AppendParts(p, large, true)
		noError(t, err)
		o.Kick()
		for b, _ := o.Pending(); b > 0; b, _ = o.Pending() {
			runtime.Gosched() // a flusher has the rest
		}
	})
	if n != 0 {
		t.Errorf("17 messages and a kick allocate %v times", n)
	}
	noError(t, o.Flush(t.Context()))
	noError(t, o.Close())
	_ = server.Close()
	reader.Wait()
}
