package jetstream_test

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"omnibus/bus"
	"omnibus/engine"
	"omnibus/engine/jetstream"
)

func message(n int) *engine.Entry {
	return &engine.Entry{
		Time: 1_780_000_000_000_000_000, Topic: "factory/hall/7/temperature", Payload: make([]byte, n), QoS: 1,
	}
}

// waitFlushed waits until a position is durable.
func waitFlushed(j engine.Journal, at bus.Position) error {
	for {
		upto, changed, err := j.Flushed()
		if upto >= at || err != nil {
			return err
		}
		<-changed
	}
}

func perEntry(b *testing.B, entries int) {
	b.ReportMetric(float64(entries)/b.Elapsed().Seconds(), "entries/s")
	b.ReportMetric(0, "ns/op")
}

// BenchmarkAppend ends when everything is durable.
func BenchmarkAppend(b *testing.B) {
	for _, who := range []int{1, 10, 100} {
		for _, n := range []int{1, 100} {
			b.Run(fmt.Sprintf("64B/goroutines-%d/batch-%d", who, n), func(b *testing.B) {
				e := open(b, jetstream.Options{Dir: b.TempDir()})
				j := e.Journal()
				batch := make([]*engine.Entry, n)
				for i := range batch {
					batch[i] = message(64)
				}
				b.ReportAllocs()
				b.ResetTimer()
				var left atomic.Int64
				left.Store(int64(b.N))
				var work sync.WaitGroup
				for range who {
					work.Go(func() {
						for left.Add(-1) >= 0 {
							if _, err := j.Append(batch...); err != nil {
								b.Error(err)
								return
							}
						}
					})
				}
				work.Wait()
				_, last := j.Bounds()
				if err := waitFlushed(j, last); err != nil {
					b.Fatal(err)
				}
				perEntry(b, b.N*n)
			})
		}
	}
}

// BenchmarkAcknowledged waits for the flush of each entry, as a publisher at
// QoS 1 does that sends one message at a time.
func BenchmarkAcknowledged(b *testing.B) {
	for _, who := range []int{1, 10, 100, 1000} {
		b.Run(fmt.Sprintf("64B/goroutines-%d", who), func(b *testing.B) {
			e := open(b, jetstream.Options{Dir: b.TempDir()})
			j := e.Journal()
			b.ResetTimer()
			var left atomic.Int64
			left.Store(int64(b.N))
			var work sync.WaitGroup
			for range who {
				work.Go(func() {
					m := message(64)
					for left.Add(-1) >= 0 {
						at, err := j.Append(m)
						if err == nil {
							err = waitFlushed(j, at)
						}
						if err != nil {
							b.Error(err)
							return
						}
					}
				})
			}
			work.Wait()
			b.ReportMetric(float64(e.Stats().Flushes)/b.Elapsed().Seconds(), "flushes/s")
			perEntry(b, b.N)
		})
	}
}

func fill(b *testing.B, o jetstream.Options, entries, call int) *jetstream.Engine {
	b.Helper()
	e := open(b, o)
	batch := make([]*engine.Entry, call)
	for i := range batch {
		batch[i] = message(64)
	}
	for range entries / call {
		at, err := e.Journal().Append(batch...)
		if err == nil && call == 1 {
			err = waitFlushed(e.Journal(), at) // a block each
		}
		if err != nil {
			b.Fatal(err)
		}
	}
	_, last := e.Journal().Bounds()
	if err := waitFlushed(e.Journal(), last); err != nil {
		b.Fatal(err)
	}
	return e
}

func benchmarkRead(b *testing.B, e *jetstream.Engine, upto bus.Position) {
	n := 0
	from := bus.Position(0)
	b.ReportAllocs()
	for b.Loop() {
		got, err := e.Journal().Read(b.Context(), from, 1000)
		if err != nil || len(got) == 0 {
			b.Fatal(len(got), err)
		}
		n += len(got)
		if from = got[len(got)-1].Position + 1; from > upto {
			from = 0
		}
	}
	perEntry(b, n)
}

func BenchmarkRead(b *testing.B) {
	b.Run("tail", func(b *testing.B) {
		benchmarkRead(b, fill(b, jetstream.Options{Dir: b.TempDir()}, 20_000, 100), 19_000)
	})
	b.Run("old", func(b *testing.B) {
		benchmarkRead(b, fill(b, jetstream.Options{Dir: b.TempDir(), Tail: -1}, 300_000, 100), 299_000)
	})
	b.Run("old-of-small-blocks", func(b *testing.B) {
		benchmarkRead(b, fill(b, jetstream.Options{Dir: b.TempDir(), Tail: -1, Flush: jetstream.Never}, 20_000, 1), 19_000)
	})
}

func BenchmarkPut(b *testing.B) {
	e := open(b, jetstream.Options{Dir: b.TempDir()})
	value := make([]byte, 128)
	b.ResetTimer()
	for i := range b.N {
		if err := e.Records().Put(engine.Retained, fmt.Sprint("sensors/", i%100_000), value); err != nil {
			b.Fatal(err)
		}
	}
	if err := e.Records().Sync(b.Context()); err != nil {
		b.Fatal(err)
	}
	perEntry(b, b.N)
}

func BenchmarkLoad100000(b *testing.B) {
	e := open(b, jetstream.Options{Dir: b.TempDir()})
	for i := range 100_000 {
		if err := e.Records().Put(engine.Retained, fmt.Sprint("sensors/", i), make([]byte, 128)); err != nil {
			b.Fatal(err)
		}
	}
	if err := e.Records().Sync(b.Context()); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		n := 0
		err := e.Records().Load(engine.Retained, func(string, []byte) error { n++; return nil })
		if err != nil || n != 100_000 {
			b.Fatal(n, err)
		}
	}
}
