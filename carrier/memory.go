package carrier

import (
	"context"
	"net"
	"sync"
	"syscall"
)

// memoryBacklog is how many connections wait for Accept before Dial waits too.
const memoryBacklog = 128

// Memory is a network inside the process: names instead of addresses, buffered pipes instead of sockets. The zero value
// is ready; values do not see each other's names. It is safe for concurrent use and works inside testing/synctest
// bubbles.
type Memory struct {
	mu        sync.Mutex
	listeners map[string]*memoryListener
}

// Listen accepts connections dialed to name, until the listener is closed. When the name is taken the returned
// listener's Accept fails and says so.
func (m *Memory) Listen(name string) net.Listener {
	m.mu.Lock()
	defer m.mu.Unlock()
	l := &memoryListener{network: m, name: name, backlog: make(chan net.Conn, memoryBacklog), closed: make(chan struct{})}
	if m.listeners[name] != nil {
		l.failed = &endpointError{"listening on", l.endpoint(), explain(l.endpoint(), syscall.EADDRINUSE), syscall.EADDRINUSE}
		return l
	}
	if m.listeners == nil {
		m.listeners = make(map[string]*memoryListener)
	}
	m.listeners[name] = l
	return l
}

// Dial connects to the listener of name. It does not wait for Accept unless 128 connections wait for it already. A name
// nobody listens on refuses the connection.
func (m *Memory) Dial(ctx context.Context, name string) (net.Conn, error) {
	m.mu.Lock()
	l := m.listeners[name]
	m.mu.Unlock()
	at := Endpoint{Network: networkMemory, Address: name}
	refused := &endpointError{"connecting to", at, explain(at, syscall.ECONNREFUSED), syscall.ECONNREFUSED}
	if err := ctx.Err(); err != nil {
		return nil, &endpointError{"connecting to", at, explain(at, err), err}
	}
	if l == nil {
		return nil, refused
	}
	near, far := pipe(name)
	select {
	case <-l.closed:
		return nil, refused
	case <-ctx.Done():
		return nil, &endpointError{"connecting to", at, explain(at, ctx.Err()), ctx.Err()}
	case l.backlog <- far:
	}
	select {
	case <-l.closed: // perhaps nobody emptied the backlog after this connection joined it
		l.refuseWaiting()
	default:
	}
	return near, nil
}

// memoryListener is a name in a Memory network.
type memoryListener struct {
	network *Memory
	name    string
	failed  error // why it never listened
	backlog chan net.Conn
	once    sync.Once
	closed  chan struct{}
}

func (l *memoryListener) endpoint() Endpoint {
	return Endpoint{Network: networkMemory, Address: l.name}
}

func (l *memoryListener) Accept() (net.Conn, error) {
	if l.failed != nil {
		return nil, l.failed
	}
	select {
	case <-l.closed:
		return nil, &endpointError{"accepting on", l.endpoint(), "listener closed", net.ErrClosed}
	default:
	}
	select {
	case <-l.closed:
		return nil, &endpointError{"accepting on", l.endpoint(), "listener closed", net.ErrClosed}
	case c := <-l.backlog:
		return c, nil
	}
}

func (l *memoryListener) Close() error {
	if l.failed != nil {
		return nil
	}
	l.once.Do(func() {
		l.network.mu.Lock()
		delete(l.network.listeners, l.name)
		l.network.mu.Unlock()
		close(l.closed)
		l.refuseWaiting()
	})
	return nil
}

// refuseWaiting closes the connections nobody will accept.
func (l *memoryListener) refuseWaiting() {
	for {
		select {
		case c := <-l.backlog:
			_ = c.Close() // a pipe's Close does not fail
		default:
			return
		}
	}
}

func (l *memoryListener) Addr() net.Addr { return memoryAddr(l.name) }
