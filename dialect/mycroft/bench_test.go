package mycroft_test

import (
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	"omnibus/broker"
	"omnibus/carrier"
	"omnibus/payload"
)

// BenchmarkBroadcast sends frames of 64 bytes to 20 clients on the loopback
// interface; clients and hub share the processor.
func BenchmarkBroadcast(b *testing.B) {
	const clients, window = 20, 512
	frame := `{"type":"bench.broadcast","data":{"text":""},"context":{}}`
	frame = strings.Replace(frame, `""`, `"`+strings.Repeat("x", 64-len(frame))+`"`, 1)
	for name, send := range map[string]func(s *server, c *client){
		"from_a_client": func(_ *server, c *client) { c.send(b, frame) },
		"from_the_bus":  func(s *server, _ *client) { publish(b, s.bus, "bench.broadcast", payload.JSON, `{"text":"xxxxxx"}`) },
	} {
		b.Run(fmt.Sprintf("%s/64B/%d_clients", name, clients), func(b *testing.B) {
			s := start(b, broker.Options{}, nil)
			var got atomic.Int64
			arrived := make(chan struct{}, clients)
			all := make([]*client, clients)
			for i := range all {
				all[i] = s.idle(b)
			}
			const marks = clients - 1 // frames by which the later clients were found to be known
			for i, c := range all {
				go func() {
					for skip := marks - i; ; skip-- {
						op, _, err := c.ws.Read()
						if err != nil || op != carrier.Text {
							return
						}
						if skip > 0 {
							continue
						}
						if got.Add(1)%(clients*window) == 0 {
							arrived <- struct{}{}
						}
					}
				}()
			}
			sent := 0
			for b.Loop() {
				send(s, all[0])
				if sent++; sent%window == 0 {
					within(b, arrived, "the arrival of a window")
				}
			}
			eventually(b, "the arrival of all", func() bool { return got.Load() == int64(sent)*clients })
			perSecond := float64(sent) * clients / b.Elapsed().Seconds()
			b.ReportMetric(perSecond, "deliveries/s")
			b.ReportMetric(1e9/perSecond, "ns/delivery")
		})
	}
}
