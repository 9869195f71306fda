package mqtt_test

import (
	"fmt"
	"maps"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"omnibus/dialect/mqtt"
	"omnibus/dialect/mqtt/packet"
)

// drain reads all that has arrived.
func (c *client) drain() (all []packet.Publish) {
	c.t.Helper()
	synctest.Wait()
	c.send(packet.AppendPingreq(nil))
	for {
		h, body, err := c.read()
		if err != nil {
			c.t.Fatal(err)
		}
		if h.Type == packet.PINGRESP {
			return all
		}
		var p packet.Publish
		if h.Type != packet.PUBLISH || p.Decode(h, body, c.v) != nil {
			c.t.Fatalf("got %v % x", h.Type, body)
		}
		all = append(all, p)
	}
}

func values(all []packet.Publish) map[string]string {
	m := make(map[string]string)
	for _, p := range all {
		m[p.Topic] = string(p.Payload)
	}
	return m
}

func TestTheStatusIsToldWhileSomebodyWatches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := serve(t, options{config: func(c *mqtt.Config) { c.StatusInterval = 10 * time.Second }})
		var published atomic.Int64
		p.listenTo("$SYS/#", func(string) { published.Add(1) })
		time.Sleep(time.Hour)
		if n := published.Load(); n != 0 {
			t.Fatalf("%d values were published for nobody", n)
		}
		c := p.connect(packet.V5, "c", persistent(100))
		c.subscribe(1, "$SYS/#")
		told := c.drain()
		first := values(told)
		for topic, want := range map[string]string{
			"$SYS/broker/clients/connected":                         "1",
			"$SYS/broker/clients/disconnected":                      "0",
			"$SYS/broker/uptime":                                    "3600 seconds",
			"$SYS/broker/counters/mqtt/connections":                 "1",
			"$SYS/broker/counters/mqtt/messages_dropped_queue_full": "0",
		} {
			if first[topic] != want {
				t.Errorf("%s is %q, want %q; there are %q", topic, first[topic], want, slices.Sorted(maps.Keys(first)))
			}
		}
		for i, m := range told {
			if !m.Retain || m.QoS != 0 {
				t.Errorf("%s is told with retain %v and QoS %d", m.Topic, m.Retain, m.QoS)
			}
			if i > 0 && m.Topic == told[i-1].Topic {
				t.Errorf("%s is told twice", m.Topic)
			}
		}
		if n := published.Load(); n != 0 {
			t.Errorf("%d values were published because of a subscription", n)
		}
		for range 3 {
			time.Sleep(10 * time.Second)
			again := c.drain()
			if len(again) != len(told) || again[0].Retain {
				t.Errorf("%d values are published, want %d; retain %v", len(again), len(told), again[0].Retain)
			}
		}
		p.connect(packet.V311, "other").silent()
		time.Sleep(10 * time.Second)
		if got := values(c.drain())["$SYS/broker/clients/connected"]; got != "2" {
			t.Errorf("%s clients are connected, want 2", got)
		}
		if n := p.broker.Status().Retained; n != 0 {
			t.Errorf("%d values are retained", n)
		}
		// A session that waits still watches; when it has ended nobody does.
		c.cut()
		time.Sleep(200 * time.Second)
		n := published.Load()
		time.Sleep(time.Hour)
		if published.Load() != n {
			t.Error("values are published though nobody watches any more")
		}
		again := p.connect(packet.V5, "again")
		again.subscribe(0, "$SYS/broker/uptime")
		time.Sleep(10 * time.Second)
		if got := again.drain(); len(got) != 2 {
			t.Errorf("who comes later gets %d values in 10 s, want 2", len(got))
		}
		again.send((&packet.Unsubscribe{PacketID: 3, Filters: []string{"$SYS/broker/uptime"}}).Append(nil, again.v))
		again.expect(packet.UNSUBACK, new(packet.Unsuback))
		time.Sleep(time.Minute)
		n = published.Load()
		time.Sleep(time.Hour)
		if published.Load() != n {
			t.Error("values are published though the last has unsubscribed")
		}
	})
}

func TestTheStatusIsNotForWildcardsNorWithoutAnInterval(t *testing.T) {
	for _, test := range []struct {
		filter   string
		interval time.Duration
	}{{"#", time.Second}, {"+/broker/uptime", time.Second}, {"$SYS/#", 0}} {
		t.Run(fmt.Sprint(test.filter, " at ", test.interval), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := serve(t, options{config: func(c *mqtt.Config) { c.StatusInterval = test.interval }})
				c := p.connect(packet.V5, "c")
				c.subscribe(1, test.filter)
				time.Sleep(time.Hour)
				c.silent()
			})
		})
	}
}

func TestClientsCannotPublishStatus(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := serve(t, options{})
		c := p.connect(packet.V5, "c")
		c.put(1, 1, "$SYS/broker/uptime", "for ever")
		if a := c.ack(packet.PUBACK); a.Reason != packet.NotAuthorized {
			t.Errorf("PUBACK says %v", a.Reason)
		}
	})
}
