package topic

import (
	"hash/maphash"
	"math/rand/v2"
	"slices"
	"strings"
	"sync/atomic"
)

// DefaultCacheNames is how many names an index remembers the matches of, unless
// told otherwise.
const DefaultCacheNames = 16384

const (
	// maxCachedName is the longest name that is remembered, so that hostile
	// names cannot fill the memory.
	maxCachedName = 1024
	// refsPerName is how many leaves a remembered name may have on average.
	refsPerName = 128
	// admitOneIn is how rarely a name is admitted to a full cache. A working set
	// larger than the cache thus costs an admission, with its allocations, once
	// in so many misses, while a name that stays in use gets in soon: after
	// this many misses on average, which cost less than what it gains.
	admitOneIn = 32
	// minSlots is the size a cache begins with.
	minSlots = 64
	// maxSpared is how many names in use an eviction passes over.
	maxSpared = 64
)

// entry is a remembered name. It never changes, except for used and for what is
// beyond the list's length; a name whose matches change gets a new entry.
type entry[V comparable] struct {
	name string
	list Matches[V]
	few  [2]*Leaf[V] // the array of a short list
	used atomic.Bool // since the eviction hand passed
}

// newEntry returns an entry with a copy of list.
func newEntry[V comparable](name string, list Matches[V]) *entry[V] {
	e := &entry[V]{name: name}
	e.list = append(e.few[:0], list...)
	return e
}

// cacheTable is an open-addressing table of entries, at most half full, whose
// length is a power of two. One writer changes the slots under the readers. A
// reader may overlook an entry that is being moved, and then walks the tree.
type cacheTable[V comparable] struct {
	slots []cacheSlot[V]
}

// cacheSlot holds an entry and the hash of its name, which spares readers a look
// at entries they do not search.
type cacheSlot[V comparable] struct {
	hash  atomic.Uint64
	entry atomic.Pointer[entry[V]]
}

func (s *cacheSlot[V]) set(hash uint64, e *entry[V]) {
	s.hash.Store(hash)
	s.entry.Store(e)
}

func newCacheTable[V comparable](slots int) *cacheTable[V] {
	return &cacheTable[V]{slots: make([]cacheSlot[V], slots)}
}

// find returns the entry of a name, nil if there is none.
func (t *cacheTable[V]) find(hash uint64, name string) *entry[V] {
	slots := t.slots
	for i := hash; ; i++ {
		slot := &slots[i&uint64(len(slots)-1)]
		e := slot.entry.Load()
		if e == nil {
			return nil
		}
		if slot.hash.Load() == hash && e.name == name {
			if !e.used.Load() {
				e.used.Store(true)
			}
			return e
		}
	}
}

// slot returns the slot where old is, or the free one for its hash if old is nil.
func (t *cacheTable[V]) slot(hash uint64, old *entry[V]) *cacheSlot[V] {
	for i := hash; ; i++ {
		slot := &t.slots[i&uint64(len(t.slots)-1)]
		if slot.entry.Load() == old {
			return slot
		}
	}
}

// clear empties a slot, moving up the entries behind it so that searches need no
// tombstones.
func (t *cacheTable[V]) clear(hole int) {
	mask := len(t.slots) - 1
	for i := hole; ; {
		i = (i + 1) & mask
		e, hash := t.slots[i].entry.Load(), t.slots[i].hash.Load()
		if e == nil {
			t.slots[hole].entry.Store(nil)
			return
		}
		home := int(hash) & mask
		if (i-home)&mask >= (i-hole)&mask { // the hole is on the way from home
			t.slots[hole].set(hash, e)
			hole = i
		}
	}
}

// grown returns a table of twice the size with the same entries.
func (t *cacheTable[V]) grown() *cacheTable[V] {
	fresh := newCacheTable[V](2 * len(t.slots))
	for i := range t.slots {
		if e := t.slots[i].entry.Load(); e != nil {
			hash := t.slots[i].hash.Load()
			fresh.slot(hash, nil).set(hash, e)
		}
	}
	return fresh
}

