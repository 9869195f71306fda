package e2e_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"omnibus/bus"
	"omnibus/dialect/std"
	"omnibus/internal/app"
)

// patience bounds how long a test waits for what must happen; it measures
// nothing.
const patience = 60 * time.Second

var binary = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "omnibus-e2e")
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "omnibus")
	out, err := exec.Command("go", "build", "-o", path, "omnibus/cmd/omnibus").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%w: %s", err, out)
	}
	return path, nil
})

func TestMain(m *testing.M) {
	code := m.Run()
	if path, err := binary(); err == nil {
		_ = os.RemoveAll(filepath.Dir(path))
	}
	os.Exit(code)
}

// omnibus returns the path of the program, built from this tree.
func omnibus(t *testing.T) string {
	t.Helper()
	path, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// need skips the test when a program is not installed.
func need(t *testing.T, program string) string {
	t.Helper()
	path, err := exec.LookPath(program)
	if err != nil {
		t.Skipf("%s is not installed: %v", program, err)
	}
	return path
}

// python returns an interpreter that has a module, or skips.
func python(t *testing.T, module string) string {
	t.Helper()
	path := os.Getenv("OMNIBUS_E2E_PYTHON")
	if path == "" {
		path = need(t, "python3")
	}
	if out, err := exec.Command(path, "-c", "import "+module).CombinedOutput(); err != nil {
		t.Skipf("%s has no module %s (OMNIBUS_E2E_PYTHON names one that has): %s", path, module, lastLine(string(out)))
	}
	return path
}

func lastLine(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return lines[len(lines)-1]
}

// process is a program that runs beside the test; its output lines are read
// one by one.
type process struct {
	cmd   *exec.Cmd
	in    io.WriteCloser
	lines chan string
	done  chan error
}

// start runs a program until the test ends.
func start(t *testing.T, name string, args ...string) *process {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Env = append(os.Environ(), "PYTHONUNBUFFERED=1")
	out, in := io.Pipe()
	cmd.Stdout, cmd.Stderr = in, in
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p := &process{cmd: cmd, in: stdin, lines: make(chan string, 10_000), done: make(chan error, 1)}
	go func() {
		p.done <- cmd.Wait()
		_ = in.Close()
	}()
	go func() {
		defer close(p.lines)
		s := bufio.NewScanner(out)
		s.Buffer(nil, 16<<20)
		for s.Scan() {
			p.lines <- s.Text()
		}
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		for range p.lines {
			continue // until the output ends
		}
	})
	return p
}

// expect reads lines until one contains the text, and returns it.
func (p *process) expect(t *testing.T, text string) string {
	t.Helper()
	var seen []string
	timeout := time.After(patience)
	for {
		select {
		case line, ok := <-p.lines:
			if !ok {
				t.Fatalf("%s ended without printing %q; it printed:\n%s", p.cmd.Path, text, strings.Join(seen, "\n"))
			}
			seen = append(seen, line)
			if strings.Contains(line, text) {
				return line
			}
		case <-timeout:
			t.Fatalf("%s did not print %q; it printed:\n%s", p.cmd.Path, text, strings.Join(seen, "\n"))
		}
	}
}

// terminate sends SIGTERM and returns the exit status.
func (p *process) terminate(t *testing.T) int {
	t.Helper()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-p.done:
		p.done <- err
		return p.cmd.ProcessState.ExitCode()
	case <-time.After(patience):
		t.Fatal("it did not end after SIGTERM")
		return -1
	}
}

// run runs a program to its end and returns what it printed.
func run(t *testing.T, name string, args ...string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	out, err := exec.CommandContext(ctx, name, args...).CombinedOutput()
	return string(out), err
}

// broker is a broker with every standard dialect on free ports.
type broker struct {
	web, mycroft string // URLs
	bus          *bus.Bus
}

// mycroftAddress returns host and port as the Python clients take them.
func (b broker) mycroftAddress() []string {
	hostPort := strings.TrimSuffix(strings.TrimPrefix(b.mycroft, "ws://"), "/core")
	return strings.Split(hostPort, ":")
}

// serveHere starts a broker in the test's own process, so that Go functions
// take part.
func serveHere(t *testing.T, set ...string) broker {
	t.Helper()
	s := app.Defaults(std.All())
	for _, kv := range append([]string{"web.listen=127.0.0.1:0", "mycroft.listen=127.0.0.1:0"}, set...) {
		k, v, _ := strings.Cut(kv, "=")
		if err := s.Set(k, v); err != nil {
			t.Fatal(err)
		}
	}
	a, err := app.New(s, slog.New(slog.DiscardHandler), "e2e")
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Bind(t.Context()); err != nil {
		t.Fatal(err)
	}
	b := broker{bus: a.Broker().Bus("")}
	for _, x := range a.Addresses() {
		switch x.Dialect {
		case "web":
			b.web = x.URL
		case "mycroft":
			b.mycroft = x.URL
		}
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- a.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Errorf("ending the broker: %v", err)
		}
	})
	return b
}

// serveProcess starts the program as people do, on free ports.
func serveProcess(t *testing.T, args ...string) (broker, *process) {
	t.Helper()
	p := start(t, omnibus(t), append([]string{"serve", "--web", "127.0.0.1:0", "--mycroft", "127.0.0.1:0"}, args...)...)
	var b broker
	for b.web == "" || b.mycroft == "" {
		fields := strings.Fields(p.expect(t, "://"))
		switch fields[0] {
		case "web":
			b.web = fields[1]
		case "mycroft":
			b.mycroft = fields[1]
		}
	}
	return b, p
}

// values collects what a Go function hears.
func values[T any](t *testing.T, b *bus.Bus, pattern string) <-chan T {
	t.Helper()
	c := make(chan T, 100)
	s, err := bus.Subscribe(b, pattern, func(_ context.Context, e bus.Event[T]) { c <- e.Value })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Unsubscribe() })
	return c
}

// next waits for the next value.
func next[T any](t *testing.T, c <-chan T) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(patience):
		t.Fatal("nothing arrived")
		panic("unreachable")
	}
}
