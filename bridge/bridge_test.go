package bridge_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"omnibus/bridge"
	"omnibus/bus"
	"omnibus/dialect/mqtt/mapping"
	"omnibus/dialect/mqtt/packet"
)

func qos(n uint8) func(*bus.Message)    { return func(m *bus.Message) { m.QoS = n } }
func retained(m *bus.Message)           { m.Retain = true }
func away(s *station, _ *bridge.Config) { s.away = true }

func TestWhatGoesOutWhileTheOtherSideIsAwayIsStored(t *testing.T) {
	bubble(t, away, func(t *testing.T, h *here) {
		for i := range uint8(3) {
			h.publish("a", fmt.Sprint(i), qos(i))
		}
		synctest.Wait()
		h.counts(map[string]int64{"messages_stored": 2, "messages_waiting": 2, "messages_dropped_away": 1, "connections": 0})
		h.there.start()
		time.Sleep(time.Minute) // of the bubble: longer than the pause
		h.came("a=1", "a=2")
		h.counts(map[string]int64{"messages_out": 2, "messages_waiting": 0, "connections": 1})

		h.there.stop()
		synctest.Wait()
		h.publish("b", "1", qos(1))
		h.publish("b", "2", qos(2))
		h.publish("b", "0", qos(0))
		time.Sleep(time.Hour)
		h.there.start()
		time.Sleep(time.Minute)
		h.came("b=1", "b=2")
		h.counts(map[string]int64{"messages_out": 4, "messages_waiting": 0, "messages_stored": 4, "messages_dropped_away": 2, "connections": 2, "connections_lost": 1})
	})
}

func TestMessagesOfQoS0AreStoredIfThatIsSet(t *testing.T) {
	prepare := func(s *station, c *bridge.Config) { s.away, c.Store.QoS0 = true, true }
	bubble(t, prepare, func(t *testing.T, h *here) {
		h.publish("a", "0", qos(0))
		h.there.start()
		time.Sleep(time.Minute)
		h.came("a=0")
		h.counts(map[string]int64{"messages_stored": 1, "messages_dropped_away": 0})
	})
}

func TestTheStoreIsBounded(t *testing.T) {
	for name, c := range map[string]struct {
		store bridge.Store
		kept  int64
	}{
		"messages": {bridge.Store{Messages: 3, Bytes: 1 << 20}, 3},
		"bytes":    {bridge.Store{Messages: 100, Bytes: 2000}, 1}, // a message and its overhead
	} {
		t.Run(name, func(t *testing.T) {
			prepare := func(s *station, b *bridge.Config) { s.away, b.Store = true, c.store }
			bubble(t, prepare, func(t *testing.T, h *here) {
				var want []string
				for i := range int64(10) {
					text := fmt.Sprint(i) + strings.Repeat("x", 1000)
					h.publish("a", text)
					if i < c.kept {
						want = append(want, "a="+text)
					}
				}
				h.there.start()
				time.Sleep(time.Minute)
				h.came(want...)
				h.counts(map[string]int64{"messages_stored": c.kept, "messages_dropped_store_full": 10 - c.kept, "messages_waiting": 0})
			})
		})
	}
}

func TestWhatExpiresInTheStoreIsNotSent(t *testing.T) {
	bubble(t, away, func(t *testing.T, h *here) {
		h.publish("a", "1", func(m *bus.Message) { m.Expires = time.Now().Add(time.Minute).UnixNano() })
		h.publish("a", "2", func(m *bus.Message) { m.Expires = time.Now().Add(time.Hour).UnixNano() })
		time.Sleep(30 * time.Minute)
		h.there.start()
		time.Sleep(time.Minute)
		if p := h.there.last(); p.Properties.MessageExpiryInterval > 30*60 || p.Properties.MessageExpiryInterval < 28*60 {
			t.Errorf("it is worth delivering for %d s", p.Properties.MessageExpiryInterval)
		}
		h.came("a=2")
		h.counts(map[string]int64{"messages_expired": 1})
	})
}

func TestPausesGrowUpToRetryAndEachStateIsLoggedOnce(t *testing.T) {
	prepare := func(s *station, c *bridge.Config) { s.away, c.Retry = true, 30*time.Second }
	bubble(t, prepare, func(t *testing.T, h *here) {
		time.Sleep(time.Hour)
		if n := h.count("b", "connections_failed"); n < 120 || n > 250 { // every 15 to 30 seconds
			t.Errorf("%d attempts in an hour", n)
		}
		h.there.start()
		time.Sleep(time.Minute)
		h.there.stop()
		time.Sleep(time.Hour)
		for text, n := range map[string]int{"is connected": 1, "cannot connect": 2, "has lost its connection": 1} {
			if got := strings.Count(h.log.String(), text); got != n {
				t.Errorf("%q is logged %d times, want %d:\n%s", text, got, n, h.log)
			}
		}
	})
}

