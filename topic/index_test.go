package topic_test

import (
	"fmt"
	"maps"
	"runtime"
	"slices"
	"strings"
	"testing"

	"omnibus/topic"
)

// find returns the values that match, sorted.
func find(ix *topic.Index[int], name string) []int {
	return slices.Sorted(ix.Match(name, nil).All())
}

func TestEmptyIndexFindsNothing(t *testing.T) {
	var ix topic.Index[int]
	if got := ix.Match("a", nil); len(got) != 0 {
		t.Errorf("Match finds %v", got)
	}
	if ix.Remove(must(t, "a"), 1) || ix.Remove(topic.Pattern{}, 1) {
		t.Error("Remove finds something")
	}
	for p := range ix.All() {
		t.Errorf("All lists %v", p)
	}
	if stats := ix.Stats(); stats != (topic.IndexStats{}) {
		t.Errorf("Stats() = %+v", stats)
	}
}

func TestInsertingTheZeroPatternPanics(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("it does not")
		}
	}()
	var ix topic.Index[int]
	ix.Insert(topic.Pattern{}, 1)
}

func TestInvalidNamesAreHarmless(t *testing.T) {
	var ix topic.Index[int]
	for i, p := range []string{"a/+", "#", "**", "regex:.*", "a", "a/*"} {
		ix.Insert(must(t, p), i)
	}
	for _, name := range []string{"", "a\x00", "\xff/\xfe", "/", strings.Repeat("/", 100_000), strings.Repeat("a", 100_000)} {
		find(&ix, name)
	}
}

func TestPairsAreCounted(t *testing.T) {
	var ix topic.Index[int]
	p := must(t, "a/+")
	for range 3 {
		ix.Insert(p, 7)
	}
	ix.Insert(p, 8)
	for left := 3; left > 0; left-- {
		if got := ix.Match("a/b", nil).Len(); got != left+1 {
			t.Errorf("with %d+1 pairs Match finds %d", left, got)
		}
		if !ix.Remove(p, 7) {
			t.Errorf("Remove does not find the pair that is there %d times", left)
		}
	}
	if ix.Remove(p, 7) {
		t.Error("Remove finds a pair more often than it was inserted")
	}
	if got := find(&ix, "a/b"); !slices.Equal(got, []int{8}) {
		t.Errorf("Match finds %v, want 8", got)
	}
}

func TestSameTextOfAnotherKindIsAnotherPattern(t *testing.T) {
	var ix topic.Index[int]
	ix.Insert(must(t, "exact:a/b"), 1)
	ix.Insert(must(t, "filter:a/b"), 2)
	ix.Insert(must(t, "regex:a/b"), 3)
	if got := find(&ix, "a/b"); !slices.Equal(got, []int{1, 2, 3}) {
		t.Errorf("Match finds %v", got)
	}
	if ix.Remove(must(t, "exact:a/b"), 2) {
		t.Error("Remove takes a value of another pattern")
	}
	if stats := ix.Stats(); stats.Patterns != 3 {
		t.Errorf("%d patterns, want 3", stats.Patterns)
	}
}

func TestValuesNeverChangeUnderAReader(t *testing.T) {
	var ix topic.Index[int]
	p := must(t, "a")
	var seen [][]int
	for i := range 20 {
		ix.Insert(p, i)
		leaf := ix.Match("a", nil)[0]
		seen = append(seen, leaf.Values())
		if !leaf.Pattern().Equal(p) {
			t.Fatalf("the leaf is of %v, want %v", leaf.Pattern(), p)
		}
		_ = append(leaf.Values(), -1) // must not reach the index
	}
	for i := range 10 {
		ix.Remove(p, 2*i)
	}
	for n, values := range seen {
		for i, v := range values {
			if v != i || len(values) != n+1 {
				t.Fatalf("the list of %d values is now %v", n+1, values)
			}
		}
	}
	if got := find(&ix, "a"); !slices.Equal(got, []int{1, 3, 5, 7, 9, 11, 13, 15, 17, 19}) {
		t.Errorf("Match finds %v", got)
	}
}

func TestMatchesStayUsable(t *testing.T) {
	var ix topic.Index[int]
	p := must(t, "a/+")
	ix.Insert(p, 1)
	before := ix.Match("a/b", nil)
	ix.Insert(must(t, "a/#"), 2)
	ix.Insert(p, 3)
	if len(before) != 1 || !slices.Equal(before[0].Values(), []int{1, 3}) {
		t.Errorf("the list found before is now %v", before)
	}
	ix.Remove(p, 1)
	ix.Remove(p, 3)
	if before.Len() != 0 {
		t.Errorf("the list found before has %d values, all are removed", before.Len())
	}
}

