package lwmqtt_test

import (
	"fmt"
	"time"

	"omnibus/client/mqtt/lwmqtt"
)

// The example of the library in Go: subscribe after each connection, reconnect when the loop fails.
func Example() {
	c := lwmqtt.NewClient("zerynth-mqtt", lwmqtt.WithCleanSession(true))
	c.SetWill("zerynth/gone", []byte("bye"), lwmqtt.QoS(1))
	print := func(_ *lwmqtt.Client, payload []byte, topic string) { fmt.Println(topic, string(payload)) }
	subscribe := func(c *lwmqtt.Client) {
		if err := c.Subscribe("desktop/samples", print, lwmqtt.QoS(1)); err != nil {
			fmt.Println(err)
		}
	}
	retry := func(c *lwmqtt.Client) lwmqtt.Verdict {
		for {
			if code, err := c.Reconnect(); err == nil && code == lwmqtt.RCAccepted {
				return lwmqtt.Recovered
			}
			time.Sleep(5 * time.Second) // real time: between attempts
		}
	}
	code, err := c.Connect("broker.example", 60, lwmqtt.WithAConnect(subscribe), lwmqtt.WithLoopFailure(retry))
	if err != nil || code != lwmqtt.RCAccepted {
		fmt.Println(code, err)
		return
	}
	if err := c.Publish("temp/random", []byte("21.5"), lwmqtt.QoS(1)); err != nil {
		fmt.Println(err)
	}
	if err := c.Disconnect(); err != nil {
		fmt.Println(err)
	}
}
