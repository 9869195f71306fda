package topic

import (
	"iter"
	"slices"
	"strings"
)

// Names is a set of names, each with a value, that is searched by pattern. The
// zero value is an empty set. It is not safe for concurrent use.
type Names[V any] struct {
	root branch[V]
	size int
}

// branch is a level in the tree of names.
type branch[V any] struct {
	level string
	item  *named[V]
	few   []*branch[V]          // up to fewBranches, in no order
	many  map[string]*branch[V] // instead of few when there were ever more
}

// named is a name in the set.
type named[V any] struct {
	name  string
	value V
}

// fewBranches is how many branches are searched one after the other.
const fewBranches = 8

// Get returns the value of name, and whether name is in the set.
func (n *Names[V]) Get(name string) (value V, ok bool) {
	b := &n.root
	for level := range levels(name) {
		if b = b.find(level); b == nil {
			return value, false
		}
	}
	if b.item == nil {
		return value, false
	}
	return b.item.value, true
}

// Set puts name in the set, or changes its value. The set keeps name: it must
// not be a view of bytes that change.
func (n *Names[V]) Set(name string, v V) {
	b := &n.root
	for level := range levels(name) {
		next := b.find(level)
		if next == nil {
			next = &branch[V]{level: ownLevel(level, name)}
			b.add(next)
		}
		b = next
	}
	if b.item != nil {
		b.item.value = v
		return
	}
	b.item = &named[V]{name: name, value: v}
	n.size++
}

// Delete takes name out of the set, and tells whether it was there.
func (n *Names[V]) Delete(name string) bool {
	var path [maxDepth + 1]*branch[V]
	path[0] = &n.root
	depth := 0
	for level := range levels(name) {
		next := path[depth].find(level)
		if next == nil {
			return false
		}
		depth++
		path[depth] = next
	}
	if path[depth].item == nil {
		return false
	}
	path[depth].item = nil
	n.size--
	for ; depth > 0 && path[depth].empty(); depth-- {
		path[depth-1].drop(path[depth])
	}
	return true
}

// Len returns the number of names in the set.
func (n *Names[V]) Len() int { return n.size }

// Match goes through every name the pattern matches, in no order, visiting only
// branches where such names can be. Meanwhile the set must not change, except by
// Set of a name that is in it.
func (n *Names[V]) Match(p Pattern) iter.Seq2[string, V] {
	return func(yield func(string, V) bool) {
		n.each(p, func(item *named[V]) bool { return yield(item.name, item.value) })
	}
}

// each calls yield with every name the pattern matches until it returns false.
func (n *Names[V]) each(p Pattern, yield func(*named[V]) bool) {
	if p.IsZero() {
		return
	}
	s := search[V]{pattern: p, yield: yield}
	s.visit(&n.root, coverOf(p), true)
}

// search is one walk through a set. Its methods return false to end it.
type search[V any] struct {
	pattern Pattern
	yield   func(*named[V]) bool
}

// visit goes on from b, where the cover's levels so far have led.
func (s *search[V]) visit(b *branch[V], c cover, root bool) bool {
	level, e := c.next()
	switch e {
	case edgeLiteral:
		next := b.find(level)
		return next == nil || s.visit(next, c, false)
	case edgePlus:
		for next := range b.all() {
			if root && s.barred(next) {
				continue
			}
			if !s.visit(next, c, false) {
				return false
			}
		}
		return true
	case edgeRest:
		return s.visitAll(b, c.verify, root)
	default:
		return s.take(b, c.verify)
	}
}

// visitAll takes b and everything below it.
func (s *search[V]) visitAll(b *branch[V], verify, root bool) bool {
	if !s.take(b, verify) {
		return false
	}
	for next := range b.all() {
		if root && s.barred(next) {
			continue
		}
		if !s.visitAll(next, verify, false) {
			return false
		}
	}
	return true
}

// barred tells whether a wildcard in the first level leaves out the branch.
func (s *search[V]) barred(b *branch[V]) bool {
	return s.pattern.kind == Filter && strings.HasPrefix(b.level, "$") // [MQTT-4.7.2-1]
}

func (s *search[V]) take(b *branch[V], verify bool) bool {
	if b.item == nil || verify && !s.pattern.Match(b.item.name) {
		return true
	}
	return s.yield(b.item)
}

func (b *branch[V]) find(level string) *branch[V] {
	if b.many != nil {
		return b.many[level]
	}
	for _, next := range b.few {
		if next.level == level {
			return next
		}
	}
	return nil
}

func (b *branch[V]) add(next *branch[V]) {
	if b.many == nil && len(b.few) < fewBranches {
		b.few = append(b.few, next)
		return
	}
	if b.many == nil {
		b.many = make(map[string]*branch[V], 2*fewBranches)
		for _, old := range b.few {
			b.many[old.level] = old
		}
		b.few = nil
	}
	b.many[next.level] = next
}

func (b *branch[V]) drop(next *branch[V]) {
	if b.many == nil {
		at := slices.Index(b.few, next)
		b.few = slices.Delete(b.few, at, at+1)
		return
	}
	delete(b.many, next.level)
	if len(b.many) == 0 {
		b.many = nil
	}
}

func (b *branch[V]) empty() bool {
	return b.item == nil && len(b.few) == 0 && len(b.many) == 0
}

func (b *branch[V]) all() iter.Seq[*branch[V]] {
	return func(yield func(*branch[V]) bool) {
		for _, next := range b.few {
			if !yield(next) {
				return
			}
		}
		for _, next := range b.many {
			if !yield(next) {
				return
			}
		}
	}
}

// levels goes through the levels of a name. What is deeper than maxDepth is one
// level together, slashes and all.
func levels(name string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for range maxDepth - 1 {
			level, rest, more := strings.Cut(name, "/")
			if !yield(level) || !more {
				return
			}
			name = rest
		}
		yield(name)
	}
}
