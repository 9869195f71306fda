package enginetest

import (
	"context"
	"fmt"
	"testing"
	"time"

	"omnibus/engine"
)

// Factory makes the engine under test.
type Factory struct {
	// Open opens the engine that keeps its things in dir: an empty folder,
	// or one that an engine of this factory has been closed in.
	Open func(dir string) (engine.Engine, error)
	// CannotReopen says why an engine that is opened again remembers
	// nothing. The cases that need it are skipped with this reason. Empty:
	// it remembers.
	CannotReopen string
}

// Case is one promise, put to the test.
type Case struct {
	Name string
	// Reopens says that the case closes the engine and opens it again.
	Reopens bool
	Run     func(tb testing.TB, f Factory)
}

// Cases returns all cases, each to be run on its own.
func Cases() []Case {
	var all []Case
	for _, list := range [][]Case{journalCases, concurrentCases, recordCases, lifeCases} {
		all = append(all, list...)
	}
	return all
}

// Programs and Steps are how many random programs Run plays, and how long each
// of them is.
const (
	Programs = 8
	Steps    = 250
)

// Run runs every case, and random programs against the model.
func Run(t *testing.T, f Factory) {
	for _, c := range Cases() {
		t.Run(c.Name, func(t *testing.T) {
			if c.Reopens && f.CannotReopen != "" {
				t.Skipf("this engine cannot be opened again: %s", f.CannotReopen)
			}
			c.Run(t, f)
		})
	}
	for seed := range uint64(Programs) {
		t.Run(fmt.Sprintf("random program %d has the history of the model", seed), func(t *testing.T) {
			Compare(t, Generate(seed, Steps), Model(), f)
		})
	}
}

// case1 makes a case of a function that takes one open engine.
func case1(name string, run func(*opened)) Case {
	return Case{Name: name, Run: func(tb testing.TB, f Factory) { run(open(tb, f)) }}
}

// reopening is case1 for functions that call reopen.
func reopening(name string, run func(*opened)) Case {
	c := case1(name, run)
	c.Reopens = true
	return c
}

// opened is an engine in the course of a case.
type opened struct {
	testing.TB
	engine.Engine

	factory Factory
	dir     string
	ctx     context.Context // it is that of the test
}

// patience bounds what a case waits for; an engine is expected to be faster by
// orders of magnitude.
const patience = 2 * time.Minute

// Context is that of the test, but ends before a test's own time is over.
func (o *opened) Context() context.Context { return o.ctx }

func open(tb testing.TB, f Factory) *opened {
	tb.Helper()
	o := &opened{TB: tb, factory: f, dir: tb.TempDir()}
	var cancel context.CancelFunc
	o.ctx, cancel = context.WithTimeout(tb.Context(), patience)
	o.open()
	tb.Cleanup(func() {
		cancel()
		if err := o.Close(); err != nil {
			tb.Errorf("closing: %v", err)
		}
	})
	return o
}

func (o *opened) open() {
	o.Helper()
	var err error
	if o.Engine, err = o.factory.Open(o.dir); err != nil {
		o.Fatalf("opening: %v", err)
	}
}

func (o *opened) reopen() {
	o.Helper()
	if err := o.Close(); err != nil {
		o.Fatalf("closing: %v", err)
	}
	o.open()
}
