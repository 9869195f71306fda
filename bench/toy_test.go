package bench_test

import (
	"bytes"
	"fmt"
	"net"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"omnibus/dialect/mqtt/packet"
)

// toy is a broker of a few lines: filters with + and #, shared subscriptions,
// retained messages, every QoS. It does what a test wants it to do badly.
type toy struct {
	url string

	// drop, if not 0, drops every drop-th delivery; dropped counts them.
	drop    uint64
	dropped atomic.Uint64
	// refuse refuses connections, noShares subscriptions to shared filters.
	refuse, noShares bool
	// hangUp closes a connection after so many PUBLISHes.
	hangUp int
	// deaf never acknowledges.
	deaf bool

	published  atomic.Uint64
	deliveries atomic.Uint64
	acks       atomic.Uint64 // of subscribers: PUBACK and PUBREC
	completed  atomic.Uint64 // PUBCOMP
	most       atomic.Int64  // connections at a time
	now        atomic.Int64

	mu       sync.Mutex // guards the rest, and the order of deliveries
	subs     []*toySub
	turn     map[string]int
	retained map[string][]byte
}

type toySub struct {
	filter string
	group  string
	qos    byte
	to     *toyConn
}

type toyConn struct {
	net.Conn
	mu   sync.Mutex // guards out and id
	out  []byte
	id   uint16
	wake chan struct{}
	done chan struct{}
}

// start runs the broker until the test ends.
func (b *toy) start(t *testing.T) *toy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	b.url = "mqtt://" + l.Addr().String()
	var running sync.WaitGroup
	running.Go(func() { b.run(l, func(err error) { t.Errorf("toy broker: %v", err) }) })
	t.Cleanup(func() {
		_ = l.Close()
		running.Wait()
	})
	return b
}

// run serves until the listener is closed and every client has gone.
func (b *toy) run(l net.Listener, wrong func(error)) {
	b.turn, b.retained = make(map[string]int), make(map[string][]byte)
	var running sync.WaitGroup
	defer running.Wait()
	for {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		running.Go(func() { b.serve(conn, wrong) })
	}
}

// gone waits until the broker has read all that its clients wrote.
func (b *toy) gone() {
	for b.now.Load() != 0 {
		runtime.Gosched()
	}
}

func (b *toy) serve(conn net.Conn, wrong func(error)) {
	c := &toyConn{Conn: conn, wake: make(chan struct{}, 1), done: make(chan struct{})}
	b.most.Store(max(b.most.Load(), b.now.Add(1)))
	var writing sync.WaitGroup
	writing.Go(c.write)
	if err := b.read(c); err != nil {
		wrong(err)
	}
	b.now.Add(-1)
	b.mu.Lock()
	b.subs = slices.DeleteFunc(b.subs, func(s *toySub) bool { return s.to == c })
	b.mu.Unlock()
	close(c.done)
	_ = conn.Close()
	writing.Wait()
}

// read serves a connection until it ends, and fails if the client does
// something wrong.
func (b *toy) read(c *toyConn) error {
	buf, have := make([]byte, 64<<10), 0
	seen := 0
	for {
		n, err := c.Read(buf[have:])
		if err != nil {
			return nil
		}
		have += n
		at := 0
		for {
			h, body, n, err := packet.Frame(buf[at:have], 0)
			if err != nil {
				return err
			}
			if n == 0 {
				break
			}
			at += n
			if h.Type == packet.PUBLISH {
				if seen++; seen == b.hangUp {
					return nil
				}
			}
			if goOn, err := b.packet(c, h, body); err != nil || !goOn {
				return err
			}
		}
		have = copy(buf, buf[at:have])
	}
}

func (b *toy) packet(c *toyConn, h packet.Header, body []byte) (goOn bool, err error) {
	switch h.Type {
	case packet.CONNECT:
		var p packet.Connect
		if err := p.Decode(h, body); err != nil {
			return false, err
		}
		if p.Version != packet.V311 || !p.CleanStart || p.KeepAlive != 0 {
			return false, fmt.Errorf("CONNECT of version %v, clean %v, keep-alive %d", p.Version, p.CleanStart, p.KeepAlive)
		}
		answer := packet.Connack{}
		if b.refuse {
			answer.Reason = packet.NotAuthorized
		}
		c.send(func(dst []byte) []byte { return answer.Append(dst, packet.V311) })
	case packet.SUBSCRIBE:
		return true, b.subscribe(c, h, body)
	case packet.PUBLISH:
		return true, b.publish(c, h, body)
	case packet.PUBREC:
		b.acks.Add(1)
		c.ack(packet.PUBREL, id(body))
	case packet.PUBREL:
		c.ack(packet.PUBCOMP, id(body))
	case packet.PUBACK:
		b.acks.Add(1)
	case packet.PUBCOMP:
		b.completed.Add(1)
	case packet.DISCONNECT:
		return false, nil
	default:
		return false, fmt.Errorf("a client sent %v", h.Type)
	}
	return true, nil
}

