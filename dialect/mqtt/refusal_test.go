package mqtt_test

import (
	"context"
	"runtime"
	"strings"
	"testing"

	"omnibus/broker"
	"omnibus/bus"
	"omnibus/dialect/mqtt/packet"
	topics "omnibus/topic"
)

func TestAServiceDoesNotAnswerToTheServersOwnTopics(t *testing.T) {
	for _, topic := range []string{"$SYS/forged", "$service/forged", "$response/forged"} {
		t.Run(topic, func(t *testing.T) {
			p := serve(t, options{})
			forged := make(chan string, 1)
			pattern, err := topics.NewFilter(topic)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := bus.SubscribePattern(p.broker.Bus(""), pattern, func(_ context.Context, e bus.Event[string]) {
				forged <- e.Value
			}, bus.Direct()); err != nil {
				t.Fatal(err)
			}
			if _, err := bus.Expose(p.broker.Bus(""), "accomplice", func(context.Context, bus.Args) (string, error) {
				return "forged", nil
			}); err != nil {
				t.Fatal(err)
			}
			c := p.connect(packet.V5, "x")
			m := packet.Publish{Topic: "accomplice", QoS: 1, PacketID: 1}
			m.Properties.ResponseTopic = topic
			c.send(m.Append(nil, packet.V5))
			c.ack(packet.PUBACK)
			m.Properties.ResponseTopic = "mine"
			m.PacketID = 2
			c.subscribe(0, "mine")
			c.send(m.Append(nil, packet.V5))
			for c.ackOrAnswer() != packet.PUBLISH { // the answer that is its own comes
				continue
			}
			select {
			case value := <-forged:
				t.Errorf("%q was published to %s", value, topic)
			default:
			}
		})
	}
}

// ackOrAnswer reads a packet and tells its type.
func (c *client) ackOrAnswer() packet.Type {
	c.t.Helper()
	h, _, err := c.read()
	if err != nil {
		c.t.Fatal(err)
	}
	return h.Type
}

func TestWhatIsRefusedForLackOfRoomMayBeSentAgain(t *testing.T) {
	for _, v := range []packet.Version{packet.V31, packet.V311} {
		t.Run(v.String(), func(t *testing.T) {
			p := serve(t, options{broker: broker.Options{Limits: broker.Limits{Retained: 1}}})
			watcher := p.connect(packet.V5, "watcher")
			watcher.subscribe(0, "t")
			p.retain(1, 0, "value")
			lasting := func(c *packet.Connect) { c.CleanStart = false }
			m := packet.Publish{Topic: "t", QoS: 2, PacketID: 7, Retain: true, Payload: []byte("x")}
			c := p.connect(v, "x", lasting)
			c.send(m.Append(nil, v))
			c.closed()
			makeRoom := &bus.Message{Topic: "retained/0", Retain: true}
			if _, err := p.broker.Bus("").Publish(makeRoom); err != nil {
				t.Fatal(err)
			}
			c = p.connect(v, "x", lasting)
			m.Dup = true
			c.send(m.Append(nil, v))
			c.ack(packet.PUBREC)
			if got := watcher.publish(); got.Topic != "t" {
				t.Errorf("got %v", got)
			}
		})
	}
}

func TestAMessageThatCannotBeSentAgainEndsNoConnection(t *testing.T) {
	p := serve(t, options{broker: broker.Options{Limits: broker.Limits{Retained: 1}}})
	p.retain(1, 0, "value")
	c := p.connect(packet.V311, "x")
	m := packet.Publish{Topic: "t", Retain: true, Payload: []byte("x")}
	c.send(m.Append(nil, packet.V311))
	c.silent()
}

func TestTheLongestExpiryIsNotInThePast(t *testing.T) {
	p := serve(t, options{})
	c := p.connect(packet.V5, "x")
	m := packet.Publish{Topic: "t", Retain: true, Payload: []byte("x")}
	m.Properties.MessageExpiryInterval = 1<<32 - 1
	c.send(m.Append(nil, packet.V5))
	c.silent()
	late := p.connect(packet.V5, "y")
	late.subscribe(0, "t")
	if got := late.publish(); got.Properties.MessageExpiryInterval < 1<<31 {
		t.Errorf("%d seconds are left", got.Properties.MessageExpiryInterval)
	}
}

// heapInUse is what is in use.
func heapInUse() int {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC() // what pools held before the first
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc)
}

func TestAQuietConnectionHoldsNothingOfWhatItHasSent(t *testing.T) {
	const size = 8 << 20
	p := serve(t, options{})
	listener := p.connect(packet.V5, "y", func(c *packet.Connect) { c.Properties.MaximumPacketSize = 1 << 10 })
	listener.subscribe(0, "t")
	large := strings.Repeat("x", 60_000)
	var users packet.UserProperties
	for len(users) < size {
		users = users.Append("name", large)
	}
	before := heapInUse()
	c := p.connect(packet.V5, "x", func(c *packet.Connect) { c.Properties.User = users })
	c.silent()
	if more := heapInUse() - before; more > size/2 {
		t.Errorf("after a large CONNECT it holds %d bytes", more)
	}
	m := packet.Publish{Topic: "t", QoS: 1, PacketID: 1}
	m.Properties.User = users
	c.send(m.Append(nil, packet.V5))
	c.ack(packet.PUBACK)
	if more := heapInUse() - before; more > size/2 {
		t.Errorf("after large properties it holds %d bytes", more)
	}
	m = packet.Publish{Topic: "t", QoS: 1, PacketID: 2, Payload: users}
	c.send(m.Append(nil, packet.V5))
	c.ack(packet.PUBACK)
	c.silent() // the buffer is given back by the next read
	if more := heapInUse() - before; more > size/2 {
		t.Errorf("after a large payload it holds %d bytes", more)
	}
	runtime.KeepAlive(users)
}
