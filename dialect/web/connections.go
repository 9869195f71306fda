package web

import (
	"context"
	"net"
	"net/http"
	"sync"
	"sync/atomic"

	"omnibus/dialect"
)

// connections bounds the open ones and counts those that ended without one
// request that could be read: net/http answers malformed requests itself and
// tells nobody. It leaves the connections themselves as they are, so that
// net/http sees which of them are TLS.
type connections struct {
	most               int64
	refused, malformed dialect.Counter

	n    atomic.Int64 // accepted and not yet closed
	open sync.Map     // net.Conn → *connection
}

type connection struct{ active, handled atomic.Bool }

type connectionKey struct{}

func (c *connections) begin(ctx context.Context, conn net.Conn) context.Context {
	x := new(connection)
	c.open.Store(conn, x)
	return context.WithValue(ctx, connectionKey{}, x)
}

func (c *connections) state(conn net.Conn, s http.ConnState) {
	switch s {
	case http.StateActive:
		if v, ok := c.open.Load(conn); ok {
			v.(*connection).active.Store(true)
		}
	case http.StateClosed, http.StateHijacked:
		v, ok := c.open.LoadAndDelete(conn)
		if !ok {
			return
		}
		c.n.Add(-1)
		if x := v.(*connection); x.active.Load() && !x.handled.Load() {
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

// limited closes connections beyond the number at once.
type limited struct {
	net.Listener
	*connections
}

func (l limited) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if l.n.Add(1) <= l.most {
			return c, nil
		}
		l.n.Add(-1)
		l.refused.Add(1)
		_ = c.Close()
	}
}
