package mqtt_test

import (
	"bytes"
	"context"
	"net"
	"slices"
	"sync"
	"testing"
	"testing/synctest"

	"omnibus/carrier"
	"omnibus/client/mqtt"
	"omnibus/dialect/mqtt/packet"
)

// station is a broker of one client, in memory. It keeps the session of the client, follows the protocol to the letter,
// and does what a test tells it to do besides.
type station struct {
	t       testing.TB
	network carrier.Memory
	stop    func()
	running sync.WaitGroup

	// What a test may set before the first connection.

	connack func(c *packet.Connect) packet.Connack // nil accepts
	// rude is asked about every packet before it is acted upon; true leaves it to it.
	rude func(p *peer, h packet.Header, body []byte) bool
	// suback answers for a filter; nil grants what was asked for.
	suback func(f packet.Subscription) packet.ReasonCode

	mu       sync.Mutex // guards what follows
	session  bool
	received []packet.Publish // what was published, QoS 2 once
	open     map[uint16]bool  // identifiers of QoS 2 that are not released
	out      []*outgoing      // not acknowledged
	lastID   uint16
	subs     map[string]uint32
	connects []packet.Connect
	log      []string // the types of all packets that came
	peer     *peer
}

type outgoing struct {
	packet.Publish
	released bool
}

// peer is a connection of the station.
type peer struct {
	s       *station
	conn    net.Conn
	in      *carrier.Input
	version packet.Version
}

func newStation(t testing.TB) *station {
	s := &station{t: t, open: make(map[uint16]bool), subs: make(map[string]uint32)}
	l := s.network.Listen("broker:1883")
	ctx, cancel := context.WithCancel(context.Background())
	s.running.Go(func() {
		err := carrier.Serve(ctx, l, carrier.ServeOptions{}, func(_ context.Context, conn net.Conn) { s.serve(conn) })
		if err != nil {
			t.Error(err)
		}
	})
	s.stop = func() {
		cancel()
		s.running.Wait()
	}
	t.Cleanup(s.stop)
	return s
}

const url = "tcp://broker"

// options reach the station.
func (s *station) options(o mqtt.Options) mqtt.Options {
	o.Dial = func(ctx context.Context, _, address string) (net.Conn, error) { return s.network.Dial(ctx, address) }
	return o
}

func (s *station) dial(o mqtt.Options) *mqtt.Client {
	s.t.Helper()
	c, err := mqtt.Dial(s.t.Context(), url, s.options(o))
	noError(s.t, err)
	s.t.Cleanup(func() { noError(s.t, c.Close()) })
	return c
}

func (s *station) serve(conn net.Conn) {
	p := &peer{s: s, conn: conn, in: carrier.NewInput(conn)}
	for {
		h, body, n, err := packet.Frame(p.in.Bytes(), 0)
		if err != nil {
			s.t.Error(err)
			return
		}
		if n == 0 {
			if p.in.Fill(0) != nil {
				return
			}
			continue
		}
		s.mu.Lock()
		s.log = append(s.log, h.Type.String())
		rude := s.rude
		s.mu.Unlock()
		body = bytes.Clone(body)
		p.in.Discard(n)
		if rude != nil && rude(p, h, body) {
			continue
		}
		if !p.take(h, body) {
			return
		}
	}
}

// send writes to the client; that it is gone shows when it is read.
func (p *peer) send(raw []byte) { _, _ = p.conn.Write(raw) }

func (p *peer) take(h packet.Header, body []byte) (goOn bool) {
	s := p.s
	s.mu.Lock()
	defer s.mu.Unlock()
	if p.version == 0 {
		return p.greet(h, body)
	}
	fail := func(err error) bool {
		if err != nil {
			s.t.Errorf("from the client: %v", err)
		}
		return err == nil
	}
	switch h.Type {
	case packet.PUBLISH:
		var x packet.Publish
		if !fail(x.Decode(h, body, p.version)) {
			return false
		}
		if x.QoS < 2 || !s.open[x.PacketID] {
			s.received = append(s.received, x)
		}
		switch x.QoS {
		case 1:
			p.send(packet.AppendAck(nil, packet.PUBACK, x.PacketID, 0, p.version))
		case 2:
			s.open[x.PacketID] = true
			p.send(packet.AppendAck(nil, packet.PUBREC, x.PacketID, 0, p.version))
		}
	case packet.PUBACK, packet.PUBREC, packet.PUBREL, packet.PUBCOMP:
		var a packet.Ack
		if !fail(a.Decode(h, body, p.version)) {
			return false
		}
		p.ack(a)
	case packet.SUBSCRIBE:
		var x packet.Subscribe
		if !fail(x.Decode(h, body, p.version)) {
			return false
		}
		p.subscribed(&x)
	case packet.UNSUBSCRIBE:
		var x packet.Unsubscribe
		if !fail(x.Decode(h, body, p.version)) {
			return false
		}
		delete(s.subs, x.Filters[0])
		a := packet.Unsuback{PacketID: x.PacketID, Codes: []packet.ReasonCode{0}}
		p.send(a.Append(nil, p.version))
	case packet.PINGREQ:
		p.send(packet.AppendPingresp(nil))
	case packet.DISCONNECT:
		return false
	default:
		s.t.Errorf("the client sent %s", h.Type)
	}
	return true
}

