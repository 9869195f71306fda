package topic_test

import (
	"fmt"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"unsafe"

	"omnibus/topic"
)

// view returns a string over bytes that may change later.
func view(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

// churned are the patterns that writers insert and remove; each matches the hot
// name, and several share nodes.
var churned = []string{
	"a/b/c", "filter:a/b/c", "a/+/c", "a/b/+", "a/#", "+/b/#", "#", "a/*/c", "**/c", "a/**", "regex:a/.*", "regex:.*c", "regex:a/b/c",
}

const (
	churnWriters = 3
	churnRounds  = 1500
	writerStep   = 1 << 20 // values of writer w are w*writerStep and up, rising
)

// churn is one index with stable patterns under readers and writers.
type churn struct {
	ix   topic.Index[int]
	gone [churnWriters]atomic.Int64 // newest value whose removal has returned
}

// write inserts and removes a value per round, and checks both at once.
func (c *churn) write(t *testing.T, w int, patterns []topic.Pattern) {
	for round := 1; round <= churnRounds; round++ {
		v := (w+1)*writerStep + round
		p := patterns[(round*7+w)%len(patterns)]
		c.ix.Insert(p, v)
		if !slices.Contains(find(&c.ix, "a/b/c"), v) {
			t.Errorf("%v was inserted, but its value is not found", p)
			return
		}
		// New patterns beside it make vacant ones drop out.
		q := must(t, fmt.Sprintf("a/b/*%d", v))
		c.ix.Insert(q, v)
		c.ix.Remove(q, v)
		if !c.ix.Remove(p, v) {
			t.Errorf("%v was inserted, but cannot be removed", p)
			return
		}
		c.gone[w].Store(int64(v))
	}
}

// read checks that the stable value is always there and removed ones never are.
func (c *churn) read(t *testing.T, r int, stop *atomic.Bool) {
	var scratch [32]*topic.Leaf[int]
	buf := []byte("a/b/c0")
	for n := 0; !stop.Load(); n++ {
		name := "a/b/c"
		if n%3 == 0 { // names beyond the cache's bound
			buf[5] = byte('A' + (n/3+r)%26)
			name = view(buf)
		}
		var gone [churnWriters]int64
		for w := range gone {
			gone[w] = c.gone[w].Load()
		}
		stable := 0
		for v := range c.ix.Match(name, scratch[:0]).All() {
			if v < 3 {
				stable++
				continue
			}
			if w := v/writerStep - 1; int64(v) <= gone[w] {
				t.Errorf("Match(%q) reports value %d after its removal", name, v)
				return
			}
		}
		if stable != 3 {
			t.Errorf("Match(%q) reports %d of 3 stable values", name, stable)
			return
		}
	}
}

func TestReadersNeverMissNorSeeTooMuch(t *testing.T) {
	for _, bound := range []int{0, 8} {
		t.Run(fmt.Sprintf("cache %d", bound), func(t *testing.T) {
			c := &churn{}
			c.ix.CacheNames = bound
			for i, text := range []string{"a/b/+", "a/b/**", "regex:a/b/.*"} {
				c.ix.Insert(must(t, text), i)
			}
			var patterns []topic.Pattern
			for _, text := range churned {
				patterns = append(patterns, must(t, text))
			}
			var writers, readers sync.WaitGroup
			var stop atomic.Bool
			for r := range 3 {
				readers.Go(func() { c.read(t, r, &stop) })
			}
			for w := range churnWriters {
				writers.Go(func() { c.write(t, w, patterns) })
			}
			readers.Go(func() {
				for !stop.Load() {
					for p := range c.ix.All() {
						if p.IsZero() {
							t.Error("All lists a zero pattern")
						}
					}
				}
			})
			writers.Wait()
			stop.Store(true)
			readers.Wait()
			if got := c.ix.Len(); got != 3 {
				t.Errorf("%d pairs are left, want 3", got)
			}
		})
	}
}

// TestAListThatIsOutOfDateIsNotCached inserts a pattern while a reader is busy
// walking the tree for a name that the pattern matches.
func TestAListThatIsOutOfDateIsNotCached(t *testing.T) {
	const rounds = 3000
	var ix topic.Index[int]
	var begun, done atomic.Int64
	var reader sync.WaitGroup
	reader.Go(func() {
		for i := range int64(rounds) {
			for begun.Load() <= i {
				runtime.Gosched()
			}
			ix.Match(fmt.Sprint(i, "/x"), nil)
			done.Store(i + 1)
		}
	})
	g := newGenerator(5)
	for i := range rounds {
		var slow []topic.Pattern // visited after what is inserted later at the same node
		for k := range 10 {
			slow = append(slow, must(t, fmt.Sprintf("regex:%d/.*[a-z]{%d}x", i, 2+k)))
			ix.Insert(slow[k], -1)
		}
		name, p := fmt.Sprint(i, "/x"), must(t, fmt.Sprint(i, "/#"))
		begun.Store(int64(i + 1))
		for range g.IntN(100) {
			ix.Match("elsewhere", nil) // some time, so that the reader is anywhere
		}
		ix.Insert(p, i)
		for done.Load() <= int64(i) {
			runtime.Gosched()
		}
		if got := find(&ix, name); !slices.Equal(got, []int{i}) {
			t.Errorf("Match(%q) finds %v after %v was inserted", name, got, p)
			begun.Store(rounds)
			break
		}
		for _, p := range slow {
			ix.Remove(p, -1)
		}
	}
	reader.Wait()
}

// TestReadersDoNotMissANodeWhileOthersAreAddedBesideIt lets readers look for the
// first child of a node while it gets more.
func TestReadersDoNotMissANodeWhileOthersAreAddedBesideIt(t *testing.T) {
	const rounds = 6000
	ix := topic.Index[int]{CacheNames: -1}
	var names []string
	for i := range rounds {
		names = append(names, fmt.Sprintf("%d/0", i))
	}
	var current atomic.Int64
	current.Store(-1)
	var readers sync.WaitGroup
	for range 2 {
		readers.Go(func() {
			for i := current.Load(); i < rounds; i = current.Load() {
				if i >= 0 && len(ix.Match(names[i], nil)) == 0 {
					t.Errorf("Match(%q) misses a pattern inserted before", names[i])
					return
				}
			}
		})
	}
	var beside []topic.Pattern
	for i, name := range names {
		ix.Insert(must(t, name), i)
		current.Store(int64(i))
		for k := range 8 {
			p := must(t, fmt.Sprintf("%d/%d", i, k+1))
			ix.Insert(p, i)
			beside = append(beside, p)
		}
		if i%100 == 0 {
			runtime.Gosched()
		}
	}
	for i, p := range beside {
		if !ix.Remove(p, i/8) {
			t.Errorf("Remove(%v) finds nothing", p)
		}
	}
	current.Store(rounds)
	readers.Wait()
}
