package mqtt_test

import (
	"fmt"
	"math/rand/v2"
	"net"
	"slices"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"

	"omnibus/dialect/mqtt"
	"omnibus/dialect/mqtt/packet"
)

// brittle is a connection that breaks after some bytes in one of its directions,
// in the midst of a packet if that is where it is.
type brittle struct {
	net.Conn
	left int
}

func (b *brittle) Read(p []byte) (int, error) {
	if b.left <= 0 {
		_ = b.Conn.Close()
	}
	n, err := b.Conn.Read(p[:min(len(p), max(b.left, 1))])
	b.left -= n
	return n, err
}

func (b *brittle) Write(p []byte) (int, error) {
	n, err := b.Conn.Write(p[:min(len(p), max(b.left, 0))])
	b.left -= n
	if err == nil && n < len(p) {
		_ = b.Conn.Close()
		err = net.ErrClosed
	}
	return n, err
}

// party is a client with a session that survives its connections.
type party struct {
	p      *place
	v      packet.Version
	id     string
	random *rand.Rand
}

// join opens a connection that will break, and begins its session there. Now and
// then the one before is still open. nil when it has broken already.
func (p *party) join(forLong bool) *client {
	c := p.p.dial(p.v)
	left := 1 << 30
	if !forLong {
		left = 1 + p.random.IntN(700)
	}
	c.c = &brittle{c.c, left}
	c.in.Reset(c.c)
	in := packet.Connect{Version: p.v, ClientID: p.id}
	in.Properties.SessionExpiryInterval = 1 << 20
	if _, err := c.c.Write(in.Append(nil)); err != nil {
		return nil
	}
	h, body, err := c.read()
	var ack packet.Connack
	if err != nil || h.Type != packet.CONNACK || ack.Decode(h, body, p.v) != nil || ack.Reason != packet.Success {
		return nil
	}
	return c
}

// quit ends a connection, or lets the next one take over.
func (p *party) quit(c *client) {
	if c != nil && p.random.IntN(3) > 0 {
		c.cut()
	}
}

// sender publishes with QoS 1 and 2 in turn until all is acknowledged.
type sender struct {
	party
	next, total int
	pending     []*outgoing
}

type outgoing struct {
	id       uint16
	qos      byte
	text     string
	released bool
}

func (s *sender) packet(o *outgoing, dup bool) []byte {
	if o.released {
		return packet.AppendAck(nil, packet.PUBREL, o.id, packet.Success, s.v)
	}
	p := packet.Publish{Topic: "a/" + strconv.Itoa(int(o.qos)), Payload: []byte(o.text), QoS: o.qos, PacketID: o.id, Dup: dup}
	return p.Append(nil, s.v)
}

// freeID is the lowest that is not in use: identifiers are used again at once.
func (s *sender) freeID() uint16 {
	id := uint16(1)
	for slices.ContainsFunc(s.pending, func(o *outgoing) bool { return o.id == id }) {
		id++
	}
	return id
}

func (s *sender) run() {
	for s.next < s.total || len(s.pending) > 0 {
		c := s.join(false)
		if c != nil {
			s.talk(c)
		}
		s.quit(c)
	}
}

// talk sends and takes acknowledgements until the connection breaks.
func (s *sender) talk(c *client) {
	for _, o := range s.pending {
		if _, err := c.c.Write(s.packet(o, true)); err != nil {
			return
		}
	}
	for {
		for s.next < s.total && len(s.pending) < 8 {
			o := &outgoing{s.freeID(), byte(1 + s.next%2), strconv.Itoa(s.next), false}
			s.next++
			s.pending = append(s.pending, o)
			if _, err := c.c.Write(s.packet(o, false)); err != nil {
				return
			}
		}
		if len(s.pending) == 0 {
			return
		}
		h, body, err := c.read()
		var a packet.Ack
		if err != nil || a.Decode(h, body, s.v) != nil {
			return
		}
		at := slices.IndexFunc(s.pending, func(o *outgoing) bool { return o.id == a.PacketID })
		switch {
		case at < 0:
		case a.Type == packet.PUBREC:
			s.pending[at].released = true
			if _, err := c.c.Write(s.packet(s.pending[at], false)); err != nil {
				return
			}
		default:
			s.pending = slices.Delete(s.pending, at, at+1)
		}
	}
}

