package mqtt_test

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"testing"
	"time"

	"omnibus/dialect/mqtt"
	"omnibus/dialect/mqtt/packet"
)

// quarreler is a client that shares its few client identifiers with others, says
// what comes to its mind, and leaves as it likes.
type quarreler struct {
	*rand.Rand
	p  *place
	v  packet.Version
	c  net.Conn
	id uint16
}

// quarrel is one connection of it.
func (q *quarreler) quarrel() {
	c, err := q.p.network.Dial(q.p.t.Context(), "mqtt")
	if err != nil {
		q.p.t.Error(err)
		return
	}
	defer func() { _ = c.Close() }()
	q.c, q.v, q.id = c, []packet.Version{packet.V31, packet.V311, packet.V5}[q.IntN(3)], 0
	var reading sync.WaitGroup
	defer reading.Wait()
	in := packet.Connect{Version: q.v, ClientID: fmt.Sprintf("quarreler-%d", q.IntN(4)), CleanStart: q.IntN(3) == 0}
	if q.v == packet.V5 && q.IntN(2) == 0 {
		in.Properties.SessionExpiryInterval = uint32(q.IntN(3))
		in.Properties.ReceiveMaximum = uint16(q.IntN(3))
		in.Properties.TopicAliasMaximum = uint16(q.IntN(3))
	}
	if q.IntN(2) == 0 {
		in.HasWill = true
		in.Will = packet.Will{Topic: q.topic(), Payload: []byte("will"), QoS: byte(q.IntN(3)), Retain: q.IntN(4) == 0}
		if q.v == packet.V5 {
			in.Will.Properties.DelayInterval = uint32(q.IntN(2))
		}
	}
	q.send(in.Append(nil))
	if q.IntN(4) > 0 { // the others do not read
		reading.Go(func() { q.read(c, q.v) })
	}
	for range q.IntN(20) {
		q.act()
	}
	if q.IntN(2) == 0 {
		time.Sleep(time.Duration(q.IntN(10)) * time.Millisecond) // real time: messages come and are answered meanwhile
	}
	if q.IntN(2) == 0 {
		bye := packet.Disconnect{}
		q.send(bye.Append(nil, q.v))
		return
	}
	_ = c.Close()
}

func (q *quarreler) send(b []byte) {
	if q.c.SetWriteDeadline(time.Now().Add(20*time.Millisecond)) == nil { // real time: the server may not read any more
		_, _ = q.c.Write(b) // it may have been taken over
	}
}

// read answers what comes, until the connection ends.
func (q *quarreler) read(c net.Conn, v packet.Version) {
	var buf []byte
	chunk := make([]byte, 4096)
	for {
		n, err := c.Read(chunk)
		buf = append(buf, chunk[:n]...)
		for {
			h, body, size, ferr := packet.Frame(buf, 0)
			if ferr != nil {
				q.p.t.Errorf("the server sends what is no packet: %v", ferr)
				return
			}
			if size == 0 {
				break
			}
			q.answer(c, v, h, body)
			buf = buf[size:]
		}
		if err != nil {
			return
		}
	}
}

func (q *quarreler) answer(c net.Conn, v packet.Version, h packet.Header, body []byte) {
	var answer []byte
	switch h.Type {
	case packet.PUBLISH:
		var m packet.Publish
		if err := m.Decode(h, body, v); err != nil {
			q.p.t.Errorf("the server sends a PUBLISH that is wrong: %v", err)
		}
		if m.QoS == 1 {
			answer = packet.AppendAck(nil, packet.PUBACK, m.PacketID, packet.Success, v)
		} else if m.QoS == 2 {
			answer = packet.AppendAck(nil, packet.PUBREC, m.PacketID, packet.Success, v)
		}
	case packet.PUBREC, packet.PUBREL:
		var a packet.Ack
		if err := a.Decode(h, body, v); err != nil {
			q.p.t.Errorf("the server sends a %v that is wrong: %v", h.Type, err)
		}
		answer = packet.AppendAck(nil, h.Type+1, a.PacketID, packet.Success, v)
	}
	if answer != nil {
		_, _ = c.Write(answer) // it may have ended
	}
}

