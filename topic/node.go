package topic

import (
	"hash/maphash"
	"iter"
	"sync/atomic"
)

// node is a level in the tree of patterns. Readers follow its pointers without
// a lock; the one writer changes them so that a reader finds all that was there
// before it began.
type node[V comparable] struct {
	level  string
	only   atomic.Pointer[node[V]] // the only literal level below, unless there is a table
	kids   atomic.Pointer[kids[V]] // the literal levels below, once there were two
	plus   atomic.Pointer[node[V]] // any level below
	leaves atomic.Pointer[Leaf[V]] // patterns that end here
}

// kids is an open-addressing table of nodes. The length is a power of two. A
// removed node leaves a tombstone, so that searches go on past it; growing and
// cleaning up publish a new table.
type kids[V comparable] struct {
	slots []kidSlot[V]
	live  int32
	used  int32 // live and tombstones
}

// kidSlot holds a node and the hash of its level, which spares readers a look at
// nodes they do not search. The hash is written before the node and read after.
type kidSlot[V comparable] struct {
	node atomic.Pointer[node[V]]
	hash atomic.Uint64
}

// newKids returns an empty table with room for n nodes and some more.
func newKids[V comparable](n int32) *kids[V] {
	size := int32(4)
	for size < 2*n {
		size *= 2
	}
	return &kids[V]{slots: make([]kidSlot[V], size)}
}

// find returns the node of a level, nil if there is none.
func (k *kids[V]) find(hash uint64, level string) *node[V] {
	for i := hash; ; i++ {
		slot := &k.slots[i&uint64(len(k.slots)-1)]
		n := slot.node.Load()
		if n == nil || slot.hash.Load() == hash && n.level == level {
			return n
		}
	}
}

// put adds a node that is not there, which must fit.
func (k *kids[V]) put(hash uint64, n, tomb *node[V]) {
	for i := hash; ; i++ {
		slot := &k.slots[i&uint64(len(k.slots)-1)]
		switch slot.node.Load() {
		case nil:
			k.used++
			fallthrough
		case tomb:
			slot.hash.Store(hash)
			slot.node.Store(n)
			k.live++
			return
		}
	}
}

// full tells whether another node needs another table: there must be an empty
// slot, where searches end.
func (k *kids[V]) full() bool { return int(k.used+1)*4 > len(k.slots)*3 }

// rebuilt returns a new table of the live nodes with room for more.
func (k *kids[V]) rebuilt(more int32, tomb *node[V]) *kids[V] {
	fresh := newKids[V](k.live + more)
	for i := range k.slots {
		slot := &k.slots[i]
		if n := slot.node.Load(); n != nil && n != tomb {
			fresh.put(slot.hash.Load(), n, tomb)
		}
	}
	return fresh
}

// find returns the node of a literal level below n, nil if there is none. Any
// number of readers and one writer may call it.
func (n *node[V]) find(seed maphash.Seed, level string) *node[V] {
	// In this order, because a writer publishes the table before it clears only.
	if only := n.only.Load(); only != nil && only.level == level {
		return only
	}
	k := n.kids.Load()
	if k == nil {
		return nil
	}
	return k.find(maphash.String(seed, level), level)
}

// addKid links a new node below n.
func (n *node[V]) addKid(seed maphash.Seed, kid, tomb *node[V]) {
	k, only := n.kids.Load(), n.only.Load()
	if k == nil && only == nil {
		n.only.Store(kid)
		return
	}
	hash := maphash.String(seed, kid.level)
	if k != nil && !k.full() {
		k.put(hash, kid, tomb)
		return
	}
	if k != nil {
		k = k.rebuilt(1, tomb)
	} else {
		k = newKids[V](2)
		k.put(maphash.String(seed, only.level), only, tomb)
	}
	k.put(hash, kid, tomb)
	n.kids.Store(k)
	n.only.Store(nil)
}

// dropKid unlinks a node below n. A table stays one until it is empty: readers
// could overlook a node on its way from the table to only.
func (n *node[V]) dropKid(seed maphash.Seed, kid, tomb *node[V]) {
	if n.only.Load() == kid {
		n.only.Store(nil)
		return
	}
	k := n.kids.Load()
	if k.live == 1 {
		n.kids.Store(nil)
		return
	}
	for i := maphash.String(seed, kid.level); ; i++ {
		slot := &k.slots[i&uint64(len(k.slots)-1)]
		if slot.node.Load() == kid {
			slot.node.Store(tomb)
			k.live--
			break
		}
	}
	if len(k.slots) > 4 && int(k.live)*8 < len(k.slots) {
		n.kids.Store(k.rebuilt(0, tomb))
	}
}

// below goes through the nodes right below n.
func (n *node[V]) below(tomb *node[V]) iter.Seq[*node[V]] {
	return func(yield func(*node[V]) bool) {
		if plus := n.plus.Load(); plus != nil && !yield(plus) {
			return
		}
		only := n.only.Load()
		if only != nil && !yield(only) {
			return
		}
		k := n.kids.Load()
		if k == nil {
			return
		}
		for i := range k.slots {
			kid := k.slots[i].node.Load()
			if kid != nil && kid != tomb && kid != only && !yield(kid) {
				return
			}
		}
	}
}

// leaf returns the leaf of a pattern at n, nil if there is none.
func (n *node[V]) leaf(p Pattern) *Leaf[V] {
	l := n.leaves.Load()
	for l != nil && !l.pattern.Equal(p) {
		l = l.next.Load()
	}
	return l
}

// addLeaf links a new leaf at n.
func (n *node[V]) addLeaf(l *Leaf[V]) {
	l.next.Store(n.leaves.Load())
	n.leaves.Store(l)
}

// dropLeaf unlinks a leaf at n. A reader that stands on it still goes on.
func (n *node[V]) dropLeaf(l *Leaf[V]) {
	link := &n.leaves
	for link.Load() != l {
		link = &link.Load().next
	}
	link.Store(l.next.Load())
}

func (n *node[V]) empty() bool {
	return n.leaves.Load() == nil && n.only.Load() == nil && n.kids.Load() == nil && n.plus.Load() == nil
}
