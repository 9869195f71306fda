package mycroft_test

import (
	"context"
	"fmt"
	"log"
	"time"

	"omnibus/client/mycroft"
)

// exampleHub is a hub in memory, so that the examples need no other program.
func exampleHub() (options mycroft.Options, stop func()) {
	h := &hub{greeting: greeting, frames: make(chan string, 100)}
	h.up()
	return mycroft.Options{URL: "ws://hub:8181/core", Dial: h.dial}, h.stop
}

// A client that says what it hears. Without options it connects to the hub of
// this machine.
func Example() {
	options, stop := exampleHub() // in your program: options := mycroft.Options{}
	defer stop()

	client, err := mycroft.New(options)
	if err != nil {
		log.Fatal(err)
	}
	ctx := context.Background()
	done := make(chan struct{})
	client.On("speak", func(_ context.Context, m *mycroft.Message) {
		fmt.Printf("Mycroft said %q\n", m.Text("utterance"))
		close(done)
	})
	if err := client.Start(ctx); err != nil {
		log.Fatal(err)
	}
	speak := mycroft.NewMessage("speak", map[string]any{"utterance": "Hello World"})
	if err := client.Emit(ctx, speak); err != nil {
		log.Fatal(err)
	}
	<-done
	if err := client.Close(ctx); err != nil {
		log.Fatal(err)
	}
	// Output: Mycroft said "Hello World"
}

// A request and its answer.
func ExampleClient_WaitForResponse() {
	options, stop := exampleHub()
	defer stop()
	client, err := mycroft.New(options)
	if err != nil {
		log.Fatal(err)
	}
	ctx := context.Background()
	defer func() { _ = client.Close(ctx) }()
	client.On("mycroft.volume.get", func(ctx context.Context, m *mycroft.Message) {
		_ = client.Emit(ctx, m.Response(map[string]any{"percent": 0.5, "muted": false}))
	})
	if err := client.Start(ctx); err != nil {
		log.Fatal(err)
	}

	answer, err := client.WaitForResponse(ctx, mycroft.NewMessage("mycroft.volume.get", nil))
	if err != nil {
		log.Fatal(err)
	}
	var volume struct{ Percent float64 }
	if err := answer.Decode(&volume); err != nil {
		log.Fatal(err)
	}
	fmt.Println(answer.Type, volume.Percent)
	// Output: mycroft.volume.get.response 0.5
}

// A question that several may answer.
func ExampleClient_CollectResponses() {
	options, stop := exampleHub()
	defer stop()
	client, err := mycroft.New(options)
	if err != nil {
		log.Fatal(err)
	}
	ctx := context.Background()
	defer func() { _ = client.Close(ctx) }()
	client.OnCollect("question:query", time.Second, func(ctx context.Context, q *mycroft.Query) {
		_ = q.Succeed(ctx, map[string]any{"phrase": q.Text("phrase"), "answer": "828 m"})
	})
	if err := client.Start(ctx); err != nil {
		log.Fatal(err)
	}

	question := mycroft.NewMessage("question:query", map[string]any{"phrase": "how tall is it"})
	answers, err := client.CollectResponses(ctx, question, mycroft.CollectOptions{})
	if err != nil {
		log.Fatal(err)
	}
	for _, a := range answers {
		fmt.Println(a.Succeeded, a.Text("answer"))
	}
	// Output: true 828 m
}

// What a message says beside type, data and context is kept.
func ExampleNewFlat() {
	m := mycroft.NewFlat("mycroft.events.triggered", map[string]any{
		"namespace": "weather", "event_name": "refresh", "parameters": map[string]int{"n": 1},
	})
	frame, err := m.AppendTo(nil)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(string(frame))
	// Output: {"type":"mycroft.events.triggered","event_name":"refresh","namespace":"weather","parameters":{"n":1}}
}

// Who answers keeps the context and turns it round.
func ExampleMessage_Response() {
	request := mycroft.NewMessage("mic.mute", nil).WithContext("source", "app").WithContext("destination", "audio")
	response := request.Response(map[string]bool{"ok": true})
	fmt.Println(response.Type, string(response.Data), string(response.Context))
	// Output: mic.mute.response {"ok":true} {"source":"audio","destination":"app"}
}
