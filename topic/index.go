package topic

import (
	"hash/maphash"
	"iter"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
)

// maxVacant is how many leaves without values are kept for the next client with
// the same pattern.
const maxVacant = 256

// Index keeps pairs of pattern and value and finds those that match a name. The
// zero value is empty and ready to use. All methods are safe for concurrent use.
// An Index must not be copied.
type Index[V comparable] struct {
	// CacheNames bounds the number of names whose matches are remembered. 0
	// means DefaultCacheNames, a negative number none. It is read when the
	// first pair is inserted.
	CacheNames int

	cache atomic.Pointer[cacheTable[V]] // nil until the first Insert
	seed  maphash.Seed                  // set before cache
	root  node[V]
	tomb  node[V] // stands for removed nodes
	// version changes after every change of the tree that adds or removes a
	// leaf, and before the cached names learn of it.
	version atomic.Uint64
	full    atomic.Bool // the cache has no room
	entries atomic.Int64
	misses  atomic.Uint64

	_  [64]byte // keeps writers off the lines that readers read
	mu sync.Mutex
	// What follows is guarded by mu.
	patterns int        // leaves with values
	vacant   []*Leaf[V] // leaves without values, oldest first
	cached   cached[V]
}

// IndexStats describes an index at some moment.
type IndexStats struct {
	Patterns  int    // distinct patterns that have values
	Entries   int    // pairs of pattern and value
	Vacant    int    // patterns kept though their last value has gone
	Cached    int    // names whose matches are remembered
	Misses    uint64 // calls of Match that had to walk the tree
	Admitted  uint64 // names that were put in the cache
	Evictions uint64 // names that had to leave the cache for others
	Patched   uint64 // cached names changed because a pattern came or went
}

// Insert adds a pair. A pair inserted twice is there twice, and is matched and
// removed twice. Inserting the zero Pattern is a mistake in the program and
// panics.
func (ix *Index[V]) Insert(p Pattern, v V) {
	if p.IsZero() {
		panic("topic: inserting the zero Pattern into an Index")
	}
	ix.mu.Lock()
	defer ix.mu.Unlock()
	if ix.cache.Load() == nil {
		ix.seed = maphash.MakeSeed()
		ix.tomb.level = "/" // no level has this text
		ix.cached.limit(ix.CacheNames)
		ix.cache.Store(newCacheTable[V](minSlots))
	}
	ix.entries.Add(1)
	n, c := ix.reach(p)
	if leaf := n.leaf(p); leaf != nil {
		old := leaf.values.Load()
		if old == nil {
			ix.revive(leaf)
		}
		leaf.values.Store(old.with(v))
		return
	}
	leaf := &Leaf[V]{pattern: p, rest: c.end == edgeRest, verify: c.verify}
	leaf.values.Store(newValues(v))
	n.addLeaf(leaf)
	ix.patterns++
	ix.version.Add(1) // after the tree: a walk that missed the leaf has an older version
	ix.patchIn(leaf)
}

// Remove takes out one pair, and tells whether it was there.
func (ix *Index[V]) Remove(p Pattern, v V) bool {
	if p.IsZero() {
		return false
	}
	ix.mu.Lock()
	defer ix.mu.Unlock()
	if ix.cache.Load() == nil {
		return false
	}
	var t trail[V]
	if !ix.follow(p, &t) {
		return false
	}
	leaf := t.end().leaf(p)
	if leaf == nil {
		return false
	}
	old := leaf.values.Load()
	at := old.at(v)
	if at < 0 {
		return false
	}
	left := old.without(at)
	leaf.values.Store(left)
	ix.entries.Add(-1)
	if left == nil {
		ix.vacate(leaf)
	}
	return true
}

// Match returns the leaves of the patterns that match name. The list is either
// one that all readers share or a new one appended to the spare capacity of
// scratch: usually scratch is an array of the caller's, cut to length zero. Name
// need not outlive the call and is not checked.
func (ix *Index[V]) Match(name string, scratch Matches[V]) Matches[V] {
	t := ix.cache.Load()
	if t == nil {
		return nil
	}
	hash := maphash.String(ix.seed, name)
	if e := t.find(hash, name); e != nil {
		return slices.Clip(e.list)
	}
	return ix.miss(name, hash, scratch)
}

// miss walks the tree and offers the result to the cache.
func (ix *Index[V]) miss(name string, hash uint64, scratch Matches[V]) Matches[V] {
	ix.misses.Add(1)
	version := ix.version.Load()
	// A list from the cache that is given as scratch has no spare capacity, so
	// that it cannot be overwritten.
	found := ix.collect(name, scratch[len(scratch):])
	ix.admit(name, hash, found, version)
	return found
}

// Len returns the number of pairs.
func (ix *Index[V]) Len() int { return int(ix.entries.Load()) }

// All goes through the pairs, in no order. Pairs that come or go meanwhile may
// be seen or not.
func (ix *Index[V]) All() iter.Seq2[Pattern, V] {
	return func(yield func(Pattern, V) bool) {
		if ix.cache.Load() != nil {
			ix.list(&ix.root, yield)
		}
	}
}

