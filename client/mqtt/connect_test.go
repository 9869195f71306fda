package mqtt_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"omnibus/client/mqtt"
	"omnibus/dialect/mqtt/packet"
)

func TestConnectSaysWhatTheOptionsSay(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newStation(t)
		s.connack = func(*packet.Connect) (a packet.Connack) {
			a.Properties.AssignedClientID = "assigned"
			a.Properties.ServerKeepAlive = 7
			a.Properties.Present.Add(packet.ServerKeepAlive)
			a.Properties.ResponseInformation = "answers/"
			a.Properties.SharedUnavailable = true
			return a
		}
		o := s.options(mqtt.Options{
			CleanStart: true, SessionExpiry: -1, KeepAlive: 90 * time.Second, ReceiveMaximum: 5, TopicAliases: 6, MaxPacket: 1000,
			User: mqtt.UserProperties(nil).Append("a", "b"),
			Will: &mqtt.Will{
				Message: mqtt.Message{Topic: "gone", Payload: []byte("me"), QoS: 1, Retain: true, ContentType: "text/plain"},
				Delay:   30 * time.Second,
			},
		})
		c, err := mqtt.Dial(t.Context(), "mqtt://ann:s3cret@broker", o)
		noError(t, err)
		server, _ := c.Server()
		noError(t, c.Close())
		x := s.connects[0]
		got := fmt.Sprint(x.ClientID, x.CleanStart, x.KeepAlive, x.Username, string(x.Password), x.Properties.SessionExpiryInterval,
			x.Properties.ReceiveMaximum, x.Properties.TopicAliasMaximum, x.Properties.MaximumPacketSize,
			x.Will.Topic, string(x.Will.Payload), x.Will.QoS, x.Will.Retain, x.Will.Properties.DelayInterval, x.Will.Properties.ContentType)
		want := fmt.Sprint("", true, 90, "ann", "s3cret", uint32(0xFFFFFFFF), 5, 6, 1000, "gone", "me", 1, true, 30, "text/plain")
		if got != want {
			t.Errorf("CONNECT is\n%s, want\n%s", got, want)
		}
		if v, _ := x.Properties.User.Get("a"); v != "b" {
			t.Error("the user properties are missing")
		}
		got = fmt.Sprint(server.Version, server.ClientID, server.KeepAlive, server.ResponseInformation, server.NoShared, server.ReceiveMaximum, server.MaxQoS)
		if want := fmt.Sprint("5.0", "assigned", 7*time.Second, "answers/", true, 65535, 2); got != want {
			t.Errorf("the broker is %s, want %s", got, want)
		}
	})
}

func TestOlderBrokersAreSpokenToInTheirVersion(t *testing.T) {
	answers := map[string]func(p *peer){
		"refuses":  func(p *peer) { p.send([]byte{0x20, 2, 0, 1}) },
		"hangs up": func(p *peer) { _ = p.conn.Close() },
		"refuses in version 5": func(p *peer) {
			a := packet.Connack{Reason: packet.UnsupportedProtocolVersion}
			p.send(a.Append(nil, packet.V5))
		},
	}
	for name, answer := range answers {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				s := newStation(t)
				s.rude = func(p *peer, h packet.Header, body []byte) bool {
					var x packet.Connect
					if h.Type != packet.CONNECT || x.Decode(h, body) != nil || x.Version != packet.V5 {
						return false
					}
					answer(p)
					return true
				}
				c := s.dial(mqtt.Options{ClientID: "me", SessionExpiry: time.Hour})
				if server, _ := c.Server(); server.Version != packet.V311 {
					t.Errorf("version %s is spoken", server.Version)
				}
				_, err := mqtt.Dial(t.Context(), url, s.options(mqtt.Options{Version: mqtt.V5}))
				if err == nil {
					t.Error("version 5 alone was asked for, and another one is spoken")
				}
			})
		})
	}
}

func TestRefusedConnectionIsAnError(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newStation(t)
		s.connack = func(*packet.Connect) packet.Connack {
			a := packet.Connack{Reason: packet.ServerMoved}
			a.Properties.ReasonString, a.Properties.ServerReference = "gone west", "other:1883"
			return a
		}
		_, err := mqtt.Dial(t.Context(), url, s.options(mqtt.Options{}))
		refused, ok := errors.AsType[*mqtt.RefusedError](err)
		if !ok || *refused != (mqtt.RefusedError{What: "connection", Reason: packet.ServerMoved, Text: "gone west", Server: "other:1883"}) {
			t.Errorf("got %v", err)
		}
		if want := "the broker refuses the connection: server moved (gone west); use other:1883"; fmt.Sprint(refused) != want {
			t.Errorf("got %v", err)
		}
	})
}

