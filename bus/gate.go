package bus

import "sync/atomic"

// gate counts what is under way and can be shut: enter fails afterwards, and
// done is closed when the last has left. Who enters and who leaves use
// different cache lines, because they are on different processors.
type gate struct {
	entered atomic.Uint64 // how many, and gateShut
	ended   atomic.Bool
	done    chan struct{}
	last    func() // called after done is closed; may be nil

	_      [64]byte
	left   atomic.Uint64
	closed atomic.Bool // entered does not change any more
}

const gateShut = 1 << 63

func newGate(last func()) *gate { return &gate{done: make(chan struct{}), last: last} }

// enter reports whether the gate is open and counts one in.
func (g *gate) enter() bool {
	for {
		n := g.entered.Load()
		if n >= gateShut {
			return false
		}
		if g.entered.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

// inside returns how many are under way.
func (g *gate) inside() uint64 {
	left := g.left.Load() // first, so that it is never the larger
	return g.entered.Load()&^gateShut - left
}

func (g *gate) leave() {
	// Of leave and shut, at least one sees what the other has written.
	n := g.left.Add(1)
	if g.closed.Load() && n == g.entered.Load()-gateShut {
		g.end()
	}
}

// shut may be called more than once.
func (g *gate) shut() {
	n := g.entered.Or(gateShut)
	g.closed.Store(true)
	if g.left.Load() == n&^gateShut {
		g.end()
	}
}

// end is called by the last that leaves, by shut, or by both.
func (g *gate) end() {
	if g.ended.Swap(true) {
		return
	}
	close(g.done)
	if g.last != nil {
		g.last()
	}
}
