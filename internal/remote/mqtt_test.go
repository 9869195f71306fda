package remote_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"omnibus/bus"
	"omnibus/dialect/mqtt/packet"
	"omnibus/internal/remote"
	"omnibus/payload"
)

func TestMQTTConnects(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPeer(t, welcome(packet.V5))
		c := dial(t, p.network, "mqtt://ann:s3cret@localhost?client_id=sensor%201")
		got := <-p.connects
		if got.Version != packet.V5 || !got.CleanStart || got.KeepAlive != 60 || got.ClientID != "sensor 1" ||
			!got.HasUsername || got.Username != "ann" || string(got.Password) != "s3cret" || got.Properties.MaximumPacketSize != 64<<20 {
			t.Errorf("CONNECT is %+v", got)
		}
		noError(t, c.Close())
		p.wants(t, "DISCONNECT success")
		noError(t, c.Close())

		c = dial(t, p.network, mqttURL)
		got = <-p.connects
		if len(got.ClientID) != 23 || !strings.HasPrefix(got.ClientID, "omnibus") || got.HasUsername || got.HasPassword {
			t.Errorf("CONNECT is %+v", got)
		}
		noError(t, c.Close())
	})
}

func TestMQTTFallsBackToAnOlderVersion(t *testing.T) {
	older := welcome(packet.V311)[packet.V311]
	for name, first := range map[string][]byte{
		"it closes the connection": nil,
		"return code 1":            connack(packet.V311, packet.Connack{Reason: packet.UnsupportedProtocolVersion}),
		"reason code 0x84":         connack(packet.V5, packet.Connack{Reason: packet.UnsupportedProtocolVersion}),
		"it takes it for 3.1.1":    older,
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newPeer(t, map[packet.Version][]byte{packet.V5: first, packet.V311: older})
				c := dial(t, p.network, mqttURL)
				if a, b := <-p.connects, <-p.connects; a.Version != packet.V5 || b.Version != packet.V311 {
					t.Errorf("it tried %s and then %s", a.Version, b.Version)
				}
				s := subscribe(t, c, "a")
				p.wants(t, "SUBSCRIBE a qos 2")
				<-s.ready
				noError(t, c.Publish(t.Context(), "a", payload.Of("x"), remote.PublishOptions{}))
				noError(t, c.Close())
				mentions(t, <-s.ended, "closed")
			})
		})
	}
}

func TestMQTTBrokersThatCannotBeUsed(t *testing.T) {
	refuse := func(v packet.Version, reason packet.ReasonCode, text string) []byte {
		a := packet.Connack{Reason: reason}
		a.Properties.ReasonString = text
		return connack(v, a)
	}
	for name, x := range map[string]struct {
		v5, v311 []byte
		kind     bus.Kind
		words    []string
	}{
		"it always closes": {nil, nil, bus.Failed, []string{"localhost:1883", "does it speak MQTT"}},
		"it speaks neither": {
			refuse(packet.V5, packet.UnsupportedProtocolVersion, ""), refuse(packet.V311, packet.UnsupportedProtocolVersion, ""),
			bus.Invalid,
			[]string{"refuses the connection", "unsupported protocol version"},
		},
		"a bad password":        {refuse(packet.V5, packet.BadUserNameOrPassword, "who?"), nil, bus.Refused, []string{"refuses the connection", "bad user name or password (who?)"}},
		"a bad password, 3.1.1": {nil, refuse(packet.V311, packet.BadUserNameOrPassword, ""), bus.Refused, []string{"bad user name or password"}},
		"an older refusal":      {refuse(packet.V311, packet.NotAuthorized, ""), nil, bus.Refused, []string{"not authorized"}},
		"HTTP":                  {[]byte("HTTP/1.1 400 Bad Request\r\n\r\n" + strings.Repeat(" ", 100)), nil, bus.Failed, []string{"MQTT"}},
		"another packet":        {packet.AppendPingresp(nil), nil, bus.Failed, []string{"does not seem to speak MQTT"}},
		"half a packet":         {[]byte{0x20, 9, 0}, nil, bus.TimedOut, []string{"has not answered CONNECT"}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newPeer(t, map[packet.Version][]byte{packet.V5: x.v5, packet.V311: x.v311})
				_, err := remote.Dial(t.Context(), mqttURL, p.network.options())
				isError(t, err, x.kind, x.words...)
			})
		})
	}
}

func TestMQTTDialEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPeer(t, map[packet.Version][]byte{packet.V5: {0x20}})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() {
			_, err := remote.Dial(ctx, mqttURL, p.network.options())
			done <- err
		}()
		<-p.connects
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("Dial ended with %v", err)
		}
	})
}

func TestMQTTBrokerThatDoesNotRun(t *testing.T) {
	at := nowhere(t)
	_, err := remote.Dial(t.Context(), "mqtt://"+at, remote.Options{})
	mentions(t, err, "connecting to mqtt://"+at, "refused", "is omnibus serve running?")
}

func TestMQTTKeepsTheConnectionAlive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, c := startPeer(t, packet.V5, connack(packet.V5, packet.Connack{}))
		s := subscribe(t, c, "a")
		<-s.ready
		p.wants(t, "SUBSCRIBE a qos 2 id 1")
		for range 10 {
			start := time.Now()
			same(t, "packet", <-p.packets, "PINGREQ")
			if d := time.Since(start); d > time.Minute {
				t.Errorf("a ping comes after %s", d)
			}
		}
		select {
		case err := <-s.ended:
			t.Errorf("the subscription has ended: %v", err)
		default:
		}
	})
}

func TestMQTTKeepAliveOfTheServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := packet.Connack{}
		a.Properties.ServerKeepAlive = 5
		p, _ := startPeer(t, packet.V5, connack(packet.V5, a))
		start := time.Now()
		same(t, "packet", <-p.packets, "PINGREQ")
		if d := time.Since(start); d != 2500*time.Millisecond {
			t.Errorf("a ping comes after %s", d)
		}
	})
}

func TestMQTTBrokerThatFallsSilent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, c := startPeer(t, packet.V5, connack(packet.V5, packet.Connack{}), packet.PINGREQ)
		s := subscribe(t, c, "a")
		<-s.ready
		mentions(t, <-s.ended, "mqtt://localhost:1883", "was lost", "no answer from the broker to PINGREQ")
	})
}

func TestMQTTSlowHandlersDoNotEndTheConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, c := startPeer(t, packet.V5, connack(packet.V5, packet.Connack{}))
		ctx, stop := context.WithCancel(t.Context())
		ready, ended := make(chan struct{}), make(chan error, 1)
		slow := make(chan string)
		go func() {
			ended <- c.Subscribe(ctx, patterns(t, "a"), func() { close(ready) }, func(m *bus.Message) {
				time.Sleep(10 * time.Minute)
				slow <- describe(t, m)
			})
		}()
		<-ready
		for range 3 {
			p.publish(packet.Publish{Topic: "a", Payload: []byte("1")})
		}
		for range 3 {
			same(t, "message", <-slow, "a json 1")
		}
		stop()
		noError(t, <-ended)
	})
}

func TestMQTTConnectionsThatEnd(t *testing.T) {
	shutdown := packet.Disconnect{Reason: packet.ServerShuttingDown}
	shutdown.Properties.ReasonString = "for the night"
	shutdown.Properties.ServerReference = "other.example"
	alias := packet.Publish{Payload: []byte("x")}
	alias.Properties.TopicAlias = 1
	for name, x := range map[string]struct {
		raw   []byte // nothing closes the connection
		kind  bus.Kind
		words string
		told  string // the last packet of the client
	}{
		"closed":                 {nil, bus.Failed, "mqtt://localhost:1883: the connection was lost: the broker closed it", ""},
		"DISCONNECT":             {shutdown.Append(nil, packet.V5), bus.Closed, "the broker ended the connection: server shutting down (for the night); use other.example", ""},
		"a bare DISCONNECT":      {[]byte{0xE0, 0}, bus.Failed, "the broker ended the connection", ""},
		"garbage":                {[]byte{0, 0, 0}, bus.Failed, "broke the protocol", "DISCONNECT malformed packet"},
		"PUBLISH cut short":      {[]byte{0x30, 1, 0}, bus.Failed, "broke the protocol", "DISCONNECT malformed packet"},
		"a topic alias":          {alias.Append(nil, packet.V5), bus.Failed, "topic alias", "DISCONNECT topic alias invalid"},
		"a packet of clients":    {packet.AppendPingreq(nil), bus.Failed, "does not send PINGREQ", "DISCONNECT protocol error"},
		"a second CONNACK":       {connack(packet.V5, packet.Connack{}), bus.Failed, "does not send CONNACK", "DISCONNECT protocol error"},
		"a PUBACK for nothing":   {packet.AppendAck(nil, packet.PUBACK, 7, packet.Success, packet.V5), bus.Failed, "PUBACK for packet identifier 7", "DISCONNECT protocol error"},
		"a SUBACK for nothing":   {[]byte{0x90, 4, 0, 9, 0, 0}, bus.Failed, "SUBACK for packet identifier 9", "DISCONNECT protocol error"},
		"an UNSUBACK of nothing": {[]byte{0xB0, 4, 0, 9, 0, 0}, bus.Failed, "UNSUBACK for packet identifier 9", "DISCONNECT protocol error"},
		"a long packet":          {[]byte{0x30, 0xFF, 0xFF, 0xFF, 0x7F}, bus.Failed, "packet too large", "DISCONNECT packet too large"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p, c := startPeer(t, packet.V5, connack(packet.V5, packet.Connack{}))
				s := subscribe(t, c, "a")
				<-s.ready
				p.wants(t, "SUBSCRIBE a qos 2 id 1")
				if p.send(x.raw); len(x.raw) == 0 {
					p.hangUp()
				}
				isError(t, <-s.ended, x.kind, x.words)
				if x.told != "" {
					p.wants(t, x.told)
				}
				err := c.Publish(t.Context(), "a", payload.Of(1), remote.PublishOptions{QoS: 1})
				mentions(t, err, x.words)
				mentions(t, c.Publish(t.Context(), "a", payload.Of(1), remote.PublishOptions{}), x.words)
				_, err = c.Call(t.Context(), "a", payload.Of(1))
				mentions(t, err, x.words)
			})
		})
	}
}

func TestMQTTCloseEndsWhatIsUnderWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, c := startPeer(t, packet.V5, connack(packet.V5, packet.Connack{}))
		s := subscribe(t, c, "a")
		<-s.ready
		e := expose(t, c, "add", adder)
		<-e.ready
		done := make(chan error, 2)
		go func() { done <- c.Publish(t.Context(), "a", payload.Of(1), remote.PublishOptions{QoS: 2}) }()
		go func() {
			_, err := c.Call(t.Context(), "a", payload.Of(1))
			done <- err
		}()
		synctest.Wait()
		noError(t, c.Close())
		for _, ch := range []<-chan error{s.ended, e.ended, done, done} {
			mentions(t, <-ch, "the client was closed")
		}
	})
}
