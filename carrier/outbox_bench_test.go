package carrier_test

import (
	"io"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"

	"omnibus/carrier"
)

// BenchmarkOutboxOverTCP sends messages of 80 bytes to outboxes over loopback: an append that starts a flusher for each,
// or 16 appended and then one kick. A batch is 16 messages to each outbox; what is reported is for one message to one.
// Paced, the next batch waits until the last is written; in a flood it does not, so that flushers find more than a batch
// to write at once.
func BenchmarkOutboxOverTCP(b *testing.B) {
	const batch = 16
	message := make([]byte, 80)
	ways := map[string]func(b *testing.B, boxes []*carrier.Outbox){
		"append": func(b *testing.B, boxes []*carrier.Outbox) {
			for range batch {
				for _, o := range boxes {
					noError(b, o.Append(message))
				}
			}
		},
		"kick": func(b *testing.B, boxes []*carrier.Outbox) {
			for range batch {
				for _, o := range boxes {
					_, err := o.CommitLater(append(o.Begin(), message...))
					noError(b, err)
				}
			}
			for _, o := range boxes {
				o.Kick()
			}
		},
	}
	for _, peers := range []int{1, 100} {
		for _, name := range []string{"append/paced", "kick/paced", "append/flood", "kick/flood"} {
			name, pace, _ := strings.Cut(name, "/")
			b.Run(name+"/"+pace+"/"+strconv.Itoa(peers), func(b *testing.B) {
				boxes := make([]*carrier.Outbox, peers)
				var readers sync.WaitGroup
				for i := range boxes {
					server, client := tcpPair(b, false)
					boxes[i] = carrier.NewOutbox(server, carrier.OutboxOptions{MaxBytes: 64 << 20})
					readers.Go(func() { _, _ = io.Copy(io.Discard, client) })
					defer func() { _ = server.Close() }()
				}
				b.ReportAllocs()
				cpu := cpuTime(b)
				for b.Loop() {
					ways[name](b, boxes)
					for i := 0; i < len(boxes) && pace == "paced"; i++ {
						for n, _ := boxes[i].Pending(); n > 0; n, _ = boxes[i].Pending() {
							runtime.Gosched()
						}
					}
				}
				for _, o := range boxes {
					noError(b, o.Flush(b.Context()))
				}
				deliveries := float64(b.N * batch * peers)
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/deliveries, "ns/delivery")
				b.ReportMetric(float64((cpuTime(b)-cpu).Nanoseconds())/deliveries, "cpu-ns/delivery")
				for _, o := range boxes {
					noError(b, o.Close())
				}
			})
		}
	}
}
