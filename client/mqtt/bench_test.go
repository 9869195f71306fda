package mqtt_test

import (
	"context"
	"net"
	"testing"

	"omnibus/client/mqtt"
)

// BenchmarkPublish of QoS 0 into a connection that takes everything at once.
func BenchmarkPublish(b *testing.B) {
	c, err := mqtt.Dial(b.Context(), "tcp://sink", mqtt.Options{
		Version: mqtt.V5,
		Dial:    func(context.Context, string, string) (net.Conn, error) { return newSink(mqtt.V5), nil },
	})
	noError(b, err)
	m := mqtt.Message{Topic: "room/kitchen/temperature", Payload: []byte("21.5")}
	b.ReportAllocs()
	for b.Loop() {
		if err := c.Publish(b.Context(), m); err != nil {
			b.Fatal(err)
		}
	}
	noError(b, c.Close())
}

// BenchmarkPost of QoS 1 to a broker in memory that acknowledges each message, waiting for room in flight only.
func BenchmarkPost(b *testing.B) {
	s := newStation(b)
	c := s.dial(mqtt.Options{Version: mqtt.V5})
	m := mqtt.Message{Topic: "room/kitchen/temperature", Payload: []byte("21.5"), QoS: 1}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := c.Post(b.Context(), m); err != nil {
			b.Fatal(err)
		}
	}
}
