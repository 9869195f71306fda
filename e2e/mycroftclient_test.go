package e2e_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"omnibus/client/mycroft"
)

// originalHubs are the unmodified hubs by their modules. That of OVOS is on PyPI;
// mycroft-core is not, so it takes part where somebody has installed it.
var originalHubs = []string{"ovos_messagebus", "mycroft.messagebus.service"}

// originalHub starts an unmodified hub at an address.
func originalHub(t *testing.T, module, address string) *process {
	t.Helper()
	interpreter := python(t, module)
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	settings := fmt.Sprintf(`{"websocket": {"host": %q, "port": %s, "route": "/core", "ssl": false}}`, host, port)
	file := filepath.Join(dir, "mycroft", "mycroft.conf")
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(settings), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"XDG_CONFIG_HOME", "XDG_STATE_HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME"} {
		t.Setenv(name, dir)
	}
	return start(t, interpreter, "-m", module)
}

// eachHub runs a test at the hub of omnibus and at the original ones.
func eachHub(t *testing.T, test func(t *testing.T, b broker)) {
	t.Run("omnibus", func(t *testing.T) { test(t, serveHere(t, "mqtt.enabled=false")) })
	for _, module := range originalHubs {
		t.Run(module, func(t *testing.T) {
			address := freeAddress(t)
			originalHub(t, module, address)
			test(t, broker{mycroft: "ws://" + address + "/core"})
		})
	}
}

