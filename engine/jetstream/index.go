package jetstream

import (
	"slices"

	"omnibus/bus"
)

// index remembers where in the stream some blocks are, so that the others are
// found with few requests. It need not know any.
type index struct {
	first, last uint64 // the messages of the stream; last is zero before the first
	known       []place
	stride      uint64                  // every so many blocks one is known
	after       map[bus.Position]uint64 // where readers go on that read up to a position
}

// place says that all entries before a position lie before a message, and the
// entry at it in it or behind.
type place struct {
	at  bus.Position
	seq uint64
}

const (
	maxKnown = 4096
	maxAfter = 1024
)

func (x *index) init() { *x = index{first: 1, stride: 1, after: make(map[bus.Position]uint64)} }

// forget drops what is remembered about a stream that may have changed.
func (x *index) forget() {
	x.known, x.stride = nil, 1
	clear(x.after)
}

// stored takes note of a new block.
func (x *index) stored(first bus.Position, seq uint64) {
	x.last = seq
	if seq%x.stride != 0 {
		return
	}
	if x.known = append(x.known, place{first, seq}); len(x.known) < maxKnown {
		return
	}
	x.stride *= 2
	x.known = slices.DeleteFunc(x.known, func(p place) bool { return p.seq%x.stride != 0 })
}

// purged takes note of what the stream begins with now.
func (x *index) purged(first uint64) {
	x.first = max(x.first, first)
	n, _ := slices.BinarySearchFunc(x.known, x.first, func(p place, seq uint64) int { return int(p.seq) - int(seq) })
	x.known = slices.Delete(x.known, 0, n)
}

// where returns the messages of which one holds the first entry at p or after
// it: the first of them whose last entry is not before p.
func (x *index) where(p bus.Position) (lo, hi uint64) {
	if seq, ok := x.after[p-1]; ok {
		return seq, seq
	}
	lo, hi = x.first, x.last
	n, exact := slices.BinarySearchFunc(x.known, p, func(k place, p bus.Position) int {
		switch {
		case k.at < p:
			return -1
		case k.at > p:
			return 1
		default:
			return 0
		}
	})
	switch {
	case exact:
		return x.known[n].seq, x.known[n].seq
	case n < len(x.known):
		hi = min(hi, x.known[n].seq)
	}
	if n > 0 {
		lo = max(lo, x.known[n-1].seq)
	}
	return lo, max(lo, hi)
}

// goesOn remembers where who has read up to p finds what follows.
func (x *index) goesOn(p bus.Position, seq uint64) {
	if len(x.after) >= maxAfter {
		clear(x.after)
	}
	x.after[p] = seq
}
