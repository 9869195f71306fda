package mqtt_test

import (
	"testing"
	"time"

	"omnibus/broker"
	"omnibus/bus"
	"omnibus/dialect/mqtt/packet"
)

func TestASessionThatIsTakenOverNeedsNoPlaceAmongThoseThatWait(t *testing.T) {
	p := serve(t, options{broker: broker.Options{Limits: broker.Limits{Sessions: 1}}})
	other := p.connect(packet.V5, "other", stays)
	_ = other.c.Close()
	for p.broker.Status().Sessions["mqtt"] == 0 {
		time.Sleep(time.Millisecond) // real time: the broker tells nobody that a client has gone
	}
	p.connect(packet.V5, "x", stays)
	if ack := p.connecting("x").connack(); !ack.SessionPresent {
		t.Errorf("its session is lost: %+v", ack)
	}
}

// With the race detector this fails soon when CONNACK is written too early.
func TestWhatIsPublishedOnceAClientIsAdmittedIsTheClients(t *testing.T) {
	p := serve(t, options{})
	first := p.connect(packet.V5, "x", stays)
	first.subscribe(0, "t")
	_ = first.c.Close()
	for i := range 2000 {
		c := p.connecting("x")
		if ack := c.connack(); !ack.SessionPresent {
			t.Fatalf("connection %d gets %+v", i, ack)
		}
		if _, err := p.broker.Bus("").Publish(&bus.Message{Topic: "t"}); err != nil {
			t.Fatal(err)
		}
		c.publish()
		_ = c.c.Close()
	}
}
