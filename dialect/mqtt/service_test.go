package mqtt_test

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"omnibus/broker"
	"omnibus/bus"
	"omnibus/dialect/mqtt"
	"omnibus/dialect/mqtt/packet"
)

// expose provides a service of this process.
func (p *place) expose(name string, f func(ctx context.Context, args bus.Args) (string, error)) {
	p.t.Helper()
	if _, err := bus.Expose(p.broker.Bus(""), name, f); err != nil {
		p.t.Fatal(err)
	}
}

// answerTo asks for an answer.
func answerTo(topic, mark string) func(*packet.Publish) {
	return func(p *packet.Publish) {
		p.Properties.ResponseTopic, p.Properties.CorrelationData = topic, []byte(mark)
	}
}

// answer is the omnibus-error, "" for none, and the payload of a message.
func answerOf(p *packet.Publish) (failed, text string) {
	failed, _ = p.Properties.User.Get("omnibus-error")
	return failed, string(p.Payload)
}

func TestAMessageWithAResponseTopicCallsTheService(t *testing.T) {
	for _, test := range []struct {
		name   string
		serve  func(ctx context.Context, args bus.Args) (string, error)
		expiry uint32
		failed string // the kind of error
		text   string // in the answer
		after  time.Duration
	}{
		{name: "it answers", text: `"21 degrees"`, serve: func(_ context.Context, args bus.Args) (string, error) {
			var n int
			err := args.Decode(&n)
			return "21 degrees", err
		}},
		{name: "it fails", failed: "failed", text: "no sensor", serve: func(context.Context, bus.Args) (string, error) {
			return "", bus.Errorf(bus.Failed, "", "no sensor")
		}},
		{name: "it refuses the arguments", failed: "invalid", serve: func(_ context.Context, args bus.Args) (string, error) {
			return "", args.Decode()
		}},
		{name: "it takes too long", failed: "timed out", after: 5 * time.Second, serve: func(ctx context.Context, _ bus.Args) (string, error) {
			<-ctx.Done()
			return "", ctx.Err()
		}},
		{name: "it takes longer than the message lives", failed: "timed out", expiry: 2, after: 2 * time.Second, serve: func(ctx context.Context, _ bus.Args) (string, error) {
			<-ctx.Done()
			return "", ctx.Err()
		}},
		{name: "it panics", failed: "failed", serve: func(context.Context, bus.Args) (string, error) { panic("out of paper") }},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := serve(t, options{config: func(c *mqtt.Config) { c.CallTimeout = 5 * time.Second }})
				p.expose("weather/now", test.serve)
				c, other := p.connect(packet.V5, "c"), p.connect(packet.V5, "other")
				c.subscribe(1, "answers/c")
				other.subscribe(1, "answers/other")
				began := time.Now()
				c.put(1, 1, "weather/now", "7", answerTo("answers/c", "m1"), func(m *packet.Publish) {
					m.Properties.ContentType, m.Properties.MessageExpiryInterval = "application/json", test.expiry
				})
				if a := c.ack(packet.PUBACK); a.Reason != packet.Success {
					t.Errorf("PUBACK says %v", a.Reason)
				}
				m := c.publish()
				failed, text := answerOf(&m)
				if m.Topic != "answers/c" || string(m.Properties.CorrelationData) != "m1" || failed != test.failed || !strings.Contains(text, strings.Trim(test.text, `"`)) {
					t.Errorf("the answer is %q (%s) on %s for %q", text, failed, m.Topic, m.Properties.CorrelationData)
				}
				if after := time.Since(began); after != test.after {
					t.Errorf("it came after %v, want %v", after, test.after)
				}
				other.silent()
				c.silent()
			})
		})
	}
}

func TestWithoutAServiceAMessageWithAResponseTopicIsAMessage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := serve(t, options{})
		asks, answers := p.connect(packet.V5, "asks"), p.connect(packet.V5, "answers")
		asks.subscribe(0, "answers/asks")
		asks.put(1, 1, "weather/now", "?", answerTo("answers/asks", "m1"))
		if a := asks.ack(packet.PUBACK); a.Reason != packet.NoMatchingSubscribers {
			t.Errorf("PUBACK says %v", a.Reason)
		}
		answers.subscribe(0, "weather/now")
		asks.put(0, 0, "weather/now", "?", answerTo("answers/asks", "m2"))
		m := answers.publish()
		if m.Properties.ResponseTopic != "answers/asks" || string(m.Properties.CorrelationData) != "m2" {
			t.Errorf("what arrived asks for %q %q", m.Properties.ResponseTopic, m.Properties.CorrelationData)
		}
		answers.put(0, 0, m.Properties.ResponseTopic, "21")
		asks.wants("answers/asks=21")
		asks.silent()
	})
}

