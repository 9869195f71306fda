package lwmqtt_test

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"slices"
	"sync"
	"testing"
	"testing/synctest"

	"go.uber.org/goleak"

	"omnibus/carrier"
	"omnibus/client/mqtt/lwmqtt"
	"omnibus/dialect/mqtt/packet"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const v311 = packet.V311

// peer is a broker in memory that confirms everything.
type peer struct {
	t       *testing.T
	network carrier.Memory

	mu     sync.Mutex // guards what follows
	code   packet.ReasonCode
	silent map[packet.Type]bool
	grant  packet.ReasonCode
	conn   net.Conn
	first  packet.Connect // the last CONNECT
	log    []string
}

func newPeer(t *testing.T) *peer {
	p := &peer{t: t, silent: make(map[packet.Type]bool), grant: 0xFF}
	l := p.network.Listen("broker:1883")
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		if err := carrier.Serve(ctx, l, carrier.ServeOptions{}, func(_ context.Context, conn net.Conn) { p.serve(conn) }); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() {
		cancel()
		running.Wait()
	})
	return p
}

// client returns one that reaches the peer; it is disconnected at the end.
func (p *peer) client(options ...lwmqtt.ClientOption) *lwmqtt.Client {
	dial := func(ctx context.Context, _, address string) (net.Conn, error) {
		synctest.Wait() // what was said on another connection is heard first
		return p.network.Dial(ctx, address)
	}
	c := lwmqtt.NewClient("me", append(options, lwmqtt.WithDial(dial))...)
	p.t.Cleanup(func() { _ = c.Disconnect() })
	return c
}

func (p *peer) serve(conn net.Conn) {
	in := carrier.NewInput(conn)
	for {
		h, body, n, err := packet.Frame(in.Bytes(), 0)
		if err != nil {
			p.t.Error(err)
			return
		}
		if n == 0 {
			if in.Fill(0) != nil {
				return
			}
			continue
		}
		p.mu.Lock()
		p.conn = conn
		answer := p.answer(h, bytes.Clone(body))
		p.mu.Unlock()
		in.Discard(n)
		if len(answer) > 0 {
			_, _ = conn.Write(answer) // that the client is gone shows when it is read
		}
	}
}

// answer is what a broker says to a packet. mu is held.
func (p *peer) answer(h packet.Header, body []byte) []byte {
	var err error
	var answer []byte
	text := h.Type.String()
	id := func(at int) uint16 { return uint16(body[at])<<8 | uint16(body[at+1]) }
	switch h.Type {
	case packet.CONNECT:
		err = p.first.Decode(h, body)
		a := packet.Connack{Reason: p.code}
		answer = a.Append(nil, v311)
	case packet.PUBLISH:
		var x packet.Publish
		err = x.Decode(h, body, v311)
		text += fmt.Sprintf(" %s=%s qos %d retain %t", x.Topic, x.Payload, x.QoS, x.Retain)
		if x.QoS > 0 {
			answer = packet.AppendAck(nil, packet.PUBACK+packet.Type(x.QoS-1), x.PacketID, 0, v311)
		}
	case packet.PUBREL:
		answer = packet.AppendAck(nil, packet.PUBCOMP, id(0), 0, v311)
	case packet.SUBSCRIBE:
		var x packet.Subscribe
		err = x.Decode(h, body, v311)
		text += fmt.Sprintf(" %s qos %d", x.Filters[0].Filter, x.Filters[0].QoS)
		a := packet.Suback{PacketID: x.PacketID, Codes: []packet.ReasonCode{packet.ReasonCode(x.Filters[0].QoS)}}
		if p.grant != 0xFF {
			a.Codes[0] = p.grant
		}
		answer = a.Append(nil, v311)
	case packet.UNSUBSCRIBE:
		a := packet.Unsuback{PacketID: id(0)}
		answer = a.Append(nil, v311)
	case packet.PINGREQ:
		answer = packet.AppendPingresp(nil)
	}
	if err != nil {
		p.t.Error(err)
	}
	p.log = append(p.log, text)
	if p.silent[h.Type] {
		return nil
	}
	return answer
}

// send sends a message to the client.
func (p *peer) send(topic, payload string) {
	x := packet.Publish{Topic: topic, Payload: []byte(payload)}
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, err := p.conn.Write(x.Append(nil, v311)); err != nil {
		p.t.Error(err)
	}
}

func (p *peer) hangUp() {
	p.mu.Lock()
	defer p.mu.Unlock()
	_ = p.conn.Close()
}

// set changes what the peer does.
func (p *peer) set(change func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	change()
}

// heard returns what came since the last call.
func (p *peer) heard() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	log := slices.Clone(p.log)
	p.log = nil
	return log
}
