package jetstream_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"omnibus/bus"
	"omnibus/engine"
	"omnibus/engine/jetstream"
)

// eventually asks until something holds.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("never: %s", what)
		}
	}
}

func TestTheOldestGoWhenTheJournalIsTooLarge(t *testing.T) {
	const most = 2 << 20
	o := jetstream.Options{Dir: t.TempDir(), MaxBytes: most, Tail: -1}
	e := open(t, o)
	j := e.Journal()
	var last bus.Position
	for range 2000 {
		at, err := j.Append(&engine.Entry{Payload: make([]byte, 10_000)})
		if err != nil {
			t.Fatal(err)
		}
		last = at
	}
	if err := waitFlushed(j, last); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the stream is within its bound", func() bool { return e.Stats().StreamBytes <= most })
	first, _ := j.Bounds()
	if n := readAll(t, j); n < 100 || n > most/10_000 {
		t.Errorf("%d entries are left, want most of %d", n, most/10_000)
	}
	if s := e.Stats(); s.GivenUp != uint64(first-1) {
		t.Errorf("%d are counted as given up, want %d", s.GivenUp, first-1)
	}
	if _, err := j.Read(t.Context(), first-1, 1); !errors.Is(err, engine.ErrTrimmed) {
		t.Errorf("reading what was given up: %v, want ErrTrimmed", err)
	}
	if _, err := j.Append(&engine.Entry{Payload: make([]byte, most)}); !errors.Is(err, engine.ErrTooLarge) {
		t.Errorf("an entry as large as the bound: %v, want ErrTooLarge", err)
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	again := open(t, o)
	if f, l := again.Journal().Bounds(); f != first || l != last {
		t.Errorf("opened again the bounds are %d and %d, want %d and %d", f, l, first, last)
	}
}

func TestTheOldestGoWhenTheyAreTooOld(t *testing.T) {
	e := open(t, jetstream.Options{Dir: t.TempDir(), MaxAge: 300 * time.Millisecond})
	j := e.Journal()
	last, err := j.Append(&engine.Entry{Payload: []byte("a")}, &engine.Entry{Payload: []byte("b")})
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "what is old is given up", func() bool {
		first, end := j.Bounds()
		return first == last+1 && end == last
	})
	if s := e.Stats(); s.GivenUp != 2 {
		t.Errorf("%d are counted as given up, want 2", s.GivenUp)
	}
	if _, err := j.Read(t.Context(), last, 1); !errors.Is(err, engine.ErrTrimmed) {
		t.Errorf("reading what was given up: %v, want ErrTrimmed", err)
	}
}

func TestWhatIsTrimmedLeavesTheDisk(t *testing.T) {
	e := open(t, jetstream.Options{Dir: t.TempDir()})
	j := e.Journal()
	var last bus.Position
	for range 20 {
		at, err := j.Append(&engine.Entry{Payload: make([]byte, 1<<20)})
		if err != nil {
			t.Fatal(err)
		}
		last = at
	}
	if err := waitFlushed(j, last); err != nil {
		t.Fatal(err)
	}
	if err := j.Trim(last + 1); err != nil {
		t.Fatal(err)
	}
	eventually(t, "all but the last block is removed", func() bool { return e.Stats().StreamBytes < 2<<20 })
}
