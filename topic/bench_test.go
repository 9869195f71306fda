package topic_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"omnibus/topic"
)

const benchFilters = 100_000

// deviceNames returns n names that the filters of deviceIndex match, shuffled.
func deviceNames(n int) []string {
	names := make([]string, n)
	for i := range names {
		names[i] = fmt.Sprintf("bench/device/%d/state", i)
	}
	r := rand.New(rand.NewPCG(1, 1))
	r.Shuffle(n, func(i, j int) { names[i], names[j] = names[j], names[i] })
	return names
}

// matchAll matches n names in turns, beginning with the from-th, and returns the
// sum of the values.
func matchAll(ix *topic.Index[int], names []string, from, n int) int {
	var scratch [16]*topic.Leaf[int]
	sum := 0
	for i := range n {
		for _, leaf := range ix.Match(names[(from+i)%len(names)], scratch[:0]) {
			for _, v := range leaf.Values() {
				sum += v
			}
		}
	}
	return sum
}

func BenchmarkPatternMatch(b *testing.B) {
	name := "bench/device/17/state"
	for _, text := range []string{name, "bench/+/+/state", "bench/#", "bench/*/*/state", "bench/**/state", "regex:bench/.*/state"} {
		p := must(b, text)
		b.Run(p.Kind().String()+" "+strings.ReplaceAll(text, "/", "."), func(b *testing.B) {
			for b.Loop() {
				if !p.Match(name) {
					b.Fatal("no match")
				}
			}
		})
	}
}

// handler is what the in-process bus calls.
type handler struct{ call func(name string) }

// BenchmarkInProcess compares finding and calling a handler through the index
// with the plainest thing that could do it: a map that writers replace.
func BenchmarkInProcess(b *testing.B) {
	const name = "sensors/room/1/temp1"
	calls := 0
	h := &handler{func(string) { calls++ }}
	b.Run("index", func(b *testing.B) {
		var ix topic.Index[*handler]
		ix.Insert(must(b, name), h)
		b.ReportAllocs()
		for b.Loop() {
			var scratch [8]*topic.Leaf[*handler]
			for _, leaf := range ix.Match(name, scratch[:0]) {
				for _, h := range leaf.Values() {
					h.call(name)
				}
			}
		}
	})
	b.Run("map", func(b *testing.B) {
		var current atomic.Pointer[map[string][]func(string)]
		current.Store(&map[string][]func(string){name: {h.call}})
		b.ReportAllocs()
		for b.Loop() {
			for _, call := range (*current.Load())[name] {
				call(name)
			}
		}
	})
}

func BenchmarkMatch(b *testing.B) {
	for _, c := range []struct {
		what       string
		cacheNames int
		names      int
	}{
		{"cached 1 name", 0, 1},
		{"cached 1000 names", 0, 1000},
		{"cached 16000 names", 0, 16_000},
		{"100000 names through the cache", 0, 100_000},
		{"uncached 1 name", -1, 1},
		{"uncached 1000 names", -1, 1000},
		{"uncached 100000 names", -1, 100_000},
	} {
		b.Run(c.what, func(b *testing.B) {
			ix := deviceIndex(b, benchFilters, c.cacheNames)
			ix.Insert(must(b, "bench/+/+/status"), 1)
			names := deviceNames(c.names)
			matchAll(ix, names, 0, 2*len(names))
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				matchAll(ix, names, i, 1)
				if i++; i == len(names) {
					i = 0
				}
			}
		})
	}
}

func BenchmarkInsertRemove(b *testing.B) {
	for _, c := range []struct {
		what     string
		patterns func(i int) string
	}{
		{"one more value", func(int) string { return "filter:bench/device/7/state" }},
		{"the same pattern again", func(int) string { return "bench/device/7/#" }},
		{"another exact", func(i int) string { return fmt.Sprint("other/", i) }},
		{"another filter of one name", func(i int) string { return fmt.Sprintf("bench/device/%d/#", i) }},
		{"another space of all names", func(i int) string { return "bench/**/s" + strings.Repeat("*", 2+i) }},
	} {
		b.Run(c.what, func(b *testing.B) {
			ix := deviceIndex(b, benchFilters, 0)
			matchAll(ix, deviceNames(10_000), 0, 10_000)
			var patterns []topic.Pattern
			for i := range 1000 { // more than are kept vacant
				patterns = append(patterns, must(b, c.patterns(i)))
			}
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				p := patterns[i%len(patterns)]
				ix.Insert(p, -1)
				ix.Remove(p, -1)
				i++
			}
		})
	}
}

