package bus_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"omnibus/bus"
	"omnibus/topic"
)

// A subscription says what it takes, and gets it however it was published.
func Example() {
	ctx := context.Background()
	b := bus.New(bus.Options{})

	type Reading struct{ Celsius float64 }
	_, err := bus.Subscribe(b, "room/+/temperature", func(_ context.Context, e bus.Event[Reading]) {
		fmt.Printf("%s: %.1f °C\n", e.Topic, e.Value.Celsius)
	})
	if err != nil {
		fmt.Println(err)
	}

	_ = bus.Publish(ctx, b, "room/kitchen/temperature", Reading{21.5})
	_ = bus.Publish(ctx, b, "room/kitchen/humidity", 40) // nobody subscribes: no error
	_ = bus.Publish(ctx, b, "room/cellar/temperature", map[string]any{"Celsius": 12})

	_ = b.Close(ctx) // handles what is queued, then returns
	// Output:
	// room/kitchen/temperature: 21.5 °C
	// room/cellar/temperature: 12.0 °C
}

// A service is a function with a name. What it is called with and what it
// answers are Go values; a caller on the other side of a socket sees the same.
func ExampleExpose() {
	ctx := context.Background()
	b := bus.New(bus.Options{})
	defer func() { _ = b.Close(ctx) }()

	_, err := bus.Expose(b, "add", func(_ context.Context, numbers []float64) (float64, error) {
		if len(numbers) == 0 {
			return 0, bus.Errorf(bus.Invalid, "add", "nothing to add")
		}
		sum := 0.0
		for _, n := range numbers {
			sum += n
		}
		return sum, nil
	})
	if err != nil {
		fmt.Println(err)
	}

	sum, err := bus.Call[float64](ctx, b, "add", 1, 2, 3)
	fmt.Println(sum, err)

	_, err = bus.Call[float64](ctx, b, "add")
	fmt.Println(bus.KindOf(err), "-", err)

	_, err = bus.Call[float64](ctx, b, "subtract", 1)
	fmt.Println(bus.KindOf(err), "-", err)
	// Output:
	// 6 <nil>
	// invalid - "add": nothing to add
	// unknown - "subtract": no such service: nobody exposes it
}

// A queue is bounded. This subscriber wants the latest position and can do
// without those that came while it was busy.
func ExampleQueue() {
	ctx := context.Background()
	b := bus.New(bus.Options{Observer: bus.Observer{
		Dropped: func(p topic.Pattern, name string) { fmt.Printf("%s lost a message for %s\n", name, p) },
	}})

	busy, goOn := make(chan struct{}), make(chan struct{})
	s, err := bus.Subscribe(b, "robot/*", func(_ context.Context, e bus.Event[int]) {
		if e.Value == 0 {
			close(busy)
			<-goOn
		}
		fmt.Println("at", e.Value)
	}, bus.Queue(1, bus.DropOldest))
	if err != nil {
		fmt.Println(err)
	}

	_ = bus.Publish(ctx, b, "robot/position", 0)
	<-busy
	for x := 1; x <= 3; x++ {
		_ = bus.Publish(ctx, b, "robot/position", x)
	}
	close(goOn)
	_ = b.Close(ctx)
	fmt.Println(s.Stats().Dropped, "dropped")
	// Output:
	// robot/position lost a message for robot/*
	// robot/position lost a message for robot/*
	// at 0
	// at 3
	// 2 dropped
}

// With Block, the default, a full queue holds up the publisher until its
// context ends.
func ExamplePublish() {
	b := bus.New(bus.Options{})
	goOn := make(chan struct{})
	_, err := bus.Subscribe(b, "log", func(context.Context, bus.Event[string]) { <-goOn }, bus.Queue(1, bus.Block))
	if err != nil {
		fmt.Println(err)
	}

	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Millisecond)
	defer cancel()
	for err == nil {
		err = bus.Publish(ctx, b, "log", "line")
	}
	fmt.Println(errors.Is(err, context.DeadlineExceeded))

	close(goOn)
	_ = b.Close(context.Background())
	// Output: true
}
