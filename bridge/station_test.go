package bridge_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"testing"
	"testing/synctest"

	"omnibus/bridge"
	"omnibus/broker"
	"omnibus/bus"
	"omnibus/carrier"
	"omnibus/dialect"
	"omnibus/dialect/mqtt/packet"
)

// station is another broker for one bridge, in memory. It takes everything, sends
// what a test tells it to send, and can be away.
type station struct {
	t       *testing.T
	network carrier.Memory
	// connack and suback answer; nil accepts.
	connack func(c *packet.Connect) packet.Connack
	suback  func(f packet.Subscription) packet.ReasonCode
	puback  func(p *packet.Publish) packet.ReasonCode
	echoes  bool        // sends back what it gets
	tls     *tls.Config // nil is none

	mu       sync.Mutex
	away     bool
	running  func()
	conn     net.Conn
	version  packet.Version
	connects []packet.Connect
	subs     []packet.Subscription
	got      []packet.Publish
}

func (s *station) start() {
	l := s.network.Listen("there:1883")
	ctx, cancel := context.WithCancel(context.Background())
	var serving sync.WaitGroup
	serving.Go(func() {
		if err := carrier.Serve(ctx, l, carrier.ServeOptions{}, func(_ context.Context, c net.Conn) { s.serve(c) }); err != nil {
			s.t.Error(err)
		}
	})
	s.running = func() {
		cancel()
		serving.Wait()
	}
}

// stop kills it: connections break, and nobody answers.
func (s *station) stop() {
	if s.running != nil {
		s.running()
		s.running = nil
	}
}

func (s *station) serve(conn net.Conn) {
	if s.tls != nil {
		conn = tls.Server(conn, s.tls)
	}
	in := carrier.NewInput(conn)
	var v packet.Version
	for {
		h, body, n, err := packet.Frame(in.Bytes(), 0)
		if err != nil {
			s.t.Error(err)
			return
		}
		if n == 0 {
			if in.Fill(0) != nil {
				return
			}
			continue
		}
		body = bytes.Clone(body)
		in.Discard(n)
		answer, goOn := s.answer(conn, &v, h, body)
		_, _ = conn.Write(answer)
		if !goOn {
			return
		}
	}
}

// answer acts on a packet.
func (s *station) answer(conn net.Conn, v *packet.Version, h packet.Header, body []byte) (answer []byte, goOn bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	check := func(err error) {
		if err != nil {
			s.t.Errorf("the bridge sent %s: %v", h.Type, err)
		}
	}
	switch h.Type {
	case packet.CONNECT:
		var c packet.Connect
		check(c.Decode(h, body))
		*v, s.version, s.conn = c.Version, c.Version, conn
		s.connects = append(s.connects, c)
		var a packet.Connack
		if s.connack != nil {
			a = s.connack(&c)
		}
		return a.Append(nil, *v), !a.Reason.Failed()
	case packet.SUBSCRIBE:
		var x packet.Subscribe
		check(x.Decode(h, body, *v))
		a := packet.Suback{PacketID: x.PacketID}
		for _, f := range x.Filters {
			code := packet.ReasonCode(f.QoS)
			if s.suback != nil {
				code = s.suback(f)
			}
			s.subs, a.Codes = append(s.subs, f), append(a.Codes, code)
		}
		return a.Append(nil, *v), true
	case packet.PUBLISH:
		var x packet.Publish
		check(x.Decode(h, body, *v))
		s.got = append(s.got, x)
		var code packet.ReasonCode
		if s.puback != nil {
			code = s.puback(&x)
		}
		if s.echoes {
			back := packet.Publish{Topic: x.Topic, Payload: x.Payload}
			answer = back.Append(nil, *v)
		}
		switch x.QoS {
		case 1:
			answer = packet.AppendAck(answer, packet.PUBACK, x.PacketID, code, *v)
		case 2:
			answer = packet.AppendAck(answer, packet.PUBREC, x.PacketID, code, *v)
		}
		return answer, true
	case packet.PUBREL:
		var a packet.Ack
		check(a.Decode(h, body, *v))
		return packet.AppendAck(nil, packet.PUBCOMP, a.PacketID, 0, *v), true
	case packet.PINGREQ:
		return packet.AppendPingresp(nil), true
	case packet.DISCONNECT:
		return nil, false
	}
	return nil, true // acknowledgements
}

// send sends a message to the bridge.
func (s *station) send(p packet.Publish) {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, _ = s.conn.Write(p.Append(nil, s.version))
}

// texts takes what came, as "topic=text".
func (s *station) texts() (all []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range s.got {
		all = append(all, p.Topic+"="+string(p.Payload))
	}
	s.got = nil
	return all
}

// last is the last message that came.
func (s *station) last() packet.Publish {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.got) == 0 {
		s.t.Fatal("nothing came")
	}
	return s.got[len(s.got)-1]
}

// here is a broker without listeners, and a bridge from it to a station.
type here struct {
	node
	there *station
}

// bubble runs a test with a clock of its own. prepare may change the station before
// the bridge starts, which has settled when the test begins.
func bubble(t *testing.T, prepare func(s *station, c *bridge.Config), test func(t *testing.T, h *here)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		b, err := broker.New(broker.Options{})
		if err != nil {
			t.Fatal(err)
		}
		h := &here{node: node{t: t, name: "here", broker: b, log: new(journal), stop: func() {}}, there: &station{t: t}}
		if _, err := bus.Subscribe(b.Bus(""), "#", h.note, bus.Direct()); err != nil {
			t.Fatal(err)
		}
		c := settings("b", "mqtt://there", everything, func(c *bridge.Config) {
			c.Dial = func(ctx context.Context, _, address string) (net.Conn, error) {
				return h.there.network.Dial(ctx, address)
			}
		})
		if prepare != nil {
			prepare(h.there, &c)
		}
		if !h.there.away {
			h.there.start()
		}
		h.run(c)
		synctest.Wait()
		test(t, h)
		h.close()
		h.there.stop()
	})
}

func (h *here) counts(want map[string]int64) {
	h.t.Helper()
	for name, n := range want {
		if got := h.count("b", name); got != n {
			h.t.Errorf("%s is %d, want %d", name, got, n)
		}
	}
}

// sees checks what was published here since the last time, in order.
func (h *here) sees(want ...string) {
	h.t.Helper()
	h.mu.Lock()
	defer h.mu.Unlock()
	if fmt.Sprint(h.got) != fmt.Sprint(want) {
		h.t.Errorf("here was published %q, want %q", h.got, want)
	}
	h.got = nil
}

// came checks what came to the station since the last time, in order.
func (h *here) came(want ...string) {
	h.t.Helper()
	if got := h.there.texts(); fmt.Sprint(got) != fmt.Sprint(want) {
		h.t.Errorf("there came %q, want %q", got, want)
	}
}

// open opens a bridge and runs nothing.
func open(c bridge.Config) error {
	b, err := broker.New(broker.Options{})
	if err != nil {
		return err
	}
	defer b.Close(context.Background()) //nolint:errcheck // nothing runs
	_, err = bridge.Open(c, dialect.Env{Port: b, Log: slog.New(slog.DiscardHandler), Counter: b.Counters().Group("b"), Version: "test"})
	return err
}
