package mqttclient

import (
	"fmt"
	"os"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

const (
	// rounds is how often each client is measured, one after the other so that a noisy machine is noisy for all.
	rounds = 5
	// idle is how many connected clients are weighed at a time.
	idle = 200
	// callers publish at the same time.
	callers = 100
	// span is how long they do.
	span = time.Second
	// What is required of ours.
	memoryAtMost = 1.0 / 3
	rateAtLeast  = 2.0
)

// TestRatios measures all contenders and checks what is required of ours.
func TestRatios(t *testing.T) {
	if os.Getenv("OMNIBUS_RATIOS") == "" {
		t.Skip("it measures for a minute or more: set OMNIBUS_RATIOS=1")
	}
	address, bare := broker(t)
	memory, alone, together := make(figures), make(figures), make(figures)
	for round := range rounds {
		for _, c := range contenders {
			memory.add(c.name, weigh(t, c, address, round == 0))
			alone.add(c.name, rate(t, c, address, 1))
			together.add(c.name, rate(t, c, address, callers))
		}
	}
	t.Logf("%-18s %14s %14s %14s", "", "idle bytes", "1 caller /s", fmt.Sprint(callers, " callers /s"))
	for _, c := range contenders {
		t.Logf("%-18s %14.0f %14.0f %14.0f", c.name, memory.least(c.name), alone.most(c.name), together.most(c.name))
	}
	for _, ours := range contenders[:2] {
		for _, theirs := range contenders[2:] {
			m := memory.least(ours.name) / memory.least(theirs.name)
			one := alone.most(ours.name) / alone.most(theirs.name)
			many := together.most(ours.name) / together.most(theirs.name)
			t.Logf("%s against %s: %.2f of the memory, %.2f times the rate of 1 caller, %.2f of %d", ours.name, theirs.name, m, one, many, callers)
			if !bare {
				continue // the broker is measured, too
			}
			if m > memoryAtMost {
				t.Errorf("%s takes %.2f of the memory of %s, at most %.2f is right", ours.name, m, theirs.name, memoryAtMost)
			}
			if many < rateAtLeast {
				t.Errorf("%s publishes %.2f times as fast as %s, at least %.1f is right", ours.name, many, theirs.name, rateAtLeast)
			}
		}
	}
}

// figures are measurements by contender.
type figures map[string][]float64

func (f figures) add(name string, x float64) { f[name] = append(f[name], x) }
func (f figures) least(name string) float64  { return slices.Min(f[name]) }
func (f figures) most(name string) float64   { return slices.Max(f[name]) }

// weigh is the heap and the stacks that an idle connected client takes.
func weigh(t *testing.T, c contender, address string, tell bool) float64 {
	t.Helper()
	heap, stacks, goroutines := usage()
	all := make([]client, idle)
	for i := range all {
		all[i] = c.connect(t, address, fmt.Sprint("idle", i))
	}
	heap2, stacks2, goroutines2 := usage()
	for _, one := range all {
		one.close()
	}
	if tell {
		t.Logf("%-18s heap %6.0f stacks %6.0f goroutines %4.1f each", c.name, (heap2-heap)/idle, (stacks2-stacks)/idle, float64(goroutines2-goroutines)/idle)
	}
	return (heap2 - heap + stacks2 - stacks) / idle
}

// usage is what is in use when the garbage is gone.
func usage() (heap, stacks float64, goroutines int) {
	time.Sleep(50 * time.Millisecond) // goroutines that only begin or end
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return float64(m.HeapAlloc), float64(m.StackInuse), runtime.NumGoroutine()
}

// rate is how many messages of QoS 1 a second one client publishes for a number of callers, each of which waits for
// its acknowledgement.
func rate(t *testing.T, c contender, address string, callers int) float64 {
	t.Helper()
	one := c.connect(t, address, "rate")
	defer one.close()
	payload := make([]byte, 64)
	var count atomic.Int64
	var over atomic.Bool
	var running sync.WaitGroup
	publish := func() {
		for !over.Load() {
			if err := one.publish("bench/topic", payload, 1); err != nil {
				t.Error(err)
				return
			}
			count.Add(1)
		}
	}
	for range callers {
		running.Go(publish)
	}
	time.Sleep(span / 10) // the first are not counted
	start, before := time.Now(), count.Load()
	time.Sleep(span)
	n, took := count.Load()-before, time.Since(start)
	over.Store(true)
	running.Wait()
	return float64(n) / took.Seconds()
}