func TestARefusalNamesTheSetting(t *testing.T) {
	for reason, want := range map[packet.ReasonCode]string{
		packet.BadUserNameOrPassword:    "username and password",
		packet.NotAuthorized:            "username and password",
		packet.ClientIdentifierNotValid: "client_id",
	} {
		prepare := func(s *station, c *bridge.Config) {
			s.connack = func(*packet.Connect) packet.Connack { return packet.Connack{Reason: reason} }
		}
		bubble(t, prepare, func(t *testing.T, h *here) {
			time.Sleep(time.Hour)
			if text := h.log.String(); strings.Count(text, "cannot connect") != 1 || !strings.Contains(text, want) {
				t.Errorf("%v: logged %s", reason, text)
			}
		})
	}
}

func TestARefusedSubscriptionIsToldAndTheOthersGoOn(t *testing.T) {
	prepare := func(s *station, c *bridge.Config) {
		c.In = []bridge.In{in("no/#"), in("yes/#")}
		s.suback = func(f packet.Subscription) packet.ReasonCode {
			if f.Filter == "no/#" {
				return packet.NotAuthorized
			}
			return 0
		}
	}
	bubble(t, prepare, func(t *testing.T, h *here) {
		h.counts(map[string]int64{"subscriptions_refused": 1, "subscriptions": 1})
		h.there.send(packet.Publish{Topic: "yes/a", Payload: []byte("1")})
		synctest.Wait()
		h.sees("yes/a=1")
		for _, want := range []string{"refuses a subscription", "filter=no/#", "lower QoS", "filter=yes/#"} {
			if !strings.Contains(h.log.String(), want) {
				t.Errorf("%q is not logged: %s", want, h.log)
			}
		}
	})
}

func TestTopicsAreRenamedAndPropertiesKept(t *testing.T) {
	prepare := func(_ *station, c *bridge.Config) {
		i, o := in("site/+/t"), out("local/**")
		i.RemotePrefix, i.LocalPrefix = "site/", "far/"
		o.LocalPrefix, o.RemotePrefix = "local/", "hq/"
		c.In, c.Out = []bridge.In{i}, []bridge.Out{o, out("#")}
	}
	bubble(t, prepare, func(t *testing.T, h *here) {
		var got *bus.Message
		if _, err := h.broker.Bus("").Attach(mustParse(t, "far/#"), receiver(func(m *bus.Message) { got = m.Clone() }), bus.AttachOptions{}); err != nil {
			t.Fatal(err)
		}
		p := packet.Publish{Topic: "site/a/t", Payload: []byte("1"), QoS: 1, PacketID: 7, Retain: true}
		p.Properties.ContentType, p.Properties.ResponseTopic, p.Properties.CorrelationData = "text/plain", "answers", []byte{1, 2}
		p.Properties.PayloadFormat, p.Properties.MessageExpiryInterval = 1, 60
		p.Properties.User = p.Properties.User.Append("k", "v").Append(mapping.PropertyIdentity, "theirs")
		p.Properties.Present = packet.Properties(packet.ContentType, packet.ResponseTopic, packet.CorrelationData,
			packet.PayloadFormatIndicator, packet.MessageExpiryInterval, packet.UserProperty)
		h.there.send(p)
		synctest.Wait()
		if got == nil || got.Topic != "far/a/t" || got.ID != "theirs" || got.QoS != 1 || !got.Retain || got.Expires == 0 || got.Origin.Dialect != "bridge" {
			t.Fatalf("here came %+v", got)
		}
		want := "[{mqtt-content-type text/plain} {mqtt-response-topic answers} {mqtt-correlation-data AQI=} {mqtt-payload-format 1} {k v}]"
		if fmt.Sprint(got.Headers.List()) != want {
			t.Errorf("headers %v", got.Headers.List())
		}
		h.there.texts()
		again := got.Clone()
		h.publish("local/b", "2", func(m *bus.Message) { m.Headers, m.QoS, m.Retain = again.Headers, 2, true })
		time.Sleep(time.Second)
		out := h.there.last()
		id, rest := mapping.Identity(out.Properties.User)
		if out.Topic != "hq/b" || string(out.Payload) != "2" || out.QoS != 2 || !out.Retain || id == "" || id == "theirs" ||
			out.Properties.ResponseTopic != "answers" || string(out.Properties.CorrelationData) != "\x01\x02" ||
			string(rest) != string(packet.UserProperties(nil).Append("k", "v")) {
			t.Errorf("there came %+v", out)
		}
		h.there.texts()
		h.publish("other", "3")
		time.Sleep(time.Second)
		h.came("other=3") // by the second rule
	})
}