func id(body []byte) uint16 { return uint16(body[0])<<8 | uint16(body[1]) }

func (b *toy) subscribe(c *toyConn, h packet.Header, body []byte) error {
	var p packet.Subscribe
	if err := p.Decode(h, body, packet.V311); err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	answer := packet.Suback{PacketID: p.PacketID}
	for _, f := range p.Filters {
		s := &toySub{filter: strings.Clone(f.Filter), qos: f.QoS, to: c}
		if rest, ok := strings.CutPrefix(s.filter, "$share/"); ok {
			s.group, s.filter, _ = strings.Cut(rest, "/")
			if b.noShares {
				answer.Codes = append(answer.Codes, packet.UnspecifiedError)
				continue
			}
		}
		answer.Codes = append(answer.Codes, packet.ReasonCode(f.QoS))
		b.subs = append(b.subs, s)
	}
	c.send(func(dst []byte) []byte { return answer.Append(dst, packet.V311) })
	for topic, payload := range b.retained {
		for _, f := range p.Filters {
			if matches(f.Filter, topic) {
				b.deliver(&toySub{to: c}, packet.Publish{Topic: topic, Payload: payload, Retain: true})
			}
		}
	}
	return nil
}

func (b *toy) publish(c *toyConn, h packet.Header, body []byte) error {
	var p packet.Publish
	if err := p.Decode(h, body, packet.V311); err != nil {
		return err
	}
	b.published.Add(1)
	switch {
	case b.deaf:
	case p.QoS == 1:
		c.ack(packet.PUBACK, p.PacketID)
	case p.QoS == 2:
		c.ack(packet.PUBREC, p.PacketID)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if p.Retain && len(p.Payload) > 0 {
		b.retained[strings.Clone(p.Topic)] = bytes.Clone(p.Payload)
	} else if p.Retain {
		delete(b.retained, p.Topic)
	}
	groups := make(map[string][]*toySub)
	for _, s := range b.subs {
		if matches(s.filter, p.Topic) {
			if s.group == "" {
				b.deliver(s, p)
			} else {
				groups[s.group] = append(groups[s.group], s)
			}
		}
	}
	for name, members := range groups {
		b.turn[name]++
		b.deliver(members[b.turn[name]%len(members)], p)
	}
	return nil
}

func (b *toy) deliver(s *toySub, p packet.Publish) {
	if n := b.deliveries.Add(1); b.drop > 0 && n%b.drop == 0 {
		b.dropped.Add(1)
		return
	}
	p.QoS = min(p.QoS, s.qos)
	s.to.send(func(dst []byte) []byte {
		if s.to.id++; s.to.id == 0 {
			s.to.id = 1
		}
		p.PacketID = s.to.id
		return p.Append(dst, packet.V311)
	})
}

func matches(filter, topic string) bool {
	f, t := strings.Split(filter, "/"), strings.Split(topic, "/")
	for i, level := range f {
		if level == "#" {
			return true
		}
		if i >= len(t) || level != "+" && level != t[i] {
			return false
		}
	}
	return len(f) == len(t)
}

func (c *toyConn) ack(kind packet.Type, id uint16) {
	c.send(func(dst []byte) []byte { return packet.AppendAck(dst, kind, id, packet.Success, packet.V311) })
}

// send lets the connection's writer write a packet.
func (c *toyConn) send(add func([]byte) []byte) {
	c.mu.Lock()
	c.out = add(c.out)
	c.mu.Unlock()
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// write writes what waits, until the connection ends.
func (c *toyConn) write() {
	for {
		select {
		case <-c.wake:
		case <-c.done:
			return
		}
		c.mu.Lock()
		out := c.out
		c.out = nil
		c.mu.Unlock()
		if _, err := c.Write(out); err != nil {
			return
		}
	}
}
