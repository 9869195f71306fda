package mqttclient

import (
	"context"
	"net/url"
	"testing"
	"time"

	"github.com/eclipse/paho.golang/autopaho"
	"github.com/eclipse/paho.golang/paho"
	pahomqtt "github.com/eclipse/paho.mqtt.golang"

	"omnibus/client/mqtt"
)

// client is a connected one.
type client struct {
	// publish returns when the broker has acknowledged the message, or with QoS 0 when the client has taken it.
	publish func(topic string, payload []byte, qos byte) error
	close   func()
}

type contender struct {
	name    string
	connect func(tb testing.TB, address, id string) client
}

var contenders = []contender{
	{"omnibus 5.0", func(tb testing.TB, address, id string) client { return connectOmnibus(tb, address, id, mqtt.V5) }},
	{"omnibus 3.1.1", func(tb testing.TB, address, id string) client { return connectOmnibus(tb, address, id, mqtt.V311) }},
	{"paho.mqtt.golang", connectPahoMQTT},
	{"paho.golang", connectAutopaho},
}

func connectOmnibus(tb testing.TB, address, id string, v mqtt.Version) client {
	ctx := context.Background()
	c, err := mqtt.Dial(ctx, "tcp://"+address, mqtt.Options{ClientID: id, Version: v, Reconnect: true})
	check(tb, err)
	return client{
		publish: func(topic string, payload []byte, qos byte) error {
			return c.Publish(ctx, mqtt.Message{Topic: topic, Payload: payload, QoS: qos})
		},
		close: func() { check(tb, c.Close()) },
	}
}

func connectPahoMQTT(tb testing.TB, address, id string) client {
	o := pahomqtt.NewClientOptions().AddBroker("tcp://" + address).SetClientID(id).SetKeepAlive(time.Minute)
	c := pahomqtt.NewClient(o)
	t := c.Connect()
	t.Wait()
	check(tb, t.Error())
	return client{
		publish: func(topic string, payload []byte, qos byte) error {
			t := c.Publish(topic, qos, false, payload)
			t.Wait()
			return t.Error()
		},
		close: func() { c.Disconnect(0) },
	}
}

func connectAutopaho(tb testing.TB, address, id string) client {
	ctx, cancel := context.WithCancel(context.Background())
	u, err := url.Parse("mqtt://" + address)
	check(tb, err)
	c, err := autopaho.NewConnection(ctx, autopaho.ClientConfig{
		ServerUrls: []*url.URL{u}, KeepAlive: 60, CleanStartOnInitialConnection: true,
		ClientConfig: paho.ClientConfig{ClientID: id},
	})
	check(tb, err)
	check(tb, c.AwaitConnection(ctx))
	return client{
		publish: func(topic string, payload []byte, qos byte) error {
			_, err := c.Publish(ctx, &paho.Publish{Topic: topic, Payload: payload, QoS: qos})
			return err
		},
		close: func() {
			_ = c.Disconnect(ctx)
			cancel()
			<-c.Done()
		},
	}
}

func check(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}
