package carrier_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"omnibus/carrier"
)

func TestPipeKeepsBytesInOrder(t *testing.T) {
	a, b := carrier.Pipe()
	want := sha256.New()
	var writer sync.WaitGroup
	writer.Go(func() {
		r := rand.New(rand.NewPCG(1, 2))
		for range 500 {
			p := make([]byte, r.IntN(2000))
			for i := range p {
				p[i] = byte(r.Uint32())
			}
			want.Write(p)
			if n, err := a.Write(p); n != len(p) || err != nil {
				t.Errorf("wrote %d of %d: %v", n, len(p), err)
			}
		}
		noError(t, a.Close())
	})
	got := sha256.New()
	if _, err := io.CopyBuffer(struct{ io.Writer }{got}, struct{ io.Reader }{b}, make([]byte, 777)); err != nil {
		t.Fatal(err)
	}
	writer.Wait()
	if !bytes.Equal(got.Sum(nil), want.Sum(nil)) {
		t.Error("what was read is not what was written")
	}
	noError(t, b.Close())
}

func TestPipeDoesNotMixWrites(t *testing.T) {
	a, b := carrier.Pipe()
	defer b.Close()
	const writers, size = 4, 100 << 10 // above what the pipe holds
	var wg sync.WaitGroup
	for i := range writers {
		wg.Go(func() {
			if _, err := a.Write(bytes.Repeat([]byte{byte(i)}, size)); err != nil {
				t.Error(err)
			}
		})
	}
	got := make([]byte, writers*size)
	_, err := io.ReadFull(b, got)
	noError(t, err)
	wg.Wait()
	noError(t, a.Close())
	for i := range writers {
		part := got[i*size : (i+1)*size]
		if !bytes.Equal(part, bytes.Repeat(part[:1], size)) {
			t.Fatal("writes of several goroutines are mixed")
		}
	}
}

func TestPipeDeadlines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := carrier.Pipe()
		defer b.Close()
		defer a.Close()
		start := time.Now()

		noError(t, a.SetReadDeadline(start.Add(time.Second)))
		_, err := a.Read(make([]byte, 1))
		errIs(t, err, os.ErrDeadlineExceeded)
		if timeout, ok := errors.AsType[net.Error](err); !ok || !timeout.Timeout() {
			t.Errorf("%v is no timeout", err)
		}
		if d := time.Since(start); d != time.Second {
			t.Errorf("read timed out after %v", d)
		}

		noError(t, a.SetWriteDeadline(start.Add(3*time.Second)))
		n, err := a.Write(make([]byte, 1<<20))
		errIs(t, err, os.ErrDeadlineExceeded)
		if d := time.Since(start); d != 3*time.Second || n == 0 || n >= 1<<20 {
			t.Errorf("wrote %d bytes in %v before the deadline", n, d)
		}
		_, err = a.Write([]byte("x"))
		errIs(t, err, os.ErrDeadlineExceeded)

		// A later deadline revives, an earlier one interrupts.
		noError(t, a.SetDeadline(time.Time{}))
		time.AfterFunc(time.Second, func() { noError(t, a.SetDeadline(time.Now())) })
		_, err = a.Read(make([]byte, 1))
		errIs(t, err, os.ErrDeadlineExceeded)
		noError(t, a.SetDeadline(time.Time{}))
		_, err = b.Write([]byte("y"))
		noError(t, err)
		got := make([]byte, 1)
		if _, err := a.Read(got); err != nil || got[0] != 'y' {
			t.Errorf("after the deadline was lifted: %q, %v", got, err)
		}
	})
}

func TestPipeClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := carrier.Pipe()
		var readers sync.WaitGroup
		readers.Go(func() {
			_, err := a.Read(make([]byte, 1))
			errIs(t, err, net.ErrClosed)
		})
		_, err := io.WriteString(a, "last words")
		noError(t, err)
		synctest.Wait()
		noError(t, a.Close())
		readers.Wait()
		_, err = a.Write([]byte("x"))
		errIs(t, err, net.ErrClosed)
		errIs(t, a.SetReadDeadline(time.Time{}), net.ErrClosed)
		_, err = b.Write([]byte("x"))
		errIs(t, err, io.ErrClosedPipe)
		if got := readAll(b); got != "last words" {
			t.Errorf("the peer reads %q", got)
		}
		if _, err := b.Read(make([]byte, 1)); err != io.EOF { //nolint:errorlint // it must be bare
			t.Errorf("after the last byte: %v", err)
		}
		noError(t, b.Close())
		noError(t, b.Close())
	})
}

func TestPipeCloseInterruptsWriter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, closer := range []int{0, 1} {
			a, b := carrier.Pipe()
			var writer sync.WaitGroup
			writer.Go(func() {
				_, err := a.Write(make([]byte, 1<<20))
				errIs(t, err, []error{net.ErrClosed, io.ErrClosedPipe}[closer])
			})
			synctest.Wait()
			noError(t, []net.Conn{a, b}[closer].Close())
			writer.Wait()
			noError(t, a.Close())
			noError(t, b.Close())
		}
	})
}

func TestPipeConcurrentUse(t *testing.T) {
	a, b := carrier.Pipe()
	var wg sync.WaitGroup
	for _, c := range []net.Conn{a, b} {
		for range 3 {
			wg.Go(func() {
				buf := make([]byte, 1024)
				for {
					if _, err := c.Read(buf); errors.Is(err, net.ErrClosed) || errors.Is(err, io.EOF) {
						return
					}
				}
			})
			wg.Go(func() {
				for i := range 200 {
					_, _ = c.Write(make([]byte, 512))
					_ = c.SetDeadline(time.Now().Add(time.Duration(i%3) * time.Millisecond))
					_, _ = c.LocalAddr().String(), c.RemoteAddr().Network()
				}
				_ = c.Close()
			})
		}
	}
	wg.Wait()
}

func TestMemoryNetwork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var m, other carrier.Memory
		_, err := m.Dial(t.Context(), "bus")
		errIs(t, err, syscall.ECONNREFUSED, "memory:bus", "nothing listens")

		l := m.Listen("bus")
		if l.Addr().Network() != "memory" || l.Addr().String() != "bus" {
			t.Errorf("address %s %s", l.Addr().Network(), l.Addr())
		}
		_, err = other.Dial(t.Context(), "bus")
		errIs(t, err, syscall.ECONNREFUSED)
		second := m.Listen("bus")
		_, err = second.Accept()
		errIs(t, err, syscall.EADDRINUSE, "memory:bus", "in use")
		noError(t, second.Close())

		client, err := m.Dial(t.Context(), "bus") // nobody accepts yet
		noError(t, err)
		server, err := l.Accept()
		noError(t, err)
		echo(t, server, client)

		waiting, err := m.Dial(t.Context(), "bus")
		noError(t, err)
		var accepting sync.WaitGroup
		noError(t, l.Close())
		accepting.Go(func() {
			_, err := l.Accept()
			errIs(t, err, net.ErrClosed)
		})
		accepting.Wait()
		if got := readAll(waiting); got != "" {
			t.Errorf("a connection nobody accepted reads %q", got)
		}
		_, err = m.Dial(t.Context(), "bus")
		errIs(t, err, syscall.ECONNREFUSED)
		echo(t, server, client) // accepted connections live on

		again := m.Listen("bus")
		defer again.Close()
		client2, err := m.Dial(t.Context(), "bus")
		noError(t, err)
		for _, c := range []net.Conn{client, server, waiting, client2} {
			noError(t, c.Close())
		}
	})
}

func TestMemoryDialEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var m carrier.Memory
		l := m.Listen("bus")
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		for {
			c, err := m.Dial(ctx, "bus")
			if err != nil {
				errIs(t, err, context.DeadlineExceeded, "memory:bus", "timed out")
				break
			}
			defer c.Close()
		}
		noError(t, l.Close())
	})
}
