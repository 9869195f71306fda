package mqtt_test

import (
	"runtime"
	"testing"

	"omnibus/dialect/mqtt/packet"
)

// BenchmarkIdleConnection tells what a connection costs that does nothing: bytes of
// heap and stack, the pipe in memory that stands for the socket included.
func BenchmarkIdleConnection(b *testing.B) {
	p := serve(b, options{})
	const n = 2000
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	clients := make([]*client, n)
	for i := range clients {
		clients[i] = p.connect(packet.V311, "")
	}
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&after)
	for b.Loop() {
		runtime.KeepAlive(clients)
	}
	b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/n, "heap-B/conn")
	b.ReportMetric(float64(after.StackInuse-before.StackInuse)/n, "stack-B/conn")
}
