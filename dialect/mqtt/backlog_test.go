package mqtt_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"testing/synctest"

	"omnibus/broker"
	"omnibus/bus"
	"omnibus/dialect/mqtt"
	"omnibus/dialect/mqtt/packet"
	"omnibus/payload"
)

// say publishes from within the process.
func (p *place) say(topic, text string, change ...func(*bus.Message)) bus.Receipt {
	p.t.Helper()
	m := &bus.Message{Topic: topic}
	if text != "" {
		m.Payload.Set(payload.Text, []byte(text))
	}
	for _, f := range change {
		f(m)
	}
	receipt, err := p.broker.Bus("").Publish(m)
	if err != nil {
		p.t.Fatalf("publishing %s: %v", topic, err)
	}
	return receipt
}

func ofQoS(qos uint8) func(*bus.Message) { return func(m *bus.Message) { m.QoS = qos } }
func retained(m *bus.Message)            { m.Retain = true }

func TestWhatWaitsForAnAbsentClientIsBounded(t *testing.T) {
	for _, test := range []struct {
		name   string
		change func(c *mqtt.Config)
		texts  []string
		want   []string
		lost   int64
	}{
		{
			"by number", func(c *mqtt.Config) { c.SessionMessages = 3 },
			[]string{"1", "2", "3", "4", "5"},
			[]string{"1", "2", "3"},
			2,
		},
		{
			"by bytes, of the topic too", func(c *mqtt.Config) { c.SessionBytes = 8 },
			[]string{"11", "22", "33", "4", "5"},
			[]string{"11", "22", "4"},
			2,
		},
		{
			"but for one message of any size", func(c *mqtt.Config) { c.SessionBytes = 5 },
			[]string{"123456789", "1"},
			[]string{"123456789"},
			1,
		},
		{"not at all otherwise", func(*mqtt.Config) {}, []string{"1", "2"}, []string{"1", "2"}, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := serve(t, options{config: test.change})
				c := p.connect(packet.V5, "c", persistent(100))
				c.subscribe(1, "a")
				c.leave()
				synctest.Wait()
				for _, text := range test.texts {
					p.say("a", text, ofQoS(1))
				}
				p.say("a", "QoS 0 is for who is present", ofQoS(0))
				if n := p.counter("messages_dropped_session_full"); n != test.lost {
					t.Errorf("%d messages are counted as lost, want %d", n, test.lost)
				}
				c = p.connect(packet.V5, "c", persistent(100))
				for _, text := range test.want {
					c.wants("a=" + text)
				}
				c.silent()
			})
		})
	}
}

func TestTheWindowIsKeptAndWhatWaitsComesInOrder(t *testing.T) {
	for _, test := range []struct {
		name           string
		server, client uint16
		want           int
	}{
		{"the server's", 3, 0, 3},
		{"the client's", 100, 2, 2},
		{"the smaller one", 4, 50, 4},
	} {
		for _, qos := range []byte{1, 2} {
			t.Run(fmt.Sprintf("%s of QoS %d", test.name, qos), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					p := serve(t, options{config: func(c *mqtt.Config) { c.MaxInflight = int(test.server) }})
					c := p.connect(packet.V5, "c", func(c *packet.Connect) { c.Properties.ReceiveMaximum = test.client })
					c.subscribe(qos, "a")
					const n = 40
					for i := range n {
						p.say("a", fmt.Sprint(i), ofQoS(qos))
					}
					var open []uint16
					got := 0
					for got < n {
						for len(open) < test.want && got < n {
							m := c.publish()
							if string(m.Payload) != fmt.Sprint(got) {
								t.Fatalf("got %s, want %d", m.Payload, got)
							}
							got++
							open = append(open, m.PacketID)
						}
						c.silent()
						i := rand.IntN(len(open)) // out of order
						id := open[i]
						open = append(open[:i], open[i+1:]...)
						if qos == 2 {
							c.acknowledge(packet.PUBREC, id)
							c.ack(packet.PUBREL)
							c.silent() // the identifier is still in use
							c.acknowledge(packet.PUBCOMP, id)
						} else {
							c.acknowledge(packet.PUBACK, id)
						}
					}
				})
			})
		}
	}
}

