package carrier_test

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"omnibus/carrier"
)

// serving runs Serve on a name in memory and returns how to dial it and how to stop it.
func serving(t *testing.T, o carrier.ServeOptions, handle func(context.Context, net.Conn)) (dial func() net.Conn, stop func() error) {
	t.Helper()
	var m carrier.Memory
	l := m.Listen("bus")
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- carrier.Serve(ctx, l, o, handle) }()
	dial = func() net.Conn {
		t.Helper()
		c, err := m.Dial(t.Context(), "bus")
		noError(t, err)
		t.Cleanup(func() { _ = c.Close() })
		return c
	}
	return dial, func() error {
		cancel()
		return <-ended
	}
}

// untilClosed is a handler that waits for its connection to end.
func untilClosed(_ context.Context, c net.Conn) { _, _ = io.Copy(io.Discard, c) }

func TestServeClosesTheConnectionAfterTheHandler(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dial, stop := serving(t, carrier.ServeOptions{}, func(_ context.Context, c net.Conn) {
			_, _ = io.WriteString(c, "bye")
		})
		for range 3 {
			if got := readAll(dial()); got != "bye" {
				t.Errorf("got %q", got)
			}
		}
		noError(t, stop())
	})
}

func TestServeContainsPanics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var value any
		var stack string
		o := carrier.ServeOptions{Panicked: func(v any, s []byte) { value, stack = v, string(s) }}
		dial, stop := serving(t, o, panicOnBoom)
		quiet, loud := dial(), dial()
		_, err := io.WriteString(loud, "boom")
		noError(t, err)
		if got := readAll(loud); got != "" {
			t.Errorf("got %q from the panicking handler", got)
		}
		_, err = io.WriteString(quiet, "fine")
		noError(t, err)
		got := make([]byte, 4)
		if _, err := io.ReadFull(quiet, got); err != nil || string(got) != "fine" {
			t.Errorf("the other connection reads %q, %v", got, err)
		}
		noError(t, quiet.Close())
		noError(t, stop())
		if value != "boom" || !strings.Contains(stack, "panicOnBoom") {
			t.Errorf("told of %v, stack:\n%s", value, stack)
		}
	})
}

func panicOnBoom(_ context.Context, c net.Conn) {
	for {
		p := make([]byte, 4)
		if _, err := io.ReadFull(c, p); err != nil {
			return
		}
		if string(p) == "boom" {
			panic("boom")
		}
		_, _ = c.Write(p)
	}
}

func TestServeLimitsConnections(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var refused atomic.Int32
		o := carrier.ServeOptions{MaxConns: 2, Refused: func() { refused.Add(1) }}
		dial, stop := serving(t, o, untilClosed)
		first, second, third := dial(), dial(), dial()
		synctest.Wait()
		if got := readAll(third); got != "" || refused.Load() != 1 {
			t.Errorf("the third connection reads %q, %d refused", got, refused.Load())
		}
		noError(t, first.Close())
		synctest.Wait()
		fourth := dial()
		synctest.Wait()
		noError(t, fourth.SetReadDeadline(time.Now().Add(time.Second)))
		if _, err := fourth.Read(make([]byte, 1)); errors.Is(err, io.EOF) || refused.Load() != 1 {
			t.Errorf("a connection within the limit: %v, %d refused", err, refused.Load())
		}
		noError(t, second.Close())
		noError(t, stop())
	})
}

func TestServeGivesHandlersTimeToSayGoodbye(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const grace = 5 * time.Second
		dial, stop := serving(t, carrier.ServeOptions{Grace: grace}, func(ctx context.Context, c net.Conn) {
			<-ctx.Done()
			time.Sleep(time.Second)
			_, _ = io.WriteString(c, "goodbye")
		})
		c := dial()
		synctest.Wait()
		start := time.Now()
		noError(t, stop())
		if d := time.Since(start); d != time.Second {
			t.Errorf("Serve returned after %v", d)
		}
		if got := readAll(c); got != "goodbye" {
			t.Errorf("got %q", got)
		}
	})
}

