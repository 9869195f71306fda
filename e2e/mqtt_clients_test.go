package e2e_test

import (
	"fmt"
	"strings"
	"testing"
)

func TestMQTTClientsPublishAndSubscribeWithEveryQoS(t *testing.T) {
	t.Parallel()
	b, _ := serveMQTT(t)
	eachMQTT(t, mqttClients, func(t *testing.T, c mqttClient) {
		subscriber := c.connect(t, mqttHow{URL: b.urls["mqtt"], Clean: true})
		publisher := c.connect(t, mqttHow{URL: b.urls["mqtt"], Clean: true})
		for subscribed := range 3 {
			subscriber.subscribe(t, subscribed, topicOf(t, fmt.Sprint("qos", subscribed)))
		}
		for subscribed := range 3 {
			for published := range 3 {
				want := mqttMessage{
					Topic: topicOf(t, fmt.Sprint("qos", subscribed)), Payload: fmt.Sprintf("%d for %d", published, subscribed), QoS: published,
				}
				publisher.publish(t, want)
				want.QoS = min(published, subscribed)
				if got := subscriber.message(t); fmt.Sprint(got) != fmt.Sprint(want) {
					t.Errorf("got %+v, want %+v", got, want)
				}
			}
		}
	})
}

// TestEveryMQTTClientHearsEveryOther also shows that versions meet.
func TestEveryMQTTClientHearsEveryOther(t *testing.T) {
	t.Parallel()
	b, _ := serveMQTT(t)
	peers := map[mqttClient]mqttPeer{}
	topic := topicOf(t, "all")
	for _, c := range installed(t, mqttClients) {
		peers[c] = c.connect(t, mqttHow{URL: b.urls["mqtt"], Clean: true})
		peers[c].subscribe(t, 1, topic)
	}
	for from, publisher := range peers {
		publisher.publish(t, mqttMessage{Topic: topic, Payload: "from " + from.String(), QoS: 1})
		for to, p := range peers {
			if got := p.message(t); got.Payload != "from "+from.String() || got.QoS != 1 {
				t.Errorf("%v got %+v from %v", to, got, from)
			}
		}
	}
}

func TestMQTTClientsGetRetainedMessage(t *testing.T) {
	t.Parallel()
	b, _ := serveMQTT(t)
	eachMQTT(t, mqttClients, func(t *testing.T, c mqttClient) {
		kept, other := topicOf(t, "kept"), topicOf(t, "other")
		publisher := c.connect(t, mqttHow{URL: b.urls["mqtt"], Clean: true})
		publisher.publish(t, mqttMessage{Topic: kept, Payload: "first", QoS: 1, Retain: true})
		publisher.publish(t, mqttMessage{Topic: kept, Payload: "last", QoS: 1, Retain: true})
		subscriber := c.connect(t, mqttHow{URL: b.urls["mqtt"], Clean: true})
		subscriber.subscribe(t, 1, kept)
		if got := subscriber.message(t); got.Payload != "last" || !got.Retain {
			t.Errorf("who subscribes later gets %+v", got)
		}
		publisher.publish(t, mqttMessage{Topic: kept, Payload: "news", QoS: 1, Retain: true})
		if got := subscriber.message(t); got.Payload != "news" || got.Retain {
			t.Errorf("who has subscribed before gets %+v", got)
		}
		publisher.publish(t, mqttMessage{Topic: kept, QoS: 1, Retain: true}) // takes it away
		late := c.connect(t, mqttHow{URL: b.urls["mqtt"], Clean: true})
		late.subscribe(t, 1, kept)
		late.subscribe(t, 1, other)
		publisher.publish(t, mqttMessage{Topic: other, Payload: "all is said", QoS: 1})
		expectMessages(t, late, "all is said")
	})
}

