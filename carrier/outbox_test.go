package carrier_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
	"unsafe"

	"omnibus/carrier"
)

// gate is a writer that lets writes through one by one.
type gate struct {
	open   chan struct{}
	mu     sync.Mutex
	writes []string
	err    error
}

func newGate() *gate { return &gate{open: make(chan struct{})} }

func (g *gate) Write(p []byte) (int, error) {
	<-g.open
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.err != nil {
		return 0, g.err
	}
	g.writes = append(g.writes, string(p))
	return len(p), nil
}

func TestOutboxJoinsWhatWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate()
		o := carrier.NewOutbox(g, carrier.OutboxOptions{})
		noError(t, o.Append([]byte("a")))
		synctest.Wait() // the first write is under way
		for _, s := range []string{"b", "c", "d"} {
			noError(t, o.Append([]byte(s)))
		}
		if b, m := o.Pending(); b != 4 || m != 4 {
			t.Errorf("%d bytes, %d messages pending", b, m)
		}
		close(g.open)
		noError(t, o.Flush(t.Context()))
		if len(g.writes) != 2 || g.writes[0] != "a" || g.writes[1] != "bcd" {
			t.Errorf("writes: %q", g.writes)
		}
		if b, m := o.Pending(); b != 0 || m != 0 {
			t.Errorf("%d bytes, %d messages pending after Flush", b, m)
		}
		noError(t, o.Close())
	})
}

func TestOutboxBounds(t *testing.T) {
	tests := []struct {
		name   string
		o      carrier.OutboxOptions
		sizes  []int
		bounce int // index of the first refused
	}{
		{"bytes", carrier.OutboxOptions{MaxBytes: 10}, []int{4, 6, 1}, 2},
		{"bytes, one too many", carrier.OutboxOptions{MaxBytes: 10}, []int{4, 7}, 1},
		{"too large, alone", carrier.OutboxOptions{MaxBytes: 10}, []int{11, 1}, 1},
		{"too large, not alone", carrier.OutboxOptions{MaxBytes: 10}, []int{1, 11}, 1},
		{"messages", carrier.OutboxOptions{MaxMessages: 2}, []int{1, 1, 1}, 2},
		{"default", carrier.OutboxOptions{}, []int{1 << 19, 1 << 19, 1}, 2},
	}
	appends := map[string]func(o *carrier.Outbox, p []byte) error{
		"Append":       (*carrier.Outbox).Append,
		"AppendShared": (*carrier.Outbox).AppendShared,
		"AppendParts":  func(o *carrier.Outbox, p []byte) error { return second(o.AppendParts(p[:1], p[1:], false)) },
		"Commit":       func(o *carrier.Outbox, p []byte) error { return o.Commit(append(o.Begin(), p...)) },
		"CommitLater":  func(o *carrier.Outbox, p []byte) error { return second(o.CommitLater(append(o.Begin(), p...))) },
	}
	for _, tt := range tests {
		for name, add := range appends {
			t.Run(tt.name+"/"+name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					g := newGate()
					o := carrier.NewOutbox(g, tt.o)
					total := 0
					for i, size := range tt.sizes {
						synctest.Wait() // the message being written counts too
						err := add(o, make([]byte, size))
						if i < tt.bounce {
							noError(t, err)
							total += size
						} else {
							errIs(t, err, carrier.ErrFull)
						}
					}
					if b, m := o.Pending(); b != total || m != tt.bounce {
						t.Errorf("%d bytes, %d messages pending, want %d, %d", b, m, total, tt.bounce)
					}
					close(g.open)
					noError(t, o.Flush(t.Context()))
					noError(t, add(o, make([]byte, 1))) // there is room again
					noError(t, o.Flush(t.Context()))
					noError(t, o.Close())
				})
			})
		}
	}
}

func second(_ bool, err error) error { return err }

// TestOutboxKeepsOrder mixes all ways to append, small and shared, and compares with what a plain buffer holds.
func TestOutboxKeepsOrder(t *testing.T) {
	for _, withTLS := range []bool{false, true} {
		server, client := tcpPair(t, withTLS)
		o := carrier.NewOutbox(server, carrier.OutboxOptions{MaxBytes: 8 << 20})
		r := rand.New(rand.NewPCG(3, 4))
		var want bytes.Buffer
		for i := range 2000 {
			p := bytes.Repeat([]byte{byte(i)}, r.IntN(300))
			if r.IntN(40) == 0 {
				p = bytes.Repeat([]byte{byte(i)}, 8<<10+r.IntN(100<<10))
			}
			var err error
			switch i % 3 {
			case 0:
				err = o.Append(p)
			case 1:
				err = o.AppendShared(p)
			default:
				err = o.Commit(append(o.Begin(), p...))
			}
			noError(t, err)
			want.Write(p)
			if i%500 == 0 {
				drainTo(t, client, &want)
			}
		}
		drainTo(t, client, &want)
		noError(t, o.Flush(t.Context()))
		noError(t, o.Close())
	}
}

