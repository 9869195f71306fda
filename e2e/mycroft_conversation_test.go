package e2e_test

import (
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"omnibus/bus"
)

func TestMycroftClientsCollectResponses(t *testing.T) {
	eachClient(t, func(t *testing.T, connect func(broker) *process) {
		b := serveHere(t)
		caller := connect(b)
		for _, name := range []string{"one", "two", "silent"} {
			handler := connect(b)
			handler.write(t, "join who.answers "+name)
			handler.expect(t, "joined")
		}
		caller.write(t, `collect who.answers {"phrase": "how tall"}`)
		caller.expect(t, `collected ["None", "one", "two"]`) // failure() says nothing
		caller.write(t, "collect nobody.answers")
		caller.expect(t, "collected []")
	})
}

func TestMycroftClientWaitsForAMessage(t *testing.T) {
	eachClient(t, func(t *testing.T, connect func(broker) *process) {
		b := serveHere(t)
		waiter, sender := connect(b), connect(b)
		sender.write(t, "once some.message")
		sender.expect(t, "listening")
		waiter.write(t, "wait some.message")
		waiter.expect(t, "waiting")
		// The library may begin to wait a moment after it says so.
		for {
			sender.write(t, `emit some.message {"x": 1}`)
			select {
			case line := <-waiter.lines:
				if line != `waited {"x": 1}` {
					t.Errorf("it says %q", line)
				}
			case <-time.After(time.Second): // real time: a pause between two attempts
				continue
			}
			break
		}
		sender.expect(t, `got some.message {"x": 1}`)
	})
}

// expectBoth waits for two lines in any order: the libraries tell events on the
// threads of a pool.
func (p *process) expectBoth(t *testing.T, one, other string) {
	t.Helper()
	for missing := []string{one, other}; len(missing) > 0; {
		line := p.expect(t, "event ")
		missing = slices.DeleteFunc(missing, func(text string) bool { return strings.Contains(line, text) })
	}
}

// TestMycroftClientsComeBack: the hub is ended in order, and killed; the clients
// connect again by themselves, with the handlers that they had.
func TestMycroftClientsComeBack(t *testing.T) {
	if testing.Short() {
		t.Skip("the libraries wait five seconds and more before they connect again")
	}
	eachClient(t, func(t *testing.T, connect func(broker) *process) {
		t.Parallel()
		at, hub := serveProcess(t)
		host, port := at.mycroftAddress()[0], at.mycroftAddress()[1]
		client := connect(at)
		client.write(t, "on still.there")
		client.expect(t, "listening")
		for _, end := range []string{"terminate", "kill"} {
			if end == "kill" {
				if err := hub.cmd.Process.Kill(); err != nil {
					t.Fatal(err)
				}
				for range hub.lines {
					continue // until it has ended
				}
			} else if status := hub.terminate(t); status != 0 {
				t.Fatalf("the hub ended with %d", status)
			}
			// The later setting counts.
			_, hub = serveProcess(t, "--mycroft", net.JoinHostPort(host, port))
			client.expectBoth(t, "event reconnecting", "event open")
			client.write(t, `emit still.there {"after": "`+end+`"}`)
			client.expect(t, `got still.there {"after": "`+end+`"}`)
		}
	})
}

// TestMycroftClientsAnswerPings: quiet clients stay, since their libraries answer.
func TestMycroftClientsAnswerPings(t *testing.T) {
	eachClient(t, func(t *testing.T, connect func(broker) *process) {
		b := serveHere(t, "mycroft.ping_interval=100ms", "mycroft.ping_timeout=2s")
		client := connect(b)
		client.write(t, "on still.there")
		client.expect(t, "listening")
		time.Sleep(5 * time.Second) // real time: more than one that does not answer is given
		if err := bus.Publish(t.Context(), b.bus, "still.there", map[string]int{}); err != nil {
			t.Fatal(err)
		}
		for line := ""; line != "got still.there {}"; {
			if line = client.expect(t, ""); strings.HasPrefix(line, "event ") {
				t.Errorf("meanwhile its library told: %s", line)
			}
		}
	})
}

func TestAProgramWithoutALibraryIsGreetedFirst(t *testing.T) {
	interpreter := python(t, "websocket")
	b := serveHere(t)
	heard := values[map[string]int](t, b.bus, "my.message")
	address := b.mycroftAddress()
	p := start(t, interpreter, "testdata/mycroft_raw.py", address[0], address[1], "my.message", `{"n": 1}`)
	p.expect(t, `received {"type":"connected","data":{},"context":{"session":{"session_id":"default"}}}`)
	p.expect(t, `then {"type": "my.message", "data": {"n": 1}}`)
	if got := next(t, heard)["n"]; got != 1 {
		t.Errorf("the bus heard %d", got)
	}
}