func TestWillOfMQTTClientIsPublishedWhenItDies(t *testing.T) {
	t.Parallel()
	b, _ := serveMQTT(t)
	eachMQTT(t, mqttClients, func(t *testing.T, c mqttClient) {
		died, own := topicOf(t, "died"), topicOf(t, "own")
		heir := c.connect(t, mqttHow{URL: b.urls["mqtt"], Clean: true})
		heir.subscribe(t, 1, died)
		for _, dies := range []bool{false, true} {
			will := mqttMessage{Topic: died, Payload: fmt.Sprint("dies: ", dies), QoS: 1}
			p := c.connect(t, mqttHow{URL: b.urls["mqtt"], Clean: true, Will: &will})
			p.subscribe(t, 0, own)
			if dies {
				p.kill(t)
			} else {
				p.leave(t)
			}
		}
		if (c == mqttClient{"mosquitto", "5"}) { // it asks for its will when it is terminated
			expectMessages(t, heir, "dies: false")
		}
		expectMessages(t, heir, "dies: true")
	})
}

func TestSessionOfMQTTClientWaitsForIt(t *testing.T) {
	t.Parallel()
	b, _ := serveMQTT(t)
	eachMQTT(t, mqttClients, func(t *testing.T, c mqttClient) {
		publisher := c.connect(t, mqttHow{URL: b.urls["mqtt"], Clean: true})
		for _, dies := range []bool{false, true} {
			topic := topicOf(t, fmt.Sprint("dies-", dies))
			how := mqttHow{URL: b.urls["mqtt"], ID: strings.ReplaceAll(topic, "/", "-"), Expiry: 1000}
			if c.version == "3.1" {
				how.ID = fmt.Sprint("short-", dies) // that version allows 23 letters
			}
			p := c.connect(t, how)
			p.subscribe(t, 2, topic)
			if dies {
				p.kill(t)
			} else {
				p.leave(t)
			}
			publisher.publish(t, mqttMessage{Topic: topic, Payload: "one", QoS: 1})
			publisher.publish(t, mqttMessage{Topic: topic, Payload: "two", QoS: 1})
			publisher.publish(t, mqttMessage{Topic: topic, Payload: "three", QoS: 2}) // last: order is kept within a QoS
			if c.library == "mosquitto" {                                             // does not tell whether the session was there
				p = c.connect(t, how)
				p.subscribe(t, 2, topic)
			} else {
				script, connected := c.script(t, how)
				if p = script; !connected.Present {
					t.Error("the session was not present")
				}
			}
			expectMessages(t, p, "one", "two", "three")
			publisher.publish(t, mqttMessage{Topic: topic, Payload: "four", QoS: 1})
			expectMessages(t, p, "four")
			p.leave(t)
		}
	})
}

func TestMQTTClientsShareSubscription(t *testing.T) {
	t.Parallel()
	const messages = 60
	b, _ := serveMQTT(t)
	eachMQTT(t, mqttClients, func(t *testing.T, c mqttClient) {
		work, end := topicOf(t, "work"), topicOf(t, "end")
		members := make([]mqttPeer, 2)
		for i := range members {
			members[i] = c.connect(t, mqttHow{URL: b.urls["mqtt"], Clean: true})
			members[i].subscribe(t, 1, "$share/team/"+work, end)
		}
		publisher := c.connect(t, mqttHow{URL: b.urls["mqtt"], Clean: true})
		for n := range messages {
			publisher.publish(t, mqttMessage{Topic: work, Payload: fmt.Sprint(n), QoS: 1})
		}
		publisher.publish(t, mqttMessage{Topic: end, Payload: "end", QoS: 1}) // everybody gets this one
		times := map[string]int{}
		for i, member := range members {
			got := 0
			for m := member.message(t); m.Topic == work; m = member.message(t) {
				times[m.Payload]++
				got++
			}
			if got == 0 || got == messages {
				t.Errorf("member %d got %d of %d messages", i, got, messages)
			}
		}
		for n := range messages {
			if got := times[fmt.Sprint(n)]; got != 1 {
				t.Errorf("message %d arrived %d times", n, got)
			}
		}
	})
}
