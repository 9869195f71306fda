package e2e_test

import (
	"net"
	"slices"
	"strings"
	"testing"
	"time"
)

// hubRounds is how often each hub is measured, in turn; the median counts.
const hubRounds = 3

// BenchmarkMycroftHubs measures this hub and hubs on Python's Tornado side by side:
// 20 clients, one of which sends. What it reports are ratios, since the figures move
// with the machine.
//
//	go test -run '^$' -bench MycroftHubs -benchtime 1x ./e2e
func BenchmarkMycroftHubs(b *testing.B) {
	l := load{clients: 20, window: 64, burst: 16, frame: `{"type":"bench.x","data":{"text":"xxxxxxxxxxxxx"},"context":{}}`}
	hubs := []struct {
		name    string
		process *process
		address string
		rounds  []outcome
	}{{name: "omnibus"}, {name: "tornado"}, {name: "ovos"}}
	for i := range hubs {
		h := &hubs[i]
		if h.name == "omnibus" {
			var at broker
			at, h.process = serveProcess(b)
			h.address = net.JoinHostPort(at.mycroftAddress()[0], at.mycroftAddress()[1])
			continue
		}
		module := map[string]string{"tornado": "tornado", "ovos": "ovos_messagebus"}[h.name]
		h.process = start(b, python(b, module), "testdata/mycroft_hub.py", h.name)
		_, port, _ := strings.Cut(h.process.expect(b, "port "), " ")
		h.address = net.JoinHostPort("127.0.0.1", port)
	}
	for b.Loop() {
		for range hubRounds {
			for i := range hubs {
				h := &hubs[i]
				h.rounds = append(h.rounds, l.run(b, h.address, h.process.cmd.Process.Pid, 3*time.Second))
			}
		}
	}
	median := func(of []outcome, f func(outcome) float64) float64 {
		var all []float64
		for _, o := range of {
			all = append(all, f(o))
		}
		slices.Sort(all)
		return all[len(all)/2]
	}
	ours := hubs[0].rounds
	for _, h := range hubs {
		rate, cpu := median(h.rounds, outcome.perSecond), median(h.rounds, outcome.cpuEach)
		b.Logf("%-8s %9.0f deliveries/s, %6.0f ns CPU each, latency p50 %7.3f ms, p99 %7.3f ms", h.name, rate, cpu,
			median(h.rounds, func(o outcome) float64 { return o.quantile(0.5) }), median(h.rounds, func(o outcome) float64 { return o.quantile(0.99) }))
		if h.name != "omnibus" {
			b.ReportMetric(median(ours, outcome.perSecond)/rate, "x-rate/"+h.name)
			b.ReportMetric(cpu/median(ours, outcome.cpuEach), "x-cpu/"+h.name)
		}
	}
	b.ReportMetric(median(ours, func(o outcome) float64 { return o.quantile(0.99) }), "p99-ms")
}

// BenchmarkMycroftIdleClients tells what a client that does nothing takes of the
// program's resident memory.
func BenchmarkMycroftIdleClients(b *testing.B) {
	const n = 4000
	at, p := serveProcess(b)
	address := net.JoinHostPort(at.mycroftAddress()[0], at.mycroftAddress()[1])
	pid := p.cmd.Process.Pid
	for range 10 { // what is made once is there
		c, _ := joinHub(b, address)
		defer c.Close()
	}
	before := residentBytes(b, pid)
	for range n {
		c, _ := joinHub(b, address)
		defer c.Close()
	}
	for b.Loop() {
		b.ReportMetric(float64(residentBytes(b, pid)-before)/n, "B/client")
	}
}
