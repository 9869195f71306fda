package e2e_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// load is broadcasting through a hub in a closed loop: one client sends, all
// receive, and no more than a window of frames is on its way to the slowest. The
// frames are all alike, so a client only counts bytes.
type load struct {
	clients, window, burst int
	frame                  string        // what is sent, as text
	pause                  time.Duration // between bursts; 0 for as fast as it goes
}

// outcome is what one round of a load has shown.
type outcome struct {
	deliveries int64
	elapsed    time.Duration
	cpu        time.Duration // of the hub
	latency    []time.Duration
}

func (o outcome) perSecond() float64 { return float64(o.deliveries) / o.elapsed.Seconds() }
func (o outcome) cpuEach() float64   { return float64(o.cpu.Nanoseconds()) / float64(o.deliveries) }

// quantile is in milliseconds.
func (o outcome) quantile(q float64) float64 {
	slices.Sort(o.latency)
	return float64(o.latency[int(q*float64(len(o.latency)-1))].Nanoseconds()) / 1e6
}

// stampEvery is how many frames share a sample of the latency, and stamps how many
// of these are remembered: more than a window has.
const stampEvery, stamps = 16, 1 << 12

// round is one run of a load.
type round struct {
	load
	sent     atomic.Int64
	progress []atomic.Int64 // frames that each client has
	stamp    [stamps]atomic.Int64
	began    time.Time
	wake     chan struct{}
	fault    atomic.Pointer[error]

	mu      sync.Mutex
	latency []time.Duration
}

// run loads the hub at an address for about the given time.
func (l load) run(t testing.TB, address string, pid int, lasting time.Duration) outcome {
	t.Helper()
	r := &round{load: l, progress: make([]atomic.Int64, l.clients), wake: make(chan struct{}, 1), began: time.Now()}
	conns := make([]net.Conn, l.clients)
	inputs := make([]*bufio.Reader, l.clients)
	for i := range conns {
		conns[i], inputs[i] = joinHub(t, address)
		defer conns[i].Close()
	}
	// The later clients are known to the hub when all have a frame.
	if _, err := conns[0].Write(l.wire(1, true)); err != nil {
		t.Fatal(err)
	}
	for _, in := range inputs {
		if _, err := io.CopyN(io.Discard, in, int64(len(l.wire(1, false)))); err != nil {
			t.Fatal(err)
		}
	}
	var readers sync.WaitGroup
	for i := range conns {
		readers.Go(func() { r.receive(i, conns[i]) })
	}
	before, began := cpuTime(t, pid), time.Now()
	r.send(conns[0], began.Add(lasting))
	r.settle(t)
	o := outcome{elapsed: time.Since(began), cpu: cpuTime(t, pid) - before, deliveries: r.sent.Load() * int64(l.clients)}
	for _, c := range conns {
		_ = c.Close()
	}
	readers.Wait()
	o.latency = r.latency
	return o
}

// wire is n frames as they go to the hub (masked, with zeros) or come from it.
func (l load) wire(n int, masked bool) []byte {
	if len(l.frame) > 125 {
		panic("the load's frames are short ones")
	}
	head := []byte{0x81, byte(len(l.frame))}
	if masked {
		head = []byte{0x81, 0x80 | byte(len(l.frame)), 0, 0, 0, 0}
	}
	return []byte(strings.Repeat(string(head)+l.frame, n))
}

func (r *round) behind() int64 {
	least := r.sent.Load()
	for i := range r.progress {
		least = min(least, r.progress[i].Load())
	}
	return r.sent.Load() - least
}

func (r *round) send(c net.Conn, until time.Time) {
	bursts := r.wire(r.burst, true)
	for time.Now().Before(until) && r.fault.Load() == nil {
		for r.behind() > int64(r.window-r.burst) && r.fault.Load() == nil {
			<-r.wake
		}
		time.Sleep(r.pause) // real time: the pace of the load
		sent := r.sent.Load()
		now := int64(time.Since(r.began))
		for i := sent; i < sent+int64(r.burst); i++ {
			if i%stampEvery == 0 {
				r.stamp[i/stampEvery%stamps].Store(now)
			}
		}
		r.sent.Add(int64(r.burst))
		if _, err := c.Write(bursts); err != nil {
			r.fail(err)
			return
		}
	}
}

func (r *round) fail(err error) {
	r.fault.CompareAndSwap(nil, &err)
	r.signal()
}

func (r *round) signal() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// settle waits until everybody has everything.
func (r *round) settle(t testing.TB) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for r.behind() > 0 {
		if err := r.fault.Load(); err != nil {
			t.Fatalf("the load ended: %v", *err)
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d frames did not arrive everywhere", r.behind())
		}
		select {
		case <-r.wake:
		case <-time.After(time.Millisecond):
		}
	}
}

func (r *round) receive(i int, c net.Conn) {
	size := int64(len(r.wire(1, false)))
	buf := make([]byte, 256<<10)
	var bytes, frames int64
	var latency []time.Duration
	for {
		n, err := c.Read(buf)
		bytes += int64(n)
		now := int64(time.Since(r.began))
		for ; frames < bytes/size; frames++ {
			if frames%stampEvery == 0 {
				latency = append(latency, time.Duration(now-r.stamp[frames/stampEvery%stamps].Load()))
			}
		}
		r.progress[i].Store(frames)
		r.signal()
		if err != nil {
			if frames < r.sent.Load() {
				r.fail(fmt.Errorf("client %d: %w", i, err))
			}
			r.mu.Lock()
			defer r.mu.Unlock()
			r.latency = append(r.latency, latency...)
			return
		}
	}
}

// joinHub connects a client and takes the greeting.
func joinHub(t testing.TB, address string) (net.Conn, *bufio.Reader) {
	t.Helper()
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := fmt.Fprintf(c, "GET /core HTTP/1.1\r\nHost: %s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"+
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n", address); err != nil {
		t.Fatal(err)
	}
	in := bufio.NewReader(c)
	answer, err := http.ReadResponse(in, nil) //nolint:bodyclose // the answer to an upgrade has none
	if err != nil || answer.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("the hub answered %v, %v", answer, err)
	}
	head := make([]byte, 2)
	if _, err := io.ReadFull(in, head); err != nil || head[0] != 0x81 || head[1] > 125 {
		t.Fatalf("greeted with % x, %v", head, err)
	}
	if _, err := io.CopyN(io.Discard, in, int64(head[1])); err != nil {
		t.Fatal(err)
	}
	return c, in
}

// cpuTime is what a process has used so far.
func cpuTime(t testing.TB, pid int) time.Duration {
	t.Helper()
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		t.Skipf("the processor time of a process cannot be read here: %v", err)
	}
	_, rest, _ := strings.Cut(string(stat), ") ")
	fields := strings.Fields(rest)
	var ticks int64
	for _, f := range fields[11:13] { // user and system
		n, err := strconv.ParseInt(f, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		ticks += n
	}
	return time.Duration(ticks) * 10 * time.Millisecond
}

// residentBytes is what a process holds in memory.
func residentBytes(t testing.TB, pid int) int64 {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
	if err != nil {
		t.Skipf("the memory of a process cannot be read here: %v", err)
	}
	pages, err := strconv.ParseInt(strings.Fields(string(text))[1], 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return pages * int64(os.Getpagesize())
}