func TestIdentifiersGoRound(t *testing.T) {
	p := serve(t, options{config: func(c *mqtt.Config) { c.MaxInflight = 50 }})
	c := p.connect(packet.V311, "")
	c.subscribe(1, "a")
	writer := p.connect(packet.V311, "writer")
	const n = 72_000
	go func() { // QoS 1 downwards only: the publisher gets no acknowledgements
		var all []byte
		for range n {
			all = writer.message(1, 1, "a", "x")
			if _, err := writer.c.Write(all); err != nil {
				return
			}
		}
	}()
	go func() {
		for {
			if _, _, err := writer.read(); err != nil {
				return
			}
		}
	}()
	random := rand.New(rand.NewPCG(1, 2))
	used := make(map[uint16]bool)
	var open []uint16
	for got := range n {
		m := c.publish()
		if used[m.PacketID] || m.PacketID == 0 {
			t.Fatalf("message %d has the identifier %d, which is in use", got, m.PacketID)
		}
		used[m.PacketID] = true
		open = append(open, m.PacketID)
		if len(open) < 40 && got < n-1 {
			continue
		}
		random.Shuffle(len(open), func(i, j int) { open[i], open[j] = open[j], open[i] })
		var acks []byte
		for _, id := range open {
			acks = packet.AppendAck(acks, packet.PUBACK, id, packet.Success, c.v)
			used[id] = false
		}
		open = open[:0]
		c.send(acks)
	}
	if lost := p.counter("messages_dropped_session_full"); lost != 0 {
		t.Errorf("%d messages were lost", lost)
	}
}

// A client that never acknowledges one message gets 65,534 others and no more:
// its identifier would come again. Nothing spins meanwhile: the bubble comes to
// rest.
func TestAnIdentifierInUseIsWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := serve(t, options{config: func(c *mqtt.Config) { c.MaxQueue = 16 << 20 }})
		c := p.connect(packet.V311, "")
		c.subscribe(1, "a")
		const n = 65535 + 3
		got := 0
		var acks []byte
		for said := 0; said < n; {
			for range 500 {
				if said++; said <= n {
					p.say("a", "x", ofQoS(1))
				}
			}
			for ; got < min(said, 65535); got++ {
				m := c.publish()
				if int(m.PacketID) != got+1 {
					t.Fatalf("message %d has the identifier %d", got, m.PacketID)
				}
				if m.PacketID != 1 {
					acks = packet.AppendAck(acks, packet.PUBACK, m.PacketID, packet.Success, c.v)
				}
			}
			c.send(acks)
			acks = acks[:0]
			synctest.Wait()
		}
		c.silent()
		c.acknowledge(packet.PUBACK, 1)
		for i := range 3 {
			if m := c.publish(); int(m.PacketID) != i+1 {
				t.Errorf("then comes identifier %d, want %d", m.PacketID, i+1)
			}
		}
		c.silent()
	})
}

// The values wait until earlier ones are acknowledged, and nothing spins: the
// bubble comes to rest.
func TestRetainedValuesWaitForAcknowledgements(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := serve(t, options{config: func(c *mqtt.Config) { c.MaxInflight = 2 }})
		const n = 300
		for i := range n {
			p.say(fmt.Sprintf("r/%03d", i), "x", ofQoS(1), retained)
		}
		c := p.connect(packet.V5, "")
		c.subscribe(1, "r/+")
		synctest.Wait()
		seen := make(map[string]bool)
		for range n {
			m := c.publish()
			seen[m.Topic] = true
			c.acknowledge(packet.PUBACK, m.PacketID)
		}
		c.silent()
		if len(seen) != n {
			t.Errorf("%d different values arrived, want %d", len(seen), n)
		}
	})
}

// Before version 5 nothing can be told, so the connection ends and the client sends
// the message again, under the same identifier.
func TestAMessageThatCouldNotBeKeptIsTakenTheNextTime(t *testing.T) {
	for _, qos := range []byte{1, 2} {
		t.Run(fmt.Sprint("QoS ", qos), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := serve(t, options{broker: broker.Options{Limits: broker.Limits{Retained: 1}}})
				p.say("b", "x", retained)
				c := p.connect(packet.V311, "c", persistent(0))
				retain := func(m *packet.Publish) { m.Retain = true }
				c.put(qos, 7, "a", "x", retain)
				c.closed()
				synctest.Wait()
				p.say("b", "", retained)
				c = p.connect(packet.V311, "c", persistent(0))
				c.put(qos, 7, "a", "x", retain, func(m *packet.Publish) { m.Dup = true })
				if qos == 2 {
					c.ack(packet.PUBREC)
				} else {
					c.ack(packet.PUBACK)
				}
				reader := p.connect(packet.V311, "")
				reader.subscribe(0, "a")
				reader.wants("a=x")
			})
		})
	}
}
