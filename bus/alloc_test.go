package bus_test

import (
	"context"
	"testing"

	"omnibus/bus"
	"omnibus/payload"
)

// TestWhatAllocatesNothing is about the paths that promise it.
func TestWhatAllocatesNothing(t *testing.T) {
	handled := 0
	b := newBus(t, bus.Options{})
	for range 3 {
		subscribe(t, b, "text", func(context.Context, bus.Event[string]) { handled++ }, bus.Direct())
		subscribe(t, b, "struct/+", func(context.Context, bus.Event[point]) { handled++ }, bus.Direct())
		attach(t, b, "message", bus.AttachOptions{}, func(*bus.Message, *bus.Subscription) { handled++ })
		subscribe(t, b, "shared/text", func(context.Context, bus.Event[string]) { handled++ }, bus.Direct(), bus.Group("g"))
		attach(t, b, "shared/message", bus.AttachOptions{Group: "g"}, func(*bus.Message, *bus.Subscription) { handled++ })
	}
	m := message("message", payload.Text, "21.5")
	m.Origin = &bus.Origin{}
	shared := message("shared/message", payload.Text, "21.5")
	ctx := t.Context()
	var err error
	for name, f := range map[string]func(){
		"a typed publish to Direct handlers":           func() { err = bus.Publish(ctx, b, "text", "hello") },
		"a struct published to a wildcard":             func() { err = bus.Publish(ctx, b, "struct/a", point{1, 2}) },
		"a typed publish to nobody":                    func() { err = bus.Publish(ctx, b, "nobody", 1) },
		"a message published to Receivers":             func() { _, err = b.Publish(m) },
		"a typed publish to a group":                   func() { err = bus.Publish(ctx, b, "shared/text", "hello") },
		"a message published to a group":               func() { _, err = b.Publish(shared) },
		"the question whether anybody wants a message": func() { b.Wanted("text") },
	} {
		if n := testing.AllocsPerRun(200, f); n != 0 || err != nil {
			t.Errorf("%s allocates %v times, err %v", name, n, err)
		}
	}
	if handled != 3*3*201+2*201 {
		t.Errorf("%d handled", handled)
	}
}
