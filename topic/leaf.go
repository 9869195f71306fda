package topic

import (
	"iter"
	"slices"
	"sync/atomic"
)

// Leaf is a pattern in an index, with the values that were inserted with it.
type Leaf[V comparable] struct {
	pattern Pattern
	values  atomic.Pointer[values[V]] // nil while there are none
	next    atomic.Pointer[Leaf[V]]   // at the same node
	rest    bool                      // wants the levels below its node, too
	verify  bool                      // the place in the tree is not the whole truth
}

// Pattern returns the pattern of the leaf.
func (l *Leaf[V]) Pattern() Pattern { return l.pattern }

// Values returns the values inserted with the pattern, in the order of their
// insertion, as they are now: of two calls the second may return more or fewer,
// also none. The slice itself never changes and must not be changed.
func (l *Leaf[V]) Values() []V {
	v := l.values.Load()
	if v == nil {
		return nil
	}
	return slices.Clip(v.list)
}

// Matches is what an index found for a name: a leaf for each pattern, in no
// order. The list is shared by all readers and must not be modified; it stays
// usable for any time. A leaf in it may have no values.
type Matches[V comparable] []*Leaf[V]

// All goes through the values of all leaves. A value inserted with several of
// the patterns comes several times.
func (m Matches[V]) All() iter.Seq[V] {
	return func(yield func(V) bool) {
		for _, leaf := range m {
			for _, v := range leaf.Values() {
				if !yield(v) {
					return
				}
			}
		}
	}
}

// Len returns the number of values in all leaves.
func (m Matches[V]) Len() int {
	n := 0
	for _, leaf := range m {
		n += len(leaf.Values())
	}
	return n
}

// values is a list that readers see unchanged. The newest list may share its
// array with older, shorter ones.
type values[V comparable] struct {
	list []V
	one  [1]V // the array of a list that began with one value
}

func newValues[V comparable](v V) *values[V] {
	s := &values[V]{one: [1]V{v}}
	s.list = s.one[:]
	return s
}

// with returns the list with v at its end. s must be the newest list: it is the
// only one whose spare capacity nobody has used.
func (s *values[V]) with(v V) *values[V] {
	if s == nil {
		return newValues(v)
	}
	return &values[V]{list: append(s.list, v)}
}

// without returns the list without its i-th value, nil if none is left.
func (s *values[V]) without(i int) *values[V] {
	switch len(s.list) {
	case 1:
		return nil
	case 2:
		return newValues(s.list[1-i])
	}
	list := make([]V, 0, len(s.list)-1)
	return &values[V]{list: append(append(list, s.list[:i]...), s.list[i+1:]...)}
}

// at returns the position of v, -1 if it is not there.
func (s *values[V]) at(v V) int {
	if s == nil {
		return -1
	}
	return slices.Index(s.list, v)
}