func TestAListGivenBackAsScratchIsNotOverwritten(t *testing.T) {
	ix := topic.Index[int]{CacheNames: 1}
	ix.Insert(must(t, "a"), 1)
	ix.Insert(must(t, "b"), 2)
	find(&ix, "a")
	cached := ix.Match("a", nil)
	for range 100 { // far more than it takes for b to displace a
		if got := ix.Match("b", cached); got.Len() != 1 || got[0].Values()[0] != 2 {
			t.Fatalf("Match finds %v", got)
		}
	}
	if got := cached[0].Values()[0]; got != 1 {
		t.Errorf("the list of a now has value %d", got)
	}
}

func TestTheNameMayBeAViewOfABufferThatChanges(t *testing.T) {
	var ix topic.Index[int]
	ix.Insert(must(t, "a/1"), 1)
	ix.Insert(must(t, "a/2"), 2)
	buf := []byte("a/1")
	name := view(buf)
	find(&ix, name)
	buf[2] = '2'
	if got := find(&ix, name); !slices.Equal(got, []int{2}) {
		t.Errorf("Match of the changed buffer finds %v", got)
	}
	copy(buf, "x/9")
	ix.Insert(must(t, "a/+"), 3) // concerns the name that was cached, not what is in the buffer
	copy(buf, "a/1")
	if got := find(&ix, name); !slices.Equal(got, []int{1, 3}) {
		t.Errorf("Match of the name it had at first finds %v", got)
	}
}

func TestAClientThatComesAndGoesTouchesNoCachedName(t *testing.T) {
	var ix topic.Index[int]
	all := must(t, "#")
	ix.Insert(all, 1)
	ix.Remove(all, 1)
	for i := range 100 {
		find(&ix, fmt.Sprint("a/", i))
	}
	before := ix.Stats()
	for range 1000 {
		ix.Insert(all, 1)
		if got := find(&ix, "a/7"); !slices.Equal(got, []int{1}) {
			t.Fatalf("Match finds %v", got)
		}
		ix.Remove(all, 1)
		if got := find(&ix, "a/7"); len(got) != 0 {
			t.Fatalf("Match finds %v after Remove", got)
		}
	}
	if after := ix.Stats(); after != before || before.Cached != 100 {
		t.Errorf("Stats() went from %+v to %+v", before, after)
	}
}

func TestANewPatternTouchesOnlyCachedNamesItMatches(t *testing.T) {
	var ix topic.Index[int]
	ix.Insert(must(t, "x"), 0)
	for i := range 100 {
		find(&ix, fmt.Sprint("a/", i))
	}
	ix.Insert(must(t, "a/7"), 1)
	ix.Insert(must(t, "b/#"), 2)
	ix.Insert(must(t, "a/*7"), 3)
	if stats := ix.Stats(); stats.Patched != 10 || stats.Misses != 100 {
		t.Errorf("Stats() = %+v, want 10 patched", stats)
	}
	if got := find(&ix, "a/17"); !slices.Equal(got, []int{3}) {
		t.Errorf("Match finds %v", got)
	}
	if misses := ix.Stats().Misses; misses != 100 {
		t.Errorf("%d misses, want 100 as before", misses)
	}
}

func TestVacantPatternsAreDroppedOldestFirst(t *testing.T) {
	var ix topic.Index[int]
	for i := range 300 {
		p := must(t, fmt.Sprintf("a/%d/+", i))
		ix.Insert(p, i)
		find(&ix, fmt.Sprintf("a/%d/x", i))
		ix.Remove(p, i)
	}
	stats := ix.Stats()
	if stats.Vacant != 256 || stats.Patterns != 0 || stats.Entries != 0 {
		t.Errorf("Stats() = %+v, want 256 vacant", stats)
	}
	for i, want := range map[int]int{0: 0, 43: 0, 44: 1, 299: 1} {
		if got := len(ix.Match(fmt.Sprintf("a/%d/x", i), nil)); got != want {
			t.Errorf("of pattern %d there are %d leaves, want %d", i, got, want)
		}
	}
}

