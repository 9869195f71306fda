package lwmqtt_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"omnibus/client/mqtt/lwmqtt"
	"omnibus/dialect/mqtt/packet"
)

func noError(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func connect(t *testing.T, c *lwmqtt.Client, options ...lwmqtt.ConnectOption) {
	t.Helper()
	code, err := c.Connect("broker", 60, options...)
	noError(t, err)
	if code != lwmqtt.RCAccepted {
		t.Fatalf("return code %d", code)
	}
}

func same(t *testing.T, what string, got, want any) {
	t.Helper()
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%s: got %v, want %v", what, got, want)
	}
}

func TestDefaultsAreThoseOfTheOriginal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPeer(t)
		c := p.client()
		if _, ok := c.GetReturnCode(); ok || c.Connected() {
			t.Error("something is known before Connect")
		}
		c.SetUsernamePW("ann", "")
		c.SetWill("gone", []byte("me\x00too"))
		connect(t, c)
		x := p.first
		same(t, "CONNECT", []any{x.Version, x.CleanStart, x.KeepAlive, x.HasUsername, x.Username, x.HasPassword, len(x.Password)},
			[]any{packet.V311, true, 60, true, "ann", true, 0})
		same(t, "will", []any{x.Will.Topic, len(x.Will.Payload), x.Will.QoS, x.Will.Retain}, []any{"gone", 6, 0, true})
		noError(t, c.Publish("a", nil))
		noError(t, c.Publish("a", []byte("x"), lwmqtt.QoS(1), lwmqtt.Retain(true)))
		noError(t, c.Publish("a", []byte("y"), lwmqtt.QoS(2)))
		noError(t, c.Subscribe("b", func(*lwmqtt.Client, []byte, string) {}))
		noError(t, c.Unsubscribe("b"))
		noError(t, c.Disconnect())
		synctest.Wait()
		same(t, "packets", p.heard(), []string{
			"CONNECT", "PUBLISH a= qos 0 retain false", "PUBLISH a=x qos 1 retain true", "PUBLISH a=y qos 2 retain false", "PUBREL",
			"SUBSCRIBE b qos 0", "UNSUBSCRIBE", "DISCONNECT",
		})
		code, ok := c.GetReturnCode()
		same(t, "return code", []any{code, ok, c.Connected()}, []any{0, true, false})
	})
}

func TestRefusalIsACodeAndNoError(t *testing.T) {
	for reason, want := range map[packet.ReasonCode]lwmqtt.ReturnCode{
		packet.UnsupportedProtocolVersion: lwmqtt.RCRefusedVersion,
		packet.ClientIdentifierNotValid:   lwmqtt.RCRefusedIdentifier,
		packet.ServerUnavailable:          lwmqtt.RCRefusedServer,
		packet.BadUserNameOrPassword:      lwmqtt.RCRefusedBadUsrPwd,
		packet.NotAuthorized:              lwmqtt.RCRefusedNoAuth,
	} {
		synctest.Test(t, func(t *testing.T) {
			p := newPeer(t)
			p.code = reason
			c := p.client()
			called := false
			code, err := c.Connect("broker", 60,
				lwmqtt.WithAConnect(func(*lwmqtt.Client) { called = true }),
				lwmqtt.WithLoopFailure(func(*lwmqtt.Client) lwmqtt.Verdict { called = true; return lwmqtt.BreakLoop }))
			noError(t, err)
			last, _ := c.GetReturnCode()
			same(t, "result", []any{code, last, called, c.Connected()}, []any{want, want, false, false})
			if err := c.Publish("a", nil); !errors.Is(err, lwmqtt.ErrIO) {
				t.Errorf("publishing: %v", err)
			}
		})
	}
}

func TestReconnectKeepsTheOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPeer(t)
		c := p.client()
		var order []string
		note := func(what string) func(*lwmqtt.Client) {
			return func(c *lwmqtt.Client) { order = append(order, fmt.Sprint(what, " ", c.Connected())) }
		}
		connect(t, c, lwmqtt.WithBReconnect(note("before")), lwmqtt.WithAConnect(note("after")))
		if _, err := c.Connect("broker", 60); !errors.Is(err, lwmqtt.ErrIO) {
			t.Errorf("a second Connect: %v", err)
		}
		noError(t, c.Publish("a", nil)) // the connection has survived that
		code, err := c.Reconnect()
		noError(t, err)
		synctest.Wait()
		same(t, "return code", code, lwmqtt.RCAccepted)
		same(t, "order", order, []string{"after true", "before true", "after true"})
		same(t, "packets", p.heard(), []string{"CONNECT", "PUBLISH a= qos 0 retain false", "DISCONNECT", "CONNECT"})
	})
}

func TestLoopFailureDecides(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPeer(t)
		c := p.client(lwmqtt.WithCycleTimeout(500))
		var got []string
		function := func(_ *lwmqtt.Client, payload []byte, topic string) { got = append(got, topic+"="+string(payload)) }
		start := time.Now()
		var at []time.Duration
		connect(t, c,
			lwmqtt.WithAConnect(func(c *lwmqtt.Client) { noError(t, c.Subscribe("a", function)) }),
			lwmqtt.WithLoopFailure(func(c *lwmqtt.Client) lwmqtt.Verdict {
				at = append(at, time.Since(start))
				if len(at) == 3 { // the loop went on without a connection twice, at its own pace
					if _, err := c.Reconnect(); err != nil {
						t.Error(err)
					}
				}
				if len(at) == 4 {
					return lwmqtt.BreakLoop
				}
				return lwmqtt.Recovered
			}))
		p.send("a", "1")
		synctest.Wait()
		p.hangUp()
		time.Sleep(time.Minute)
		p.send("a", "2")
		synctest.Wait()
		same(t, "messages", got, []string{"a=1", "a=2"})
		p.hangUp()
		synctest.Wait()
		same(t, "failures", at, []time.Duration{0, 500 * time.Millisecond, time.Second, time.Minute})
		noError(t, c.Disconnect())
	})
}

func TestWithoutStartLoopMessagesWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPeer(t)
		c := p.client(lwmqtt.WithMaxQueued(2))
		var got []string
		connect(t, c, lwmqtt.WithStartLoop(false))
		noError(t, c.Subscribe("#", func(_ *lwmqtt.Client, payload []byte, _ string) { got = append(got, string(payload)) }, lwmqtt.QoS(1)))
		for i := range 5 {
			p.send("a", fmt.Sprint(i))
		}
		synctest.Wait()
		same(t, "messages", got, []string{})
		c.Loop()
		c.Loop() // runs already
		synctest.Wait()
		same(t, "messages", got, []int{0, 1, 2, 3, 4})
	})
}

func TestEachFunctionRunsOnceByTheRulesOfMQTT(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPeer(t)
		var panics []any
		c := p.client(lwmqtt.OnPanic(func(v any, _ []byte) { panics = append(panics, v) }))
		connect(t, c)
		var got []string
		for _, filter := range []string{"sensor/1", "sensor/+", "sensor/2", "#"} {
			noError(t, c.Subscribe(filter, func(_ *lwmqtt.Client, _ []byte, topic string) {
				got = append(got, filter+" "+topic)
				if topic == "sensor/3" {
					panic(filter)
				}
			}))
		}
		p.send("sensor/3", "")
		p.send("sensor/1", "")
		p.send("$SYS/x", "")
		synctest.Wait()
		same(t, "calls", got, []string{"sensor/+ sensor/3", "# sensor/3", "sensor/1 sensor/1", "sensor/+ sensor/1", "# sensor/1"})
		same(t, "panics", panics, []string{"sensor/+", "#"})
	})
}

