package memory_test

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"omnibus/bus"
	"omnibus/engine"
	"omnibus/engine/enginetest"
	"omnibus/engine/memory"
)

func factory(o memory.Options) enginetest.Factory {
	return enginetest.Factory{
		Open:         func(string) (engine.Engine, error) { return memory.New(o), nil },
		CannotReopen: "nothing outlives the process",
	}
}

func TestConformance(t *testing.T) {
	enginetest.Run(t, factory(memory.Options{}))
}

func FuzzPrograms(f *testing.F) {
	f.Add(uint64(1), uint16(100))
	f.Fuzz(func(t *testing.T, seed uint64, steps uint16) {
		enginetest.Compare(t, enginetest.Generate(seed, int(steps%2000)), enginetest.Model(), factory(memory.Options{}))
	})
}

func entry(n int) *engine.Entry { return &engine.Entry{Payload: make([]byte, n)} }

// cost is what an entry with a payload of n bytes counts.
func cost(t *testing.T, n int) int64 {
	e := memory.New(memory.Options{})
	if _, err := e.Journal().Append(entry(n)); err != nil {
		t.Fatal(err)
	}
	return e.Stats().Bytes
}

func TestTheOldestGoWhenTheJournalIsFull(t *testing.T) {
	for name, o := range map[string]memory.Options{
		"of entries": {MaxEntries: 10},
		"of bytes":   {MaxBytes: 10 * cost(t, 100)},
	} {
		t.Run(name, func(t *testing.T) {
			e := memory.New(o)
			j := e.Journal()
			for i := range 1000 {
				if _, err := j.Append(entry(100)); err != nil {
					t.Fatal(err)
				}
				want := memory.Stats{Entries: min(i+1, 10), GivenUp: uint64(max(i+1-10, 0))}
				want.Bytes = int64(want.Entries) * cost(t, 100)
				if got := e.Stats(); got != want {
					t.Fatalf("after %d entries: %+v, want %+v", i+1, got, want)
				}
			}
			first, last := j.Bounds()
			if last != 1000 || first != 991 {
				t.Fatalf("bounds %d and %d, want 991 and 1000", first, last)
			}
			if got, err := j.Read(t.Context(), first, 100); err != nil || len(got) != 10 {
				t.Errorf("%d entries, %v", len(got), err)
			}
			if _, err := j.Read(t.Context(), first-1, 100); !errors.Is(err, engine.ErrTrimmed) {
				t.Errorf("what was given up: %v, want ErrTrimmed", err)
			}
		})
	}
}