func (q *quarreler) topic() string { return []string{"a", "a/b", "a/b/c", "svc"}[q.IntN(4)] }

func (q *quarreler) filter() string {
	return []string{
		"#", "a/#", "a/b", "+/b", "a/+/c", "$share/g/a/#", "$share/g/#", "$share/h/a", "$SYS/#", "$SYS/broker/version",
		"$request/+/svc", "$service/svc", "$response/1", "$error/1",
	}[q.IntN(14)]
}

// act does one thing.
func (q *quarreler) act() {
	q.id++
	switch q.IntN(8) {
	case 0, 1:
		in := packet.Subscribe{PacketID: q.id}
		for range 1 + q.IntN(3) {
			in.Filters = append(in.Filters, packet.Subscription{Filter: q.filter(), QoS: byte(q.IntN(3))})
		}
		q.send(in.Append(nil, q.v))
	case 2:
		in := packet.Unsubscribe{PacketID: q.id, Filters: []string{q.filter()}}
		q.send(in.Append(nil, q.v))
	case 3:
		in := packet.Publish{Topic: "$request/1/svc", Payload: []byte("{}")}
		q.send(in.Append(nil, q.v))
	case 4:
		in := packet.Publish{Topic: "svc", QoS: 1, PacketID: q.id, Payload: []byte("1")}
		in.Properties.ResponseTopic = "a/b"
		q.send(in.Append(nil, q.v))
	default:
		in := packet.Publish{Topic: q.topic(), QoS: byte(q.IntN(3)), PacketID: q.id, Retain: q.IntN(8) == 0, Payload: make([]byte, q.IntN(2000))}
		q.send(in.Append(nil, q.v))
	}
}

func TestQuarrelsAboutSessionsLeaveOthersAlone(t *testing.T) {
	rounds := 40
	if testing.Short() {
		rounds = 10
	}
	p := serve(t, options{config: func(c *mqtt.Config) {
		c.MaxQueue, c.SessionMessages, c.StatusInterval, c.CallTimeout = 8<<10, 50, time.Millisecond, 50*time.Millisecond
	}})
	listener := p.connect(packet.V5, "listener")
	listener.subscribe(1, "news")
	speaker := p.connect(packet.V5, "speaker")

	var all sync.WaitGroup
	for i := range 16 {
		q := &quarreler{Rand: rand.New(rand.NewPCG(uint64(i), 1)), p: p}
		all.Go(func() {
			for range rounds {
				q.quarrel()
			}
		})
	}
	over := make(chan struct{})
	go func() { all.Wait(); close(over) }()
	for n, more := 1, true; more; n++ {
		select {
		case <-over:
			more = false
		default:
		}
		m := packet.Publish{Topic: "news", QoS: 1, PacketID: uint16(n%60_000 + 1), Payload: fmt.Append(nil, n)}
		speaker.send(m.Append(nil, packet.V5))
		speaker.ack(packet.PUBACK)
		got := listener.publish()
		if string(got.Payload) != fmt.Sprint(n) {
			t.Fatalf("got %q, want %d", got.Payload, n)
		}
		listener.send(packet.AppendAck(nil, packet.PUBACK, got.PacketID, packet.Success, packet.V5))
	}
	_ = speaker.c.Close()
	_ = listener.c.Close()
	for deadline := time.Now().Add(patience); ; time.Sleep(time.Millisecond) { // real time: the broker tells nobody that a client has gone
		s := p.broker.Status()
		if s.Peers["mqtt"] == 0 && s.Sessions["mqtt"] == 0 && s.Subscriptions == 0 && len(s.Services) == 1 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("this is left: %+v", s)
		}
		if s.Sessions["mqtt"] == 0 {
			continue
		}
		for i := range 4 { // a clean start ends what sessions there are; a CONNECT of before may come yet
			p.connect(packet.V311, fmt.Sprintf("quarreler-%d", i)).goodbye()
		}
	}
}

// goodbye says goodbye and waits for the end.
func (c *client) goodbye() {
	c.t.Helper()
	bye := packet.Disconnect{}
	c.send(bye.Append(nil, c.v))
	_, _ = io.Copy(io.Discard, c.c)
}
