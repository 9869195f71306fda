package dialecttest

import (
	"fmt"
	"io"
	"net"
	"testing"
	"time"
)

// malformed sends what no healthy client sends, while healthy clients go on.
// Each input has a server of its own, so that nothing else can raise a counter.
func (s *suite) malformed(t *testing.T) {
	d := s.driver
	if len(d.Malformed) == 0 || len(d.MalformedCounters) == 0 {
		t.Fatal("the driver names no malformed input, or no counters for it")
	}
	raised := make(map[string]int64)
	for i, bad := range d.Malformed {
		t.Run(fmt.Sprintf("malformed_%d", i), func(t *testing.T) {
			alone := newSuite(t, d)
			alone.attack(t, bad, func() { alone.eventuallyCounted(t, bad) })
			for _, c := range d.MalformedCounters {
				raised[c] += alone.server.Counted(d.Spec.Name, c)
			}
		})
	}
	for _, c := range d.MalformedCounters {
		if raised[c] == 0 {
			t.Errorf("the counter %q was never raised: the driver must not name it, or name input for it", c)
		}
	}
	for i, bad := range d.Unfinished {
		t.Run(fmt.Sprintf("unfinished_%d", i), func(t *testing.T) { newSuite(t, d).attack(t, bad, func() {}) })
	}
}

// attack sends and hangs up, and healthy clients do not notice.
func (s *suite) attack(t *testing.T, bad string, counted func()) {
	t.Helper()
	name := s.topic("conformance.healthy")
	healthy := s.dial(t)
	box := s.listen(t, s.dial(t), name)
	n := 0
	undisturbed := func() {
		t.Helper()
		publish(t, healthy, name, number(n))
		expect(t, box.next(t), name, fmt.Sprintf(`{"n":%d}`, n))
		n++
	}
	undisturbed()
	if n := s.malformedCount(); n != 0 {
		t.Fatalf("healthy clients raised the counters %q by %d", s.driver.MalformedCounters, n)
	}
	c, err := net.Dial("tcp", host(t, s.server.URLs[s.driver.Spec.Name]))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_, _ = io.WriteString(c, bad)
	undisturbed()
	_ = c.(*net.TCPConn).CloseWrite() // and not Close, so that what was sent is read in any case
	counted()
	undisturbed()
}

func (s *suite) malformedCount() int64 {
	return s.server.Counted(s.driver.Spec.Name, s.driver.MalformedCounters...)
}

// eventuallyCounted waits until one of the counters has been raised.
func (s *suite) eventuallyCounted(t *testing.T, bad string) {
	t.Helper()
	deadline := time.Now().Add(Patience)
	for s.malformedCount() == 0 {
		if time.Now().After(deadline) {
			t.Fatalf("malformed input is not counted: %.100q", bad)
		}
		time.Sleep(time.Millisecond) // real time: the counter is in the hands of the other side
	}
}
