package bench_test

import (
	"net"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"omnibus/bench"
)

func TestABrokerIsStartedMeasuredAndStopped(t *testing.T) { // not in parallel: another test could get the port
	l, err := net.Listen("tcp", "127.0.0.1:0") // a port that is free afterwards
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	_, port, _ := net.SplitHostPort(address)
	_ = l.Close()
	for name, b := range map[string]bench.Broker{
		"on a free port":  {Name: "toy", Command: []string{os.Args[0], "toy", "{port}"}},
		"on a given port": {Name: "toy", Command: []string{os.Args[0], "toy", port}, URL: "mqtt://" + address},
	} {
		t.Run(name, func(t *testing.T) {
			o := quick("one-to-one")
			o.Brokers = []bench.Broker{b}
			r, err := bench.Run(t.Context(), o)
			if err != nil {
				t.Fatal(err)
			}
			found := r.Scenarios[0].Brokers[0].Median
			if found.Error != "" {
				t.Fatal(found.Error)
			}
			if runtime.GOOS == "linux" && (found.Memory == nil || found.Memory.Resident <= 0 || len(found.Notes) > 0) {
				t.Errorf("nothing is known of its process: %+v", found)
			}
			if c, err := net.Dial("tcp", address); err == nil {
				_ = c.Close()
				t.Error("it still runs")
			}
		})
	}
}

func TestACommandThatFailsIsQuoted(t *testing.T) { // not in parallel: another test's broker could get the port
	for want, command := range map[string][]string{
		"it has ended (exit status 3); it said: no such setting:": {os.Args[0], "fail", "{port}"},
		"starting the broker: ":                                   {"/nowhere/broker", "{port}"},
	} {
		o := quick("one-to-one")
		o.Brokers = []bench.Broker{{Name: "toy", Command: command}}
		r, err := bench.Run(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		if got := r.Scenarios[0].Brokers[0].Median.Error; !strings.Contains(got, want) {
			t.Errorf("the error is %q, without %q", got, want)
		}
	}
}

// Else the one that listens there would be measured under another's name.
func TestACommandIsNotStartedWhereSomethingListens(t *testing.T) {
	t.Parallel()
	b := new(toy).start(t)
	o := quick("one-to-one")
	o.Brokers = []bench.Broker{{Name: "toy", Command: []string{os.Args[0], "toy", "x"}, URL: b.url}}
	r, err := bench.Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if got := r.Scenarios[0].Brokers[0].Median.Error; !strings.Contains(got, "something listens at ") {
		t.Errorf("the error is %q", got)
	}
}

func TestTheProcessIsTheOneOfTheOption(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("what a process uses can be read on Linux only")
	}
	t.Parallel()
	b := new(toy).start(t)
	o := quick("one-to-one")
	o.Brokers = []bench.Broker{{Name: "toy", URL: b.url, PID: 1 << 30}} // there is no such process
	r, err := bench.Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	found := r.Scenarios[0].Brokers[0].Median
	if found.Error != "" || found.Traffic.BrokerCPU != 0 || found.Memory != nil {
		t.Errorf("found %+v", found)
	}
	if !strings.Contains(strings.Join(found.Notes, " "), "not known: its process cannot be looked at") {
		t.Errorf("it notes %q", found.Notes)
	}
}

// A broker may stop reading, and must not keep the run from ending.
func TestABrokerThatReadsNoMore(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var held sync.WaitGroup
	held.Go(func() { // it answers CONNECT with CONNACK, and nothing else
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			held.Go(func() {
				defer c.Close()
				var buf [1 << 10]byte
				for {
					n, err := c.Read(buf[:])
					if err != nil {
						return
					}
					if buf[0]>>4 == 1 {
						_, _ = c.Write([]byte{2 << 4, 2, 0, 0})
					}
					if buf[0]>>4 == 8 { // SUBSCRIBE: the same packet identifier, QoS 0
						_, _ = c.Write([]byte{9 << 4, 3, buf[2], buf[3], 0})
					}
					if buf[0]>>4 == 3 || n == 0 {
						<-t.Context().Done() // a PUBLISH is where it stops
						return
					}
				}
			})
		}
	})
	t.Cleanup(func() { _ = l.Close(); held.Wait() })
	o := quick("one-to-one-1k")
	o.Window = 100_000 // more than the buffers of the system hold
	o.Duration = 200 * time.Millisecond
	o.Brokers = []bench.Broker{{Name: "toy", URL: "mqtt://" + l.Addr().String()}}
	r, err := bench.Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if got := r.Scenarios[0].Brokers[0].Median.Error; got != "no message arrived within 3.2s" {
		t.Errorf("the error is %q", got)
	}
}
