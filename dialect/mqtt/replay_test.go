package mqtt_test

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"

	"omnibus/bus"
	"omnibus/dialect/mqtt"
	"omnibus/dialect/mqtt/packet"
)

// retain publishes values to retained/0, retained/1, ...
func (p *place) retain(n int, qos byte, value string) {
	p.t.Helper()
	for i := range n {
		m := &bus.Message{Topic: fmt.Sprintf("retained/%d", i), QoS: qos, Retain: true}
		m.Payload.SetGo(value)
		if _, err := p.broker.Bus("").Publish(m); err != nil {
			p.t.Fatal(err)
		}
	}
}

// A replay that looked again and again would keep the bubble from coming to rest:
// this test would not end.
func TestAReplayWaitsQuietlyForAClientThatDoesNotAcknowledge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := serve(t, options{})
		p.retain(200, 1, "value")
		c := p.connect(packet.V5, "x", func(c *packet.Connect) { c.Properties.ReceiveMaximum = 1 })
		c.subscribe(1, "retained/+")
		synctest.Wait()
		for range 200 {
			c.send(packet.AppendAck(nil, packet.PUBACK, c.publish().PacketID, packet.Success, packet.V5))
		}
		c.silent()
	})
}

func TestReplaysOfAClientThatDoesNotReadTakeTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := serve(t, options{config: func(c *mqtt.Config) { c.MaxQueue = 64 << 10 }})
		p.retain(10, 0, strings.Repeat("x", 40<<10))
		c := p.connect(packet.V5, "x")
		before := runtime.NumGoroutine()
		const n = 500
		var all []byte
		for i := range n {
			in := packet.Subscribe{PacketID: uint16(i + 1), Filters: []packet.Subscription{{Filter: "retained/+"}}}
			all = in.Append(all, packet.V5)
		}
		sent := make(chan error, 1)
		go func() {
			_, err := c.c.Write(all)
			sent <- err
		}()
		synctest.Wait()
		if more := runtime.NumGoroutine() - before; more > 10 {
			t.Errorf("%d goroutines more", more)
		}
		// All of it comes once the client reads, and what it asks for again while it
		// waits for it, comes once.
		subacks, values := 0, 0
		for subacks < n || values < 10 {
			h, _, err := c.read()
			if err != nil {
				t.Fatal(err)
			}
			switch h.Type {
			case packet.SUBACK:
				subacks++
			case packet.PUBLISH:
				values++
			}
		}
		if err := <-sent; err != nil {
			t.Error(err)
		}
	})
}

func TestNothingIsReplayedAfterUnsubscribing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := serve(t, options{config: func(c *mqtt.Config) { c.MaxQueue = 64 << 10 }})
		p.retain(100, 0, strings.Repeat("x", 30<<10))
		c := p.connect(packet.V5, "x")
		sub := packet.Subscribe{PacketID: 1, Filters: []packet.Subscription{{Filter: "retained/+"}}}
		c.send(sub.Append(nil, packet.V5))
		synctest.Wait()
		un := packet.Unsubscribe{PacketID: 2, Filters: []string{"retained/+"}}
		c.send(un.Append(nil, packet.V5))
		synctest.Wait()
		c.expect(packet.SUBACK, &packet.Suback{})
		for values := 0; ; values++ {
			h, _, err := c.read()
			if err != nil {
				t.Fatal(err)
			}
			if h.Type == packet.UNSUBACK {
				break
			}
			if values > 10 {
				t.Fatal("values go on to come")
			}
		}
		c.silent()
	})
}
