package bench

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Broker is a broker to be measured: one that runs, or a command that starts
// one.
type Broker struct {
	// Name is what the report calls it.
	Name string
	// URL is where it listens: mqtt://host:port. A command that has a
	// {port} in its arguments needs none: it is given a free port of the loopback
	// interface.
	URL string
	// Command starts it, if it is not empty, anew for each measurement.
	Command []string
	// PID is its process; 0 to find the one that listens on the port.
	PID int
}

// portMark stands for a free port in the arguments of a command.
const portMark = "{port}"

// Address is the host and port of an mqtt:// URL.
func Address(text string) (string, error) {
	u, err := url.Parse(text)
	if err != nil {
		return "", fmt.Errorf("broker URL: %w", err)
	}
	switch {
	case u.Scheme != "mqtt" && u.Scheme != "tcp" || u.Host == "":
		return "", fmt.Errorf("broker URL: %q is none of MQTT over TCP, such as mqtt://127.0.0.1:1883", text)
	case u.Hostname() == "":
		return "", fmt.Errorf("broker URL: the host is missing in %q", text)
	case u.User != nil:
		return "", errors.New("broker URL: the load generator logs in to nothing; let the broker take anonymous clients")
	}
	port := u.Port()
	if port == "" {
		port = "1883"
	}
	return net.JoinHostPort(u.Hostname(), port), nil
}

// needsURL tells that the command does not say where its broker listens.
func (b *Broker) needsURL() bool {
	return len(b.Command) == 0 || !strings.Contains(strings.Join(b.Command, " "), portMark)
}

func (b *Broker) check() error {
	if b.needsURL() {
		_, err := Address(b.URL)
		return err
	}
	return nil
}

// target is a broker while it is measured.
type target struct {
	name    string
	address string
	pids    []int
	blind   string // why pids is empty

	cmd    *exec.Cmd // nil if it runs anyway
	said   said
	exited chan struct{}
}

// open finds or starts the broker. It must be closed.
func (b *Broker) open(ctx context.Context) (*target, error) {
	t := &target{name: b.Name}
	var err error
	if b.needsURL() {
		t.address, err = Address(b.URL)
	} else {
		t.address, err = freeAddress(ctx)
	}
	if err != nil {
		return nil, err
	}
	if len(b.Command) > 0 {
		if c, err := net.DialTimeout("tcp", t.address, time.Second); err == nil { // it would be measured instead
			_ = c.Close()
			return nil, fmt.Errorf("starting the broker: something listens at %s already", t.address)
		}
		if err := t.start(ctx, b.Command); err != nil {
			return nil, err
		}
	}
	t.find(b.PID)
	return t, nil
}

// freeAddress is a port of the loopback interface on which nobody listens now.
func freeAddress(ctx context.Context) (string, error) {
	var c net.ListenConfig
	l, err := c.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("finding a free port: %w", err)
	}
	defer l.Close()
	return l.Addr().String(), nil
}

// start runs the command and waits until it answers.
func (t *target) start(ctx context.Context, command []string) error {
	_, port, err := net.SplitHostPort(t.address)
	if err != nil {
		return err
	}
	var args []string
	for _, a := range command[1:] {
		args = append(args, strings.ReplaceAll(a, portMark, port))
	}
	t.cmd = exec.Command(command[0], args...)
	t.cmd.Stdout, t.cmd.Stderr = &t.said, &t.said
	t.cmd.WaitDelay = time.Second // for those who inherited its output
	ownGroup(t.cmd)
	if err := t.cmd.Start(); err != nil {
		return fmt.Errorf("starting the broker: %w", err)
	}
	t.exited = make(chan struct{})
	go func() {
		defer close(t.exited)
		_ = t.cmd.Wait() // how it ended is told by what it said
	}()
	if err := t.ready(ctx); err != nil {
		t.close()
		if text := t.said.text(); text != "" {
			err = fmt.Errorf("%w; it said: %s", err, text)
		}
		return fmt.Errorf("starting the broker: %w", err)
	}
	return nil
}

