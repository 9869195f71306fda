package bench

import (
	"context"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
)

// parallel is how many connections are opened, or subscribed, at a time.
const parallel = 32

// perSource is how many connections come from one address of the loopback
// interface: fewer than it has ports for them.
const perSource = 20_000

// reserve is how many files the generator needs besides its connections.
const reserve = 200

// idle measures what connections cost that do nothing.
func idle(ctx context.Context, t *trial) (*Result, error) {
	s, ctx := newStage(ctx, t.dialer(), t.prefix())
	defer s.close()
	var notes []string
	n := t.options.Connections
	if may := openFiles(n+reserve) - reserve; may < n {
		notes = append(notes, fmt.Sprintf("%d connections instead of %d: this process may not have more open files (ulimit -n)", may, n))
		n = may
	}
	before, err := t.target.settled(ctx)
	if err != nil {
		return nil, err
	}
	open, err := s.crowd(ctx, n)
	if open < n && open > n/2 && ctx.Err() == nil {
		notes = append(notes, fmt.Sprintf("only %d of %d connections were accepted: %v", open, n, err))
	} else if err != nil {
		return nil, err
	}
	after, err := t.target.settled(ctx)
	if err != nil {
		return nil, err
	}
	return &Result{Growth: growth(before, after, open, 0), Memory: t.target.usage(), Notes: notes}, nil
}

// growth is what n things cost, of which each had to take so many bytes; nil if
// it is not known.
func growth(before, after int64, n, payload int) *Growth {
	if before == 0 || after == 0 {
		return nil
	}
	g := &Growth{Items: int64(n), Bytes: after - before}
	g.Each = float64(g.Bytes)/float64(n) - float64(payload)
	return g
}

// crowd opens n connections and says how many it has got, and what kept it from
// more. They need no goroutine.
func (s *stage) crowd(ctx context.Context, n int) (int, error) {
	sources := s.sources(n)
	clients := make([]*client, n)
	var next atomic.Int64
	var failed atomic.Pointer[error]
	var all sync.WaitGroup
	for range parallel {
		all.Go(func() {
			for failed.Load() == nil {
				i := int(next.Add(1)) - 1
				if i >= n {
					return
				}
				d := s.dialer
				d.source = sources[i%len(sources)]
				c, err := d.connect(ctx, fmt.Sprintf("%s-%d", s.prefix, i))
				if err != nil {
					failed.CompareAndSwap(nil, &err)
					return
				}
				c.buf = nil // nothing comes
				clients[i] = c
			}
		})
	}
	all.Wait()
	for _, c := range clients {
		if c != nil {
			s.clients = append(s.clients, c)
		}
	}
	if err := failed.Load(); err != nil {
		return len(s.clients), *err
	}
	return n, nil
}

// sources are the addresses to connect from, so that there are ports enough.
func (s *stage) sources(n int) []net.IP {
	host, _, err := net.SplitHostPort(s.address)
	if ip := net.ParseIP(host).To4(); err != nil || ip == nil || !ip.IsLoopback() || n <= perSource {
		return []net.IP{nil} // the system chooses
	}
	var all []net.IP
	for i := range n/perSource + 1 {
		all = append(all, net.IPv4(127, 0, 0, byte(2+i)))
	}
	return all
}
