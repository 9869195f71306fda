package remote_test

import (
	"bytes"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"

	"omnibus/carrier"
	"omnibus/dialect/mqtt/packet"
	"omnibus/internal/remote"
)

// mqttPeer plays the broker: it confirms subscriptions and pings, unless it is to
// be silent about them, and the test does the rest.
type mqttPeer struct {
	network  *network
	listener net.Listener
	accept   map[packet.Version][]byte // the answers to CONNECT; no bytes close the connection
	silent   map[packet.Type]bool
	connects chan *packet.Connect
	packets  chan string // what came, in words
	running  sync.WaitGroup

	mu      sync.Mutex // guards what follows
	conn    net.Conn
	version packet.Version
	lastID  uint16 // of the last packet that came with one
	reply   packet.MessageProperties
}

const mqttURL = "mqtt://localhost:1883"

func connack(v packet.Version, a packet.Connack) []byte { return a.Append(nil, v) }

// welcome accepts clients of one version.
func welcome(v packet.Version) map[packet.Version][]byte {
	return map[packet.Version][]byte{v: connack(v, packet.Connack{})}
}

// newPeer returns a peer that waits at localhost:1883 and ends with the test.
func newPeer(t *testing.T, accept map[packet.Version][]byte, silent ...packet.Type) *mqttPeer {
	t.Helper()
	p := &mqttPeer{
		network: new(network), accept: accept, silent: make(map[packet.Type]bool),
		connects: make(chan *packet.Connect, 10), packets: make(chan string, 2000),
	}
	for _, s := range silent {
		p.silent[s] = true
	}
	p.listener = p.network.Listen("localhost:1883")
	p.running.Go(func() {
		for {
			conn, err := p.listener.Accept()
			if err != nil {
				return
			}
			p.serve(t, conn)
		}
	})
	t.Cleanup(func() {
		noError(t, p.listener.Close())
		p.running.Wait()
	})
	return p
}

// startPeer returns a peer and a client of it. Both end with the test.
func startPeer(t *testing.T, v packet.Version, accept []byte, silent ...packet.Type) (*mqttPeer, remote.Client) {
	t.Helper()
	p := newPeer(t, map[packet.Version][]byte{v: accept}, silent...)
	url := mqttURL
	if v < packet.V5 {
		url += "?version=3.1.1"
	}
	c := dial(t, p.network, url)
	t.Cleanup(func() { noError(t, c.Close()) })
	return p, c
}

// serve serves one connection after the other.
func (p *mqttPeer) serve(t *testing.T, conn net.Conn) {
	defer conn.Close()
	in := carrier.NewReader(conn)
	var buf []byte
	for {
		h, body, n, err := packet.Frame(buf, 0)
		if err != nil {
			t.Error(err)
			return
		}
		if n == 0 {
			b, err := in.ReadByte()
			if err != nil {
				return
			}
			buf = append(buf, b)
			continue
		}
		buf = nil
		if !p.take(t, conn, h, body) {
			return
		}
	}
}

func (p *mqttPeer) take(t *testing.T, conn net.Conn, h packet.Header, body []byte) (goOn bool) {
	if h.Type == packet.CONNECT {
		c := new(packet.Connect)
		if err := c.Decode(h, body); err != nil {
			t.Error(err)
			return false
		}
		p.mu.Lock()
		p.conn, p.version = conn, c.Version
		p.mu.Unlock()
		p.connects <- c
		raw := p.accept[c.Version]
		p.send(raw)
		return len(raw) > 0
	}
	text, err := p.note(h, body)
	if err != nil {
		t.Error(err)
		return false
	}
	p.packets <- text
	if !p.silent[h.Type] {
		p.confirm(h.Type)
	}
	return true
}

// note remembers what the test may need to answer a packet, which it puts in words.
func (p *mqttPeer) note(h packet.Header, body []byte) (text string, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch h.Type {
	case packet.PUBLISH:
		var x packet.Publish
		err = x.Decode(h, body, p.version)
		p.reply = x.Properties.MessageProperties
		if x.QoS > 0 {
			p.lastID = x.PacketID
		}
		return describePublish(&x), err
	case packet.SUBSCRIBE:
		var x packet.Subscribe
		err = x.Decode(h, body, p.version)
		p.lastID = x.PacketID
		for _, f := range x.Filters {
			text += fmt.Sprintf("SUBSCRIBE %s qos %d", f.Filter, f.QoS)
		}
		if x.Properties.SubscriptionID > 0 {
			text += fmt.Sprintf(" id %d", x.Properties.SubscriptionID)
		}
		return text, err
	case packet.UNSUBSCRIBE:
		var x packet.Unsubscribe
		err = x.Decode(h, body, p.version)
		p.lastID = x.PacketID
		return "UNSUBSCRIBE " + strings.Join(x.Filters, " "), err
	case packet.DISCONNECT:
		var x packet.Disconnect
		err = x.Decode(h, body, p.version)
		return fmt.Sprintf("DISCONNECT %s", x.Reason), err
	case packet.PINGREQ:
		return "PINGREQ", packet.DecodePing(h, body, p.version)
	}
	var x packet.Ack
	err = x.Decode(h, body, p.version)
	return fmt.Sprintf("%s %d %s", x.Type, x.PacketID, x.Reason), err
}