// ready waits until the broker takes clients.
func (t *target) ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, patience, fmt.Errorf("it takes no client at %s within %s", t.address, patience))
	defer cancel()
	for {
		c, err := dialer{address: t.address}.connect(ctx, "omnibus-bench-ready")
		if err == nil {
			c.close()
			select {
			case <-t.exited: // so it was another one that answered
			default:
				return nil
			}
		}
		select {
		case <-t.exited:
			return fmt.Errorf("it has ended (%v)", t.cmd.ProcessState)
		default:
		}
		if err := pause(ctx, 20*time.Millisecond); err != nil {
			return err
		}
	}
}

// find finds the processes of the broker.
func (t *target) find(pid int) {
	if pid != 0 {
		t.pids = []int{pid}
	} else {
		t.pids, t.blind = t.listening()
	}
	if len(t.pids) == 0 && t.cmd != nil {
		t.pids = []int{t.cmd.Process.Pid}
	}
	if len(t.pids) > 0 {
		t.blind = ""
		if _, ok := t.cpu(); !ok {
			t.blind = "its process cannot be looked at"
		}
	}
}

// listening are the processes that listen at the address, or why they are not
// known.
func (t *target) listening() (pids []int, why string) {
	host, port, err := net.SplitHostPort(t.address)
	if err != nil {
		return nil, err.Error()
	}
	number, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return nil, "port " + port + " is no number"
	}
	addresses, err := net.LookupIP(host)
	if err != nil || len(addresses) == 0 || !here(addresses[0]) {
		return nil, "it is not on this machine"
	}
	pids, err = listeners(addresses[0], uint16(number))
	switch {
	case err != nil:
		return nil, err.Error()
	case len(pids) == 0:
		return nil, "no process that this user may look at listens at " + t.address
	}
	return pids, ""
}

// cpu is the CPU time of the broker so far, if it is known.
func (t *target) cpu() (sum time.Duration, ok bool) {
	for _, pid := range t.pids {
		d, err := cpuTime(pid)
		if err != nil {
			return 0, false
		}
		sum += d
	}
	return sum, len(t.pids) > 0
}

// memory is the resident memory of the broker, and the most it was.
func (t *target) memory() (now, peak int64) {
	for _, pid := range t.pids {
		n, p, err := memory(pid)
		if err != nil {
			return 0, 0
		}
		now += n
		peak += p
	}
	return now, peak
}

// settled waits until the resident memory hardly changes, and returns it.
func (t *target) settled(ctx context.Context) (int64, error) {
	before, _ := t.memory()
	for quiet, tries := 0, 0; quiet < 3 && tries < 30 && before > 0; tries++ {
		if err := pause(ctx, 100*time.Millisecond); err != nil {
			return 0, err
		}
		now, _ := t.memory()
		if diff := now - before; max(diff, -diff) < max(now/200, 64<<10) {
			quiet++
		} else {
			quiet = 0
		}
		before = now
	}
	return before, nil
}

// close stops the broker if it was started here.
func (t *target) close() {
	if t.cmd == nil {
		return
	}
	endGroup(t.cmd, false)
	grace := time.NewTimer(5 * time.Second)
	defer grace.Stop()
	select {
	case <-t.exited:
	case <-grace.C:
	}
	endGroup(t.cmd, true) // what it has started and left
	<-t.exited
}

// said keeps the end of what a broker writes.
type said struct {
	mu   sync.Mutex // guards data
	data []byte
}

func (s *said) Write(p []byte) (int, error) {
	const most = 1 << 10
	s.mu.Lock()
	defer s.mu.Unlock()
	s.data = append(s.data, p...)
	if over := len(s.data) - most; over > 0 {
		s.data = append(s.data[:0], s.data[over:]...)
	}
	return len(p), nil
}

func (s *said) text() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.TrimSpace(strings.ToValidUTF8(string(s.data), "\uFFFD"))
}
