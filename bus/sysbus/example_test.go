package sysbus_test

import (
	"context"
	"fmt"

	"omnibus/bus"
	"omnibus/bus/sysbus"
)

// The sample program of sys_bus.
func Example() {
	s := sysbus.New(nil, sysbus.Options{})
	done := make(chan struct{}, 1)
	test := sysbus.Func(func(topic sysbus.Topic, msg any) {
		fmt.Printf("test ... topic = %v msg = %v\n", topic, msg)
		done <- struct{}{}
	})

	// Subscribe
	if err := s.Subscribe(sysbus.Text("test"), test); err != nil {
		fmt.Println(err)
	}
	// Publish
	if err := s.Publish(sysbus.Text("test"), "this is a test msg"); err != nil {
		fmt.Println(err)
	}
	<-done

	// Unsubscribe from the test function under the test topic
	fmt.Println(s.UnsubscribeHandler(sysbus.Text("test"), test))

	// Unsubscribe from all subscribed functions under the test topic
	fmt.Println(s.Unsubscribe(sysbus.Text("test")))

	if err := s.Close(context.Background()); err != nil {
		fmt.Println(err)
	}
	// Output:
	// test ... topic = test msg = this is a test msg
	// true
	// true
}

// Text topics are those of the bus: a handler hears what others publish there.
func ExampleNew() {
	b := bus.New(bus.Options{})
	s := sysbus.New(b, sysbus.Options{})
	_ = s.Subscribe(sysbus.Text("door"), sysbus.Func(func(topic sysbus.Topic, msg any) {
		fmt.Println(topic, msg)
	}))
	_ = s.Subscribe(sysbus.Int(7), sysbus.Func(func(topic sysbus.Topic, msg any) {
		fmt.Println("number", topic, msg)
	}))

	_ = bus.PublishSync(context.Background(), b, "door", "open")
	_ = s.PublishSync(sysbus.Int(7), "never leaves the sysbus")

	_ = s.Close(context.Background())
	_ = b.Close(context.Background())
	// Output:
	// door open
	// number 7 never leaves the sysbus
}
