package topic_test

import (
	"fmt"
	"maps"
	"slices"
	"testing"

	"omnibus/topic"
)

type pair struct {
	pattern topic.Pattern
	value   int
	wants   func(name string) bool
}

func newPair(p topic.Pattern, value int) pair { return pair{p, value, oracle(p)} }

// expect returns the values the oracle finds, sorted.
func expect(pairs []pair, name string) []int {
	var values []int
	for _, p := range pairs {
		if p.wants(name) {
			values = append(values, p.value)
		}
	}
	slices.Sort(values)
	return values
}

// check compares what the index finds with what the oracle does.
func check(t *testing.T, ix *topic.Index[int], pairs []pair, name string) {
	t.Helper()
	want := expect(pairs, name)
	for range 2 { // the second time it may come from the cache
		var scratch [4]*topic.Leaf[int]
		found := ix.Match(name, scratch[:0])
		if got := slices.Sorted(found.All()); !slices.Equal(got, want) {
			t.Fatalf("Match(%q) = %v, want %v", name, got, want)
		}
		if found.Len() != len(want) {
			t.Fatalf("Match(%q).Len() = %d, want %d", name, found.Len(), len(want))
		}
	}
}

func TestPatternAgreesWithTheOracle(t *testing.T) {
	g := newGenerator(1)
	hits := map[topic.Kind]int{}
	for range 100_000 {
		p, name := g.pattern(), g.name()
		if got, want := p.Match(name), wants(p, name); got != want {
			t.Fatalf("%s pattern %q matches %q: %v, want %v", p.Kind(), p.Text(), name, got, want)
		}
		if only, ok := p.Literal(); ok && p.Match(name) != (name == only) {
			t.Fatalf("%v is literally %q, but matches %q: %v", p, only, name, p.Match(name))
		}
		if p.Match(name) {
			hits[p.Kind()]++
		}
	}
	for _, kind := range []topic.Kind{topic.Exact, topic.Filter, topic.Space, topic.Regex} {
		if hits[kind] < 50 {
			t.Errorf("only %d matches of kind %v: the generator is too poor", hits[kind], kind)
		}
	}
}

func TestSpaceAgreesWithTheOracleOnDenseTexts(t *testing.T) {
	g := newGenerator(2)
	text := func(most int, from ...string) string {
		s := ""
		for range g.IntN(most) {
			s += g.pick(from...)
		}
		return s
	}
	hits := 0
	for range 200_000 {
		p, err := topic.NewSpace(text(9, "a", "b", "/", "*", "**", "*", "**", "@"))
		if err != nil {
			continue
		}
		name := text(14, "a", "a", "b", "/", "@", "a", "/")
		got, want := p.Match(name), wants(p, name)
		if got != want {
			t.Fatalf("space %q matches %q: %v, want %v", p.Text(), name, got, want)
		}
		if got {
			hits++
		}
	}
	if hits < 1000 {
		t.Errorf("only %d matches: the generator is too poor", hits)
	}
}

func TestIndexAgreesWithTheOracleWhatever(t *testing.T) {
	for _, bound := range []int{0, 3, 40, -1} {
		t.Run(fmt.Sprintf("cache %d", bound), func(t *testing.T) {
			for seed := range uint64(4) {
				randomProgram(t, bound, seed)
			}
		})
	}
}

// randomProgram runs inserts, removes and matches against the oracle. It grows
// and shrinks in turns, so that leaves become vacant and are dropped.
func randomProgram(t *testing.T, bound int, seed uint64) {
	g := newGenerator(seed)
	ix := &topic.Index[int]{CacheNames: bound}
	var pairs []pair
	for step := range 4000 {
		grow := 7
		if step/1000%2 == 1 {
			grow = 3
		}
		switch op := g.IntN(14); {
		case op < grow:
			p := newPair(g.pattern(), g.IntN(3))
			if len(pairs) > 0 && g.IntN(4) == 0 {
				p = newPair(pairs[g.IntN(len(pairs))].pattern, g.IntN(3))
			}
			ix.Insert(p.pattern, p.value)
			pairs = append(pairs, p)
		case op < 10 && len(pairs) > 0:
			i := g.IntN(len(pairs))
			if !ix.Remove(pairs[i].pattern, pairs[i].value) {
				t.Fatalf("Remove(%v, %d) found nothing", pairs[i].pattern, pairs[i].value)
			}
			pairs = slices.Delete(pairs, i, i+1)
		case op == 10:
			p := newPair(g.pattern(), g.IntN(3))
			there := slices.ContainsFunc(pairs, func(q pair) bool { return q.pattern.Equal(p.pattern) && q.value == p.value })
			if !there && ix.Remove(p.pattern, p.value) {
				t.Fatalf("Remove(%v, %d) found what was not inserted", p.pattern, p.value)
			}
		default:
			check(t, ix, pairs, g.name())
		}
	}
	checkListing(t, ix, pairs)
	for _, p := range pairs {
		ix.Remove(p.pattern, p.value)
	}
	checkListing(t, ix, nil)
	check(t, ix, nil, "a/b")
}

func checkListing(t *testing.T, ix *topic.Index[int], pairs []pair) {
	t.Helper()
	want, distinct := map[string]int{}, map[string]bool{}
	for _, p := range pairs {
		want[fmt.Sprint(p.pattern, p.value)]++
		distinct[p.pattern.String()] = true
	}
	got := map[string]int{}
	for p, v := range ix.All() {
		got[fmt.Sprint(p, v)]++
	}
	if !maps.Equal(got, want) {
		t.Fatalf("All() lists %v, want %v", got, want)
	}
	if ix.Len() != len(pairs) {
		t.Fatalf("Len() = %d, want %d", ix.Len(), len(pairs))
	}
	stats := ix.Stats()
	if stats.Patterns != len(distinct) || stats.Entries != len(pairs) || stats.Vacant > 256 {
		t.Fatalf("Stats() = %+v, want %d patterns and %d entries", stats, len(distinct), len(pairs))
	}
	if ix.CacheNames > 0 && stats.Cached > ix.CacheNames || ix.CacheNames < 0 && stats.Cached > 0 {
		t.Fatalf("%d names are cached, the bound is %d", stats.Cached, ix.CacheNames)
	}
}

func TestNamesAgreeWithAMap(t *testing.T) {
	g := newGenerator(3)
	var names topic.Names[int]
	want := map[string]int{}
	for step := range 20_000 {
		name := g.name()
		switch g.IntN(3) {
		case 0:
			names.Set(name, step)
			want[name] = step
		case 1:
			_, there := want[name]
			if names.Delete(name) != there {
				t.Fatalf("Delete(%q) = %v, want %v", name, !there, there)
			}
			delete(want, name)
		default:
			v, ok := names.Get(name)
			if w, there := want[name]; ok != there || v != w {
				t.Fatalf("Get(%q) = %d, %v, want %d, %v", name, v, ok, w, there)
			}
		}
		if names.Len() != len(want) {
			t.Fatalf("Len() = %d, want %d", names.Len(), len(want))
		}
		if step%20 == 0 {
			checkNames(t, &names, want, g.pattern())
		}
	}
}

func checkNames(t *testing.T, names *topic.Names[int], all map[string]int, p topic.Pattern) {
	t.Helper()
	want := map[string]int{}
	matches := oracle(p)
	for name, v := range all {
		if matches(name) {
			want[name] = v
		}
	}
	got := maps.Collect(names.Match(p))
	if !maps.Equal(got, want) {
		t.Fatalf("Match(%v) = %v, want %v", p, got, want)
	}
}
