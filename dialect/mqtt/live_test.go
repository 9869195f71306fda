package mqtt_test

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"omnibus/dialect/mqtt/packet"
)

// raw is a client of prepared bytes: it allocates nothing.
type raw struct {
	*client
	buf []byte
}

// listen makes one that gets messages of the version and QoS 0 of size bytes.
func (p *place) listen(v packet.Version, size int, filters ...string) *raw {
	c := p.connect(v, "")
	c.subscribe(0, filters...)
	_ = c.c.SetReadDeadline(time.Now().Add(patience)) // the test fails on what it reads
	return &raw{c, make([]byte, size)}
}

// next reads the next bytes.
func (r *raw) next() {
	if _, err := io.ReadFull(r.c, r.buf); err != nil {
		r.t.Fatalf("reading: %v", err)
	}
}

func withProperties(p *packet.Publish) {
	p.Properties.User = p.Properties.User.Append("room", "kitchen").Append("unit", "°C")
	p.Properties.ContentType = "text/plain"
}

func TestTheLivePathAllocatesNothing(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	for _, test := range []struct {
		name   string
		v      packet.Version
		change []func(*packet.Publish)
		lists  [2][]string // the filters of the subscribers of 3.1.1 and of 5
	}{
		{name: "from 3.1.1", v: packet.V311, lists: [2][]string{{"a/b"}, {"a/b"}}},
		{name: "from 5", v: packet.V5, lists: [2][]string{{"a/b"}, {"a/+"}}},
		{name: "user properties to 3.1.1", v: packet.V5, change: []func(*packet.Publish){withProperties}, lists: [2][]string{{"a/#"}}},
		{name: "user properties to both", v: packet.V5, change: []func(*packet.Publish){withProperties}, lists: [2][]string{{"a/b"}, {"a/b"}}},
		{name: "overlapping filters", v: packet.V5, lists: [2][]string{{"a/b", "a/+"}, {"a/#", "+/b"}}},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := serve(t, options{socket: true})
			sender := p.connect(test.v, "")
			message := sender.message(0, 0, "a/b", "21.5", test.change...)
			var all []*raw
			for i, v := range []packet.Version{packet.V311, packet.V5} {
				if test.lists[i] == nil {
					continue
				}
				in := packet.Publish{Topic: "a/b", Payload: []byte("21.5")}
				if v == packet.V5 {
					for _, f := range test.change {
						f(&in)
					}
				}
				for range 3 {
					all = append(all, p.listen(v, in.Size(v), test.lists[i]...))
				}
			}
			round := func() {
				sender.send(message)
				for _, r := range all {
					r.next()
				}
			}
			for range 50 {
				round() // buffers reach their size
			}
			if n := testing.AllocsPerRun(500, round); n != 0 {
				t.Errorf("a message to %d subscribers allocates %v times", len(all), n)
			}
		})
	}
}

// meter counts the writes to each of the connections that a listener accepts, in
// their order.
type meter struct {
	net.Listener
	mu     sync.Mutex
	writes []int
}

func (m *meter) Accept() (net.Conn, error) {
	c, err := m.Listener.Accept()
	if err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.writes = append(m.writes, 0)
	return &metered{c, m, len(m.writes) - 1}, nil
}

func (m *meter) of(i int) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.writes[i]
}

type metered struct {
	net.Conn
	m *meter
	i int
}

func (c *metered) Write(b []byte) (int, error) {
	c.m.mu.Lock()
	c.m.writes[c.i]++
	c.m.mu.Unlock()
	return c.Conn.Write(b)
}

func TestMessagesThatArriveTogetherLeaveTogether(t *testing.T) {
	for _, test := range []struct {
		qos    byte
		n      int
		writes int // at most, to the subscriber and to the publisher
	}{
		{0, 1, 1},
		{0, 100, 4}, // it takes two or three reads
		{1, 1, 1},
		{1, 100, 4},
		{2, 100, 4},
		{0, 3000, 12}, // 60 KB: a batch is flushed when it is large
	} {
		t.Run(fmt.Sprintf("%d of QoS %d", test.n, test.qos), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := new(meter)
				p := serve(t, options{wrap: func(l net.Listener) net.Listener { m.Listener = l; return m }})
				reader := p.connect(packet.V5, "reader")
				reader.subscribe(test.qos, "a/b")
				writer := p.connect(packet.V5, "writer")
				synctest.Wait()
				before := [2]int{m.of(0), m.of(1)}
				var all []byte
				for i := range test.n {
					all = append(all, writer.message(test.qos, uint16(i+1), "a/b", fmt.Sprint(i))...)
				}
				began := time.Now()
				writer.send(all)
				for i := range test.n {
					if got := reader.publish(); string(got.Payload) != fmt.Sprint(i) {
						t.Fatalf("message %d is %q", i, got.Payload)
					}
				}
				if waited := time.Since(began); waited != 0 {
					t.Errorf("the messages waited for %v", waited)
				}
				synctest.Wait()
				if n := m.of(0) - before[0]; n > test.writes {
					t.Errorf("%d writes to the subscriber, want at most %d", n, test.writes)
				}
				if n := m.of(1) - before[1]; n > test.writes || (n == 0) != (test.qos == 0) {
					t.Errorf("%d writes of acknowledgements to the publisher, want at most %d", n, test.writes)
				}
			})
		})
	}
}

func TestALargePayloadArrivesWhole(t *testing.T) {
	p := serve(t, options{socket: true})
	payload := bytes.Repeat([]byte("0123456789abcdef"), 1<<16) // 1 MiB, shared by all
	var all []*client
	for _, v := range []packet.Version{packet.V311, packet.V5, packet.V5} {
		c := p.connect(v, "")
		c.subscribe(1, "large")
		all = append(all, c)
	}
	writer := p.connect(packet.V5, "")
	for i := range 3 {
		payload[0] = byte('a' + i)
		writer.put(1, 1, "large", string(payload))
		writer.ack(packet.PUBACK)
		for _, c := range all {
			if got := c.publish(); !bytes.Equal(got.Payload, payload) {
				t.Fatalf("%d bytes arrived that are others", len(got.Payload))
			}
		}
	}
}