// drainTo reads as much as want holds, compares and empties it.
func drainTo(t *testing.T, c io.Reader, want *bytes.Buffer) {
	t.Helper()
	got := make([]byte, want.Len())
	_, err := io.ReadFull(c, got)
	noError(t, err)
	if !bytes.Equal(got, want.Bytes()) {
		t.Fatal("what arrived is not what was appended")
	}
	want.Reset()
}

func TestOutboxAppendsFromManyGoroutines(t *testing.T) {
	a, b := carrier.Pipe()
	o := carrier.NewOutbox(a, carrier.OutboxOptions{})
	const writers, each = 8, 300
	var wg sync.WaitGroup
	for i := range writers {
		wg.Go(func() {
			for n := range each {
				m := []byte{byte(i), byte(n >> 8), byte(n)}
				for errors.Is(o.Append(m), carrier.ErrFull) {
					if err := o.Flush(t.Context()); err != nil {
						t.Error(err)
						return
					}
				}
			}
		})
	}
	got := make([]byte, writers*each*3)
	_, err := io.ReadFull(b, got)
	noError(t, err)
	wg.Wait()
	next := make([]int, writers)
	for m := range len(got) / 3 {
		i, n := got[3*m], int(got[3*m+1])<<8|int(got[3*m+2])
		if next[i] != n {
			t.Fatalf("message %d of writer %d came when %d was due", n, i, next[i])
		}
		next[i]++
	}
	noError(t, o.Close())
	noError(t, a.Close())
	noError(t, b.Close())
}

func TestOutboxSlowReaderCostsTheBound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := carrier.Pipe()
		o := carrier.NewOutbox(a, carrier.OutboxOptions{MaxBytes: 100 << 10})
		full := false
		for i := 0; !full; i++ {
			if i > 10000 {
				t.Fatal("never full")
			}
			full = errors.Is(o.Append(make([]byte, 1000)), carrier.ErrFull)
			synctest.Wait()
			if p, _ := o.Pending(); p > 100<<10 {
				t.Fatalf("%d bytes pending", p)
			}
		}
		noError(t, o.Close())
		if p, m := o.Pending(); p != 0 || m != 0 {
			t.Errorf("%d bytes, %d messages pending after Close", p, m)
		}
		noError(t, a.Close())
		noError(t, b.Close())
	})
}

func TestOutboxTellsAWriteErrorOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		broken := errors.New("cable pulled")
		g := newGate()
		g.err = broken
		var told []error
		o := carrier.NewOutbox(g, carrier.OutboxOptions{OnError: func(err error) { told = append(told, err) }})
		noError(t, o.Append([]byte("a")))
		synctest.Wait()
		noError(t, o.Append([]byte("b")))
		close(g.open)
		errIs(t, o.Flush(t.Context()), broken, "writing to the peer")
		for _, err := range []error{
			o.Append([]byte("c")), o.AppendShared(make([]byte, 1<<14)), o.Commit(append(o.Begin(), 1)), o.Flush(t.Context()),
		} {
			errIs(t, err, broken)
			errIs(t, err, carrier.ErrClosed)
			errIs(t, err, net.ErrClosed)
		}
		noError(t, o.Close())
		if len(told) != 1 || !errors.Is(told[0], broken) {
			t.Errorf("told %v", told)
		}
		if b, m := o.Pending(); b != 0 || m != 0 {
			t.Errorf("%d bytes, %d messages pending", b, m)
		}
	})
}

func TestOutboxWriteTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := carrier.Pipe()
		start := time.Now()
		var at atomic.Int64
		o := carrier.NewOutbox(a, carrier.OutboxOptions{
			WriteTimeout: 10 * time.Second,
			OnError:      func(error) { at.Store(int64(time.Since(start))) },
		})
		// A peer that reads a little all the time is not timed out ...
		noError(t, o.Append(make([]byte, 200<<10)))
		for range 20 {
			time.Sleep(5 * time.Second)
			_, err := io.ReadFull(b, make([]byte, 1000))
			noError(t, err)
		}
		if at.Load() != 0 {
			t.Fatalf("a slow but steady peer was given up after %v", time.Duration(at.Load()))
		}
		// ... one that stops is.
		err := o.Flush(t.Context())
		errIs(t, err, os.ErrDeadlineExceeded)
		if d := time.Since(start) - 100*time.Second; d < 5*time.Second || d > 20*time.Second {
			t.Errorf("given up %v after the last read", d)
		}
		noError(t, o.Close())
		noError(t, a.Close())
		noError(t, b.Close())
	})
}

func TestOutboxFlush(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate()
		o := carrier.NewOutbox(g, carrier.OutboxOptions{})
		noError(t, o.Flush(t.Context())) // nothing to wait for
		noError(t, o.Append([]byte("a")))
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		errIs(t, o.Flush(ctx), context.DeadlineExceeded, "flushing")

		flushed := make(chan error, 1)
		go func() { flushed <- o.Flush(t.Context()) }()
		synctest.Wait()
		noError(t, o.Append([]byte("later")))
		g.open <- struct{}{}
		noError(t, <-flushed) // does not wait for what came after it
		if b, _ := o.Pending(); b != len("later") {
			t.Errorf("%d bytes pending", b)
		}
		close(g.open)
		noError(t, o.Flush(t.Context()))
		noError(t, o.Close())
		errIs(t, o.Append([]byte("x")), carrier.ErrClosed)
		noError(t, o.Flush(t.Context())) // all was written
	})
}