func (p *peer) greet(h packet.Header, body []byte) (goOn bool) {
	s := p.s
	var c packet.Connect
	if err := c.Decode(h, body); err != nil {
		s.t.Errorf("from the client: %v", err)
		return false
	}
	s.connects = append(s.connects, c)
	a := packet.Connack{}
	if s.connack != nil {
		a = s.connack(&c)
	}
	p.version = c.Version
	if a.Reason.Failed() {
		p.send(a.Append(nil, c.Version))
		return false
	}
	if c.CleanStart || !s.session {
		s.open, s.out, s.subs = make(map[uint16]bool), nil, make(map[string]uint32)
	} else {
		a.SessionPresent = true
	}
	s.session = c.Version == packet.V5 && c.Properties.SessionExpiryInterval > 0 || c.Version < packet.V5 && !c.CleanStart
	s.peer = p
	p.send(a.Append(nil, c.Version))
	for _, o := range s.out { // MQTT-4.4.0-1
		if o.released {
			p.send(packet.AppendAck(nil, packet.PUBREL, o.PacketID, 0, p.version))
		} else {
			o.Dup = true
			p.send(o.Append(nil, p.version))
		}
	}
	return true
}

func (p *peer) ack(a packet.Ack) {
	s := p.s
	i := slices.IndexFunc(s.out, func(o *outgoing) bool { return o.PacketID == a.PacketID })
	switch {
	case a.Type == packet.PUBREL:
		delete(s.open, a.PacketID)
		p.send(packet.AppendAck(nil, packet.PUBCOMP, a.PacketID, 0, p.version))
	case i < 0:
		s.t.Errorf("the client sent %s for %d, which is not under way", a.Type, a.PacketID)
	case a.Type == packet.PUBREC:
		s.out[i].released = true
		p.send(packet.AppendAck(nil, packet.PUBREL, a.PacketID, 0, p.version))
	case a.Type == packet.PUBACK && s.out[i].QoS == 1, a.Type == packet.PUBCOMP && s.out[i].released:
		s.out = slices.Delete(s.out, i, i+1)
	default:
		s.t.Errorf("the client sent %s for %d out of turn", a.Type, a.PacketID)
	}
}

func (p *peer) subscribed(x *packet.Subscribe) {
	a := packet.Suback{PacketID: x.PacketID}
	for _, f := range x.Filters {
		code := packet.ReasonCode(f.QoS)
		if p.s.suback != nil {
			code = p.s.suback(f)
		}
		if !code.Failed() {
			p.s.subs[f.Filter] = x.Properties.SubscriptionID
		}
		a.Codes = append(a.Codes, code)
	}
	p.send(a.Append(nil, p.version))
}

// publish sends a message to the client, at once or when it connects again.
func (s *station) publish(x packet.Publish) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if x.QoS > 0 {
		s.lastID++
		x.PacketID = s.lastID
		s.out = append(s.out, &outgoing{Publish: x})
	}
	s.peer.send(x.Append(nil, s.peer.version))
}

// hangUp ends the current connection.
func (s *station) hangUp() {
	s.mu.Lock()
	defer s.mu.Unlock()
	_ = s.peer.conn.Close()
}

// got are the messages that were published with a topic.
func (s *station) got(topic string) (list []packet.Publish) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, x := range s.received {
		if x.Topic == topic {
			list = append(list, x)
		}
	}
	return list
}

// packets are the types of what came, in order.
func (s *station) packets() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.log)
}

// bubble runs a test with a clock of its own.
func bubble(t *testing.T, test func(t *testing.T)) {
	t.Helper()
	synctest.Test(t, test)
}

func noError(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
