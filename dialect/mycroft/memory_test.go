package mycroft_test

import (
	"bytes"
	"context"
	"log/slog"
	"net"
	"runtime"
	"sync"
	"testing"

	"omnibus/broker"
	"omnibus/carrier"
	"omnibus/dialect"
	"omnibus/dialect/dialecttest"
	"omnibus/dialect/mycroft"
)

// inMemory serves a hub on a network in memory and returns how to connect.
func inMemory(t testing.TB) (b *broker.Broker, dial func() net.Conn) {
	t.Helper()
	b, err := broker.New(broker.Options{})
	if err != nil {
		t.Fatal(err)
	}
	d, err := mycroft.Defaults().Open(dialect.Env{Port: b, Log: slog.New(slog.DiscardHandler), Counter: b.Counters().Group("mycroft")})
	if err != nil {
		t.Fatal(err)
	}
	var network carrier.Memory
	l := network.Listen("hub")
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		if err := mycroft.ServeOn(ctx, d, l); err != nil {
			t.Errorf("running the hub: %v", err)
		}
	})
	t.Cleanup(func() {
		cancel()
		running.Wait()
		ctx, cancel := context.WithTimeout(context.Background(), dialecttest.Patience)
		defer cancel()
		if err := b.Close(ctx); err != nil {
			t.Errorf("closing the broker: %v", err)
		}
	})
	return b, func() net.Conn {
		c, err := network.Dial(t.Context(), "hub")
		if err != nil {
			t.Error(err)
		}
		return c
	}
}

// greeted takes what a client gets until it is greeted.
func greeted(t testing.TB, c net.Conn) {
	t.Helper()
	if _, err := c.Write([]byte(handshake)); err != nil {
		t.Error(err)
	}
	var got []byte
	for buf := make([]byte, 512); ; {
		n, err := c.Read(buf)
		got = append(got, buf[:n]...)
		if bytes.Contains(got, []byte(greeting)) {
			return
		}
		if err != nil {
			t.Errorf("greeted with %q, %v", got, err)
			return
		}
	}
}

// memory is what the heap and the stacks hold.
func memory() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m.HeapAlloc + m.StackInuse
}

// TestTenThousandClientsLeaveNothingBehind: they come in crowds, talk, and end in
// several ways.
func TestTenThousandClientsLeaveNothingBehind(t *testing.T) {
	b, dial := inMemory(t)
	const crowds, crowd = 20, 500
	come := func() {
		var clients sync.WaitGroup
		for i := range crowd {
			clients.Go(func() {
				c := dial()
				defer c.Close()
				greeted(t, c)
				switch i % 4 {
				case 0: // nothing more
				case 1: // a close frame, without a mask key that changes anything
					_, _ = c.Write([]byte("\x88\x82\x00\x00\x00\x00\x03\xe8"))
				case 2: // asks for some types, and dies with half a frame
					_, _ = c.Write([]byte("\x81\xb4\x00\x00\x00\x00" + `{"type":"omnibus.select","data":{"types":["a","b*"]}}`[:52] + "\x81"))
				case 3:
					_, _ = c.Write([]byte("\x81\x8e\x00\x00\x00\x00" + `{"type":"bye"}`))
				}
			})
		}
		clients.Wait()
		eventually(t, "the departure of all", func() bool { return b.Status().Peers["mycroft"] == 0 })
	}
	come() // what is made once is there
	before, goroutines := memory(), runtime.NumGoroutine()
	for range crowds {
		come()
	}
	eventually(t, "the end of their goroutines", func() bool { return runtime.NumGoroutine() <= goroutines })
	if after := memory(); after > before+crowds*crowd*100 {
		t.Errorf("%d clients left %d bytes behind", crowds*crowd, after-before)
	}
	if n := b.Counters().Snapshot()["mycroft"]["connections"]; n != (crowds+1)*crowd {
		t.Errorf("counted %d connections", n)
	}
}

// BenchmarkIdleClient tells what a client costs that does nothing: bytes of heap and
// stack, the pipe in memory that stands for the socket included.
func BenchmarkIdleClient(b *testing.B) {
	_, dial := inMemory(b)
	const n = 2000
	clients := make([]net.Conn, n)
	before := memory()
	for i := range clients {
		clients[i] = dial()
		greeted(b, clients[i])
	}
	after := memory()
	for b.Loop() {
		runtime.KeepAlive(clients)
	}
	b.ReportMetric(float64(after-before)/n, "B/client")
	for _, c := range clients {
		_ = c.Close()
	}
}
