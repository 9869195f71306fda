package mqtt_test

import (
	"strings"
	"testing"
	"testing/synctest"

	"omnibus/bus"
	"omnibus/dialect/mqtt/packet"
	"omnibus/payload"
)

// What the bus can say and MQTT cannot is counted and left out.
func TestTopicsThatMQTTCannotWriteAreCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := serve(t, options{})
		all := []*client{p.connect(packet.V311, "old"), p.connect(packet.V5, "new"), p.connect(packet.V5, "safe")}
		for i, c := range all {
			c.subscribe(byte(i), "#")
		}
		published := 0
		for _, name := range []string{"a+b", "a/#b", "+", strings.Repeat("n", 65_536)} {
			for qos := range uint8(2) {
				before := p.counter("messages_unwritable")
				m := &bus.Message{Topic: name, QoS: qos}
				m.Payload.Set(payload.Text, []byte("x"))
				if _, err := p.broker.Bus("").Publish(m); err != nil {
					continue // the bus does not take it either
				}
				published++
				if n := p.counter("messages_unwritable") - before; n != int64(len(all)) {
					t.Errorf("%.20q of QoS %d is counted %d times, want %d", name, qos, n, len(all))
				}
			}
		}
		if published < 6 {
			t.Errorf("%d were published", published)
		}
		p.say("fine", "x", ofQoS(1))
		for _, c := range all {
			c.wants("fine=x")
			c.silent()
		}
	})
}

// point is a value of a program.
type point struct {
	X int `json:"x"`
	Y int `json:"y"`
}

func TestWhatProgramsPublishIsLabelled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := serve(t, options{})
		old, c := p.connect(packet.V311, "old"), p.connect(packet.V5, "new")
		old.subscribe(1, "#")
		c.subscribe(1, "#")
		for _, test := range []struct {
			name          string
			publish       func() error
			content, want string
		}{
			{"a struct", func() error { return bus.Publish(t.Context(), p.broker.Bus(""), "v", point{1, 2}) }, "application/json", `{"x":1,"y":2}`},
			{"a number", func() error { return bus.Publish(t.Context(), p.broker.Bus(""), "v", 21.5) }, "application/json", "21.5"},
			{"a text", func() error { return bus.Publish(t.Context(), p.broker.Bus(""), "v", "hello") }, "text/plain", "hello"},
			{"bytes", func() error { return bus.Publish(t.Context(), p.broker.Bus(""), "v", []byte{0, 1}) }, "application/octet-stream", "\x00\x01"},
			{"a list, which is not several arguments", func() error { return bus.Publish(t.Context(), p.broker.Bus(""), "v", []int{1}) }, "application/json", "[[1]]"},
			{"JSON text", func() error {
				m := &bus.Message{Topic: "v"}
				m.Payload.Set(payload.JSON, []byte(`{"a": 1}`))
				_, err := p.broker.Bus("").Publish(m)
				return err
			}, "application/json", `{"a": 1}`},
		} {
			if err := test.publish(); err != nil {
				t.Fatal(err)
			}
			m, before := c.publish(), old.publish()
			if string(m.Payload) != string(before.Payload) {
				t.Errorf("%s is %q for one and %q for the other", test.name, m.Payload, before.Payload)
			}
			if m.Properties.ContentType != test.content || string(m.Payload) != test.want {
				t.Errorf("%s is %q of type %q, want %q of type %q", test.name, m.Payload, m.Properties.ContentType, test.want, test.content)
			}
		}
	})
}
