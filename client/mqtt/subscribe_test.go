package mqtt_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"omnibus/client/mqtt"
	"omnibus/dialect/mqtt/packet"
)

// heard collects what a handler is called with. Its tests wait for the handlers to rest before they read it.
type heard []string

func (h *heard) note(m *mqtt.Message) { *h = append(*h, m.Topic+"="+string(m.Payload)) }

func (h *heard) is(t *testing.T, want ...string) {
	t.Helper()
	synctest.Wait()
	if !slices.Equal(*h, want) {
		t.Errorf("heard %q, want %q", *h, want)
	}
	*h = nil
}

func subscribe(t *testing.T, c *mqtt.Client, filter string, handler func(*mqtt.Message)) {
	t.Helper()
	_, err := c.Subscribe(t.Context(), mqtt.Subscription{Filter: filter, QoS: 2, Handler: handler})
	noError(t, err)
}

func TestRefusedSubscriptionIsAnError(t *testing.T) {
	for _, v := range []mqtt.Version{mqtt.V5, mqtt.V311} {
		bubble(t, func(t *testing.T) {
			s := newStation(t)
			s.suback = func(f packet.Subscription) packet.ReasonCode {
				if f.Filter == "secret/#" {
					return packet.NotAuthorized
				}
				return packet.GrantedQoS1
			}
			c := s.dial(mqtt.Options{ClientID: "me", Version: v})
			var h heard
			_, err := c.Subscribe(t.Context(), mqtt.Subscription{Filter: "secret/#", Handler: h.note})
			refused, ok := errors.AsType[*mqtt.RefusedError](err)
			if !ok || refused.Topic != "secret/#" || !refused.Reason.Failed() {
				t.Errorf("got %v", err)
			}
			qos, err := c.Subscribe(t.Context(), mqtt.Subscription{Filter: "a", QoS: 2, Handler: h.note})
			noError(t, err)
			if qos != 1 {
				t.Errorf("QoS %d was granted", qos)
			}
			s.publish(packet.Publish{Topic: "secret/x", Payload: []byte("1")})
			s.publish(packet.Publish{Topic: "a", Payload: []byte("2")})
			h.is(t, "a=2")
			if n := c.Stats().Unhandled; n != 1 {
				t.Errorf("%d messages are unhandled", n)
			}
		})
	}
}

func TestEachHandlerIsCalledOnce(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newStation(t)
		var all, one, rest heard
		c := s.dial(mqtt.Options{OnMessage: rest.note})
		subscribe(t, c, "#", all.note)
		subscribe(t, c, "a/+", one.note)
		s.mu.Lock()
		first, second := s.subs["#"], s.subs["a/+"]
		s.mu.Unlock()
		publish := func(topic, payload string, ids ...uint32) {
			x := packet.Publish{Topic: topic, Payload: []byte(payload)}
			for _, id := range ids {
				x.Properties.SubscriptionIDs = x.Properties.SubscriptionIDs.Append(id)
			}
			s.publish(x)
		}
		publish("a/b", "copy for one", second) // a broker may send a copy for each subscription
		publish("a/b", "copy for all", first)
		publish("a/b", "both", first, second)
		publish("a/b", "no identifiers")
		publish("c", "unknown", 99)
		all.is(t, "a/b=copy for all", "a/b=both", "a/b=no identifiers", "c=unknown")
		one.is(t, "a/b=copy for one", "a/b=both", "a/b=no identifiers")
		noError(t, c.Unsubscribe(t.Context(), "#"))
		publish("c", "nobody's")
		publish("a/c", "still one")
		one.is(t, "a/c=still one")
		rest.is(t, "c=nobody's")
		var other heard
		subscribe(t, c, "a/+", other.note) // in the place of the first
		publish("a/b", "new", second)
		other.is(t, "a/b=new")
		one.is(t)
	})
}

func TestHandlersMayUseTheClient(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newStation(t)
		c := s.dial(mqtt.Options{ReceiveMaximum: 2, MaxQueued: 2})
		ctx := t.Context()
		done := make(chan error, 1)
		subscribe(t, c, "start", func(*mqtt.Message) {
			err := c.Publish(ctx, mqtt.Message{Topic: "out", QoS: 2})
			_, err2 := c.Subscribe(ctx, mqtt.Subscription{Filter: "more"})
			err3 := c.Unsubscribe(ctx, "more")
			err4 := c.Disconnect(ctx, mqtt.Farewell{})
			done <- errors.Join(err, err2, err3, err4)
		})
		s.publish(packet.Publish{Topic: "start", QoS: 2})
		for range 100 { // far more than may wait, while the handler waits for the broker
			s.publish(packet.Publish{Topic: "start"})
		}
		noError(t, <-done)
		if !errors.Is(c.Err(), mqtt.ErrClosed) {
			t.Errorf("it ended with %v", c.Err())
		}
	})
}

func TestSlowHandlersHoldTheBrokerBack(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newStation(t)
		c := s.dial(mqtt.Options{MaxQueued: 5, KeepAlive: 4 * time.Second})
		n := 0
		subscribe(t, c, "#", func(*mqtt.Message) {
			time.Sleep(time.Second) // longer in all than the broker may be silent
			n++
		})
		for range 50 {
			s.publish(packet.Publish{Topic: "a"})
		}
		synctest.Wait()
		if q := c.Stats().Queued; q != 5 {
			t.Errorf("%d messages wait", q)
		}
		time.Sleep(time.Minute)
		if st := c.Stats(); n != 50 || st.Dropped != 0 || !c.Connected() {
			t.Errorf("%d of 50 messages were handled: %+v", n, st)
		}
	})
}