func TestWrongOptions(t *testing.T) {
	for _, o := range []mqtt.Options{
		{Version: 2},
		{Version: 6},
		{ClientID: "\xff"},
		{Version: mqtt.V31},
		{Version: mqtt.V311, SessionExpiry: time.Hour},
		{Username: "\xff"},
		{Password: make([]byte, 65_536)},
		{ClientID: "a", Version: mqtt.V311, CleanStart: true, SessionExpiry: 1},
		{Version: mqtt.V311, ClientID: "a", Auth: &scram{}},
		{User: mqtt.UserProperties(nil).Append("\xff", "")},
		{Will: &mqtt.Will{}},
		{Will: &mqtt.Will{Message: mqtt.Message{Topic: "a", Payload: make([]byte, 65_536)}}},
	} {
		if _, err := mqtt.Dial(t.Context(), url, o); !errors.Is(err, mqtt.ErrInvalid) {
			t.Errorf("%+v: %v", o, err)
		}
	}
}

func TestKeepAlive(t *testing.T) {
	for _, test := range []struct {
		name            string
		keepAlive, want time.Duration
		server          uint16
	}{
		{"as asked for", 20 * time.Second, 20 * time.Second, 0},
		{"the broker's", 20 * time.Second, 4 * time.Second, 4},
		{"shorter than an answer may take", 3 * time.Second, 3 * time.Second, 0},
		{"off", -1, 0, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				s := newStation(t)
				var last time.Time
				var gaps []time.Duration
				s.connack = func(*packet.Connect) (a packet.Connack) {
					last = time.Now()
					if a.Properties.ServerKeepAlive = test.server; test.server > 0 {
						a.Properties.Present.Add(packet.ServerKeepAlive)
					}
					return a
				}
				s.rude = func(_ *peer, h packet.Header, _ []byte) bool {
					if h.Type == packet.PINGREQ {
						gaps = append(gaps, time.Since(last))
						last = time.Now()
					}
					return false
				}
				c := s.dial(mqtt.Options{KeepAlive: test.keepAlive})
				time.Sleep(time.Minute)
				synctest.Wait()
				for _, gap := range gaps {
					if gap > test.want {
						t.Errorf("%s without a PINGREQ, of %s", gap, test.want)
					}
				}
				if n := len(gaps); test.want == 0 && n > 0 || test.want > 0 && (n < int(time.Minute/test.want)-1 || n > 3*int(time.Minute/test.want)) {
					t.Errorf("%d PINGREQ in a minute", n)
				}
				if !c.Connected() {
					t.Error("the connection ended")
				}
			})
		})
	}
}

func TestBrokerThatAnswersNoPing(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newStation(t)
		s.rude = func(_ *peer, h packet.Header, _ []byte) bool { return h.Type == packet.PINGREQ }
		c := s.dial(mqtt.Options{KeepAlive: 10 * time.Second})
		start := time.Now()
		for c.Err() == nil { // what is published shows nothing of the broker
			_ = c.Publish(t.Context(), mqtt.Message{Topic: "a"})
			time.Sleep(time.Second)
		}
		if took := time.Since(start); !errors.Is(c.Err(), mqtt.ErrNoAnswer) || !errors.Is(c.Err(), mqtt.ErrDisconnected) || took > 12*time.Second {
			t.Errorf("after %s it ended with %v", took, c.Err())
		}
	})
}

func TestDisconnectOfTheBrokerIsAnError(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newStation(t)
		c := s.dial(mqtt.Options{Reconnect: true}) // which gives up all the same
		d := packet.Disconnect{Reason: packet.SessionTakenOver}
		d.Properties.ReasonString = "another one came"
		s.mu.Lock()
		s.peer.send(d.Append(nil, packet.V5))
		s.mu.Unlock()
		<-c.Done()
		e, ok := errors.AsType[*mqtt.DisconnectError](c.Err())
		if !ok || *e != (mqtt.DisconnectError{Reason: packet.SessionTakenOver, Text: "another one came"}) {
			t.Errorf("got %v", c.Err())
		}
		if err := c.Publish(t.Context(), mqtt.Message{Topic: "a", QoS: 1}); !errors.Is(err, mqtt.ErrDisconnected) {
			t.Errorf("publishing: %v", err)
		}
		if _, err := c.Subscribe(t.Context(), mqtt.Subscription{Filter: "a"}); !errors.Is(err, mqtt.ErrDisconnected) {
			t.Errorf("subscribing: %v", err)
		}
	})
}

