package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"

	"omnibus/bus"
	"omnibus/payload"
)

// program is a command that answers calls, a process for each.
type program struct {
	path    string
	args    []string
	timeout time.Duration
	places  chan struct{} // as many as may run at a time
}

// The bounds of what a process may write.
const (
	maxAnswer   = 64 << 20
	errorLines  = 5
	maxErrorLen = 4 << 10
)

// serve is a bus.Service. The process has ended when it returns.
func (p *program) serve(ctx context.Context, r *bus.Request) (*payload.Value, error) {
	args, err := r.Args.As(payload.Args)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, p.timeout)
	defer cancel()
	select {
	case p.places <- struct{}{}:
		defer func() { <-p.places }()
	case <-ctx.Done():
		return nil, bus.Errorf(bus.Unavailable, "", "no command could be run for the call: --jobs are running already")
	}
	out, err := p.run(ctx, r.Service, append(bytes.Clone(args), '\n'))
	if err != nil {
		return nil, err
	}
	if form := payload.Sniff(out); form == payload.Text || form == payload.JSON {
		out = bytes.TrimSuffix(bytes.TrimSuffix(out, []byte("\n")), []byte("\r"))
	}
	return sniffed(out), nil
}

// run runs the process and returns what it wrote.
func (p *program) run(ctx context.Context, service string, input []byte) ([]byte, error) {
	out, said := bounded{most: maxAnswer}, tail{most: maxErrorLen}
	cmd := exec.CommandContext(ctx, p.path, p.args...)
	cmd.Env = append(os.Environ(), "OMNIBUS_SERVICE="+service)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(input), &out, &said
	cmd.WaitDelay = time.Second // for those who inherited its output
	killGroup(cmd)
	err := cmd.Run()
	switch {
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return nil, bus.Errorf(bus.TimedOut, "", "the command was killed: it ran longer than %s", p.timeout)
	case ctx.Err() != nil:
		return nil, bus.Errorf(bus.Unavailable, "", "the command was killed: the service is ending")
	case errors.Is(err, errTooMuch):
		return nil, bus.Errorf(bus.TooLarge, "", "the command wrote more than %d bytes", maxAnswer)
	case errors.Is(err, exec.ErrWaitDelay): // it has ended, and well; only its heirs have not
		return out.data, nil
	}
	if _, ok := errors.AsType[*exec.ExitError](err); ok {
		text := said.lastLines(errorLines)
		if text == "" {
			text = "the command ended with " + err.Error()
		}
		return nil, bus.Errorf(bus.Failed, "", "%s", text)
	}
	if err != nil {
		return nil, fmt.Errorf("running the command: %w", err)
	}
	return out.data, nil
}

var errTooMuch = errors.New("too much output")

// bounded keeps what is written to it and fails when that is too much.
type bounded struct {
	data []byte
	most int
}

func (b *bounded) Write(p []byte) (int, error) {
	if len(b.data)+len(p) > b.most {
		return 0, errTooMuch
	}
	b.data = append(b.data, p...)
	return len(p), nil
}

// tail keeps the end of what is written to it.
type tail struct {
	data []byte
	most int
}

func (t *tail) Write(p []byte) (int, error) {
	t.data = append(t.data, p...)
	if over := len(t.data) - t.most; over > 0 {
		t.data = append(t.data[:0], t.data[over:]...)
	}
	return len(p), nil
}

// lastLines returns the last n lines, as text.
func (t *tail) lastLines(n int) string {
	lines := strings.Split(strings.TrimSpace(strings.ToValidUTF8(string(t.data), "\uFFFD")), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}
