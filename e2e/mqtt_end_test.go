package e2e_test

import (
	"fmt"
	"testing"
)

// Reasons in acknowledgements and DISCONNECT.
const (
	failure            = 0x80 // of any kind, before version 5
	notAuthorized      = 0x87
	serverShuttingDown = 0x8B
	sessionTakenOver   = 0x8E
)

func TestSigtermTellsMQTTClientsAndExitsZero(t *testing.T) {
	t.Parallel()
	clients := installed(t, mqttClients[3:])
	b, broker := serveMQTT(t)
	peers := map[mqttClient]*mqttScript{}
	for _, c := range clients {
		peers[c], _ = c.script(t, mqttHow{URL: b.urls["mqtt"], Clean: true})
	}
	if status := broker.terminate(t); status != 0 {
		t.Errorf("the broker ended with %d", status)
	}
	for c, p := range peers {
		e := p.event(t, "disconnected")
		if c.version == "5" && (e.Reason != serverShuttingDown || !e.ByServer) {
			t.Errorf("%v was told reason %#x (by the server: %v), want %#x", c, e.Reason, e.ByServer, serverShuttingDown)
		}
	}
}

func TestMQTTClientTakesOverSessionOfSameName(t *testing.T) {
	t.Parallel()
	b, _ := serveMQTT(t)
	eachMQTT(t, mqttClients[3:], func(t *testing.T, c mqttClient) {
		topic := topicOf(t, "taken")
		how := mqttHow{URL: b.urls["mqtt"], ID: c.name(), Expiry: 1000}
		first, _ := c.script(t, how)
		first.subscribe(t, 1, topic)
		second, connected := c.script(t, how)
		if !connected.Present {
			t.Error("the session was not present")
		}
		e := first.event(t, "disconnected")
		if c.version == "5" && (e.Reason != sessionTakenOver || !e.ByServer) {
			t.Errorf("the first was told reason %#x (by the server: %v), want %#x", e.Reason, e.ByServer, sessionTakenOver)
		}
		second.publish(t, mqttMessage{Topic: topic, Payload: "mine now", QoS: 1})
		expectMessages(t, second, "mine now")
	})
}

func TestManyMessagesInFlightArriveOnceAndInOrder(t *testing.T) {
	t.Parallel()
	const count = 2000
	b, _ := serveMQTT(t)
	eachMQTT(t, mqttClients[3:], func(t *testing.T, c mqttClient) {
		publisher, _ := c.script(t, mqttHow{URL: b.urls["mqtt"], Clean: true, Inflight: 100})
		for _, qos := range []int{1, 2} {
			topic := topicOf(t, fmt.Sprint("qos", qos))
			// Every client that takes part gets all.
			subscribers := map[mqttClient]mqttPeer{}
			for _, to := range []mqttClient{mqttClients[1], c} {
				to.need(t)
				subscribers[to] = to.connect(t, mqttHow{URL: b.urls["mqtt"], Clean: true})
				subscribers[to].subscribe(t, qos, topic)
			}
			publisher.do(t, "flood", mqttMessage{Topic: topic, QoS: qos}, map[string]any{"count": count})
			publisher.event(t, "flooded")
			publisher.publish(t, mqttMessage{Topic: topic, Payload: "end", QoS: qos})
			for to, p := range subscribers {
				for n := range count {
					if got := p.message(t); got.Payload != fmt.Sprint(n) || got.QoS != qos {
						t.Fatalf("%v: message %d is %+v", to, n, got)
					}
				}
				expectMessages(t, p, "end")
			}
		}
	})
}

func TestServiceTopicNeedsResponseTopics(t *testing.T) {
	t.Parallel()
	b, _ := serveMQTT(t)
	eachMQTT(t, mqttClients[3:], func(t *testing.T, c mqttClient) {
		p, _ := c.script(t, mqttHow{URL: b.urls["mqtt"], Clean: true})
		reason := p.trySubscribe(t, 0, 1, "$service/some/"+c.name())
		if refused := reason >= 0x80; refused == (c.version == "5") {
			t.Errorf("SUBACK has reason %#x", reason)
		}
	})
}

func TestDeniedMessagesAndSubscriptionsAreTold(t *testing.T) {
	t.Parallel()
	b, _ := serveMQTT(t, "--set", "broker.deny=[subscribe secret/#, publish secret/#]")
	eachMQTT(t, mqttClients[3:], func(t *testing.T, c mqttClient) {
		p, _ := c.script(t, mqttHow{URL: b.urls["mqtt"], Clean: true})
		subscribing, publishing := failure, 0 // PUBACK cannot tell before version 5
		if c.version == "5" {
			subscribing, publishing = notAuthorized, notAuthorized
		}
		if reason := p.trySubscribe(t, 0, 1, "secret/plan"); reason != subscribing {
			t.Errorf("SUBACK has reason %#x, want %#x", reason, subscribing)
		}
		p.do(t, "publish", mqttMessage{Topic: "secret/plan", Payload: "x", QoS: 1}, nil)
		if reason := p.event(t, "published").Reason; reason != publishing {
			t.Errorf("PUBACK has reason %#x, want %#x", reason, publishing)
		}
		p.subscribe(t, 1, topicOf(t, "open"))
		p.publish(t, mqttMessage{Topic: topicOf(t, "open"), Payload: "goes on", QoS: 1})
		expectMessages(t, p, "goes on")
	})
}
