package mqtt_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"omnibus/client/mqtt"
	"omnibus/dialect/mqtt/packet"
)

func TestMessageArrivesWithAllItsProperties(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newStation(t)
		c := s.dial(mqtt.Options{})
		m := mqtt.Message{
			Topic: "a/b", Payload: []byte("text"), QoS: 1, Retain: true, UTF8: true,
			ContentType: "text/plain", ResponseTopic: "answers", CorrelationData: []byte{1, 2}, Expiry: 1500 * time.Millisecond,
			User: mqtt.UserProperties(nil).Append("one", "1").Append("two", "2"),
		}
		noError(t, c.Publish(t.Context(), m))
		x := s.got("a/b")[0]
		p := x.Properties
		got := fmt.Sprintf("%s %d %t %d %s %s %v %d", x.Payload, x.QoS, x.Retain, p.PayloadFormat, p.ContentType, p.ResponseTopic, p.CorrelationData, p.MessageExpiryInterval)
		if want := "text 1 true 1 text/plain answers [1 2] 2"; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
		if v, _ := p.User.Get("two"); v != "2" {
			t.Errorf("user properties are %v", p.User)
		}
		heard := make(chan *mqtt.Message, 1)
		_, err := c.Subscribe(t.Context(), mqtt.Subscription{Filter: "a/+", Handler: func(m *mqtt.Message) { heard <- m }})
		noError(t, err)
		s.publish(packet.Publish{Topic: "a/b", Payload: x.Payload, QoS: 1, Retain: true, Properties: p})
		back := <-heard
		m.Expiry = 2 * time.Second
		if got, want := fmt.Sprintf("%+v", *back), fmt.Sprintf("%+v", m); got != want {
			t.Errorf("received\n%s\npublished\n%s", got, want)
		}
	})
}

func TestInvalidMessagesAreRefusedAndHarmNothing(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newStation(t)
		s.connack = func(*packet.Connect) packet.Connack {
			a := packet.Connack{}
			a.Properties.MaximumPacketSize = 100
			a.Properties.RetainUnavailable = true
			a.Properties.SetQoSLimit(1)
			return a
		}
		c := s.dial(mqtt.Options{})
		big := make([]byte, 100)
		for _, test := range []struct {
			m    mqtt.Message
			want error
		}{
			{mqtt.Message{}, mqtt.ErrInvalid},
			{mqtt.Message{Topic: "a/+"}, mqtt.ErrInvalid},
			{mqtt.Message{Topic: "a\xff"}, mqtt.ErrInvalid},
			{mqtt.Message{Topic: "a", QoS: 3}, mqtt.ErrInvalid},
			{mqtt.Message{Topic: "a", ContentType: "\xff"}, mqtt.ErrInvalid},
			{mqtt.Message{Topic: "a", ResponseTopic: "#"}, mqtt.ErrInvalid},
			{mqtt.Message{Topic: "a", User: mqtt.UserProperties(nil).Append("\xff", "")}, mqtt.ErrInvalid},
			{mqtt.Message{Topic: "a", Payload: big}, mqtt.ErrTooLarge},
			{mqtt.Message{Topic: "a", Payload: big, QoS: 1}, mqtt.ErrTooLarge},
		} {
			if err := c.Publish(t.Context(), test.m); !errors.Is(err, test.want) {
				t.Errorf("%+v: got %v, want %v", test.m, err, test.want)
			}
		}
		for _, m := range []mqtt.Message{{Topic: "a", QoS: 2}, {Topic: "a", Retain: true}} {
			if _, ok := errors.AsType[*mqtt.RefusedError](c.Publish(t.Context(), m)); !ok {
				t.Errorf("%+v is not refused", m)
			}
		}
		noError(t, c.Publish(t.Context(), mqtt.Message{Topic: "a", QoS: 1}))
		if n := len(s.got("a")); n != 1 {
			t.Errorf("%d messages arrived", n)
		}
	})
}

func TestRefusedMessageIsAnError(t *testing.T) {
	for qos, kind := range map[byte]packet.Type{1: packet.PUBACK, 2: packet.PUBREC} {
		bubble(t, func(t *testing.T) {
			s := newStation(t)
			s.rude = func(p *peer, h packet.Header, body []byte) bool {
				if h.Type != packet.PUBLISH {
					return false
				}
				var x packet.Publish
				noError(t, x.Decode(h, body, packet.V5))
				a := packet.Ack{Type: kind, PacketID: x.PacketID, Reason: packet.QuotaExceeded}
				a.Properties.ReasonString = "no more"
				p.send(a.Append(nil, packet.V5))
				return true
			}
			c := s.dial(mqtt.Options{})
			err := c.Publish(t.Context(), mqtt.Message{Topic: "a", QoS: qos})
			refused, ok := errors.AsType[*mqtt.RefusedError](err)
			if !ok || *refused != (mqtt.RefusedError{What: "message", Topic: "a", Reason: packet.QuotaExceeded, Text: "no more"}) {
				t.Errorf("got %v", err)
			}
			if n := c.Stats().InFlight; n != 0 {
				t.Errorf("%d are in flight", n)
			}
		})
	}
}

// withheld answers no PUBLISH until let go.
type withheld struct {
	mu  sync.Mutex
	ids []uint16
}

func (w *withheld) rude(p *peer, h packet.Header, body []byte) bool {
	if h.Type != packet.PUBLISH {
		return false
	}
	var x packet.Publish
	if err := x.Decode(h, body, p.version); err != nil {
		p.s.t.Error(err)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ids = append(w.ids, x.PacketID)
	return true
}

func (w *withheld) count() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.ids)
}