func TestRetainedValuesAreSentToABrokerThatForgets(t *testing.T) {
	prepare := func(s *station, c *bridge.Config) {
		s.away = true
		without := out("plain/#")
		without.Retain = false
		c.Out = []bridge.Out{without, out("#")}
		c.Store.Messages = 4 // fewer than there are
	}
	bubble(t, prepare, func(t *testing.T, h *here) {
		seen := make(map[string]int)
		for i := range 20 {
			h.publish(fmt.Sprintf("r/%d", i), "x", retained, qos(0))
		}
		h.publish("plain/r", "x", retained, qos(0))
		for range 2 {
			h.there.start()
			time.Sleep(time.Minute)
			h.there.mu.Lock()
			for _, p := range h.there.got {
				if !p.Retain {
					t.Errorf("%s is not retained", p.Topic)
				}
				seen[p.Topic]++
			}
			h.there.got = nil
			h.there.mu.Unlock()
			h.there.stop()
			synctest.Wait()
		}
		for i := range 20 {
			if topic := fmt.Sprintf("r/%d", i); seen[topic] != 2 {
				t.Errorf("%s came %d times on two connections", topic, seen[topic])
			}
		}
		if len(seen) != 20 {
			t.Errorf("there came %v", seen)
		}
	})
}

func TestBeforeVersion5WhatComesBackIsKnownForAWhile(t *testing.T) {
	prepare := func(s *station, c *bridge.Config) { c.Version, s.echoes = "3.1.1", true }
	bubble(t, prepare, func(t *testing.T, h *here) {
		h.publish("a", "1", qos(0))
		h.publish("a", "1", qos(1))
		h.publish("a", "1", qos(2))
		time.Sleep(time.Second)
		h.sees("a=1", "a=1", "a=1") // its own
		h.counts(map[string]int64{"messages_echoed": 3, "messages_in": 0})
		h.there.send(packet.Publish{Topic: "a", Payload: []byte("1")}) // a fourth is news
		synctest.Wait()
		h.sees("a=1")
		h.there.mu.Lock()
		h.there.echoes = false
		h.there.mu.Unlock()
		h.publish("b", "1")
		time.Sleep(9 * time.Second)
		h.there.send(packet.Publish{Topic: "b", Payload: []byte("1")})
		synctest.Wait()
		h.sees("b=1") // its own alone
		h.publish("c", "1")
		time.Sleep(11 * time.Second)
		h.there.send(packet.Publish{Topic: "c", Payload: []byte("1")})
		h.there.send(packet.Publish{Topic: "c", Payload: []byte("2")})
		synctest.Wait()
		h.sees("c=1", "c=1", "c=2")
		if p := h.there.last(); len(p.Properties.User) > 0 {
			t.Errorf("version 3.1.1 is sent properties: %q", p.Properties.User)
		}
	})
}

func TestWhatTheOtherBrokerRejectsIsCounted(t *testing.T) {
	prepare := func(s *station, _ *bridge.Config) {
		s.puback = func(*packet.Publish) packet.ReasonCode { return packet.QuotaExceeded }
	}
	bubble(t, prepare, func(t *testing.T, h *here) {
		h.publish("a", "1", qos(1))
		h.publish("a", "2", qos(2))
		time.Sleep(time.Second)
		h.counts(map[string]int64{"messages_rejected_there": 2, "messages_out": 0, "messages_waiting": 0})
	})
}

func TestABridgeSaysWhoItIs(t *testing.T) {
	prepare := func(_ *station, c *bridge.Config) {
		c.ClientID, c.Username, c.Password, c.CleanSession, c.SessionExpiry = "me", "user", "secret", false, time.Hour
	}
	bubble(t, prepare, func(t *testing.T, h *here) {
		c := h.there.connects[0]
		name, link := c.Properties.User.Get(mapping.PropertyLink)
		if c.ClientID != "me" || c.Username != "user" || string(c.Password) != "secret" || c.CleanStart || c.Properties.SessionExpiryInterval != 3600 || !link || name != "b" {
			t.Errorf("connected with %+v", c)
		}
		s := h.there.subs[0]
		if !s.NoLocal || !s.RetainAsPublished || s.QoS != 2 {
			t.Errorf("subscribed with %+v", s)
		}
	})
}