func TestFunctionsMayUseTheClient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPeer(t)
		c := p.client()
		connect(t, c)
		done := make(chan error, 1)
		noError(t, c.Subscribe("go", func(c *lwmqtt.Client, _ []byte, _ string) {
			done <- errors.Join(
				c.Publish("out", nil, lwmqtt.QoS(2)),
				c.Subscribe("more", func(*lwmqtt.Client, []byte, string) {}),
				c.Unsubscribe("more"),
				c.Disconnect(),
			)
		}))
		for range 20 {
			p.send("go", "")
		}
		noError(t, <-done)
		synctest.Wait()
		if c.Connected() {
			t.Error("it is still connected")
		}
		connect(t, c) // again
		noError(t, c.Disconnect(100))
	})
}

func TestErrors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPeer(t)
		c := p.client(lwmqtt.WithCommandTimeout(1000), lwmqtt.WithMaxSubscriptions(1))
		nothing := func(*lwmqtt.Client, []byte, string) {}
		check := func(what string, err, want error) {
			t.Helper()
			if !errors.Is(err, want) {
				t.Errorf("%s: got %v, want %v", what, err, want)
			}
		}
		_, err := c.Reconnect()
		check("Reconnect before Connect", err, lwmqtt.ErrIO)
		check("publishing before Connect", c.Publish("a", nil), lwmqtt.ErrIO)
		noError(t, c.Disconnect())
		_, err = c.Connect("broker", -1)
		check("a negative keep-alive", err, lwmqtt.ErrValue)
		_, err = c.Connect("nobody", 60)
		check("a host that is not there", err, lwmqtt.ErrIO)
		p.set(func() { p.silent[packet.CONNECT] = true })
		_, err = c.Connect("broker", 60)
		check("a broker that says nothing", err, lwmqtt.ErrIO)
		p.set(func() { p.silent = make(map[packet.Type]bool) })
		failures := 0
		connect(t, c, lwmqtt.WithLoopFailure(func(*lwmqtt.Client) lwmqtt.Verdict { failures++; return lwmqtt.BreakLoop }))
		check("a wrong topic", c.Publish("a/#", nil), lwmqtt.ErrValue)
		check("a wrong filter", c.Subscribe("a#", nothing), lwmqtt.ErrValue)
		check("an unknown filter", c.Unsubscribe("a"), lwmqtt.ErrValue)
		p.set(func() { p.grant = packet.UnspecifiedError })
		check("a refused subscription", c.Subscribe("a", nothing), lwmqtt.ErrIO)
		p.set(func() { p.grant = 0 })
		check("a lower QoS", c.Subscribe("a", nothing, lwmqtt.QoS(2)), lwmqtt.ErrIO)
		noError(t, c.Subscribe("a", nothing))
		noError(t, c.Subscribe("a", nothing)) // the same one
		check("a subscription too many", c.Subscribe("b", nothing), lwmqtt.ErrValue)
		check("a prefix of a filter", c.Unsubscribe(""), lwmqtt.ErrValue)
		p.set(func() { p.silent[packet.PUBLISH] = true })
		check("no PUBACK", c.Publish("a", nil, lwmqtt.QoS(1)), lwmqtt.ErrIO)
		synctest.Wait()
		same(t, "afterwards", []any{c.Connected(), failures}, []any{false, 1})
	})
}

func TestDisconnectWaitsForTheLoop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPeer(t)
		c := p.client()
		connect(t, c)
		var order []string
		noError(t, c.Subscribe("a", func(*lwmqtt.Client, []byte, string) {
			time.Sleep(time.Second)
			synctest.Wait()
			order = append(order, "ran")
		}))
		p.send("a", "")
		synctest.Wait()
		noError(t, c.Disconnect(100)) // a function that runs is not waited for
		order = append(order, "disconnected")
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if want := []string{"disconnected", "ran"}; !slices.Equal(order, want) {
			t.Errorf("order is %q, want %q", order, want)
		}
	})
}
