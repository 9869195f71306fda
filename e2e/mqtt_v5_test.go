package e2e_test

import (
	"fmt"
	"reflect"
	"slices"
	"testing"
	"time"
)

// allProperties is a message with every property that one client sends another.
func allProperties(topic string) mqttMessage {
	return mqttMessage{
		Topic: topic, Payload: `{"n":1}`, QoS: 1, Format: 1, ContentType: "application/vnd.e2e+json",
		ResponseTopic: "answers/here", Correlation: []byte{0, 1, 0xfe, 0xff},
		User: [][2]string{{"colour", "blue"}, {"colour", "grün"}, {"empty", ""}},
	}
}

func TestMQTT5PropertiesArriveAsTheyWereSent(t *testing.T) {
	t.Parallel()
	b, _ := serveMQTT(t)
	eachMQTT(t, mqttClients5, func(t *testing.T, c mqttClient) {
		for _, to := range installed(t, mqttClients5) {
			want := allProperties(topicOf(t, to.library))
			publisher := c.connect(t, mqttHow{URL: b.urls["mqtt"], Clean: true})
			subscriber := to.connect(t, mqttHow{URL: b.urls["mqtt"], Clean: true})
			subscriber.subscribe(t, 1, want.Topic)
			publisher.publish(t, want)
			if got := subscriber.message(t); !reflect.DeepEqual(got, want) {
				t.Errorf("%v got\n%+v, want\n%+v", to, got, want)
			}
			kept := want
			kept.Retain = true
			publisher.publish(t, kept)
			if got := subscriber.message(t); !reflect.DeepEqual(got, want) { // who is subscribed gets it as any other
				t.Errorf("%v got\n%+v, want\n%+v", to, got, want)
			}
			late := to.connect(t, mqttHow{URL: b.urls["mqtt"], Clean: true})
			late.subscribe(t, 1, want.Topic)
			if got := late.message(t); !reflect.DeepEqual(got, kept) {
				t.Errorf("%v got of what is kept\n%+v, want\n%+v", to, got, kept)
			}
		}
	})
}

func TestWillOfMQTT5ClientHasItsProperties(t *testing.T) {
	t.Parallel()
	b, _ := serveMQTT(t)
	eachMQTT(t, mqttClients5, func(t *testing.T, c mqttClient) {
		want := allProperties(topicOf(t, "will"))
		heir := c.connect(t, mqttHow{URL: b.urls["mqtt"], Clean: true})
		heir.subscribe(t, 1, want.Topic)
		c.connect(t, mqttHow{URL: b.urls["mqtt"], Clean: true, Will: &want}).kill(t)
		if got := heir.message(t); !reflect.DeepEqual(got, want) {
			t.Errorf("got\n%+v, want\n%+v", got, want)
		}
	})
}

func TestMQTT5MessageExpiresWhileItWaits(t *testing.T) {
	t.Parallel()
	b, _ := serveMQTT(t)
	eachMQTT(t, mqttClients5, func(t *testing.T, c mqttClient) {
		const long = 1000
		topic := topicOf(t, "expires")
		how := mqttHow{URL: b.urls["mqtt"], ID: "away-" + c.library, Expiry: long}
		away := c.connect(t, how)
		away.subscribe(t, 1, topic)
		away.leave(t)
		publisher := c.connect(t, mqttHow{URL: b.urls["mqtt"], Clean: true})
		publisher.publish(t, mqttMessage{Topic: topic, Payload: "short", QoS: 1, Expiry: 1})
		publisher.publish(t, mqttMessage{Topic: topic, Payload: "long", QoS: 1, Expiry: long})
		publisher.publish(t, mqttMessage{Topic: topic, Payload: "short and kept", QoS: 1, Expiry: 1, Retain: true})
		time.Sleep(2500 * time.Millisecond) // real time: the broker's clock is in another process
		got := c.connect(t, how).message(t)
		if got.Payload != "long" || got.Expiry < 1 || got.Expiry >= long {
			t.Errorf("got %+v, want the message that is still good and less than %d s", got, long)
		}
		late := c.connect(t, mqttHow{URL: b.urls["mqtt"], Clean: true})
		late.subscribe(t, 1, topic)
		publisher.publish(t, mqttMessage{Topic: topic, Payload: "news", QoS: 1})
		expectMessages(t, late, "news")
	})
}

