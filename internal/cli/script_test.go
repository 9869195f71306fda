package cli_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"omnibus/dialect/std"
	"omnibus/internal/app"
)

// The scripts of testdata/script run against a broker of their own: $WEB, $MYCROFT
// and $MQTT are its URLs, $NOBODY one where nothing listens; nobody may publish on
// denied.to.all. Besides the usual
// commands they know
//
//	code N COMMAND ARG...     runs a command and checks its exit code
//	start NAME ARG...         runs omnibus in the background, and goes on when
//	                          it has told that its subscription or service is
//	                          in place
//	finish NAME [N]           waits for it to end with exit code N or 0; what it
//	                          wrote is in NAME.out and NAME.err
//	interrupt NAME [N]        the same, but interrupts it
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(env *testscript.Env) error {
			urls, stop, err := startBroker()
			if err != nil {
				return err
			}
			env.Defer(func() {
				if err := stop(); err != nil {
					env.T().Log("the broker did not end well:", err)
					env.T().FailNow()
				}
			})
			env.Setenv("WEB", urls["web"])
			env.Setenv("MYCROFT", urls["mycroft"])
			env.Setenv("MQTT", urls["mqtt"])
			env.Setenv("GORACE", quickRaces)
			env.Setenv("NOBODY", "http://127.0.0.1:1")
			return nil
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"code":      code,
			"start":     start,
			"finish":    func(ts *testscript.TestScript, _ bool, args []string) { finish(ts, args, nil) },
			"interrupt": func(ts *testscript.TestScript, _ bool, args []string) { finish(ts, args, os.Interrupt) },
		},
	})
}

// startBroker runs a broker on free ports and returns its URLs by dialect, and
// how to end it.
func startBroker() (urls map[string]string, stop func() error, err error) {
	settings := app.Defaults(std.All())
	for path, value := range map[string]string{
		"web.listen": "127.0.0.1:0", "mycroft.listen": "127.0.0.1:0", "mqtt.listen": "127.0.0.1:0", "mqtt.websocket.listen": "",
		"broker.deny": `["publish denied.to.all"]`,
	} {
		if err := settings.Set(path, value); err != nil {
			return nil, nil, err
		}
	}
	a, err := app.New(settings, slog.New(slog.DiscardHandler), "test")
	if err != nil {
		return nil, nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	if err := a.Bind(ctx); err != nil {
		cancel()
		return nil, nil, errors.Join(err, a.Close())
	}
	urls = make(map[string]string)
	for _, x := range a.Addresses() {
		urls[x.Dialect] = x.URL
	}
	ended := make(chan error, 1)
	go func() { ended <- a.Run(ctx) }()
	return urls, func() error { cancel(); return <-ended }, nil
}

func code(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: code N COMMAND ARG...")
	}
	got := 0
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		exit, ok := errors.AsType[*exec.ExitError](err)
		if !ok {
			ts.Fatalf("%v", err)
		}
		got = exit.ExitCode()
	}
	if strconv.Itoa(got) != args[0] {
		ts.Fatalf("the exit code is %d, not %s", got, args[0])
	}
}

// background is an omnibus that runs in the background.
type background struct {
	cmd      *exec.Cmd
	out, err string // files
	ended    chan struct{}
}

// patience is how long a background process may take; it fails the test.
const patience = 30 * time.Second

type backgroundKey string

func start(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: start NAME ARG...")
	}
	b := &background{cmd: exec.Command("omnibus", args[1:]...), ended: make(chan struct{})}
	b.out, b.err = ts.MkAbs(args[0]+".out"), ts.MkAbs(args[0]+".err")
	out, err := os.Create(b.out)
	ts.Check(err)
	said := &readiness{ready: make(chan struct{})}
	b.cmd.Dir, b.cmd.Stdout, b.cmd.Stderr = ts.MkAbs("."), out, said
	ts.Check(b.cmd.Start())
	go func() {
		defer close(b.ended)
		_ = b.cmd.Wait() // the exit code is looked at in finish
		_ = out.Close()
		_ = os.WriteFile(b.err, said.text(), 0o600)
	}()
	ts.Defer(func() {
		_ = b.cmd.Process.Kill() // nothing, if it has ended
		<-b.ended
	})
	running.Store(key(ts, args[0]), b)
	select {
	case <-said.ready:
	case <-b.ended:
		ts.Fatalf("it ended before it was ready: %s", said.text())
	case <-time.After(patience):
		ts.Fatalf("it is not ready after %s: %s", patience, said.text())
	}
}

// running are the background processes of all scripts.
var running sync.Map // backgroundKey → *background

func key(ts *testscript.TestScript, name string) backgroundKey {
	return backgroundKey(ts.Getenv("WORK") + " " + name)
}

func finish(ts *testscript.TestScript, args []string, signal os.Signal) {
	if len(args) < 1 || len(args) > 2 {
		ts.Fatalf("usage: finish|interrupt NAME [N]")
	}
	v, ok := running.LoadAndDelete(key(ts, args[0]))
	if !ok {
		ts.Fatalf("nothing was started as %s", args[0])
	}
	b := v.(*background)
	if signal != nil {
		ts.Check(b.cmd.Process.Signal(signal))
	}
	select {
	case <-b.ended:
	case <-time.After(patience):
		ts.Fatalf("%s has not ended within %s", args[0], patience)
	}
	want := "0"
	if len(args) > 1 {
		want = args[1]
	}
	if got := strconv.Itoa(b.cmd.ProcessState.ExitCode()); got != want {
		ts.Fatalf("%s ended with exit code %s, not %s: %s", args[0], got, want, ts.ReadFile(b.err))
	}
}

// readiness keeps what a process says and finds out when it is ready.
type readiness struct {
	ready chan struct{}

	mu   sync.Mutex // guards said
	said bytes.Buffer
}

func (r *readiness) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	before := isReady(r.said.String())
	r.said.Write(p)
	if !before && isReady(r.said.String()) {
		close(r.ready)
	}
	return len(p), nil
}

func isReady(said string) bool {
	return strings.Contains(said, "subscribed at ") || strings.Contains(said, "exposing ")
}

func (r *readiness) text() []byte {
	r.mu.Lock()
	defer r.mu.Unlock()
	return bytes.Clone(r.said.Bytes())
}
