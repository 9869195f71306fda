package mqtt_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"omnibus/client/mqtt"
)

// A client that subscribes and publishes, and says good-bye.
func Example() {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	address, stop := exampleBroker()
	defer stop()

	c, err := mqtt.Dial(ctx, "tcp://"+address, mqtt.Options{ClientID: "kitchen"})
	if err != nil {
		fmt.Println(err)
		return
	}
	received := make(chan struct{})
	_, err = c.Subscribe(ctx, mqtt.Subscription{Filter: "room/+/temperature", QoS: 1, Handler: func(m *mqtt.Message) {
		fmt.Println(m.Topic, string(m.Payload))
		close(received)
	}})
	if err != nil {
		fmt.Println(err)
		return
	}
	if err := c.Publish(ctx, mqtt.Message{Topic: "room/kitchen/temperature", Payload: []byte("21.5"), QoS: 1}); err != nil {
		fmt.Println(err)
		return
	}
	<-received
	fmt.Println(c.Close())
	// Output:
	// room/kitchen/temperature 21.5
	// <nil>
}

// A client that stays connected by itself, whatever happens to the broker. What it publishes with QoS 1 and 2 outlives
// connections and, in a file, the process.
func ExampleStart() {
	file, err := mqtt.OpenFile("sensor.session", false)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { fmt.Println(file.Close()) }()
	c, err := mqtt.Start("mqtts://sensor:s3cret@broker.example", mqtt.Options{
		ClientID: "sensor", SessionExpiry: 24 * time.Hour, Store: file,
		OnDisconnect: func(_ *mqtt.Client, err error) { fmt.Println("connection lost:", err) },
		OnError:      func(err error) { fmt.Println(err) },
		Will:         &mqtt.Will{Message: mqtt.Message{Topic: "sensor/gone", QoS: 1}, Delay: time.Minute},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { fmt.Println(c.Close()) }()
	for range time.Tick(time.Minute) {
		// It waits only while too much is in flight.
		if _, err := c.Post(context.Background(), mqtt.Message{Topic: "sensor/value", Payload: []byte("1"), QoS: 1}); err != nil {
			fmt.Println("not published:", err)
			return
		}
	}
}

// What a broker refuses is an error that says why.
func ExampleRefusedError() {
	_, err := mqtt.Dial(context.Background(), "tcp://broker.example", mqtt.Options{})
	if refused, ok := errors.AsType[*mqtt.RefusedError](err); ok {
		fmt.Println("refused:", refused.Reason)
	}
}