// taker receives, and remembers what it must of messages of QoS 2.
type taker struct {
	party
	unreleased map[uint16]bool

	mu  sync.Mutex
	got [3][]string // by QoS, in the order of their arrival
}

// talk receives until the connection breaks, or has been silent for long.
func (k *taker) talk(c *client) {
	for {
		h, body, err := c.read()
		if err != nil {
			return
		}
		var reply []byte
		switch h.Type {
		case packet.PUBLISH:
			var m packet.Publish
			if m.Decode(h, body, k.v) != nil {
				return
			}
			reply = k.take(&m)
		case packet.PUBREL:
			var a packet.Ack
			if a.Decode(h, body, k.v) != nil {
				return
			}
			delete(k.unreleased, a.PacketID)
			reply = packet.AppendAck(nil, packet.PUBCOMP, a.PacketID, packet.Success, k.v)
		case packet.DISCONNECT:
			return
		}
		if _, err := c.c.Write(reply); err != nil {
			return
		}
	}
}

func (k *taker) take(m *packet.Publish) []byte {
	k.mu.Lock()
	defer k.mu.Unlock()
	if m.QoS == 1 {
		k.got[1] = append(k.got[1], string(m.Payload))
		return packet.AppendAck(nil, packet.PUBACK, m.PacketID, packet.Success, k.v)
	}
	if !k.unreleased[m.PacketID] {
		k.unreleased[m.PacketID] = true
		k.got[2] = append(k.got[2], string(m.Payload))
	}
	return packet.AppendAck(nil, packet.PUBREC, m.PacketID, packet.Success, k.v)
}

// subscribe does until it is acknowledged.
func (k *taker) subscribe() {
	for {
		if c := k.join(true); c != nil {
			c.subscribe(2, "a/#")
			c.cut()
			return
		}
	}
}

// distinct are the texts without those that came before.
func distinct(texts []string) []string {
	seen := make(map[string]bool)
	var all []string
	for _, s := range texts {
		if !seen[s] {
			all = append(all, s)
		}
		seen[s] = true
	}
	return all
}

// Both ends lose their connections all the time, or open the next one before the
// last has ended. Of QoS 1 nothing is lost, of QoS 2 nothing is lost nor doubled,
// and each comes in order.
func TestNothingIsLostWhenConnectionsBreak(t *testing.T) {
	for seed := range uint64(12) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const n = 1500
				random := rand.New(rand.NewPCG(seed, 7))
				versions := [2]packet.Version{packet.V311, packet.V5}
				p := serve(t, options{config: func(c *mqtt.Config) { c.MaxInflight = 1 + random.IntN(20) }})
				to := &taker{unreleased: map[uint16]bool{}}
				to.party = party{p: p, v: versions[seed%2], id: "taker", random: rand.New(rand.NewPCG(seed, 8))}
				from := &sender{total: n}
				from.party = party{p: p, v: versions[seed/2%2], id: "sender", random: rand.New(rand.NewPCG(seed, 9))}
				to.subscribe()
				sent := make(chan struct{})
				go func() {
					defer close(sent)
					from.run()
				}()
				for !closed(sent) {
					c := to.join(false)
					if c != nil {
						to.talk(c)
					}
					to.quit(c)
				}
				if c := to.join(true); c != nil {
					to.talk(c) // until it has been silent for long
					c.cut()
				}
				var want [3][]string
				for i := range n {
					want[1+i%2] = append(want[1+i%2], strconv.Itoa(i))
				}
				if got := distinct(to.got[1]); !slices.Equal(got, want[1]) {
					t.Errorf("of QoS 1 came\n%v, want\n%v", got, want[1])
				}
				if !slices.Equal(to.got[2], want[2]) {
					t.Errorf("of QoS 2 came\n%v, want\n%v", to.got[2], want[2])
				}
				if n := len(to.got[1]) - len(want[1]); n == 0 {
					t.Log("nothing came twice: the connections did not break where it matters")
				}
				if lost := p.counter("messages_dropped_session_full"); lost != 0 {
					t.Errorf("%d messages are counted as lost", lost)
				}
			})
		})
	}
}

func closed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}
