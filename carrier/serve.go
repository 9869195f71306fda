package carrier

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"runtime/debug"
	"sync"
	"syscall"
	"time"
)

// defaultMaxConns is above the ten thousand idle connections one machine is meant to carry.
const defaultMaxConns = 16384

// Bounds of the pause after a temporary accept error.
const (
	firstPause = 5 * time.Millisecond
	lastPause  = time.Second
)

// ServeOptions are the limits and hooks of Serve. The zero value works.
type ServeOptions struct {
	// MaxConns bounds the connections open at a time; 0 means 16,384. One more is closed at once and told to Refused.
	MaxConns int
	// Grace is how long handlers may go on after the context ends; then their connections are closed. 0 closes them at
	// once.
	Grace time.Duration
	// Refused is called for each connection closed because of MaxConns.
	Refused func()
	// AcceptError is told each temporary error of accept, such as too many open files; Serve pauses and goes on.
	AcceptError func(error)
	// Panicked is told the value and stack of a panic in a handler. Without it the panic only closes its connection.
	Panicked func(value any, stack []byte)
}

// Serve accepts connections until ctx is done and runs handle for each in a goroutine of its own, with a context that is
// cancelled when Serve's is. The connection is closed when handle returns or panics; a panic disturbs no other.
//
// When ctx is done the listener is closed, handlers have Grace to end, then their connections are closed under them.
// Serve returns only after every handler has returned: nil after ctx, otherwise the error that ended accepting.
func Serve(ctx context.Context, l net.Listener, o ServeOptions, handle func(ctx context.Context, c net.Conn)) error {
	if o.MaxConns <= 0 {
		o.MaxConns = defaultMaxConns
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	closed := make(chan struct{})
	context.AfterFunc(ctx, func() {
		defer close(closed)
		_ = l.Close() // ends Accept, whatever Close says
	})
	s := &server{o: o, handle: handle, open: make(map[net.Conn]struct{})}
	err := s.accept(ctx, l)
	cancel()
	<-closed
	s.drain()
	return err
}

// server is the state of one Serve.
type server struct {
	o        ServeOptions
	handle   func(ctx context.Context, c net.Conn)
	handlers sync.WaitGroup

	mu   sync.Mutex
	open map[net.Conn]struct{}
}

func (s *server) accept(ctx context.Context, l net.Listener) error {
	pause := time.Duration(0)
	for {
		c, err := l.Accept()
		if err == nil {
			pause = 0
			s.start(ctx, c)
			continue
		}
		if ctx.Err() != nil {
			return nil
		}
		if !isTemporary(err) {
			return fmt.Errorf("accepting on %s: %w", l.Addr(), err)
		}
		if s.o.AcceptError != nil {
			s.o.AcceptError(err)
		}
		pause = min(max(2*pause, firstPause), lastPause)
		timer := time.NewTimer(pause)
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil
		case <-timer.C:
		}
	}
}

// start runs the handler of a connection, or refuses the connection.
func (s *server) start(ctx context.Context, c net.Conn) {
	s.mu.Lock()
	full := len(s.open) >= s.o.MaxConns
	if !full {
		s.open[c] = struct{}{}
	}
	s.mu.Unlock()
	if full {
		if s.o.Refused != nil {
			s.o.Refused() // counted by the time the client notices
		}
		hardClose(c)
		return
	}
	s.handlers.Go(func() {
		defer s.end(c)
		s.handle(ctx, c)
	})
}

// end is deferred around a handler.
func (s *server) end(c net.Conn) {
	value := recover()
	_ = c.Close() // the handler is done with it, and may have closed it
	s.mu.Lock()
	delete(s.open, c)
	s.mu.Unlock()
	if value != nil && s.o.Panicked != nil {
		s.o.Panicked(value, debug.Stack())
	}
}

// drain waits for the handlers and, after the grace, takes their connections away.
func (s *server) drain() {
	if s.o.Grace <= 0 {
		s.closeAll()
		s.handlers.Wait()
		return
	}
	fired := make(chan struct{})
	timer := time.AfterFunc(s.o.Grace, func() {
		defer close(fired)
		s.closeAll()
	})
	s.handlers.Wait()
	if !timer.Stop() {
		<-fired
	}
}

func (s *server) closeAll() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.open {
		hardClose(c)
	}
}

// hardClose closes a connection without the farewell of TLS, which may wait for the peer.
func hardClose(c net.Conn) {
	if t, ok := c.(*tls.Conn); ok {
		c = t.NetConn()
	}
	_ = c.Close() // there is nobody to tell
}

// isTemporary tells accept errors that pass by themselves.
func isTemporary(err error) bool {
	if errors.Is(err, net.ErrClosed) {
		return false
	}
	if errors.Is(err, syscall.ENOBUFS) || errors.Is(err, syscall.ENOMEM) || errors.Is(err, syscall.ECONNABORTED) {
		return true
	}
	t, ok := errors.AsType[interface {
		error
		Temporary() bool
	}](err)
	return ok && t.Temporary()
}
