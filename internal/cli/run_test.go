package cli_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"omnibus/internal/cli"
)

// broker starts a broker for the test and returns its URL of the web dialect.
func broker(t *testing.T) string {
	t.Helper()
	urls, stop, err := startBroker()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
	return urls["web"]
}

// result is how a command ended.
type result struct {
	code     int
	out, err string
}

// run runs a command to its end.
func run(ctx context.Context, stdin io.Reader, args ...string) result {
	var out, err bytes.Buffer
	code := cli.Run(ctx, args, stdin, &out, &err)
	return result{code, out.String(), err.String()}
}

func (r result) check(t *testing.T, code int, words ...string) {
	t.Helper()
	if r.code != code {
		t.Errorf("the exit code is %d, want %d: %s", r.code, code, r.err)
	}
	for _, w := range words {
		if !strings.Contains(r.out+r.err, w) {
			t.Errorf("%q does not mention %q", r.out+r.err, w)
		}
	}
}

// begin runs a command in the background and returns when it has told that it
// is in place; the rest of what it says is dropped.
func begin(ctx context.Context, t *testing.T, args ...string) (ended <-chan int) {
	t.Helper()
	r, w := io.Pipe()
	codes := make(chan int, 1)
	var reading sync.WaitGroup
	t.Cleanup(reading.Wait)
	go func() {
		codes <- cli.Run(ctx, args, strings.NewReader(""), io.Discard, w)
		_ = w.Close()
	}()
	said := bufio.NewReader(r)
	line, err := said.ReadString('\n')
	if err != nil || !isReady(line) {
		t.Fatalf("it said %q (%v)", line, err)
	}
	reading.Go(func() { _, _ = io.Copy(io.Discard, said) })
	return codes
}

func TestAnInterruptEndsAWaitForInput(t *testing.T) {
	url := broker(t)
	for _, args := range [][]string{{"pub", "a", "-"}, {"pub", "--lines", "a"}} {
		ctx, cancel := context.WithCancel(t.Context())
		never, w := io.Pipe()
		cancel()
		run(ctx, never, append([]string{"-b", url}, args...)...).check(t, 1, "omnibus: interrupted\n")
		_ = w.Close() // ends the read that nobody waits for any more
	}
}

func TestInputThatFails(t *testing.T) {
	url := broker(t)
	r, w := io.Pipe()
	_ = w.CloseWithError(errors.New("out of paper"))
	run(t.Context(), r, "-b", url, "pub", "a", "-").check(t, 1, "reading standard input", "out of paper")
	run(t.Context(), r, "-b", url, "pub", "--lines", "a").check(t, 1, "reading standard input", "out of paper")
}

// full is a writer that fails.
type full struct{}

func (full) Write([]byte) (int, error) { return 0, errors.New("disk full") }

func TestOutputThatFails(t *testing.T) {
	url := broker(t)
	run(t.Context(), nil, "-b", url, "pub", "--retain", "a", "1").check(t, 0)
	for _, args := range [][]string{{"sub", "a"}, {"call", "omnibus.status"}, {"version"}} {
		var said bytes.Buffer
		code := cli.Run(t.Context(), append([]string{"-b", url}, args...), nil, full{}, &said)
		result{code, "", said.String()}.check(t, 1, "omnibus: writing to standard output: disk full\n")
	}
}

func TestRunWithoutArgumentsDoesNotTakeThoseOfTheProcess(t *testing.T) {
	run(t.Context(), nil).check(t, 0, "Available Commands:")
}

// lives accepts the connections of processes that tell that they live.
func lives(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

// accept waits for a process.
func accept(t *testing.T, l net.Listener) net.Conn {
	t.Helper()
	c, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// dead waits for the end of a process.
func dead(t *testing.T, c net.Conn) {
	t.Helper()
	_, _ = c.Read(make([]byte, 1)) // it writes nothing, and leaves when it is killed
	_ = c.Close()
}

func TestACommandThatTakesTooLongIsKilled(t *testing.T) {
	url, l := broker(t), lives(t)
	ctx, stop := context.WithCancel(t.Context())
	ended := begin(ctx, t, "-b", url, "expose", "--timeout", "300ms", "slow", "--", "answer", "live", l.Addr().String())
	run(t.Context(), nil, "-b", url, "call", "slow").check(t, 1, "killed", "300ms")
	stop()
	if code := <-ended; code != 0 {
		t.Errorf("expose ended with %d", code)
	}
}

func TestTheEndOfExposeKillsItsCommandsWithTheirChildren(t *testing.T) {
	url, l := broker(t), lives(t)
	ctx, stop := context.WithCancel(t.Context())
	ended := begin(ctx, t, "-b", url, "expose", "slow", "--", "answer", "hang", l.Addr().String())
	called := make(chan result, 1)
	go func() { called <- run(context.Background(), nil, "-b", url, "call", "slow") }()
	first, second := accept(t, l), accept(t, l)
	stop()
	if code := <-ended; code != 0 {
		t.Errorf("expose ended with %d", code)
	}
	dead(t, first)
	dead(t, second)
	(<-called).check(t, 1, "omnibus: ")
}

func TestJobsBoundTheCommandsThatRun(t *testing.T) {
	url, l := broker(t), lives(t)
	ctx, stop := context.WithCancel(t.Context())
	ended := begin(ctx, t, "-b", url, "expose", "--jobs", "2", "slow", "--", "answer", "live", l.Addr().String())
	const calls = 6
	called := make(chan result, calls)
	for range calls {
		go func() { called <- run(t.Context(), nil, "-b", url, "call", "slow") }()
	}
	// A command runs until its connection is answered.
	var open, most atomic.Int64
	accepted := make(chan net.Conn, calls)
	go func() {
		for range calls {
			c, err := l.Accept()
			if err != nil {
				t.Error(err)
				return
			}
			most.Store(max(most.Load(), open.Add(1)))
			accepted <- c
		}
	}()
	waiting := []net.Conn{<-accepted, <-accepted}
	for i := range calls {
		c := waiting[0]
		open.Add(-1)
		if _, err := c.Write([]byte("go\n")); err != nil {
			t.Fatal(err)
		}
		(<-called).check(t, 0, "null\n")
		_ = c.Close()
		if waiting = waiting[1:]; i < calls-2 {
			waiting = append(waiting, <-accepted)
		}
	}
	if n := most.Load(); n != 2 {
		t.Errorf("%d commands ran at a time, want 2", n)
	}
	stop()
	if code := <-ended; code != 0 {
		t.Errorf("expose ended with %d", code)
	}
}