func TestFarewell(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newStation(t)
		farewells := make(chan packet.Disconnect, 1)
		s.rude = func(_ *peer, h packet.Header, body []byte) bool {
			if h.Type == packet.DISCONNECT {
				var d packet.Disconnect
				noError(t, d.Decode(h, bytes.Clone(body), packet.V5))
				farewells <- d
			}
			return false
		}
		c := s.dial(mqtt.Options{SessionExpiry: time.Hour})
		noError(t, c.Publish(t.Context(), mqtt.Message{Topic: "last words"}))
		none := time.Duration(0)
		noError(t, c.Disconnect(t.Context(), mqtt.Farewell{KeepWill: true, SessionExpiry: &none}))
		if d := <-farewells; d.Reason != packet.DisconnectWithWill || !d.Properties.Present.Has(packet.SessionExpiryInterval) {
			t.Errorf("DISCONNECT is %+v", d)
		}
		if len(s.got("last words")) != 1 {
			t.Error("what was published before it did not arrive")
		}
		noError(t, c.Disconnect(t.Context(), mqtt.Farewell{})) // once more
		noError(t, c.Close())
		if err := c.Publish(t.Context(), mqtt.Message{Topic: "a"}); !errors.Is(err, mqtt.ErrClosed) {
			t.Errorf("publishing afterwards: %v", err)
		}
	})
}

// scram is an authentication of some steps.
type scram struct {
	steps  int
	refuse bool // the broker's proof
	told   []string
}

func (a *scram) Method() string { return "TEST" }

func (a *scram) Begin() ([]byte, error) {
	a.steps = 0
	return []byte("begin"), nil
}

func (a *scram) Next(data []byte, last bool) ([]byte, error) {
	a.told = append(a.told, fmt.Sprint(string(data), last))
	if last && a.refuse {
		return nil, errors.New("the proof is wrong")
	}
	a.steps++
	return fmt.Append(nil, "step", a.steps), nil
}

// challenge has a station ask twice before it is content.
func challenge(s *station) {
	n, during := 0, packet.CONNECT
	var greeting func()
	s.rude = func(p *peer, h packet.Header, body []byte) bool {
		auth := func(r packet.ReasonCode, data string) {
			a := packet.Auth{Reason: r}
			a.Properties.AuthenticationMethod, a.Properties.AuthenticationData = "TEST", []byte(data)
			p.send(a.Append(nil, packet.V5))
		}
		switch h.Type {
		case packet.CONNECT:
			n, during = 0, h.Type
			body := bytes.Clone(body)
			greeting = func() { p.take(h, body) }
		case packet.AUTH:
			var a packet.Auth
			noError(s.t, a.Decode(h, body, packet.V5))
			if a.Reason == packet.Reauthenticate {
				n, during = 0, h.Type
			}
		default:
			return false
		}
		switch n++; {
		case n < 3:
			auth(packet.ContinueAuthentication, fmt.Sprint("ask", n))
		case during == packet.CONNECT:
			greeting()
		default:
			auth(packet.Success, "proof")
		}
		return true
	}
	s.connack = func(*packet.Connect) (a packet.Connack) {
		a.Properties.AuthenticationMethod, a.Properties.AuthenticationData = "TEST", []byte("proof")
		return a
	}
}

func TestEnhancedAuthentication(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newStation(t)
		challenge(s)
		a := &scram{}
		c := s.dial(mqtt.Options{Auth: a})
		noError(t, c.Reauthenticate(t.Context()))
		want := []string{"ask1false", "ask2false", "prooftrue"}
		if !slices.Equal(a.told, slices.Concat(want, want)) {
			t.Errorf("the authenticator was told %q", a.told)
		}
		_, err := mqtt.Dial(t.Context(), url, s.options(mqtt.Options{Auth: &scram{refuse: true}}))
		if err == nil || !strings.Contains(err.Error(), "the proof is wrong") {
			t.Errorf("a broker that does not prove itself: %v", err)
		}
	})
}

func TestDialEndsWithItsContext(t *testing.T) {
	bubble(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := mqtt.Dial(ctx, url, mqtt.Options{Dial: saying(nil, true)})
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
		_, err = mqtt.Dial(ctx, url, mqtt.Options{Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}})
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
	})
}