func TestOutboxCloseInterruptsTheWrite(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := carrier.Pipe()
		o := carrier.NewOutbox(a, carrier.OutboxOptions{OnError: func(err error) { t.Errorf("told %v", err) }})
		noError(t, o.Append(make([]byte, 500<<10)))
		noError(t, o.Append([]byte("never written")))
		synctest.Wait()
		waiting := make(chan error, 1)
		go func() { waiting <- o.Flush(t.Context()) }()
		synctest.Wait()
		start := time.Now()
		noError(t, o.Close())
		noError(t, o.Close())
		if d := time.Since(start); d != 0 {
			t.Errorf("Close took %v", d)
		}
		errIs(t, <-waiting, carrier.ErrClosed)
		noError(t, a.Close())
		noError(t, b.Close())
	})
}

func TestOutboxCommitOfNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate()
		o := carrier.NewOutbox(g, carrier.OutboxOptions{})
		buf := o.Begin()
		noError(t, o.Commit(buf))
		buf = o.Begin()
		noError(t, o.Commit(append(buf, "abc"...)[:len(buf)])) // the encoder gave up
		if b, m := o.Pending(); b != 0 || m != 0 {
			t.Errorf("%d bytes, %d messages pending", b, m)
		}
		noError(t, o.Append([]byte("x")))
		synctest.Wait()
		buf = o.Begin()
		noError(t, o.Commit(append(buf, "abc"...)[:len(buf)]))
		close(g.open)
		noError(t, o.Flush(t.Context()))
		if len(g.writes) != 1 || g.writes[0] != "x" {
			t.Errorf("writes: %q", g.writes)
		}
		noError(t, o.Close())
	})
}

func TestOutboxCopiesAndShares(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate()
		o := carrier.NewOutbox(g, carrier.OutboxOptions{})
		p := []byte("one")
		noError(t, o.Append(p))
		copy(p, "two")
		large := bytes.Repeat([]byte("s"), 64<<10)
		noError(t, o.AppendShared(large))
		noError(t, o.Append([]byte("three")))
		close(g.open)
		noError(t, o.Flush(t.Context()))
		var got string
		for _, w := range g.writes {
			got += w
		}
		if got != "one"+string(large)+"three" {
			t.Errorf("wrote %d bytes, beginning with %q", len(got), got[:3])
		}
		noError(t, o.Close())
	})
}

// sink is a connection that takes everything.
type sink struct {
	net.Conn
	bytes, writes atomic.Int64
}

func (s *sink) Write(p []byte) (int, error) {
	s.bytes.Add(int64(len(p)))
	s.writes.Add(1)
	return len(p), nil
}
func (*sink) SetWriteDeadline(time.Time) error { return nil }

func TestOutboxAppendsWithoutAllocating(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector makes pools forget")
	}
	o := carrier.NewOutbox(&sink{}, carrier.OutboxOptions{})
	small, large := make([]byte, 64), make([]byte, 32<<10)
	// A flusher is started by most appends: letting it end is part of the steady state.
	for name, add := range map[string]func() error{
		"Append":       func() error { return o.Append(small) },
		"AppendShared": func() error { return o.AppendShared(large) },
		"Commit":       func() error { return o.Commit(append(o.Begin(), small...)) },
	} {
		n := testing.AllocsPerRun(2000, func() {
			if err := add(); err != nil && !errors.Is(err, carrier.ErrFull) {
				t.Fatal(err)
			}
			for b, _ := o.Pending(); b > 0; b, _ = o.Pending() {
				runtime.Gosched()
			}
		})
		if n != 0 {
			t.Errorf("%s allocates %v times", name, n)
		}
	}
	noError(t, o.Close())
}

// TestOutboxIsSmall because thousands of idle connections have one each.
func TestOutboxIsSmall(t *testing.T) {
	if n := unsafe.Sizeof(carrier.Outbox{}); n > 160 {
		t.Errorf("an Outbox is %d bytes, more than its size class of 160", n)
	}
}

func TestOutboxSharesOneFrameAmongMany(t *testing.T) {
	frame := bytes.Repeat([]byte("0123456789"), 5000)
	var wg sync.WaitGroup
	boxes := make([]*carrier.Outbox, 10)
	for i := range boxes {
		a, b := carrier.Pipe()
		boxes[i] = carrier.NewOutbox(a, carrier.OutboxOptions{})
		wg.Go(func() {
			got := make([]byte, len(frame)+1)
			if _, err := io.ReadFull(b, got); err != nil || string(got) != strconv.Itoa(i)+string(frame) {
				t.Errorf("reader %d: %v", i, err)
			}
			_ = b.Close()
		})
		noError(t, boxes[i].Append([]byte(strconv.Itoa(i))))
	}
	for _, o := range boxes {
		noError(t, o.AppendShared(frame))
	}
	for _, o := range boxes {
		noError(t, o.Flush(t.Context()))
		noError(t, o.Close())
	}
	wg.Wait()
}
