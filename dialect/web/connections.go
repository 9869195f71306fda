package web

import (
	"context"
	"net"
	"net/http"
	"sync"
	"sync/atomic"

	"omnibus/dialect"
)

// connections counts those that ended without one request that could be read:
// net/http answers malformed requests itself and tells nobody.
type connections struct {
	malformed dialect.Counter
	open      sync.Map // net.Conn → *connection
}

type connection struct{ active, handled atomic.Bool }

type connectionKey struct{}

func (c *connections) begin(ctx context.Context, conn net.Conn) context.Context {
	x := new(connection)
	c.open.Store(conn, x)
	return context.WithValue(ctx, connectionKey{}, x)
}

func (c *connections) state(conn net.Conn, s http.ConnState) {
	v, ok := c.open.Load(conn)
	if !ok {
		return
	}
	x := v.(*connection)
	switch s {
	case http.StateActive:
		x.active.Store(true)
	case http.StateClosed, http.StateHijacked:
		c.open.Delete(conn)
		if x.active.Load() && !x.handled.Load() {
			c.malformed.Add(1)
		}
	}
}

// handled marks the connection of a request that could be read.
func handled(r *http.Request) {
	if x, ok := r.Context().Value(connectionKey{}).(*connection); ok {
		x.handled.Store(true)
	}
}

// limit closes connections beyond a number at once.
func limit(l net.Listener, most int, refused dialect.Counter) net.Listener {
	return &limited{Listener: l, most: int64(most), refused: refused}
}

type limited struct {
	net.Listener
	most    int64
	open    atomic.Int64
	refused dialect.Counter
}

func (l *limited) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if l.open.Add(1) <= l.most {
			return &counted{Conn: c, open: &l.open}, nil
		}
		l.open.Add(-1)
		l.refused.Add(1)
		_ = c.Close()
	}
}

type counted struct {
	net.Conn
	open *atomic.Int64
	once sync.Once
}

func (c *counted) Close() error {
	c.once.Do(func() { c.open.Add(-1) })
	return c.Conn.Close()
}