func (ix *Index[V]) list(n *node[V], yield func(Pattern, V) bool) bool {
	for l := n.leaves.Load(); l != nil; l = l.next.Load() {
		for _, v := range l.Values() {
			if !yield(l.pattern, v) {
				return false
			}
		}
	}
	for kid := range n.below(&ix.tomb) {
		if !ix.list(kid, yield) {
			return false
		}
	}
	return true
}

// Stats describes the index. It waits for writers.
func (ix *Index[V]) Stats() IndexStats {
	ix.mu.Lock()
	defer ix.mu.Unlock()
	return IndexStats{
		Patterns:  ix.patterns,
		Entries:   ix.Len(),
		Vacant:    len(ix.vacant),
		Cached:    ix.cached.names.Len(),
		Misses:    ix.misses.Load(),
		Admitted:  ix.cached.admitted,
		Evictions: ix.cached.evictions,
		Patched:   ix.cached.patched,
	}
}

// collect appends to out the leaves that match name. At the root filters are
// left out for names that begin with '$'. [MQTT-4.7.2-1]
func (ix *Index[V]) collect(name string, out Matches[V]) Matches[V] {
	dollar := strings.HasPrefix(name, "$")
	out = ix.root.take(name, false, dollar, out)
	level, rest, more := strings.Cut(name, "/")
	if plus := ix.root.plus.Load(); plus != nil {
		out = ix.visit(plus, name, rest, more, dollar, out)
	}
	if kid := ix.root.find(ix.seed, level); kid != nil {
		out = ix.visit(kid, name, rest, more, false, out)
	}
	return out
}

// visit appends the matching leaves at n and below, where rest are the levels of
// name to come, if there are more.
func (ix *Index[V]) visit(n *node[V], name, rest string, more, noFilter bool, out Matches[V]) Matches[V] {
	for {
		out = n.take(name, !more, noFilter, out)
		if !more {
			return out
		}
		var level string
		level, rest, more = strings.Cut(rest, "/")
		plus := n.plus.Load()
		n = n.find(ix.seed, level)
		if n == nil {
			if plus == nil {
				return out
			}
			n = plus
			continue
		}
		if plus != nil {
			out = ix.visit(plus, name, rest, more, noFilter, out)
		}
	}
}

// take appends the leaves at n that match name, which ends here or goes on.
func (n *node[V]) take(name string, ends, noFilter bool, out Matches[V]) Matches[V] {
	for l := n.leaves.Load(); l != nil; l = l.next.Load() {
		switch {
		case !ends && !l.rest:
		case noFilter && l.pattern.kind == Filter:
		case l.verify && !l.pattern.Match(name):
		default:
			out = append(out, l)
		}
	}
	return out
}

// trail is the way from the root to a node.
type trail[V comparable] struct {
	nodes [maxDepth + 1]*node[V]
	last  int
}

func (t *trail[V]) end() *node[V] { return t.nodes[t.last] }

// follow notes the way to the node of a pattern, and tells whether it is there.
func (ix *Index[V]) follow(p Pattern, t *trail[V]) bool {
	t.nodes[0] = &ix.root
	c := coverOf(p)
	for {
		level, e := c.next()
		var next *node[V]
		switch e {
		case edgeLiteral:
			next = t.end().find(ix.seed, level)
		case edgePlus:
			next = t.end().plus.Load()
		default:
			return true
		}
		if next == nil {
			return false
		}
		t.last++
		t.nodes[t.last] = next
	}
}

// reach returns the node of a pattern, which it makes when it is not there, and
// the pattern's cover at its end.
func (ix *Index[V]) reach(p Pattern) (*node[V], cover) {
	n, c := &ix.root, coverOf(p)
	for {
		level, e := c.next()
		var next *node[V]
		switch e {
		case edgeLiteral:
			if next = n.find(ix.seed, level); next == nil {
				next = &node[V]{level: ownLevel(level, p.text)}
				n.addKid(ix.seed, next, &ix.tomb)
			}
		case edgePlus:
			if next = n.plus.Load(); next == nil {
				next = &node[V]{}
				n.plus.Store(next)
			}
		default:
			return n, c
		}
		n = next
	}
}

// revive takes a leaf that gets a value again off the vacant ones.
func (ix *Index[V]) revive(leaf *Leaf[V]) {
	at := slices.Index(ix.vacant, leaf)
	ix.vacant = slices.Delete(ix.vacant, at, at+1)
	ix.patterns++
}

// vacate keeps a leaf whose last value has gone, and lets go of the oldest such
// leaf when there are too many.
func (ix *Index[V]) vacate(leaf *Leaf[V]) {
	ix.patterns--
	ix.vacant = append(ix.vacant, leaf)
	if len(ix.vacant) <= maxVacant {
		return
	}
	oldest := ix.vacant[0]
	ix.vacant = slices.Delete(ix.vacant, 0, 1)
	var t trail[V]
	ix.follow(oldest.pattern, &t)
	t.end().dropLeaf(oldest)
	for ; t.last > 0 && t.end().empty(); t.last-- {
		parent, n := t.nodes[t.last-1], t.end()
		if parent.plus.Load() == n {
			parent.plus.Store(nil)
		} else {
			parent.dropKid(ix.seed, n, &ix.tomb)
		}
	}
	ix.version.Add(1)
	ix.patchOut(oldest)
}