// cached is what the writer knows about the cache.
type cached[V comparable] struct {
	names    Names[*entry[V]]
	maxNames int
	maxRefs  int
	refs     int // leaves in all entries
	hand     int // slot where the next eviction begins

	admitted, evictions, patched uint64
}

// limit sets the bounds for a number of names.
func (c *cached[V]) limit(names int) {
	if names == 0 {
		names = DefaultCacheNames
	}
	c.maxNames = max(0, names)
	c.maxRefs = c.maxNames * refsPerName
}

// admit remembers found, the matches of name when the index had the given
// version, if there is room or the dice say so. It gives up rather than wait for
// a writer or remember what is no longer true.
func (ix *Index[V]) admit(name string, hash uint64, found Matches[V], version uint64) {
	if ix.CacheNames < 0 || len(name) > maxCachedName {
		return
	}
	if ix.full.Load() && rand.Uint32()%admitOneIn != 0 {
		return
	}
	if !ix.mu.TryLock() {
		return
	}
	defer ix.mu.Unlock()
	c := &ix.cached
	t := ix.cache.Load()
	if ix.version.Load() != version || t.find(hash, name) != nil {
		return
	}
	for c.names.Len() >= c.maxNames {
		ix.evict()
	}
	if 2*(c.names.Len()+1) > len(t.slots) {
		t = t.grown()
		ix.cache.Store(t)
	}
	e := newEntry(strings.Clone(name), found)
	c.names.Set(e.name, e)
	t.slot(hash, nil).set(hash, e)
	c.refs += len(e.list)
	c.admitted++
	ix.trim()
}

// trim evicts until the entries are within their bounds, and notes whether there
// is room.
func (ix *Index[V]) trim() {
	c := &ix.cached
	for c.refs > c.maxRefs && c.names.Len() > 1 {
		ix.evict()
	}
	full := c.names.Len() >= c.maxNames || c.refs > c.maxRefs-c.maxRefs/16
	if full != ix.full.Load() {
		ix.full.Store(full)
	}
}

// evict forgets a name that was not in use since the hand passed it last, or
// that comes after many that were.
func (ix *Index[V]) evict() {
	c := &ix.cached
	t := ix.cache.Load()
	for spared := 0; ; c.hand++ {
		c.hand &= len(t.slots) - 1
		e := t.slots[c.hand].entry.Load()
		if e == nil {
			continue
		}
		if e.used.Load() && spared < maxSpared {
			e.used.Store(false)
			spared++
			continue
		}
		t.clear(c.hand)
		c.names.Delete(e.name)
		c.refs -= len(e.list)
		c.evictions++
		return
	}
}

// patchIn adds a new leaf to the remembered names that it matches.
func (ix *Index[V]) patchIn(leaf *Leaf[V]) {
	ix.patch(leaf, func(old *entry[V]) *entry[V] {
		if len(old.list) < len(old.few) {
			e := newEntry(old.name, old.list)
			e.list = append(e.list, leaf)
			return e
		}
		// Readers of the old list do not see what is beyond its length.
		return &entry[V]{name: old.name, list: append(old.list, leaf)}
	})
}

// patchOut takes a leaf out of the remembered names.
func (ix *Index[V]) patchOut(leaf *Leaf[V]) {
	ix.patch(leaf, func(old *entry[V]) *entry[V] {
		e := newEntry(old.name, old.list)
		e.list = slices.DeleteFunc(e.list, func(l *Leaf[V]) bool { return l == leaf })
		return e
	})
}

// patch puts other entries in the place of those whose names a leaf matches.
func (ix *Index[V]) patch(leaf *Leaf[V], change func(old *entry[V]) *entry[V]) {
	c := &ix.cached
	t := ix.cache.Load()
	c.names.each(leaf.pattern, func(item *named[*entry[V]]) bool {
		old := item.value
		e := change(old)
		e.used.Store(old.used.Load())
		t.slot(maphash.String(ix.seed, e.name), old).entry.Store(e)
		item.value = e
		c.refs += len(e.list) - len(old.list)
		c.patched++
		return true
	})
	ix.trim()
}