func (w *withheld) answer(s *station, n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, id := range w.ids[:n] {
		s.peer.send(packet.AppendAck(nil, packet.PUBACK, id, 0, s.peer.version))
	}
	w.ids = w.ids[n:]
}

func TestReceiveMaximumOfTheBrokerIsKept(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newStation(t)
		var w withheld
		s.rude = w.rude
		s.connack = func(*packet.Connect) (a packet.Connack) {
			a.Properties.ReceiveMaximum = 3
			return a
		}
		c := s.dial(mqtt.Options{})
		var tokens []*mqtt.Token
		for range 10 {
			token, err := c.Post(t.Context(), mqtt.Message{Topic: "a", QoS: 1})
			noError(t, err)
			tokens = append(tokens, token)
		}
		for sent := 0; sent < 10; {
			synctest.Wait()
			n := w.count()
			if want := min(3, 10-sent); n != want {
				t.Fatalf("%d are under way, want %d", n, want)
			}
			w.answer(s, 1)
			sent++
		}
		synctest.Wait()
		for i, token := range tokens {
			if !token.Settled() {
				t.Errorf("message %d is not settled", i)
			}
			noError(t, token.Wait(t.Context()))
			noError(t, token.Wait(t.Context())) // again
		}
	})
}

func TestFlightIsBounded(t *testing.T) {
	for name, o := range map[string]mqtt.Options{
		"messages": {MaxInFlight: 2}, "bytes": {MaxInFlightBytes: 1500},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				s := newStation(t)
				var w withheld
				s.rude = w.rude
				c := s.dial(o)
				m := mqtt.Message{Topic: "a", QoS: 1, Payload: make([]byte, 1000)}
				for range 2 {
					_, err := c.Post(t.Context(), m)
					noError(t, err)
				}
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				if _, err := c.Post(ctx, m); !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("a third message: %v", err)
				}
				var done sync.WaitGroup
				for range 5 {
					done.Go(func() {
						if _, err := c.Post(t.Context(), m); err != nil {
							t.Error(err)
						}
					})
				}
				for range 7 {
					synctest.Wait()
					if n := w.count(); n < 1 || n > 2 {
						t.Fatalf("%d are under way", n)
					}
					w.answer(s, 1)
				}
				done.Wait()
			})
		})
	}
}

func TestPacketThatIsNeverAcknowledgedDoesNotBlockTheOthers(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newStation(t)
		s.rude = func(_ *peer, h packet.Header, _ []byte) bool { return h.Type == packet.SUBSCRIBE }
		c := s.dial(mqtt.Options{Reconnect: true, Timeout: time.Minute})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := c.Subscribe(ctx, mqtt.Subscription{Filter: "a"}); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatal(err)
		}
		for i := range 65_600 {
			if _, err := c.Post(t.Context(), mqtt.Message{Topic: "a", QoS: 1}); err != nil {
				t.Fatalf("message %d: %v", i, err)
			}
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if st := c.Stats(); st.InFlight != 0 || st.Reconnects != 1 {
			t.Errorf("%+v", st)
		}
	})
}

func TestPublishersWaitWhileTheBrokerReadsNothing(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newStation(t)
		stuck := make(chan struct{})
		s.rude = func(_ *peer, h packet.Header, _ []byte) bool {
			if h.Type == packet.PUBLISH {
				<-stuck
			}
			return false
		}
		c := s.dial(mqtt.Options{MaxOutbox: 10_000})
		const messages = 200
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		sent := 0
		for {
			if err := c.Publish(ctx, mqtt.Message{Topic: "a", Payload: make([]byte, 1000)}); err != nil {
				if !errors.Is(err, context.DeadlineExceeded) {
					t.Fatal(err)
				}
				break
			}
			if sent++; sent > messages {
				t.Fatal("nothing is bounded")
			}
		}
		close(stuck)
		for ; sent < messages; sent++ {
			noError(t, c.Publish(t.Context(), mqtt.Message{Topic: "a", Payload: make([]byte, 1000)}))
		}
		synctest.Wait()
		if n := len(s.got("a")); n != messages {
			t.Errorf("%d of %d messages arrived", n, messages)
		}
	})
}

func TestManyPublishersKeepTheirOrder(t *testing.T) {
	s := newStation(t)
	c := s.dial(mqtt.Options{TopicAliases: 4, MaxInFlight: 16})
	const publishers, each = 8, 200
	var running sync.WaitGroup
	for p := range publishers {
		running.Go(func() {
			for i := range each {
				m := mqtt.Message{Topic: fmt.Sprint("p/", p), Payload: []byte(fmt.Sprint(i)), QoS: byte(i % 3)}
				if err := c.Publish(t.Context(), m); err != nil {
					t.Error(err)
				}
			}
		})
	}
	running.Wait()
	noError(t, c.Publish(t.Context(), mqtt.Message{Topic: "last", QoS: 1}))
	topics := make(map[uint16]string)
	next := make(map[string]int)
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, x := range s.received {
		if a := x.Properties.TopicAlias; a > 4 {
			t.Fatalf("topic alias %d", a)
		} else if a > 0 && x.Topic != "" {
			topics[a] = x.Topic
		} else if a > 0 {
			x.Topic = topics[a]
		}
		if x.Topic == "last" {
			continue
		}
		if want := fmt.Sprint(next[x.Topic]); string(x.Payload) != want {
			t.Fatalf("%s: got %s, want %s", x.Topic, x.Payload, want)
		}
		next[x.Topic]++
	}
	for p := range publishers {
		if n := next[fmt.Sprint("p/", p)]; n != each {
			t.Errorf("publisher %d: %d of %d arrived", p, n, each)
		}
	}
}