// freeAddress is an address nobody listens at.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// goClient returns a client in Go that is connected to a hub.
func goClient(t *testing.T, b broker) *mycroft.Client {
	t.Helper()
	c, err := mycroft.New(mycroft.Options{
		URL: b.mycroft, RetryMin: 20 * time.Millisecond, RetryMax: 200 * time.Millisecond, Timeout: patience,
		Events: mycroft.Events{Close: func(err error) { t.Log("closed:", err) }},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := c.Start(ctx); err != nil {
		t.Fatal(err)
	}
	return c
}

// answering is a handler that answers with data.
func answering(t *testing.T, c *mycroft.Client, data map[string]any) mycroft.Handler {
	return func(ctx context.Context, m *mycroft.Message) {
		if err := c.Emit(ctx, m.Response(data)); err != nil {
			t.Error(err)
		}
	}
}

func TestGoClientTalksToPythonClients(t *testing.T) {
	eachHub(t, func(t *testing.T, b broker) {
		eachClient(t, func(t *testing.T, connect func(broker) *process) {
			c := goClient(t, b)
			heard := make(chan string, 10)
			c.On("from.python", func(_ context.Context, m *mycroft.Message) { heard <- m.Text("x") })
			peer := connect(b)
			peer.write(t, "on from.go")
			peer.expect(t, "listening")
			if err := c.Emit(t.Context(), mycroft.NewMessage("from.go", map[string]string{"x": "<&> ü \u2603"})); err != nil {
				t.Fatal(err)
			}
			peer.expect(t, `got from.go {"x": "<&> \u00fc \u2603"}`)
			peer.write(t, `emit from.python {"x": "ü"}`)
			if got := next(t, heard); got != "ü" {
				t.Errorf("heard %q", got)
			}

			// Answers, of Python to Go and of Go to Python.
			peer.write(t, "answer python.add")
			peer.expect(t, "answering")
			var asking sync.WaitGroup
			for i := range 8 { // at the same time, each gets its own
				asking.Go(func() {
					answer, err := c.WaitForResponse(t.Context(), mycroft.NewMessage("python.add", map[string][]int{"args": {i, 100}}))
					if err != nil {
						t.Error(err)
						return
					}
					var sum struct{ Value int }
					if err := answer.Decode(&sum); err != nil || sum.Value != 100+i {
						t.Errorf("%d + 100 is %d (%v)", i, sum.Value, err)
					}
				})
			}
			asking.Wait()
			c.On("go.add", func(ctx context.Context, m *mycroft.Message) {
				var data struct{ Args []int }
				if err := m.Decode(&data); err != nil {
					t.Error(err)
				}
				if err := c.Emit(ctx, m.Response(map[string]int{"value": data.Args[0] + data.Args[1]})); err != nil {
					t.Error(err)
				}
			})
			peer.write(t, `ask go.add {"args": [20, 22]}`)
			peer.expect(t, `response {"value": 42}`)
		})
	})
}

func TestGoClientCollectsWithPythonClients(t *testing.T) {
	eachHub(t, func(t *testing.T, b broker) {
		for flavour, module := range pythonClients {
			t.Run(flavour, func(t *testing.T) {
				interpreter := python(t, module)
				address := b.mycroftAddress()
				peer := start(t, interpreter, append([]string{"testdata/mycroft_collect.py", flavour}, address...)...)
				peer.expect(t, "ready")
				c := goClient(t, b)

				peer.write(t, `handle question.python {"answer": "828 m"}`)
				peer.expect(t, "handling")
				answers, err := c.CollectResponses(t.Context(), mycroft.NewMessage("question.python", nil),
					mycroft.CollectOptions{Min: 10 * time.Second, Max: patience, Until: func(a *mycroft.Answer) bool { return a.Succeeded }})
				if err != nil || len(answers) != 1 || answers[0].Text("answer") != "828 m" {
					t.Errorf("%d answers, %v", len(answers), err)
				}

				c.OnCollect("question.go", 0, func(ctx context.Context, q *mycroft.Query) {
					if err := q.Succeed(ctx, map[string]string{"answer": q.Text("phrase") + "!"}); err != nil {
						t.Error(err)
					}
				})
				peer.write(t, `collect question.go {"phrase": "how tall"}`)
				line := peer.expect(t, "collected")
				if !strings.Contains(line, `collected 1 [{"answer": "how tall!"`) || !strings.Contains(line, `"succeeded": true`) {
					t.Error(line)
				}
			})
		}
	})
}

func TestGoClientComesBackWhenAnOriginalHubRestarts(t *testing.T) {
	for _, module := range originalHubs {
		t.Run(module, func(t *testing.T) {
			address := freeAddress(t)
			first := originalHub(t, module, address)
			c := goClient(t, broker{mycroft: "ws://" + address + "/core"})
			echo := func() {
				t.Helper()
				ctx, cancel := context.WithTimeout(t.Context(), patience)
				defer cancel()
				if _, err := c.WaitForResponse(ctx, mycroft.NewMessage("x.y", nil), "x.y"); err != nil {
					t.Fatal(err)
				}
			}
			echo()
			ear := start(t, omnibus(t), "mycroft", "-b", c.URL(), "listen", "last.words")
			ear.expect(t, "subscribed at")
			if err := first.cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
			first.done <- <-first.done
			originalHub(t, module, address)
			echo()
			if n := c.Stats().Connections; n != 2 {
				t.Errorf("there were %d connections", n)
			}
			ear.expect(t, "was lost")
			ear.expect(t, "connected again")
			if err := c.Emit(t.Context(), mycroft.NewMessage("last.words", nil)); err != nil {
				t.Fatal(err)
			}
			ear.expect(t, "last.words")
		})
	}
}

func TestMycroftCommandsWorkAtEveryHub(t *testing.T) {
	eachHub(t, func(t *testing.T, b broker) {
		c := goClient(t, b) // the hub is there
		c.On("add.up", answering(t, c, map[string]any{"value": 3}))
		ear := start(t, omnibus(t), "mycroft", "-b", b.mycroft, "listen", "--count", "2", "speak", "recognizer_loop:utterance")
		ear.expect(t, "subscribed at")
		for _, args := range [][]string{{"speak", "Hello World"}, {"say-to", "what time is it"}} {
			if out, err := run(t, omnibus(t), append([]string{"mycroft", "-b", b.mycroft}, args...)...); err != nil || out != "" {
				t.Errorf("%v: %v %s", args, err, out)
			}
		}
		ear.expect(t, `speak  {"lang":"en-us","utterance":"Hello World"}`)
		ear.expect(t, `recognizer_loop:utterance  {"lang":"en-us","utterances":["what time is it"]}`)
		if err := <-ear.done; err != nil {
			t.Error(err)
		}
		out, err := run(t, omnibus(t), "mycroft", "-b", b.mycroft, "send", "--wait", "add.up", `{"args": [1, 2]}`)
		var sum struct{ Value int }
		if err != nil || json.Unmarshal([]byte(out), &sum) != nil || sum.Value != 3 {
			t.Errorf("%v: %s", err, out)
		}
	})
}