func TestTrimmedEntriesAreNotCountedAsGivenUp(t *testing.T) {
	e := memory.New(memory.Options{MaxEntries: 10})
	for range 12 {
		if _, err := e.Journal().Append(entry(0)); err != nil {
			t.Fatal(err)
		}
	}
	if err := e.Journal().Trim(13); err != nil {
		t.Fatal(err)
	}
	if got, want := e.Stats(), (memory.Stats{GivenUp: 2}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
}

func TestABatchThatDoesNotFitIsRefusedWhole(t *testing.T) {
	e := memory.New(memory.Options{MaxEntries: 3, MaxBytes: 4 * cost(t, 1000)})
	j := e.Journal()
	if _, err := j.Append(entry(1), entry(2)); err != nil {
		t.Fatal(err)
	}
	for name, batch := range map[string][]*engine.Entry{
		"too many":         {entry(0), entry(0), entry(0), entry(0)},
		"too large":        {entry(2000), entry(3000), entry(1)},
		"one, too large":   {entry(6000)},
		"a topic too long": {{Topic: strings.Repeat("x", 6000)}},
		"headers too long": {{Headers: []bus.Header{{Key: strings.Repeat("x", 3000), Value: strings.Repeat("x", 3000)}}}},
		"a step too long":  {{Step: bytes.Repeat([]byte("x"), 6000)}},
	} {
		before := e.Stats()
		if at, err := j.Append(batch...); !errors.Is(err, engine.ErrTooLarge) || at != 0 {
			t.Errorf("%s: %d, %v; want ErrTooLarge", name, at, err)
		}
		if after := e.Stats(); after != before {
			t.Errorf("%s: %+v, before %+v", name, after, before)
		}
	}
	if at, err := j.Append(entry(3), entry(4), entry(5)); at != 5 || err != nil {
		t.Errorf("a batch that fits when all else goes: %d, %v", at, err)
	}
	if first, last := j.Bounds(); first != 3 || last != 5 {
		t.Errorf("bounds %d and %d, want 3 and 5", first, last)
	}
}

// TestTheRingIsAListWithBounds plays appends and trims on a journal that is
// always full, and on a list.
func TestTheRingIsAListWithBounds(t *testing.T) {
	for seed := range uint64(20) {
		r := rand.New(rand.NewPCG(seed, 0))
		maxEntries, maxBytes := 1+r.IntN(1500), 2000+r.Int64N(300_000)
		e := memory.New(memory.Options{MaxEntries: maxEntries, MaxBytes: maxBytes})
		base := cost(t, 0)
		var sizes []int64 // of what is held
		var gone, lost int
		drop := func() { sizes, gone = sizes[1:], gone+1 }
		total := func() (n int64) {
			for _, s := range sizes {
				n += s
			}
			return n
		}
		for step := range 400 {
			if r.IntN(20) == 0 {
				before := gone + r.IntN(len(sizes)+3)
				if err := e.Journal().Trim(bus.Position(before)); err != nil {
					t.Fatal(err)
				}
				for len(sizes) > 0 && gone+1 < before {
					drop()
				}
			} else {
				batch := make([]*engine.Entry, 1+r.IntN(min(maxEntries, 20)))
				var bytes int64
				for i := range batch {
					batch[i] = entry(r.IntN(200))
					bytes += base + int64(len(batch[i].Payload))
				}
				if _, err := e.Journal().Append(batch...); (err != nil) != (bytes > maxBytes) {
					t.Fatalf("seed %d, step %d: appending %d bytes: %v", seed, step, bytes, err)
				} else if err != nil {
					continue
				}
				for have := total(); len(sizes) > 0 && (len(sizes)+len(batch) > maxEntries || have+bytes > maxBytes); {
					have -= sizes[0]
					lost++
					drop()
				}
				for _, e := range batch {
					sizes = append(sizes, base+int64(len(e.Payload)))
				}
			}
			want := memory.Stats{Entries: len(sizes), Bytes: total(), GivenUp: uint64(lost)}
			if got := e.Stats(); got != want {
				t.Fatalf("seed %d, step %d: %+v, want %+v", seed, step, got, want)
			}
			at := bus.Position(gone + 1)
			got, err := e.Journal().Read(t.Context(), at, maxEntries)
			if err != nil || len(got) != len(sizes) {
				t.Fatalf("seed %d, step %d: %d entries, %v; want %d", seed, step, len(got), err, len(sizes))
			}
			for i, e := range got {
				if e.Position != at+bus.Position(i) || base+int64(len(e.Payload)) != sizes[i] {
					t.Fatalf("seed %d, step %d: entry %d is at %d with %d bytes", seed, step, i, e.Position, len(e.Payload))
				}
			}
		}
	}
}

func TestTheBoundsHaveDefaults(t *testing.T) {
	e := memory.New(memory.Options{})
	batch := make([]*engine.Entry, memory.DefaultMaxEntries)
	for i := range batch {
		batch[i] = new(engine.Entry)
	}
	if _, err := e.Journal().Append(batch...); err != nil {
		t.Errorf("as many entries as the default: %v", err)
	}
	if _, err := e.Journal().Append(append(batch, entry(0))...); !errors.Is(err, engine.ErrTooLarge) {
		t.Errorf("one more: %v, want ErrTooLarge", err)
	}
	if _, err := e.Journal().Append(entry(memory.DefaultMaxBytes)); !errors.Is(err, engine.ErrTooLarge) {
		t.Errorf("more than the default of bytes: %v, want ErrTooLarge", err)
	}
}

func TestARecordThatIsTooLargeIsRefusedAndTheOldOneStays(t *testing.T) {
	r := memory.New(memory.Options{MaxBytes: 1000}).Records()
	if err := r.Put(engine.Rules, "key", make([]byte, 997)); err != nil {
		t.Fatalf("as large as the bound: %v", err)
	}
	if err := r.Put(engine.Rules, "key", make([]byte, 998)); !errors.Is(err, engine.ErrTooLarge) {
		t.Errorf("one byte more: %v, want ErrTooLarge", err)
	}
	told := 0
	err := r.Load(engine.Rules, func(key string, value []byte) error {
		if told++; key != "key" || len(value) != 997 {
			t.Errorf("record %q has %d bytes", key, len(value))
		}
		return nil
	})
	if told != 1 || err != nil {
		t.Errorf("%d records, %v; want the one", told, err)
	}
}

func TestClosedComesBeforeTooLarge(t *testing.T) {
	e := memory.New(memory.Options{MaxBytes: 1000})
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := e.Journal().Append(entry(2000)); !errors.Is(err, engine.ErrClosed) {
		t.Errorf("appending: %v, want ErrClosed", err)
	}
	if err := e.Records().Put(engine.Rules, "key", make([]byte, 2000)); !errors.Is(err, engine.ErrClosed) {
		t.Errorf("putting: %v, want ErrClosed", err)
	}
}

func TestPromise(t *testing.T) {
	if got, want := memory.New(memory.Options{}).Promise(), (engine.Promise{Name: "memory", Durability: engine.Process}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
}

func message(n int) *engine.Entry {
	return &engine.Entry{
		Time: 1, Topic: "factory/hall/7/temperature", Payload: make([]byte, n), QoS: 1,
		Headers: []bus.Header{{Key: "content-type", Value: "application/json"}},
	}
}

func BenchmarkAppend(b *testing.B) {
	for _, n := range []int{1, 100} {
		b.Run(fmt.Sprintf("128B/batch-%d", n), func(b *testing.B) {
			j := memory.New(memory.Options{}).Journal()
			batch := make([]*engine.Entry, n)
			for i := range batch {
				batch[i] = message(128)
			}
			b.ReportAllocs()
			for b.Loop() {
				if _, err := j.Append(batch...); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/entry")
		})
	}
	b.Run("128B/parallel", func(b *testing.B) {
		j := memory.New(memory.Options{}).Journal()
		b.ReportAllocs()
		b.RunParallel(func(pb *testing.PB) {
			m := message(128)
			for pb.Next() {
				if _, err := j.Append(m); err != nil {
					b.Error(err)
					return
				}
			}
		})
	})
}

func BenchmarkRead1000(b *testing.B) {
	j := memory.New(memory.Options{}).Journal()
	for range 50_000 {
		if _, err := j.Append(message(128)); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportAllocs()
	for b.Loop() {
		if got, err := j.Read(b.Context(), 20_000, 1000); err != nil || len(got) != 1000 {
			b.Fatal(len(got), err)
		}
	}
}

func BenchmarkTrimmingAndAppending(b *testing.B) {
	j := memory.New(memory.Options{}).Journal()
	m := message(128)
	b.ReportAllocs()
	for b.Loop() {
		last, err := j.Append(m)
		if err == nil && last%1000 == 0 {
			err = j.Trim(last)
		}
		if err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkPut(b *testing.B) {
	r := memory.New(memory.Options{}).Records()
	value := make([]byte, 128)
	keys := make([]string, 1000)
	for i := range keys {
		keys[i] = fmt.Sprint("sensors/", i)
	}
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		if err := r.Put(engine.Retained, keys[i%len(keys)], value); err != nil {
			b.Fatal(err)
		}
		i++
	}
}