func TestMessagesOfQoS0AreDroppedWhileAHandlerWaits(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newStation(t)
		var w withheld
		s.rude = w.rude
		c := s.dial(mqtt.Options{MaxQueued: 5})
		n := 0
		subscribe(t, c, "#", func(*mqtt.Message) {
			if n++; n == 1 {
				if err := c.Publish(t.Context(), mqtt.Message{Topic: "out", QoS: 1}); err != nil {
					t.Error(err)
				}
			}
		})
		for range 50 {
			s.publish(packet.Publish{Topic: "a"})
		}
		synctest.Wait()
		w.answer(s, 1)
		synctest.Wait()
		if st := c.Stats(); n != 6 || st.Dropped != 44 {
			t.Errorf("%d handled, %+v", n, st)
		}
	})
}

func TestPanicsAreReportedAndEndNothing(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newStation(t)
		var errs []error
		c := s.dial(mqtt.Options{
			OnConnect: func(*mqtt.Client, mqtt.Server) { panic("in OnConnect") },
			OnError:   func(err error) { errs = append(errs, err) },
		})
		var h heard
		subscribe(t, c, "#", func(m *mqtt.Message) {
			h.note(m)
			if m.Topic == "bad" {
				panic("in a handler")
			}
		})
		s.publish(packet.Publish{Topic: "bad", QoS: 1})
		s.publish(packet.Publish{Topic: "good", QoS: 1})
		h.is(t, "bad=", "good=")
		if len(errs) != 2 || c.Stats().Panics != 2 {
			t.Fatalf("reported are %v", errs)
		}
		p, ok := errors.AsType[*mqtt.PanicError](errs[1])
		if !ok || p.Topic != "bad" || p.Value != "in a handler" || !strings.Contains(string(p.Stack), "subscribe_test.go") {
			t.Errorf("reported is %v", errs[1])
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		if len(s.out) != 0 {
			t.Error("not all is acknowledged")
		}
	})
}

func TestTopicAliasesOfTheBroker(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newStation(t)
		var h heard
		c := s.dial(mqtt.Options{TopicAliases: 2, OnMessage: h.note})
		alias := func(topic string, a uint16) {
			x := packet.Publish{Topic: topic}
			x.Properties.TopicAlias = a
			s.publish(x)
		}
		alias("one", 1)
		alias("two", 2)
		alias("", 1)
		alias("three", 1)
		alias("", 1)
		h.is(t, "one=", "two=", "one=", "three=", "three=")
		alias("", 3)
		<-c.Done()
		if !errors.Is(c.Err(), mqtt.ErrProtocol) {
			t.Errorf("it ended with %v", c.Err())
		}
		synctest.Wait()
		if p := s.packets(); p[len(p)-1] != "DISCONNECT" {
			t.Errorf("the broker is not told: %v", p)
		}
	})
}

func TestBrokerThatExceedsTheReceiveMaximum(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newStation(t)
		c := s.dial(mqtt.Options{ReceiveMaximum: 2})
		stuck := make(chan struct{})
		subscribe(t, c, "#", func(*mqtt.Message) { <-stuck })
		for range 3 {
			s.publish(packet.Publish{Topic: "a", QoS: 1})
		}
		<-c.Done()
		if e, ok := errors.AsType[*packet.Error](c.Err()); !ok || e.Reason != packet.ReceiveMaximumExceeded {
			t.Errorf("it ended with %v", c.Err())
		}
		close(stuck)
	})
}

func TestWrongFiltersAndContexts(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newStation(t)
		s.connack = func(*packet.Connect) (a packet.Connack) {
			a.Properties.WildcardsUnavailable = true
			return a
		}
		c := s.dial(mqtt.Options{})
		for _, sub := range []mqtt.Subscription{
			{},
			{Filter: "a/#/b"},
			{Filter: "a", QoS: 3},
			{Filter: "a", RetainHandling: 3},
			{Filter: "$share/x"},
			{Filter: "a", User: mqtt.UserProperties(nil).Append("\xff", "")},
		} {
			if _, err := c.Subscribe(t.Context(), sub); !errors.Is(err, mqtt.ErrInvalid) {
				t.Errorf("%+v: %v", sub, err)
			}
		}
		if err := c.Unsubscribe(t.Context(), "+a"); !errors.Is(err, mqtt.ErrInvalid) {
			t.Errorf("unsubscribing: %v", err)
		}
		if _, err := c.Subscribe(t.Context(), mqtt.Subscription{Filter: "a/+"}); fmt.Sprint(err) != "the broker refuses the subscription of a/+: wildcard subscriptions not supported" {
			t.Errorf("a wildcard: %v", err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := c.Subscribe(ctx, mqtt.Subscription{Filter: "a"}); !errors.Is(err, context.Canceled) {
			t.Errorf("a context that is over: %v", err)
		}
		if err := c.Publish(ctx, mqtt.Message{Topic: "a"}); !errors.Is(err, context.Canceled) {
			t.Errorf("a context that is over: %v", err)
		}
		if err := c.Publish(ctx, mqtt.Message{Topic: "a", QoS: 1}); !errors.Is(err, context.Canceled) {
			t.Errorf("a context that is over: %v", err)
		}
	})
}