func TestAClientProvidesAService(t *testing.T) {
	for _, test := range []struct {
		name   string
		v      packet.Version
		filter string
		reply  func(c *client, m *packet.Publish)
		want   string
		kind   bus.Kind // of the error, when want is empty
	}{
		{name: "by its response topic", v: packet.V5, filter: "$service/add", want: "3", reply: func(c *client, m *packet.Publish) {
			c.put(0, 0, m.Properties.ResponseTopic, "3", func(p *packet.Publish) { p.Properties.ContentType = "application/json" })
		}},
		{name: "with an error", v: packet.V5, filter: "$service/add", kind: bus.Invalid, reply: func(c *client, m *packet.Publish) {
			c.put(0, 0, m.Properties.ResponseTopic, "not numbers", func(p *packet.Publish) {
				p.Properties.User = p.Properties.User.Append("omnibus-error", "invalid")
			})
		}},
		{name: "by the convention", v: packet.V311, filter: "$request/+/add", want: "3", reply: func(c *client, m *packet.Publish) {
			c.put(0, 0, "$response/"+strings.Split(m.Topic, "/")[1], "3")
		}},
		{name: "by the convention with an error", v: packet.V311, filter: "$request/+/add", kind: bus.Failed, reply: func(c *client, m *packet.Publish) {
			c.put(0, 0, "$error/"+strings.Split(m.Topic, "/")[1], "not numbers")
		}},
		{name: "and leaves", v: packet.V5, filter: "$service/add", kind: bus.Unavailable, reply: func(c *client, _ *packet.Publish) { c.leave() }},
		{name: "and is lost", v: packet.V311, filter: "$request/+/add", kind: bus.Unavailable, reply: func(c *client, _ *packet.Publish) { c.cut() }},
		{name: "and unsubscribes", v: packet.V5, filter: "$service/add", kind: bus.Unavailable, reply: func(c *client, _ *packet.Publish) {
			c.send((&packet.Unsubscribe{PacketID: 2, Filters: []string{"$service/add"}}).Append(nil, c.v))
		}},
		{name: "and never answers", v: packet.V5, filter: "$service/add", kind: bus.TimedOut, reply: func(*client, *packet.Publish) {}},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := serve(t, options{broker: broker.Options{CallTimeout: 5 * time.Second}})
				c, thief := p.connect(test.v, "c"), p.connect(packet.V5, "thief")
				c.subscribe(1, test.filter)
				thief.subscribe(0, "#", "+/+", "$response/#", "$error/#")
				type result struct {
					n   json.Number
					err error
				}
				done := make(chan result, 1)
				go func() {
					n, err := bus.Call[json.Number](context.Background(), p.broker.Bus(""), "add", 1, 2)
					done <- result{n, err}
				}()
				m := c.publish()
				// Nobody else can answer, even who knows where to.
				id := m.Properties.ResponseTopic
				if id == "" {
					id = "$response/" + strings.Split(m.Topic, "/")[1]
				}
				thief.put(1, 1, id, "4")
				if a := thief.ack(packet.PUBACK); a.Reason != packet.NoMatchingSubscribers {
					t.Errorf("another client's answer is taken: %v", a.Reason)
				}
				test.reply(c, &m)
				r := <-done
				if test.want != "" && (r.err != nil || r.n.String() != test.want) {
					t.Errorf("got %s, %v; want %s", r.n, r.err, test.want)
				}
				if test.want == "" && (r.err == nil || bus.KindOf(r.err) != test.kind) {
					t.Errorf("got %s, %v; want an error of kind %v", r.n, r.err, test.kind)
				}
				thief.silent()
			})
		})
	}
}