func TestTheCacheKeepsItsBounds(t *testing.T) {
	ix := topic.Index[int]{CacheNames: 100}
	ix.Insert(must(t, "#"), 1)
	for i := range 50_000 {
		find(&ix, fmt.Sprint("a/", i))
	}
	stats := ix.Stats()
	if stats.Cached != 100 || stats.Admitted != stats.Evictions+100 || stats.Misses != 50_000 {
		t.Errorf("Stats() = %+v, want 100 cached", stats)
	}
	if stats.Admitted < 500 || stats.Admitted > 5000 {
		t.Errorf("%d of 50000 names were admitted, want about 1 in 32", stats.Admitted)
	}
	find(&ix, strings.Repeat("x", 2000))
	for i := range 1000 { // each name has all leaves, 128 names' worth of bound
		ix.Insert(must(t, fmt.Sprintf("regex:.*|%d", i)), i)
	}
	if stats = ix.Stats(); stats.Cached > 13 || stats.Cached == 0 {
		t.Errorf("%d names with 1001 leaves each are cached, the bound is 12800 leaves", stats.Cached)
	}
	if got := len(find(&ix, "a/1")); got != 1001 {
		t.Errorf("Match finds %d values, want 1001", got)
	}
}

func TestANameInUseGetsIntoAFullCache(t *testing.T) {
	ix := topic.Index[int]{CacheNames: 100}
	ix.Insert(must(t, "#"), 1)
	for i := range 1000 {
		find(&ix, fmt.Sprint("a/", i))
	}
	before := ix.Stats().Misses
	for range 10_000 {
		find(&ix, "hot")
	}
	if misses := ix.Stats().Misses - before; misses > 1000 {
		t.Errorf("%d of 10000 matches of one name were misses", misses)
	}
}

func TestAFullCacheStaysUseful(t *testing.T) {
	ix := topic.Index[int]{CacheNames: 1000}
	ix.Insert(must(t, "#"), 1)
	pass := func() (hits uint64) {
		before := ix.Stats().Misses
		for i := range 2000 {
			find(&ix, fmt.Sprint("a/", i))
		}
		return 2000 - (ix.Stats().Misses - before)
	}
	for range 100 {
		pass()
	}
	evictions := ix.Stats().Evictions
	if hits := pass(); hits < 850 || evictions < 1000 {
		t.Errorf("with 1000 of 2000 names in the cache there are %d hits, after %d evictions", hits, evictions)
	}
}

func TestCachedNamesAreRightWhenManyAreEvicted(t *testing.T) {
	g := newGenerator(7)
	ix := topic.Index[int]{CacheNames: 60}
	want := map[string]map[int]bool{}
	for range 50_000 {
		name := fmt.Sprintf("%d/a", g.IntN(120))
		there := want[name]
		if there == nil {
			there = map[int]bool{}
			want[name] = there
		}
		if v := 1 + g.IntN(50); g.IntN(20) == 0 {
			p := must(t, name+strings.Repeat("**", v)) // as many patterns of one name as there are values
			if there[v] {
				ix.Remove(p, v)
				delete(there, v)
			} else {
				ix.Insert(p, v)
				there[v] = true
			}
		}
		if got := ix.Match(name, nil).Len(); got != len(there) {
			t.Fatalf("Match(%q) finds %d values, want %d", name, got, len(there))
		}
	}
	if stats := ix.Stats(); stats.Evictions < 200 || stats.Patched < 200 {
		t.Errorf("Stats() = %+v, too little happened", stats)
	}
}

func TestDeepNamesAndPatterns(t *testing.T) {
	var ix topic.Index[int]
	var names topic.Names[int]
	var pairs []pair
	for depth := 60; depth < 70; depth++ {
		deep := strings.Repeat("a/", depth)
		for i, text := range []string{
			deep + "b", deep + "+", deep + "#", deep + "*", deep + "**", "regex:" + deep + "b|c", "regex:" + deep,
			"filter:" + strings.Repeat("+/", depth) + "b", "filter:" + strings.Repeat("+/", depth) + "#", "**/a/b", "exact:" + deep + "+",
		} {
			p := newPair(must(t, text), 100*depth+i)
			ix.Insert(p.pattern, p.value)
			pairs = append(pairs, p)
		}
		for _, last := range []string{"b", "", "c/b", "+", "b/"} {
			names.Set(deep+last, depth)
		}
	}
	for name := range names.Match(must(t, "#")) {
		check(t, &ix, pairs, name)
	}
	all := maps.Collect(names.Match(must(t, "**")))
	if len(all) != 50 {
		t.Fatalf("%d names are listed, want 50", len(all))
	}
	for _, p := range pairs {
		checkNames(t, &names, all, p.pattern)
	}
	for name := range all {
		if !names.Delete(name) || names.Delete(name) {
			t.Errorf("Delete(%q) does not delete once", name)
		}
	}
	for _, p := range pairs {
		if !ix.Remove(p.pattern, p.value) {
			t.Errorf("Remove(%v) finds nothing", p.pattern)
		}
	}
}

