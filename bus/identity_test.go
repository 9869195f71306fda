package bus_test

import (
	"testing"

	"omnibus/bus"
	"omnibus/topic"
)

// collector keeps copies of what it is handed.
type collector []*bus.Message

// Deliver keeps one.
func (c *collector) Deliver(m *bus.Message, _ *bus.Subscription) { *c = append(*c, m.Clone()) }

func TestWhatHasNoIdentityIsGivenOne(t *testing.T) {
	next := ""
	b := bus.New(bus.Options{Identify: func() string { return next }})
	var got collector
	all, err := topic.Parse("#")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.Attach(all, &got, bus.AttachOptions{}); err != nil {
		t.Fatal(err)
	}
	send := func(m *bus.Message) {
		if _, err := b.Publish(m); err != nil {
			t.Fatal(err)
		}
	}
	send(&bus.Message{Topic: "none"})
	next = "x"
	send(&bus.Message{Topic: "given"})
	send(&bus.Message{Topic: "its own", ID: "y"})
	send((&bus.Message{Topic: "kept"}).Clone()) // others may read it: it is left alone
	if err := bus.Publish(t.Context(), b, "value", 1); err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{"", "x", "y", "", "x"} {
		if got[i].ID != want {
			t.Errorf("%s has the identity %q, want %q", got[i].Topic, got[i].ID, want)
		}
	}
}