func TestMQTT5SessionExpires(t *testing.T) {
	t.Parallel()
	b, _ := serveMQTT(t)
	eachMQTT(t, mqttClients5, func(t *testing.T, c mqttClient) {
		topic := topicOf(t, "missed")
		how := func(expiry int) mqttHow {
			return mqttHow{URL: b.urls["mqtt"], ID: fmt.Sprint(c.library, expiry), Expiry: expiry}
		}
		sessions := map[int]bool{0: false, 1: false, 1000: true}
		for expiry := range sessions {
			p := c.connect(t, how(expiry))
			p.subscribe(t, 1, topic)
			p.leave(t)
		}
		time.Sleep(2500 * time.Millisecond) // real time: the broker's clock is in another process
		for expiry, present := range sessions {
			if _, connected := c.script(t, how(expiry)); connected.Present != present {
				t.Errorf("the session of %d s is present: %v, want %v", expiry, connected.Present, present)
			}
		}
	})
}

func TestMQTT5ClientIsGivenIdentifier(t *testing.T) {
	t.Parallel()
	b, _ := serveMQTT(t)
	eachMQTT(t, []mqttClient{{"paho", "5"}}, func(t *testing.T, c mqttClient) { // MQTT.js invents its own
		_, first := c.script(t, mqttHow{URL: b.urls["mqtt"], Clean: true})
		_, second := c.script(t, mqttHow{URL: b.urls["mqtt"], Clean: true})
		if first.ID == "" || first.ID == second.ID {
			t.Errorf("two clients are called %q and %q", first.ID, second.ID)
		}
	})
}

func TestMQTT5TopicAliases(t *testing.T) {
	t.Parallel()
	b, _ := serveMQTT(t)
	t.Run("Paho gives topics", func(t *testing.T) {
		paho := mqttClient{"paho", "5"}
		p, connected := paho.script(t, mqttHow{URL: b.urls["mqtt"], Clean: true})
		if connected.Aliases < 2 {
			t.Fatalf("the broker takes %d aliases", connected.Aliases)
		}
		one, two := topicOf(t, "one"), topicOf(t, "two")
		p.subscribe(t, 1, one, two)
		for _, step := range []struct{ topic, means string }{{one, one}, {"", one}, {two, two}, {"", two}} {
			p.publish(t, mqttMessage{Topic: step.topic, Payload: "for " + step.means, QoS: 1, Alias: 1})
			if got := p.message(t); got.Topic != step.means || got.Payload != "for "+step.means {
				t.Errorf("got %+v, want it in %s", got, step.means)
			}
		}
	})
	t.Run("MQTT.js assigns and takes", func(t *testing.T) {
		js := mqttClient{"mqtt.js", "5"}
		p, _ := js.script(t, mqttHow{URL: b.urls["mqtt"], Clean: true, AssignAliases: true, Aliases: 4})
		topics := make([]string, 10) // more than there are aliases
		for i := range topics {
			topics[i] = topicOf(t, fmt.Sprint("level", i))
		}
		p.subscribe(t, 1, topics...)
		taken := 0
		for n := range 3 {
			for _, topic := range topics {
				p.publish(t, mqttMessage{Topic: topic, Payload: fmt.Sprint(n, topic), QoS: 1})
				got := p.message(t)
				if got.Topic != topic || got.Payload != fmt.Sprint(n, topic) {
					t.Errorf("got %+v, want %d in %s", got, n, topic)
				}
				if got.Alias > 0 {
					taken++
				}
			}
		}
		p.event(t, "aliased") // the client left at least one topic out
		if taken == 0 {
			t.Error("the broker used no alias for 30 messages")
		}
	})
}

func TestMQTT5SubscriptionIdentifiersComeWithMessages(t *testing.T) {
	t.Parallel()
	b, _ := serveMQTT(t)
	eachMQTT(t, mqttClients5, func(t *testing.T, c mqttClient) {
		p, _ := c.script(t, mqttHow{URL: b.urls["mqtt"], Clean: true})
		p.subscribeAs(t, 7, 1, topicOf(t, "#"))
		p.subscribeAs(t, 268_435_455, 0, topicOf(t, "+"))
		p.subscribeAs(t, 0, 0, topicOf(t, "both/#")) // has none
		for level, want := range map[string][]int{"both": {7, 268_435_455}, "one/more": {7}} {
			p.publish(t, mqttMessage{Topic: topicOf(t, level), Payload: level, QoS: 1})
			got := p.message(t)
			slices.Sort(got.Subscriptions)
			if got.Payload != level || got.QoS != 1 || !slices.Equal(got.Subscriptions, want) {
				t.Errorf("got %+v, want QoS 1 and the identifiers %v", got, want)
			}
		}
	})
}
