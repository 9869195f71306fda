package remote_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"

	"omnibus/bus"
	"omnibus/dialect/mqtt/packet"
	"omnibus/internal/remote"
	"omnibus/payload"
)

func plain(v packet.Version) []byte { return connack(v, packet.Connack{}) }

func TestMQTTPublishesPayloads(t *testing.T) {
	for _, x := range []struct {
		v      *payload.Value
		v5, v4 string
	}{
		{new(payload.Value), `"" qos 0`, `"" qos 0`},
		{payload.New(payload.JSON, []byte(`{"x":1}`)), `"{\"x\":1}" qos 0 application/json`, `"{\"x\":1}" qos 0`},
		{payload.Of([]int{1, 2}), `"[[1,2]]" qos 0 application/json`, `"[[1,2]]" qos 0`},
		{payload.OfArgs(1, "x"), `"[1,\"x\"]" qos 0 application/json`, `"[1,\"x\"]" qos 0`},
		{payload.Of("5"), `"5" qos 0 text/plain utf-8`, `"5" qos 0`},
		{payload.Of([]byte("\x00\xff")), `"\x00\xff" qos 0 application/octet-stream`, `"\x00\xff" qos 0`},
		{payload.New(payload.Raw, []byte("[1")), `"[1" qos 0`, `"[1" qos 0`},
	} {
		synctest.Test(t, func(t *testing.T) {
			p, c := startPeer(t, packet.V5, plain(packet.V5))
			noError(t, c.Publish(t.Context(), "a/b", x.v, remote.PublishOptions{}))
			p.wants(t, "PUBLISH a/b "+x.v5)
		})
		synctest.Test(t, func(t *testing.T) {
			p, c := startPeer(t, packet.V311, plain(packet.V311))
			noError(t, c.Publish(t.Context(), "a/b", x.v, remote.PublishOptions{Retain: true}))
			p.wants(t, "PUBLISH a/b "+x.v4+" retain")
		})
	}
}

// publishing publishes in the background.
func publishing(ctx context.Context, c remote.Client, qos uint8) <-chan error {
	done := make(chan error, 1)
	go func() { done <- c.Publish(ctx, "a", payload.Of("x"), remote.PublishOptions{QoS: qos}) }()
	return done
}

func undecided(t *testing.T, done <-chan error) {
	t.Helper()
	synctest.Wait()
	select {
	case err := <-done:
		t.Fatalf("it has ended before it should: %v", err)
	default:
	}
}

func TestMQTTPublishCompletesTheHandshake(t *testing.T) {
	for _, v := range []packet.Version{packet.V311, packet.V5} {
		synctest.Test(t, func(t *testing.T) {
			p, c := startPeer(t, v, plain(v))
			noError(t, <-publishing(t.Context(), c, 0)) // has none
			if got := <-p.packets; !strings.Contains(got, "qos 0") {
				t.Errorf("got %s", got)
			}

			done := publishing(t.Context(), c, 1)
			undecided(t, done)
			if got := <-p.packets; !strings.Contains(got, "qos 1") {
				t.Errorf("got %s", got)
			}
			p.ack(packet.PUBACK, packet.Success, "")
			noError(t, <-done)

			done = publishing(t.Context(), c, 2)
			undecided(t, done)
			if got := <-p.packets; !strings.Contains(got, "qos 2") {
				t.Errorf("got %s", got)
			}
			p.ack(packet.PUBREC, packet.Success, "")
			undecided(t, done)
			p.wants(t, "PUBREL 2 success")
			p.ack(packet.PUBREC, packet.Success, "") // once more
			p.wants(t, "PUBREL 2 success")
			p.ack(packet.PUBCOMP, packet.Success, "")
			noError(t, <-done)
		})
	}
}

func TestMQTTReasonsBecomeErrors(t *testing.T) {
	for _, x := range []struct {
		reason packet.ReasonCode
		kind   bus.Kind
	}{
		{packet.UnspecifiedError, bus.Failed},
		{packet.ImplementationSpecificError, bus.Failed},
		{packet.NotAuthorized, bus.Refused},
		{packet.TopicNameInvalid, bus.Invalid},
		{packet.PacketIdentifierInUse, bus.Failed},
		{packet.QuotaExceeded, bus.Full},
		{packet.PayloadFormatInvalid, bus.Invalid},
	} {
		for qos, by := range map[uint8]packet.Type{1: packet.PUBACK, 2: packet.PUBREC} {
			synctest.Test(t, func(t *testing.T) {
				p, c := startPeer(t, packet.V5, plain(packet.V5))
				done := publishing(t.Context(), c, qos)
				<-p.packets
				p.ack(by, x.reason, "because")
				isError(t, <-done, x.kind, `"a": the broker refuses the message: `+x.reason.String()+" (because)")
				done = publishing(t.Context(), c, qos)
				<-p.packets
				p.ack(by, x.reason, "")
				isError(t, <-done, x.kind, "refuses the message: "+x.reason.String())
			})
		}
	}
}

func TestMQTTKindsOfAllReasons(t *testing.T) {
	for code := range 256 {
		reason := packet.ReasonCode(code)
		known := reason.Failed() && !strings.HasPrefix(reason.String(), "reason code")
		kind, ok := remote.KindOfReason(reason)
		if ok != known {
			t.Errorf("%s: is there a kind: %v, want %v", reason, ok, known)
		}
		if kind == bus.Unknown {
			t.Errorf("%s: kind %s is told in another way", reason, kind)
		}
	}
}

