package inproc

import (
	"os"
	"slices"
	"testing"
)

// rounds is how often each contender is measured, one after the other so that
// a noisy machine is noisy for all of them.
const rounds = 15

// overhead is what sysbus may take beyond a bare goroutine: the look-up of the
// handlers and the account of those that run, without which there is no Close,
// plus the noise of a measurement.
const overhead = 1.25

// TestRatios measures all contenders and checks what is required of ours.
func TestRatios(t *testing.T) {
	if os.Getenv("OMNIBUS_RATIOS") == "" {
		t.Skip("it measures for a minute or more: set OMNIBUS_RATIOS=1")
	}
	for _, n := range []int{1, 10, 100} {
		m := measure(t, n, inCaller)
		switch n {
		case 1:
			m.atMost(t, "bus", "copy-on-write map", 2)
		case 100:
			m.atMost(t, "bus", "mustafaturan/bus", 1)
			m.atMost(t, "bus", "asaskevich/EventBus", 1)
			m.atMost(t, "bus", "cskr/pubsub", 1)
		}
	}
	measure(t, 1, queued)
	measure(t, 100, queued)
	for _, n := range []int{1, 100} {
		measure(t, n, spawned).atMost(t, "sysbus", "goroutine per handler", overhead)
	}
}

// measurement is nanoseconds for each publish, by contender and round.
type measurement struct {
	handlers int
	ns       map[string][]float64
}

// measure measures a group and prints best and median, and the ratios to the first.
func measure(t *testing.T, n int, group []contender) measurement {
	t.Helper()
	m := measurement{n, make(map[string][]float64)}
	allocs := make(map[string]int64)
	for range rounds {
		for _, c := range group {
			r := testing.Benchmark(func(b *testing.B) { run(b, c, n) })
			m.ns[c.name] = append(m.ns[c.name], float64(r.T.Nanoseconds())/float64(r.N))
			allocs[c.name] = r.AllocsPerOp()
		}
	}
	for _, c := range group {
		slices.Sort(m.ns[c.name])
		t.Logf("%3d handlers  %-26s best %9.1f ns  median %9.1f ns  %4d allocs  %6.2f x %s", n, c.name,
			m.ns[c.name][0], m.ns[c.name][rounds/2], allocs[c.name], m.ratio(c.name, group[0].name), group[0].name)
	}
	return m
}

// ratio is that of the best rounds: what else the machine does can only add.
func (m measurement) ratio(a, b string) float64 { return m.ns[a][0] / m.ns[b][0] }

func (m measurement) atMost(t *testing.T, a, b string, limit float64) {
	t.Helper()
	if got := m.ratio(a, b); got > limit {
		t.Errorf("%d handlers: %s takes %.2f times as long as %s, at most %.2f is right", m.handlers, a, got, b, limit)
	} else {
		t.Logf("%d handlers: %s takes %.2f times as long as %s, at most %.2f is right", m.handlers, a, got, b, limit)
	}
}