func describePublish(x *packet.Publish) string {
	text := fmt.Sprintf("PUBLISH %s %q qos %d", x.Topic, x.Payload, x.QoS)
	if x.Retain {
		text += " retain"
	}
	m := &x.Properties.MessageProperties
	if m.ContentType != "" {
		text += " " + m.ContentType
	}
	if m.PayloadFormat != 0 {
		text += " utf-8"
	}
	for k, v := range m.User.All() {
		text += " " + k + "=" + v
	}
	return text
}

// confirm confirms the last packet, if a broker does so whatever it is.
func (p *mqttPeer) confirm(t packet.Type) {
	p.mu.Lock()
	id, v := p.lastID, p.version
	p.mu.Unlock()
	switch t {
	case packet.SUBSCRIBE:
		x := packet.Suback{PacketID: id, Codes: []packet.ReasonCode{packet.GrantedQoS1}}
		p.send(x.Append(nil, v))
	case packet.UNSUBSCRIBE:
		x := packet.Unsuback{PacketID: id, Codes: []packet.ReasonCode{packet.Success}}
		p.send(x.Append(nil, v))
	case packet.PINGREQ:
		p.send(packet.AppendPingresp(nil))
	}
}

// send sends bytes to the client.
func (p *mqttPeer) send(raw []byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	_, _ = p.conn.Write(raw) // a client that is gone is what some tests are about
}

// hangUp closes the connection.
func (p *mqttPeer) hangUp() {
	p.mu.Lock()
	defer p.mu.Unlock()
	_ = p.conn.Close()
}

// ack answers the last packet that had an identifier.
func (p *mqttPeer) ack(t packet.Type, reason packet.ReasonCode, text string) {
	p.mu.Lock()
	id, v := p.lastID, p.version
	p.mu.Unlock()
	switch t {
	case packet.SUBACK:
		x := packet.Suback{PacketID: id, Codes: []packet.ReasonCode{reason}}
		x.Properties.ReasonString = text
		p.send(x.Append(nil, v))
	default:
		x := packet.Ack{Type: t, PacketID: id, Reason: reason}
		x.Properties.ReasonString = text
		p.send(x.Append(nil, v))
	}
}

// publish sends a message to the client.
func (p *mqttPeer) publish(x packet.Publish) {
	p.mu.Lock()
	v := p.version
	p.mu.Unlock()
	p.send(x.Append(nil, v))
}

// replyTo are the properties of the answer to the last message.
func (p *mqttPeer) replyTo() (topic string, m packet.PublishProperties) {
	p.mu.Lock()
	defer p.mu.Unlock()
	m.CorrelationData = bytes.Clone(p.reply.CorrelationData)
	return p.reply.ResponseTopic, m
}

// wants checks what comes next, whatever the pings.
func (p *mqttPeer) wants(t *testing.T, wanted ...string) {
	t.Helper()
	for _, want := range wanted {
		got := <-p.packets
		for got == "PINGREQ" && want != got {
			got = <-p.packets
		}
		same(t, "packet", got, want)
	}
}

// wantsBoth is wants for two packets that come in either order.
func (p *mqttPeer) wantsBoth(t *testing.T, a, b string) {
	t.Helper()
	got := <-p.packets
	for got == "PINGREQ" {
		got = <-p.packets
	}
	if got == b {
		a, b = b, a
	}
	same(t, "packet", got, a)
	p.wants(t, b)
}

// topicOf waits for a packet that begins with a word and returns the next word.
func (p *mqttPeer) topicOf(t *testing.T, word string) string {
	t.Helper()
	got := <-p.packets
	fields := strings.Fields(got)
	if len(fields) < 2 || fields[0] != word {
		t.Fatalf("got %s, want a %s", got, word)
	}
	return fields[1]
}

// concat puts packets behind one another.
func concat(parts ...[]byte) []byte { return slices.Concat(parts...) }
