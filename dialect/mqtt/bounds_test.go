package mqtt_test

import (
	"context"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"omnibus/broker"
	"omnibus/bus"
	"omnibus/dialect/mqtt"
	"omnibus/dialect/mqtt/packet"
	"omnibus/payload"
)

// A session that tried again and again would keep the bubble from coming to rest:
// this test would not end.
func TestAMessageThatIsNeverAcknowledgedHoldsUpOthersQuietly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const ids = 65535
		p := serve(t, options{})
		c := p.connect(packet.V5, "x")
		c.subscribe(1, "t")
		publish := func() {
			m := &bus.Message{Topic: "t", QoS: 1}
			if _, err := p.broker.Bus("").Publish(m); err != nil {
				t.Fatal(err)
			}
		}
		publish()
		oldest := c.publish().PacketID
		for range ids - 1 {
			publish()
			c.send(packet.AppendAck(nil, packet.PUBACK, c.publish().PacketID, packet.Success, packet.V5))
		}
		publish()
		synctest.Wait()
		c.silent()
		c.send(packet.AppendAck(nil, packet.PUBACK, oldest, packet.Success, packet.V5))
		if got := c.publish(); got.PacketID != oldest {
			t.Errorf("the last message has identifier %d, want the one that is free, %d", got.PacketID, oldest)
		}
	})
}

func TestWhatAClientDoesNotAcknowledgeIsBoundedInBytes(t *testing.T) {
	p := serve(t, options{config: func(c *mqtt.Config) { c.SessionBytes, c.MaxQueue = 1<<20, 8<<20 }})
	c := p.connect(packet.V5, "x", stays)
	c.subscribe(1, "t")
	const n = 64
	for range n {
		m := &bus.Message{Topic: "t", QoS: 1}
		m.Payload.Set(payload.Bytes, make([]byte, 256<<10))
		if _, err := p.broker.Bus("").Publish(m); err != nil {
			t.Fatal(err)
		}
	}
	var ids []uint16
	for len(ids) < 4 {
		ids = append(ids, c.publish().PacketID)
	}
	c.silent()
	if lost := p.counter("messages_dropped_session_full"); lost != n-4-3 {
		t.Errorf("%d messages were lost, want all but 4 that are under way and 3 that wait", lost)
	}
	for len(ids) > 0 { // what waits, comes
		c.send(packet.AppendAck(nil, packet.PUBACK, ids[0], packet.Success, packet.V5))
		ids = ids[1:]
	}
	for range 3 {
		c.publish()
	}
	c.silent()
}

func TestHeadersCountAmongTheBytesOfASession(t *testing.T) {
	p := serve(t, options{config: func(c *mqtt.Config) { c.SessionBytes = 64 << 10 }})
	away := p.connect(packet.V5, "x", stays)
	away.subscribe(1, "t")
	_ = away.c.Close()
	for p.broker.Status().Sessions["mqtt"] == 0 {
		time.Sleep(time.Millisecond) // real time: the broker tells nobody that a client has gone
	}
	c := p.connect(packet.V5, "y")
	m := packet.Publish{Topic: "t", QoS: 1}
	m.Properties.User = m.Properties.User.Append("name", strings.Repeat("x", 16<<10))
	for i := range uint16(20) {
		m.PacketID = i + 1
		c.send(m.Append(nil, packet.V5))
		c.ack(packet.PUBACK)
	}
	if lost := p.counter("messages_dropped_session_full"); lost != 17 {
		t.Errorf("%d messages were lost, want all but the 3 that fit", lost)
	}
}

func TestTheCallsOfAConnectionTakeABoundedNumberOfGoroutines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := serve(t, options{broker: broker.Options{Limits: broker.Limits{Calls: -1}}})
		forever := func(ctx context.Context, _ bus.Args) (string, error) {
			<-ctx.Done()
			return "", ctx.Err()
		}
		if _, err := bus.Expose(p.broker.Bus(""), "slow", forever); err != nil {
			t.Fatal(err)
		}
		c := p.connect(packet.V311, "x")
		c.subscribe(0, "$error/+")
		before := runtime.NumGoroutine()
		const most, beyond = 10_000, 5
		var calls []byte
		for range most + beyond {
			m := packet.Publish{Topic: "$request/1/slow"}
			calls = m.Append(calls, packet.V311)
		}
		c.send(calls)
		for range beyond {
			if got := c.publish(); !strings.Contains(string(got.Payload), "full") {
				t.Errorf("got %s", got.Payload)
			}
		}
		if more := runtime.NumGoroutine() - before; more > 2*most+10 { // the bus has one, too, for each call
			t.Errorf("%d goroutines more", more)
		}
		for range most { // they time out
			c.publish()
		}
		c.silent()
	})
}
