package jetstream_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"omnibus/bus"
	"omnibus/engine"
	"omnibus/engine/jetstream"
)

func TestASecondEngineIsToldWhoHasTheDirectory(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	e := open(t, jetstream.Options{Dir: dir})
	if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the directory is %v, %v; want 0700", info.Mode(), err)
	}
	_, err := jetstream.Open(jetstream.Options{Dir: dir})
	if err == nil || !strings.Contains(err.Error(), "in use by process "+strconv.Itoa(os.Getpid())) {
		t.Errorf("a second one: %v", err)
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	open(t, jetstream.Options{Dir: dir})
}

// appendUntilRefused appends until Append answers an error, and returns the
// last position that it gave.
func appendUntilRefused(t *testing.T, j engine.Journal, payload int) (last bus.Position, err error) {
	t.Helper()
	for range 1_000_000 {
		at, err := j.Append(&engine.Entry{Session: "s", Payload: make([]byte, payload)})
		if err != nil {
			return last, err
		}
		last = at
		_ = waitFlushed(j, at) // which is refused, or not: the next Append says it
	}
	t.Fatal("it was never refused")
	return 0, nil
}

// appendUntilAccepted tries until an entry is durable again.
func appendUntilAccepted(t *testing.T, j engine.Journal) bus.Position {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for {
		_, changed, _ := j.Flushed()
		at, err := j.Append(&engine.Entry{Session: "after"})
		if err == nil {
			eventually(t, "what is accepted is durable", func() bool { upto, _, _ := j.Flushed(); return upto >= at })
			return at
		}
		if !errors.Is(err, engine.ErrFull) {
			t.Fatal(err)
		}
		select {
		case <-changed:
		case <-ctx.Done():
			t.Fatal("it does not recover")
		}
	}
}

// readAll reads the whole journal and checks that positions are consecutive.
func readAll(t *testing.T, j engine.Journal) (n int) {
	t.Helper()
	first, last := j.Bounds()
	for from := first; from <= last; {
		got, err := j.Read(t.Context(), from, 1000)
		if err != nil || len(got) == 0 {
			t.Fatalf("reading from %d of %d: %d entries, %v", from, last, len(got), err)
		}
		for _, e := range got {
			if e.Position != from {
				t.Fatalf("position %d, want %d", e.Position, from)
			}
			from++
			n++
		}
	}
	return n
}

func TestWithoutRoomItRefusesAndRecovers(t *testing.T) {
	var full atomic.Bool
	o := jetstream.Options{Dir: t.TempDir(), Tail: -1}.WithRoom(func() error {
		if full.Load() {
			return fmt.Errorf("as it were: %w", engine.ErrFull)
		}
		return nil
	})
	e := open(t, o)
	j := e.Journal()
	at, err := j.Append(&engine.Entry{Session: "s"})
	if err == nil {
		err = waitFlushed(j, at)
	}
	if err != nil {
		t.Fatal(err)
	}
	full.Store(true)
	last, err := appendUntilRefused(t, j, 10)
	if !errors.Is(err, engine.ErrFull) {
		t.Errorf("refused with %v, want ErrFull", err)
	}
	upto, _, err := j.Flushed()
	if upto != at || !errors.Is(err, engine.ErrFull) {
		t.Errorf("flushed up to %d, %v; want %d and ErrFull", upto, err, at)
	}
	if err := e.Records().Put(engine.Rules, "k", nil); !errors.Is(err, engine.ErrFull) {
		t.Errorf("putting: %v, want ErrFull", err)
	}
	if err := e.Records().Sync(t.Context()); !errors.Is(err, engine.ErrFull) {
		t.Errorf("syncing: %v, want ErrFull", err)
	}
	if got, err := j.Read(t.Context(), last, 1); err != nil || len(got) != 1 {
		t.Errorf("what was accepted before: %d entries, %v", len(got), err)
	}
	full.Store(false)
	if after := appendUntilAccepted(t, j); after != last+1 {
		t.Errorf("the first entry after it is at %d, want %d: what was refused takes no position", after, last+1)
	}
	if n := readAll(t, j); n != int(last+1) {
		t.Errorf("%d entries, want %d", n, last+1)
	}
	if s := e.Stats(); s.Failures == 0 {
		t.Errorf("it was not counted: %+v", s)
	}
}

func TestAfterAFailedFlushItWritesAgainAndRecovers(t *testing.T) {
	var broken atomic.Bool
	dir := t.TempDir()
	o := jetstream.Options{Dir: dir, Tail: -1}.WithSync(func(string) error {
		if broken.Load() {
			return errors.New("as it were")
		}
		return nil
	})
	e := open(t, o)
	j := e.Journal()
	for round := range 3 {
		before := appendUntilAccepted(t, j)
		broken.Store(true)
		last, err := appendUntilRefused(t, j, 100)
		if !errors.Is(err, engine.ErrFull) {
			t.Errorf("refused with %v, want ErrFull", err)
		}
		if upto, _, err := j.Flushed(); upto != before || err == nil {
			t.Errorf("round %d: flushed up to %d, %v; want %d and an error", round, upto, err, before)
		}
		broken.Store(false)
		if after := appendUntilAccepted(t, j); after != last+1 {
			t.Errorf("round %d: the first entry after it is at %d, want %d", round, after, last+1)
		}
	}
	n := readAll(t, j)
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	again := open(t, jetstream.Options{Dir: dir})
	if m := readAll(t, again.Journal()); m != n {
		t.Errorf("opened again there are %d entries, want %d", m, n)
	}
}

func TestClosingWithoutRoomSaysWhatIsLost(t *testing.T) {
	var full atomic.Bool
	dir := t.TempDir()
	e, err := jetstream.Open(jetstream.Options{Dir: dir}.WithRoom(func() error {
		if full.Load() {
			return engine.ErrFull
		}
		return nil
	}))
	if err != nil {
		t.Fatal(err)
	}
	kept := appendUntilAccepted(t, e.Journal())
	full.Store(true)
	last, _ := appendUntilRefused(t, e.Journal(), 10)
	if err := e.Close(); !errors.Is(err, engine.ErrFull) {
		t.Errorf("closing: %v, want ErrFull", err)
	}
	again := open(t, jetstream.Options{Dir: dir})
	if _, end := again.Journal().Bounds(); end != kept {
		t.Errorf("opened again it ends at %d, want %d", end, kept)
	}
	if at := appendUntilAccepted(t, again.Journal()); at <= last {
		t.Errorf("position %d is used again: up to %d were seen", at, last)
	}
}
