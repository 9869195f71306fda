package e2e_test

import (
	"net"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

// measuring skips a test that measures unless it is asked for: it takes long, and
// what else the machine does shows in it.
func measuring(t *testing.T) {
	t.Helper()
	if os.Getenv("OMNIBUS_E2E_MEASURE") == "" {
		t.Skip("it measures, which is done when OMNIBUS_E2E_MEASURE is set")
	}
}

// hubRounds is how often each hub is measured, in turn; the median counts.
const hubRounds = 5

// contestant is one hub of a comparison.
type contestant struct {
	name    string
	process *process
	address string
	full    []outcome // as many frames as it takes
	paced   []outcome // as many as all can take
}

// of is the median of what the rounds say.
func of(rounds []outcome, f func(outcome) float64) float64 {
	var all []float64
	for _, o := range rounds {
		all = append(all, f(o))
	}
	slices.Sort(all)
	return all[len(all)/2]
}

func (o outcome) p50() float64 { return o.quantile(0.5) }
func (o outcome) p99() float64 { return o.quantile(0.99) }

func (h *contestant) tell(t *testing.T) {
	t.Logf("%-8s %9.0f deliveries/s, %6.0f ns CPU each, p50 %7.3f ms, p99 %7.3f ms; paced p50 %7.3f ms, p99 %7.3f ms", h.name,
		of(h.full, outcome.perSecond), of(h.full, outcome.cpuEach), of(h.full, outcome.p50), of(h.full, outcome.p99),
		of(h.paced, outcome.p50), of(h.paced, outcome.p99))
}

// TestMycroftHubsSideBySide measures this hub and hubs on Python's Tornado in one
// run: 20 clients, one of which sends. The ratios are what counts, since the figures
// move with the machine; it fails when this hub is not even ten times as fast, which
// no machine explains.
//
//	OMNIBUS_E2E_MEASURE=1 go test -run MycroftHubs -v ./e2e
func TestMycroftHubsSideBySide(t *testing.T) {
	measuring(t)
	l := load{clients: 20, window: 64, burst: 16, frame: `{"type":"bench.x","data":{"text":"xxxxxxxxxxxxx"},"context":{}}`}
	slow := l
	slow.burst, slow.pause = 1, 2*time.Millisecond
	at, p := serveProcess(t)
	hubs := []*contestant{{name: "omnibus", process: p, address: net.JoinHostPort(at.mycroftAddress()[0], at.mycroftAddress()[1])}}
	for name, module := range map[string]string{"tornado": "tornado", "ovos": "ovos_messagebus"} {
		p := start(t, python(t, module), "testdata/mycroft_hub.py", name)
		_, port, _ := strings.Cut(p.expect(t, "port "), " ")
		hubs = append(hubs, &contestant{name: name, process: p, address: net.JoinHostPort("127.0.0.1", port)})
	}
	for range hubRounds {
		for _, h := range hubs {
			pid := h.process.cmd.Process.Pid
			h.full = append(h.full, l.run(t, h.address, pid, 2*time.Second))
			h.paced = append(h.paced, slow.run(t, h.address, pid, time.Second))
		}
	}
	ours := hubs[0]
	ours.tell(t)
	for _, h := range hubs[1:] {
		h.tell(t)
		rate := of(ours.full, outcome.perSecond) / of(h.full, outcome.perSecond)
		cpu := of(h.full, outcome.cpuEach) / of(ours.full, outcome.cpuEach)
		t.Logf("compared with %s: %.0f times the deliveries a second, 1/%.0f of the CPU time each", h.name, rate, cpu)
		if rate < 10 || cpu < 10 {
			t.Errorf("this hub is only %.1f times as fast as %s, with 1/%.1f of the CPU time", rate, h.name, cpu)
		}
	}
}

// TestMycroftIdleClients tells what a client that does nothing takes of the program's
// resident memory.
func TestMycroftIdleClients(t *testing.T) {
	measuring(t)
	const n, most = 4000, 12 << 10
	at, p := serveProcess(t)
	address := net.JoinHostPort(at.mycroftAddress()[0], at.mycroftAddress()[1])
	pid := p.cmd.Process.Pid
	join := func(n int) {
		for range n {
			c, _ := joinHub(t, address)
			t.Cleanup(func() { _ = c.Close() })
		}
	}
	join(10) // what is made once is there
	before := residentBytes(t, pid)
	join(n)
	each := (residentBytes(t, pid) - before) / n
	t.Logf("%d idle clients take %d bytes each", n, each)
	if each > most {
		t.Errorf("an idle client takes %d bytes, want at most %d", each, most)
	}
}