func TestServeTakesConnectionsAwayAfterTheGrace(t *testing.T) {
	for _, grace := range []time.Duration{0, 5 * time.Second} {
		synctest.Test(t, func(t *testing.T) {
			var handlers sync.WaitGroup
			handlers.Add(1)
			dial, stop := serving(t, carrier.ServeOptions{Grace: grace}, func(ctx context.Context, c net.Conn) {
				untilClosed(ctx, c)
				time.Sleep(time.Minute) // a handler that ends slowly is waited for
				handlers.Done()
			})
			dial()
			synctest.Wait()
			start := time.Now()
			noError(t, stop())
			if d := time.Since(start); d != grace+time.Minute {
				t.Errorf("Serve returned after %v", d)
			}
			handlers.Wait()
		})
	}
}

// flaky fails Accept with the errors in turn before it works.
type flaky struct {
	net.Listener
	errs chan error
}

func (l *flaky) Accept() (net.Conn, error) {
	select {
	case err := <-l.errs:
		return nil, err
	default:
		return l.Listener.Accept()
	}
}

func TestServeSurvivesTemporaryErrors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var m carrier.Memory
		l := &flaky{Listener: m.Listen("bus"), errs: make(chan error, 20)}
		for range 10 {
			l.errs <- &net.OpError{Op: "accept", Err: syscall.EMFILE}
		}
		l.errs <- syscall.ENOBUFS
		var told []error
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		start := time.Now()
		o := carrier.ServeOptions{AcceptError: func(err error) { told = append(told, err) }}
		go func() {
			ended <- carrier.Serve(ctx, l, o, func(_ context.Context, c net.Conn) { _, _ = io.WriteString(c, "hi") })
		}()
		c, err := m.Dial(ctx, "bus")
		noError(t, err)
		if got := readAll(c); got != "hi" {
			t.Errorf("got %q", got)
		}
		if len(told) != 11 || !errors.Is(told[0], syscall.EMFILE) {
			t.Errorf("told %v", told)
		}
		if d := time.Since(start); d < 2*time.Second || d > 10*time.Second {
			t.Errorf("the pauses took %v", d)
		}
		cancel()
		noError(t, <-ended)
		noError(t, c.Close())
	})
}

func TestServeReturnsWhatEndedAccepting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var m carrier.Memory
		l := &flaky{Listener: m.Listen("bus"), errs: make(chan error, 1)}
		l.errs <- syscall.EBADF
		errIs(t, carrier.Serve(t.Context(), l, carrier.ServeOptions{}, untilClosed), syscall.EBADF, "accepting on bus")

		closed := m.Listen("bus")
		noError(t, closed.Close())
		errIs(t, carrier.Serve(t.Context(), closed, carrier.ServeOptions{}, untilClosed), net.ErrClosed)
	})
}

func TestServeStopsDuringAPause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var m carrier.Memory
		l := &flaky{Listener: m.Listen("bus"), errs: make(chan error, 100)}
		for range 100 {
			l.errs <- syscall.ENFILE
		}
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		start := time.Now()
		noError(t, carrier.Serve(ctx, l, carrier.ServeOptions{}, untilClosed))
		if d := time.Since(start); d != 3*time.Second {
			t.Errorf("Serve returned after %v", d)
		}
	})
}

func TestServeOnRealSockets(t *testing.T) {
	l, err := carrier.Listen(t.Context(), carrier.Endpoint{Network: "tcp", Address: "127.0.0.1:0"})
	noError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- carrier.Serve(ctx, l, carrier.ServeOptions{}, func(_ context.Context, c net.Conn) { _, _ = io.Copy(c, c) })
	}()
	var clients sync.WaitGroup
	for range 20 {
		clients.Go(func() {
			c, err := carrier.Dial(t.Context(), carrier.Endpoint{Network: "tcp", Address: l.Addr().String()})
			if err != nil {
				t.Error(err)
				return
			}
			defer c.Close()
			_, _ = io.WriteString(c, "hello")
			got := make([]byte, 5)
			if _, err := io.ReadFull(c, got); err != nil || string(got) != "hello" {
				t.Errorf("got %q, %v", got, err)
			}
		})
	}
	clients.Wait()
	cancel()
	noError(t, <-ended)
	if _, err := carrier.Dial(t.Context(), carrier.Endpoint{Network: "tcp", Address: l.Addr().String()}); err == nil {
		t.Error("the listener is still open")
	}
}