func TestWildcardsInTheFirstLevelLeaveDollarNamesToOthers(t *testing.T) {
	var ix topic.Index[int]
	for i, text := range []string{"#", "+/x", "+/#", "$a/#", "$a/+", "**", "*/x", "regex:.*", `regex:[$]a/x`} {
		ix.Insert(must(t, text), i)
	}
	if got, want := find(&ix, "$a/x"), []int{3, 4, 5, 6, 7, 8}; !slices.Equal(got, want) {
		t.Errorf("Match finds %v, want %v", got, want)
	}
	if got, want := find(&ix, "a/x"), []int{0, 1, 2, 5, 6, 7}; !slices.Equal(got, want) {
		t.Errorf("Match finds %v, want %v", got, want)
	}
}

func TestNamesVisitEarlyEnd(t *testing.T) {
	var names topic.Names[int]
	for i := range 100 {
		names.Set(fmt.Sprintf("a/%d/b", i), i)
	}
	for _, text := range []string{"#", "a/+/b", "a/**", "regex:a/.*"} {
		visited := 0
		for range names.Match(must(t, text)) {
			if visited++; visited == 3 {
				break
			}
		}
		if visited != 3 {
			t.Errorf("%s: %d names visited, want 3", text, visited)
		}
	}
	for name := range names.Match(topic.Pattern{}) {
		t.Errorf("the zero pattern matches %q", name)
	}
}

func TestMatchAllocatesNothing(t *testing.T) {
	ix := deviceIndex(t, 1000, 0)
	ix.Insert(must(t, "bench/**/state"), 1)
	name := "bench/device/17/state"
	find(ix, name)
	sum := 0
	match := func(name string) func() {
		return func() {
			var scratch [8]*topic.Leaf[int]
			for _, leaf := range ix.Match(name, scratch[:0]) {
				for _, v := range leaf.Values() {
					sum += v
				}
			}
		}
	}
	if n := testing.AllocsPerRun(1000, match(name)); n != 0 {
		t.Errorf("a cached match allocates %v times", n)
	}
	long := "bench/device/17/state/" + strings.Repeat("x", 2000) // too long for the cache
	ix.Insert(must(t, "bench/device/17/#"), 1)
	before := ix.Stats()
	if n := testing.AllocsPerRun(1000, match(long)); n != 0 {
		t.Errorf("an uncached match allocates %v times", n)
	}
	if after := ix.Stats(); after.Misses-before.Misses != 1001 || after.Admitted != before.Admitted {
		t.Errorf("Stats() went from %+v to %+v", before, after)
	}
	if sum == 0 {
		t.Error("nothing was found")
	}
}

func TestMemoryPerEntryIsBounded(t *testing.T) {
	const entries = 100_000
	heap := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := heap()
	ix := deviceIndex(t, entries, 0)
	per := int64(heap()-before) / entries
	t.Logf("%d bytes of heap per entry", per)
	if per > 450 {
		t.Errorf("%d bytes of heap per entry, at most 450 are allowed", per)
	}
	for i := range entries {
		ix.Remove(must(t, fmt.Sprintf("filter:bench/device/%d/state", i)), i)
	}
	left := int64(heap() - before)
	t.Logf("%d bytes of heap left", left)
	if left > 1<<20 {
		t.Errorf("%d bytes of heap are left when all entries are removed", left)
	}
	runtime.KeepAlive(ix)
}

// deviceIndex returns an index of n filters of four levels.
func deviceIndex(t testing.TB, n, cacheNames int) *topic.Index[int] {
	ix := &topic.Index[int]{CacheNames: cacheNames}
	for i := range n {
		ix.Insert(must(t, fmt.Sprintf("filter:bench/device/%d/state", i)), i)
	}
	return ix
}