func TestMQTTPublishWithoutSubscribersIsNoError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, c := startPeer(t, packet.V5, plain(packet.V5))
		done := publishing(t.Context(), c, 1)
		<-p.packets
		p.ack(packet.PUBACK, packet.NoMatchingSubscribers, "")
		noError(t, <-done)
		done = publishing(t.Context(), c, 2)
		<-p.packets
		p.ack(packet.PUBREC, packet.NoMatchingSubscribers, "")
		p.wants(t, "PUBREL 2 success")
		p.ack(packet.PUBCOMP, packet.Success, "")
		noError(t, <-done)
	})
}

func TestMQTTLimitsOfTheServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := packet.Connack{}
		a.Properties.SetQoSLimit(1)
		a.Properties.RetainUnavailable = true
		a.Properties.WildcardsUnavailable = true
		a.Properties.MaximumPacketSize = 100
		p, c := startPeer(t, packet.V5, connack(packet.V5, a))
		isError(t, <-publishing(t.Context(), c, 2), bus.Invalid, "refuses the message: QoS not supported")
		isError(t, <-publishing(t.Context(), c, 3), bus.Invalid, "is 3, at most 2")
		isError(t, c.Publish(t.Context(), "a", payload.Of(1), remote.PublishOptions{Retain: true}), bus.Invalid, "retain not supported")
		big := payload.Of(strings.Repeat("x", 100))
		for qos := range uint8(2) {
			isError(t, c.Publish(t.Context(), "a", big, remote.PublishOptions{QoS: qos}), bus.TooLarge, `"a": `, "at most 100")
		}
		isError(t, c.Publish(t.Context(), strings.Repeat("x", 65_536), payload.Of(1), remote.PublishOptions{}), bus.Invalid)
		s := subscribe(t, c, "a/#")
		isError(t, <-s.ended, bus.Invalid, "wildcard subscriptions not supported")
		p.wants(t, "UNSUBSCRIBE a/#")
		done := publishing(t.Context(), c, 1) // what was refused has left nothing behind
		p.wants(t, `PUBLISH a "x" qos 1 text/plain utf-8`)
		p.ack(packet.PUBACK, packet.Success, "")
		noError(t, <-done)
	})
}

func TestMQTTNamesThatCannotBeWritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, c := startPeer(t, packet.V5, plain(packet.V5))
		for _, name := range []string{"", "a+b", "a/#", "a\x00"} {
			isError(t, c.Publish(t.Context(), name, payload.Of(1), remote.PublishOptions{}), bus.Invalid)
			_, err := c.Call(t.Context(), name, payload.Of(1))
			isError(t, err, bus.Invalid)
			isError(t, c.Expose(t.Context(), name, nil, nil), bus.Invalid)
		}
		isError(t, c.Publish(t.Context(), "a", payload.New(payload.Text, []byte("\xff")), remote.PublishOptions{}), bus.Invalid)
	})
}

func TestMQTTReceiveMaximumOfTheServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := packet.Connack{}
		a.Properties.ReceiveMaximum = 1
		p, c := startPeer(t, packet.V5, connack(packet.V5, a))
		first := publishing(t.Context(), c, 1)
		synctest.Wait()
		second := publishing(t.Context(), c, 2)
		undecided(t, first)
		undecided(t, second)
		p.wants(t, `PUBLISH a "x" qos 1 text/plain utf-8`)
		if n := len(p.packets); n > 0 {
			t.Errorf("%d more packets before the first was acknowledged", n)
		}
		ctx, cancel := context.WithCancel(t.Context())
		third := publishing(ctx, c, 1)
		undecided(t, third)
		cancel()
		mentions(t, <-third, "waiting for the broker", "canceled") // it is sent all the same
		noError(t, <-publishing(t.Context(), c, 0))                // is not counted
		p.ack(packet.PUBACK, packet.Success, "")
		noError(t, <-first)
		p.wants(t, `PUBLISH a "x" qos 0 text/plain utf-8`, `PUBLISH a "x" qos 2 text/plain utf-8`)
		p.ack(packet.PUBREC, packet.QuotaExceeded, "")
		isError(t, <-second, bus.Full)
		p.wants(t, `PUBLISH a "x" qos 1 text/plain utf-8`)
		p.ack(packet.PUBACK, packet.Success, "")
		done := publishing(t.Context(), c, 1)
		p.wants(t, `PUBLISH a "x" qos 1 text/plain utf-8`)
		p.ack(packet.PUBACK, packet.Success, "")
		noError(t, <-done)
	})
}

func TestMQTTPublishThatNobodyWaitsFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, c := startPeer(t, packet.V5, plain(packet.V5))
		for _, qos := range []uint8{1, 2} {
			ctx, cancel := context.WithCancel(t.Context())
			done := publishing(ctx, c, qos)
			undecided(t, done)
			cancel()
			if err := <-done; !errors.Is(err, context.Canceled) {
				t.Errorf("it ended with %v", err)
			}
		}
		p.wants(t, `PUBLISH a "x" qos 1 text/plain utf-8`, `PUBLISH a "x" qos 2 text/plain utf-8`)
		p.ack(packet.PUBREC, packet.Success, "") // the exchange goes on
		p.wants(t, "PUBREL 2 success")
		p.ack(packet.PUBCOMP, packet.Success, "")
		done := publishing(t.Context(), c, 1)
		p.wants(t, `PUBLISH a "x" qos 1 text/plain utf-8`)
		p.ack(packet.PUBACK, packet.Success, "")
		noError(t, <-done)
	})
}