func TestAnOldClientCannotProvideWhatItCannotAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := serve(t, options{})
		c := p.connect(packet.V311, "c")
		c.send((&packet.Subscribe{PacketID: 1, Filters: []packet.Subscription{{Filter: "$service/add"}, {Filter: "a"}}}).Append(nil, c.v))
		var ack packet.Suback
		c.expect(packet.SUBACK, &ack)
		if len(ack.Codes) != 2 || !ack.Codes[0].Failed() || ack.Codes[1] != packet.GrantedQoS0 {
			t.Errorf("SUBACK says %v", ack.Codes)
		}
		if _, err := bus.Call[int](t.Context(), p.broker.Bus(""), "add", 1, 2); bus.KindOf(err) != bus.Unknown {
			t.Errorf("the call: %v", err)
		}
	})
}

func TestAServiceHasANameWithoutWildcards(t *testing.T) {
	for _, filter := range []string{"$service/+", "$service/#", "$service/a/+", "$request/#", "$request/+/+", "$request/id/add"} {
		synctest.Test(t, func(t *testing.T) {
			p := serve(t, options{})
			c := p.connect(packet.V5, "c")
			c.send((&packet.Subscribe{PacketID: 1, Filters: []packet.Subscription{{Filter: filter}}}).Append(nil, c.v))
			var ack packet.Suback
			c.expect(packet.SUBACK, &ack)
			if ack.Codes[0] != packet.TopicFilterInvalid || ack.Properties.ReasonString == "" {
				t.Errorf("%s: SUBACK says %v %q", filter, ack.Codes, ack.Properties.ReasonString)
			}
		})
	}
}

// The answer of a request by the convention goes to the client that asked, also when
// others listen, and use the same id.
func TestAnAnswerGoesToWhoAsked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := serve(t, options{})
		p.expose("who", func(_ context.Context, args bus.Args) (string, error) {
			var name string
			err := args.Decode(&name)
			return name, err
		})
		ann, bob := p.connect(packet.V311, "ann"), p.connect(packet.V5, "bob")
		for _, c := range []*client{ann, bob} {
			c.subscribe(1, "$response/#", "$response/+", "$error/#")
		}
		ann.put(0, 0, "$request/7/who", `"ann"`)
		if m := ann.publish(); m.Topic != "$response/7" || !strings.Contains(string(m.Payload), "ann") {
			t.Errorf("ann got %s=%s", m.Topic, m.Payload)
		}
		ann.silent() // once, though two filters match
		bob.silent()
		bob.put(0, 0, "$request/7/nobody", "")
		if m := bob.publish(); m.Topic != "$error/7" {
			t.Errorf("bob got %s=%s", m.Topic, m.Payload)
		}
		ann.silent()
	})
}

func TestCallsAndServicesOfAClientAreLimited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := serve(t, options{broker: broker.Options{Limits: broker.Limits{Calls: 2, Services: 1}}})
		p.expose("slow", func(ctx context.Context, _ bus.Args) (string, error) {
			<-ctx.Done()
			return "", ctx.Err()
		})
		c := p.connect(packet.V5, "c")
		c.subscribe(0, "answers")
		for range 2 {
			c.put(0, 0, "slow", "", answerTo("answers", "m"))
		}
		synctest.Wait()
		c.put(0, 0, "slow", "", answerTo("answers", "third"))
		m := c.publish()
		if failed, _ := answerOf(&m); failed != "full" || string(m.Properties.CorrelationData) != "third" {
			t.Errorf("the answer to %q is %q", m.Properties.CorrelationData, failed)
		}
		c.subscribe(0, "$service/one")
		c.send((&packet.Subscribe{PacketID: 2, Filters: []packet.Subscription{{Filter: "$service/two"}}}).Append(nil, c.v))
		var ack packet.Suback
		if c.expect(packet.SUBACK, &ack); ack.Codes[0] != packet.QuotaExceeded {
			t.Errorf("SUBACK says %v", ack.Codes)
		}
	})
}

func TestCallsEndWithTheirConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := serve(t, options{config: func(c *mqtt.Config) { c.CallTimeout = time.Hour }})
		ended := make(chan error, 1)
		p.expose("slow", func(ctx context.Context, _ bus.Args) (string, error) {
			<-ctx.Done()
			ended <- ctx.Err()
			return "", ctx.Err()
		})
		for _, in := range []string{"slow", "$request/1/slow"} {
			began := time.Now()
			c := p.connect(packet.V5, "c")
			c.put(0, 0, in, "", answerTo("answers", "m"))
			synctest.Wait() // the service runs
			c.cut()
			if err := <-ended; time.Since(began) != 0 {
				t.Errorf("the call of %s went on for %v: %v", in, time.Since(began), err)
			}
		}
	})
}
