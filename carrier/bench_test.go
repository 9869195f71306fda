package carrier_test

import (
	"context"
	"errors"
	"io"
	"net"
	"runtime"
	"strconv"
	"sync"
	"testing"
	"time"

	"omnibus/carrier"
)

func BenchmarkOutboxAppend64(b *testing.B) {
	for _, ending := range []string{"append only", "append and flush"} {
		b.Run(ending, func(b *testing.B) {
			s := &sink{}
			o := carrier.NewOutbox(s, carrier.OutboxOptions{})
			p := make([]byte, 64)
			b.ReportAllocs()
			b.SetBytes(64)
			for b.Loop() {
				for errors.Is(o.Append(p), carrier.ErrFull) {
					runtime.Gosched()
				}
				if ending == "append and flush" {
					noError(b, o.Flush(b.Context()))
				}
			}
			noError(b, o.Flush(b.Context()))
			b.ReportMetric(float64(s.bytes.Load())/64/float64(s.writes.Load()), "msgs/write")
			noError(b, o.Close())
		})
	}
}

// BenchmarkFanOut sends one compiled frame to 20 connections over loopback whose readers discard. The CPU time is that of
// the whole process, readers and kernel included.
func BenchmarkFanOut(b *testing.B) {
	for _, size := range []int{64, 500, 16 << 10} {
		b.Run(strconv.Itoa(size), func(b *testing.B) {
			const peers = 20
			var readers sync.WaitGroup
			sockets := make([]*carrier.WebSocket, peers)
			for i := range sockets {
				server, client := tcpPair(b, false)
				_, err := io.WriteString(client, handshakeRequest+"\r\n")
				noError(b, err)
				sockets[i], err = carrier.Upgrade(server, carrier.WebSocketOptions{})
				noError(b, err)
				readHead(b, client)
				readers.Go(func() {
					_, _ = io.CopyBuffer(struct{ io.Writer }{io.Discard}, struct{ io.Reader }{client}, make([]byte, 64<<10))
				})
			}
			compiled := carrier.CompileFrame(carrier.Text, make([]byte, size))
			b.ReportAllocs()
			cpu := cpuTime(b)
			full := 0
			for b.Loop() {
				for _, w := range sockets {
					for errors.Is(w.SendFrame(compiled), carrier.ErrFull) {
						full++
						noError(b, w.Flush(b.Context()))
					}
				}
			}
			for _, w := range sockets {
				noError(b, w.Flush(b.Context()))
			}
			deliveries := float64(b.N * peers)
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/deliveries, "ns/delivery")
			b.ReportMetric(float64((cpuTime(b)-cpu).Nanoseconds())/deliveries, "cpu-ns/delivery")
			b.ReportMetric(float64(full)/deliveries, "full/delivery")
			for _, w := range sockets {
				noError(b, w.Drop())
			}
			readers.Wait()
		})
	}
}

// BenchmarkEcho is a message of 64 bytes there and back over loopback, both roles ours.
func BenchmarkEcho(b *testing.B) {
	server, client := tcpPair(b, false)
	accepted := make(chan struct{})
	go func() {
		defer close(accepted)
		w, err := carrier.Upgrade(server, carrier.WebSocketOptions{})
		if err != nil {
			b.Error(err)
			return
		}
		echoMessages(w)
	}()
	w, err := carrier.ConnectWebSocket(b.Context(), client, "ws://bus/", carrier.WebSocketOptions{})
	noError(b, err)
	p := make([]byte, 64)
	b.ReportAllocs()
	for b.Loop() {
		noError(b, w.Send(carrier.Binary, p))
		_, _, err := w.Read()
		noError(b, err)
	}
	_ = w.Close(1000, "")
	<-accepted
}

// BenchmarkRead reads masked messages of 200 bytes that have all arrived.
func BenchmarkRead(b *testing.B) {
	a, c := tcpPair(b, false)
	_, err := io.WriteString(c, handshakeRequest+"\r\n")
	noError(b, err)
	w, err := carrier.Upgrade(a, carrier.WebSocketOptions{})
	noError(b, err)
	readHead(b, c)
	var many []byte
	for range 200 {
		many = append(many, frame{op: opText, mask: someMask, payload: make([]byte, 200)}.encode()...)
	}
	var writer sync.WaitGroup
	writer.Go(func() {
		for {
			if _, err := c.Write(many); err != nil {
				return
			}
		}
	})
	b.ReportAllocs()
	for b.Loop() {
		_, _, err := w.Read()
		noError(b, err)
	}
	_ = a.Close()
	writer.Wait()
	_ = w.Drop()
}

// BenchmarkIdleConnections reports what a connection parked in a read costs in memory, first as a bare socket, then
// as a WebSocket. What the other end costs is subtracted.
func BenchmarkIdleConnections(b *testing.B) {
	const conns = 1000
	park := map[string]func(net.Conn){
		"socket": func(c net.Conn) {
			one := make([]byte, 1)
			_, _ = c.Read(one)
		},
		"websocket": func(c net.Conn) {
			w, err := carrier.Upgrade(c, carrier.WebSocketOptions{})
			if err != nil {
				b.Error(err)
				return
			}
			for err == nil {
				_, _, err = w.Read()
			}
			_ = w.Drop()
		},
	}
	for name, handle := range park {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				servers, clients := make([]net.Conn, conns), make([]net.Conn, conns)
				for i := range conns {
					servers[i], clients[i] = tcpPair(b, false)
				}
				before := memoryInUse()
				ended := make(chan error, 1)
				go func() {
					ended <- carrier.Serve(b.Context(), &prepared{conns: servers}, carrier.ServeOptions{Grace: time.Minute},
						func(_ context.Context, c net.Conn) { handle(c) })
				}()
				if name == "websocket" {
					message := frame{op: opText, mask: someMask, payload: make([]byte, 1000)}.encode()
					for _, c := range clients {
						_, err := c.Write(append([]byte(handshakeRequest+"\r\n"), message...))
						noError(b, err)
						readHead(b, c)
					}
				}
				time.Sleep(200 * time.Millisecond) // real time: a benchmark lets the garbage collector settle
				after := memoryInUse()
				b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/conns, "heap-B/conn")
				b.ReportMetric(float64(after.StackInuse-before.StackInuse)/conns, "stack-B/conn")
				for _, c := range clients {
					_ = c.Close()
				}
				errIs(b, <-ended, net.ErrClosed)
			}
		})
	}
}

// prepared is a listener of connections that exist already.
type prepared struct{ conns []net.Conn }

func (l *prepared) Accept() (net.Conn, error) {
	if len(l.conns) == 0 {
		time.Sleep(time.Second) // real time: Serve ends with the last connection, after the measurement
		return nil, net.ErrClosed
	}
	c := l.conns[0]
	l.conns = l.conns[1:]
	return c, nil
}
func (*prepared) Close() error   { return nil }
func (*prepared) Addr() net.Addr { return &net.TCPAddr{} }

// memoryInUse collects garbage until stacks have shrunk.
func memoryInUse() runtime.MemStats {
	for range 5 {
		runtime.GC()
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m
}
