package e2e_test

import (
	"context"
	"encoding/json"
	"io"
	"testing"

	"omnibus/bus"
)

// pythonClients are the unmodified clients by the name that
// testdata/mycroft_client.py knows, with the module each needs.
var pythonClients = map[string]string{"mycroft": "mycroft_bus_client", "ovos": "ovos_bus_client"}

// eachClient runs a test with every Python client.
func eachClient(t *testing.T, test func(t *testing.T, connect func(broker) *process)) {
	for flavour, module := range pythonClients {
		t.Run(flavour, func(t *testing.T) {
			interpreter := python(t, module)
			test(t, func(b broker) *process { return startMycroft(t, interpreter, flavour, b) })
		})
	}
}

// startMycroft starts one of the Python clients and waits until it is connected.
func startMycroft(t *testing.T, interpreter, flavour string, b broker) *process {
	t.Helper()
	p := start(t, interpreter, append([]string{"testdata/mycroft_client.py", flavour}, b.mycroftAddress()...)...)
	p.expect(t, "ready")
	return p
}

func (p *process) write(t *testing.T, line string) {
	t.Helper()
	if _, err := io.WriteString(p.in, line+"\n"); err != nil {
		t.Fatal(err)
	}
}

func TestMycroftClientSpeaksToCurlAndGo(t *testing.T) {
	curl := need(t, "curl")
	eachClient(t, func(t *testing.T, connect func(broker) *process) {
		b := serveHere(t)
		heard := values[map[string]string](t, b.bus, "speak")
		listener := start(t, curl, "-sN", b.web+"/events?topics=speak")
		listener.expect(t, ": omnibus")
		connect(b).write(t, `emit speak {"utterance":"Hello World"}`)
		if got := next(t, heard)["utterance"]; got != "Hello World" {
			t.Errorf("the Go subscriber heard %q", got)
		}
		line := listener.expect(t, "data: ")
		var e struct {
			Topic   string
			Payload struct{ Utterance string }
		}
		if err := json.Unmarshal([]byte(line[len("data: "):]), &e); err != nil || e.Topic != "speak" || e.Payload.Utterance != "Hello World" {
			t.Errorf("curl saw %s (%v)", line, err)
		}
	})
}

func TestCurlAndGoReachMycroftHandler(t *testing.T) {
	curl := need(t, "curl")
	eachClient(t, func(t *testing.T, connect func(broker) *process) {
		b := serveHere(t)
		client := connect(b)
		client.write(t, "on mic.mute")
		client.expect(t, "listening")
		if out, err := run(t, curl, "-sS", "--fail-with-body", "-d", `{"by":"curl"}`, b.web+"/topics/mic.mute"); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		client.expect(t, `got mic.mute {"by": "curl"}`)
		if err := bus.Publish(t.Context(), b.bus, "mic.mute", map[string]string{"by": "go"}); err != nil {
			t.Fatal(err)
		}
		client.expect(t, `got mic.mute {"by": "go"}`)
	})
}

func TestMycroftClientHearsItsOwnMessages(t *testing.T) {
	eachClient(t, func(t *testing.T, connect func(broker) *process) {
		client := connect(serveHere(t))
		client.write(t, "on my.message")
		client.expect(t, "listening")
		client.write(t, `emit my.message {"n": 1}`)
		client.expect(t, `got my.message {"n": 1}`)
	})
}

func TestMycroftClientCallsGoFunction(t *testing.T) {
	eachClient(t, func(t *testing.T, connect func(broker) *process) {
		b := serveHere(t)
		exposeAdd(t, b)
		client := connect(b)
		client.write(t, `ask add {"args": [1, 2]}`)
		client.expect(t, `response {"value": 3}`)
		client.write(t, `ask add {"args": ["one"]}`)
		client.expect(t, `"kind": "invalid"`)
	})
}

func TestGoCallsMycroftSkill(t *testing.T) {
	eachClient(t, func(t *testing.T, connect func(broker) *process) {
		for _, declared := range []bool{true, false} {
			var set []string
			if !declared {
				set = []string{"mycroft.services=[sum.up]"}
			}
			b := serveHere(t, set...)
			client := connect(b)
			client.write(t, "answer sum.up")
			client.expect(t, "answering")
			if declared {
				client.write(t, "declare sum.up")
				client.expect(t, `declared {"ok": true}`)
			}
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			got, err := bus.Call[int](ctx, b.bus, "sum.up", 1, 2, 39)
			if err != nil || got != 42 {
				t.Errorf("declared by a message: %v; got %d, %v", declared, got, err)
			}
		}
	})
}

func TestTwoMycroftClientsTalk(t *testing.T) {
	eachClient(t, func(t *testing.T, connect func(broker) *process) {
		b := serveHere(t)
		skill, caller := connect(b), connect(b)
		skill.write(t, "answer add.up")
		skill.expect(t, "answering")
		caller.write(t, `ask add.up {"args": [4, 5]}`)
		caller.expect(t, `response {"value": 9}`)
	})
}

// exposeAdd exposes a Go function that adds two numbers.
func exposeAdd(t *testing.T, b broker) {
	t.Helper()
	e, err := bus.Expose(b.bus, "add", func(_ context.Context, xs [2]int) (int, error) { return xs[0] + xs[1], nil })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.Withdraw() })
}
