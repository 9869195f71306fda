package inproc

import (
	"fmt"
	"testing"
)

// burst is how many handler calls are under way before the publisher waits for
// them.
const burst = 100

// run is the benchmark of one contender. Publishes are counted, not handlers.
func run(b *testing.B, c contender, n int) {
	publish, wait := c.setup(b, n)
	msg := fmt.Sprint("21.", b.N) // no constant: whoever boxes it pays for it
	every := max(1, burst/n)
	b.ReportAllocs()
	b.ResetTimer()
	for i := 1; i <= b.N; i++ {
		publish(msg)
		if wait != nil && i%every == 0 {
			wait()
		}
	}
	if wait != nil {
		wait()
	}
}

func benchmark(b *testing.B, sizes []int, groups ...[]contender) {
	for _, n := range sizes {
		for _, group := range groups {
			for _, c := range group {
				b.Run(fmt.Sprintf("%d/%s", n, c.name), func(b *testing.B) { run(b, c, n) })
			}
		}
	}
}

// BenchmarkInCaller: the handlers run in the publishing goroutine.
func BenchmarkInCaller(b *testing.B) { benchmark(b, []int{1, 10, 100}, inCaller) }

// BenchmarkQueued: each subscriber has a queue and a goroutine.
func BenchmarkQueued(b *testing.B) { benchmark(b, []int{1, 100}, queued) }

// BenchmarkSpawned: each handler and message has a goroutine.
func BenchmarkSpawned(b *testing.B) { benchmark(b, []int{1, 100}, spawned) }
