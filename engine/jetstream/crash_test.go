package jetstream_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"omnibus/bus"
	"omnibus/engine"
	"omnibus/engine/jetstream"
)

// The variables that make a test binary the process that is going to crash: its
// data directory, and when it flushes.
const (
	childDir   = "JETSTREAM_TEST_CHILD"
	childFlush = "JETSTREAM_TEST_FLUSH" // never, or always
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(childDir); dir != "" {
		if err := writeForEver(dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
		os.Exit(1)
	}
	goleak.VerifyTestMain(m)
}

const childAppenders = 4

// writeForEver appends and puts as fast as it can, and says on its standard
// output what is durable: "F" and a position, "S" and the number of a record.
func writeForEver(dir string) error {
	o := jetstream.Options{Dir: dir}
	if os.Getenv(childFlush) == jetstream.Never.String() {
		o.Flush = jetstream.Never
	}
	e, err := jetstream.Open(o)
	if err != nil {
		return err
	}
	var out sync.Mutex
	say := func(what string, n uint64) {
		out.Lock()
		defer out.Unlock()
		fmt.Println(what, n)
	}
	failed := make(chan error, childAppenders+2)
	_, begun := e.Journal().Bounds()
	for who := range childAppenders {
		go func() { failed <- appendForEver(e.Journal(), fmt.Sprintf("%d after %d", who, begun)) }()
	}
	go func() {
		for n := uint64(0); ; n++ {
			err := e.Records().Put(engine.Sessions, strconv.FormatUint(n%100, 10), strconv.AppendUint(nil, n, 10))
			if err == nil && n%50 == 0 {
				err = e.Records().Sync(context.Background())
				say("S", n)
			}
			if err != nil {
				failed <- err
				return
			}
		}
	}()
	go func() {
		for {
			upto, changed, err := e.Journal().Flushed()
			if err != nil {
				failed <- err
				return
			}
			say("F", uint64(upto))
			<-changed
		}
	}()
	return <-failed
}

// appendForEver appends calls of one to seven entries that say which they are
// and how many of their call follow.
func appendForEver(j engine.Journal, who string) error {
	for n, call := 0, 0; ; call++ {
		batch := make([]*engine.Entry, 1+call%7)
		for i := range batch {
			batch[i] = &engine.Entry{
				Topic: "some/topic/of/usual/length", Session: who, ID: strconv.Itoa(n), Expires: int64(len(batch) - 1 - i),
				Payload: make([]byte, 64),
			}
			n++
		}
		if _, err := j.Append(batch...); err != nil {
			return err
		}
	}
}

// child is a process that writes for ever.
type child struct {
	cmd     *exec.Cmd
	lines   *bufio.Scanner
	flushed bus.Position // what it said last
	synced  uint64
}

func startChild(t *testing.T, dir, flush string) *child {
	t.Helper()
	c := &child{cmd: exec.Command(os.Args[0])}
	c.cmd.Env = append(os.Environ(), childDir+"="+dir, childFlush+"="+flush)
	c.cmd.Stderr = os.Stderr
	out, err := c.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.kill() })
	c.lines = bufio.NewScanner(out)
	return c
}

// read takes note of n lines.
func (c *child) read(t *testing.T, n int) {
	t.Helper()
	for range n {
		if !c.lines.Scan() {
			t.Fatalf("the process ended too early: %v", c.lines.Err())
		}
		what, number, _ := strings.Cut(c.lines.Text(), " ")
		x, err := strconv.ParseUint(number, 10, 64)
		switch {
		case err != nil:
			t.Fatalf("line %q: %v", c.lines.Text(), err)
		case what == "F":
			c.flushed = max(c.flushed, bus.Position(x))
		case what == "S":
			c.synced = max(c.synced, x)
		}
	}
}

// kill ends the process as power or an operator would, and waits for it.
func (c *child) kill() {
	_ = c.cmd.Process.Kill() // it may be over
	for c.lines.Scan() {
	}
	_ = c.cmd.Wait()
}

// checkKept opens what a crash has left and checks that all is there that was
// told to be durable, in order, and calls as wholes.
func checkKept(t *testing.T, dir string, c *child) {
	t.Helper()
	e := open(t, jetstream.Options{Dir: dir})
	first, last := e.Journal().Bounds()
	if last < c.flushed {
		t.Errorf("the journal ends at %d, but up to %d was flushed", last, c.flushed)
	}
	next := make(map[string]int)
	var whose string
	var left int64
	n := 0
	for from, before := first, bus.Position(0); ; n++ {
		got, err := e.Journal().Read(t.Context(), from, 1000)
		if err != nil {
			t.Fatal(err)
		}
		if len(got) == 0 {
			break
		}
		for _, x := range got {
			if x.ID != strconv.Itoa(next[x.Session]) || x.Position <= before {
				t.Fatalf("at %d after %d: entry %s of %s, want %d", x.Position, before, x.ID, x.Session, next[x.Session])
			}
			if left > 0 && (x.Session != whose || x.Expires != left-1) {
				t.Fatalf("at %d: a call of %s is cut short", x.Position, whose)
			}
			next[x.Session]++
			whose, left = x.Session, x.Expires
			before, from = x.Position, x.Position+1
		}
	}
	if left > 0 {
		t.Errorf("the last call lacks %d entries", left)
	}
	checkRecords(t, e, c.synced)
	at, err := e.Journal().Append(&engine.Entry{Session: "between", ID: strconv.Itoa(next["between"])})
	if err != nil || at <= last {
		t.Errorf("the next entry is at %d after %d, %v", at, last, err)
	}
	if err := e.Close(); err != nil {
		t.Error(err)
	}
}

// checkRecords checks that of each record there is a value at least as new as
// the last one that was synced.
func checkRecords(t *testing.T, e engine.Engine, synced uint64) {
	t.Helper()
	got := make(map[string]uint64)
	err := e.Records().Load(engine.Sessions, func(key string, value []byte) (err error) {
		got[key], err = strconv.ParseUint(string(value), 10, 64)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for n := synced - min(synced, 99); n <= synced; n++ {
		key := strconv.FormatUint(n%100, 10)
		if v, ok := got[key]; !ok || v < n || v%100 != n%100 {
			t.Errorf("record %s is %d, %v; want at least %d, which was synced", key, v, ok, n)
		}
	}
}

func open(t testing.TB, o jetstream.Options) *jetstream.Engine {
	t.Helper()
	e, err := jetstream.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
	return e
}