// hot is a name that thousands of distinct filters match.
const hot = "hot/b/c/d/e/f/g/h/i/j/k/l"

// hotFilter returns one of 2048 filters that match hot.
func hotFilter(i int) string {
	levels := strings.Split(hot, "/")
	for bit := range len(levels) - 1 {
		if i>>bit&1 == 1 {
			levels[1+bit] = "+"
		}
	}
	return "filter:" + strings.Join(levels, "/")
}

// churner subscribes and unsubscribes a thousand times a second each.
type churner struct {
	ix       *topic.Index[int]
	patterns []topic.Pattern
	live     int // how many of its subscriptions are there at a time
	next     int
}

func (c *churner) run(stop <-chan struct{}) {
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	began, from := time.Now(), c.next
	for {
		select {
		case <-stop:
			return
		case <-tick.C:
		}
		for c.next-from < int(time.Since(began)/time.Millisecond) { // make up for late ticks
			c.ix.Insert(c.patterns[c.next%len(c.patterns)], -1)
			if old := c.next - c.live; old >= 0 {
				c.ix.Remove(c.patterns[old%len(c.patterns)], -1)
			}
			c.next++
		}
	}
}

// BenchmarkMatchUnderChurn alternates quiet phases with phases where clients come
// and go, and reports the median of the ratios of neighbours.
func BenchmarkMatchUnderChurn(b *testing.B) {
	for _, c := range []struct {
		what     string
		live     int
		patterns func(i int) string
	}{
		{"filters of a hot topic", 10, hotFilter},
		{"everything", 10, func(int) string { return "#" }},
		{"everything, one at a time", 0, func(int) string { return "#" }},
		{"unrelated", 10, func(i int) string { return fmt.Sprintf("other/%d/+", i) }},
	} {
		for _, working := range []int{1000, benchFilters} {
			b.Run(fmt.Sprintf("%s/%d names", c.what, working), func(b *testing.B) {
				ix := deviceIndex(b, benchFilters, 0)
				names := deviceNames(working)
				for i := range names {
					if i%10 == 0 {
						names[i] = hot
					}
				}
				churner := &churner{ix: ix, live: c.live}
				for i := range 2048 {
					churner.patterns = append(churner.patterns, must(b, c.patterns(i)))
				}
				matchAll(ix, names, 0, 2*len(names))
				measureChurn(b, ix, names, churner)
			})
		}
	}
}

func measureChurn(b *testing.B, ix *topic.Index[int], names []string, churner *churner) {
	const phase = 50 * time.Millisecond
	at := 0
	measure := func() float64 { // nanoseconds of a match
		began, n := time.Now(), 0
		for time.Since(began) < phase {
			matchAll(ix, names, at, 1000)
			at = (at + 1000) % len(names)
			n += 1000
		}
		return float64(time.Since(began)) / float64(n)
	}
	var quiet, churned, ratios []float64
	for b.Loop() {
		calm := measure()
		stop := make(chan struct{})
		var wg sync.WaitGroup
		wg.Go(func() { churner.run(stop) })
		busy := measure()
		close(stop)
		wg.Wait()
		quiet, churned, ratios = append(quiet, calm), append(churned, busy), append(ratios, busy/calm)
	}
	median := func(s []float64) float64 {
		slices.Sort(s)
		return s[len(s)/2]
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(median(quiet), "ns-quiet")
	b.ReportMetric(median(churned), "ns-churn")
	b.ReportMetric(median(ratios), "x-quiet")
}
