package bus_test

import (
	"context"
	"testing"

	"omnibus/bus"
	"omnibus/payload"
	"omnibus/topic"
)

func TestSpawnIsBoundedForPublishersFromOutside(t *testing.T) {
	const most = 10 * bus.DefaultQueue
	dropped := 0
	b := bus.New(bus.Options{Observer: bus.Observer{Dropped: func(topic.Pattern, string) { dropped++ }}})
	release := make(chan struct{})
	s, err := bus.Subscribe(b, "flood", func(context.Context, bus.Event[int]) { <-release }, bus.Spawn())
	if err != nil {
		t.Fatal(err)
	}
	m := &bus.Message{Topic: "flood", Origin: &bus.Origin{Dialect: "test"}}
	m.Payload.Set(payload.JSON, []byte("1"))
	for range most + 3 {
		if _, err := b.Publish(m); err != nil {
			t.Fatal(err)
		}
	}
	if got := s.Stats().Dropped; got != 3 || dropped != 3 {
		t.Errorf("%d messages were lost, %d reported; want 3", got, dropped)
	}
	m.Origin = nil // a publisher of this process is not bounded
	if _, err := b.Publish(m); err != nil {
		t.Fatal(err)
	}
	close(release)
	if err := b.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := s.Stats(); got.Handled != most+1 || got.Dropped != 3 {
		t.Errorf("%+v, want %d handled and 3 lost", got, most+1)
	}
}

func TestRelayRunsBetweenAcceptingAndRouting(t *testing.T) {
	var order []string
	k := &orderKeeper{order: &order}
	b := bus.New(bus.Options{Keeper: k})
	p, err := topic.NewExact("x")
	if err != nil {
		t.Fatal(err)
	}
	s, err := b.Attach(p, receiverFunc(func(*bus.Message, *bus.Subscription) { order = append(order, "deliver") }), bus.AttachOptions{})
	if err != nil {
		t.Fatal(err)
	}
	relay := func(m *bus.Message) { order = append(order, "relay "+m.Topic) }
	if _, err := b.PublishVia(&bus.Message{Topic: "x"}, relay); err != nil {
		t.Fatal(err)
	}
	k.refuse = true
	if _, err := b.PublishVia(&bus.Message{Topic: "x"}, relay); err == nil {
		t.Error("a refused message was published")
	}
	if _, err := b.PublishVia(&bus.Message{Topic: "\x00"}, relay); err == nil {
		t.Error("a bad name was published")
	}
	s.Unsubscribe()
	s.Unsubscribe()
	want := []string{"attached", "keep", "relay x", "deliver", "keep", "detached"}
	if len(order) != len(want) {
		t.Fatalf("got %q, want %q", order, want)
	}
	for i := range want {
		if order[i] != want[i] {
			t.Fatalf("got %q, want %q", order, want)
		}
	}
}

type orderKeeper struct {
	order  *[]string
	refuse bool
}

func (k *orderKeeper) note(what string) { *k.order = append(*k.order, what) }

func (k *orderKeeper) Keep(*bus.Message) (bus.Position, error) {
	k.note("keep")
	if k.refuse {
		return 0, bus.Errorf(bus.Refused, "x", "no")
	}
	return 0, nil
}
func (k *orderKeeper) Attached(*bus.Subscription) { k.note("attached") }
func (k *orderKeeper) Detached(*bus.Subscription) { k.note("detached") }
