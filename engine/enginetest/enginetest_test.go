package enginetest_test

import (
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"

	"omnibus/engine"
	"omnibus/engine/enginetest"
	"omnibus/engine/memory"
)

func TestTheModelConforms(t *testing.T) {
	enginetest.Run(t, enginetest.Model())
}

func TestAnEngineMayRefuseMoreThanAMebibyte(t *testing.T) {
	enginetest.Run(t, enginetest.Factory{CannotReopen: "it is memory", Open: func(string) (engine.Engine, error) {
		b := limited(1<<20, engine.ErrTooLarge, false)
		b.Engine = memory.New(memory.Options{})
		return &b, nil
	}})
}

func TestAProgramIsMadeOfItsSeed(t *testing.T) {
	a, b, c := enginetest.Generate(1, 100), enginetest.Generate(1, 100), enginetest.Generate(2, 100)
	if a.String() != b.String() {
		t.Error("one seed made two programs")
	}
	if a.String() == c.String() {
		t.Error("two seeds made one program")
	}
	for _, verb := range []string{"append", "read", "read after", "trim", "bounds", "flush", "put", "delete", "list", "sync", "reopen"} {
		if !strings.Contains(enginetest.Generate(3, 1000).String(), "  "+verb+" ") {
			t.Errorf("a long program has no %s", verb)
		}
	}
}

func TestAHistoryIsTheSameEveryTime(t *testing.T) {
	p := enginetest.Generate(1, 300)
	one, err := enginetest.Play(t.Context(), enginetest.Model(), t.TempDir(), p)
	if err != nil || len(one) != len(p) {
		t.Fatal(len(one), err)
	}
	two, err := enginetest.Play(t.Context(), enginetest.Model(), t.TempDir(), p)
	if err != nil || strings.Join(one, "\n") != strings.Join(two, "\n") {
		t.Errorf("the histories differ, %v", err)
	}
}

// recorder is a testing.TB that only remembers.
type recorder struct {
	testing.TB

	mu       sync.Mutex
	failures []string
}

func (r *recorder) Errorf(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.failures = append(r.failures, fmt.Sprintf(format, args...))
}

func (r *recorder) Fatalf(format string, args ...any) {
	r.Errorf(format, args...)
	runtime.Goexit()
}

func (r *recorder) Error(args ...any) { r.Errorf("%s", fmt.Sprint(args...)) }
func (r *recorder) Fatal(args ...any) { r.Fatalf("%s", fmt.Sprint(args...)) }
func (r *recorder) Helper()           {}

// try runs f on a goroutine that it may end, and returns what failed.
func try(t *testing.T, f func(testing.TB)) []string {
	r := &recorder{TB: t}
	var run sync.WaitGroup
	run.Go(func() { f(r) })
	run.Wait()
	return r.failures
}

func TestEveryFaultIsFound(t *testing.T) {
	for name, fault := range faults {
		t.Run(name, func(t *testing.T) {
			f := enginetest.Factory{CannotReopen: "it is memory", Open: func(string) (engine.Engine, error) {
				b := fault()
				b.Engine = memory.New(memory.Options{})
				return &b, nil
			}}
			var found []string
			for _, c := range enginetest.Cases() {
				if c.Reopens {
					continue
				}
				if failures := try(t, func(tb testing.TB) { c.Run(tb, f) }); len(failures) > 0 {
					found = append(found, c.Name+": "+failures[0])
				}
			}
			if len(found) == 0 {
				t.Error("no case finds it")
			}
			for _, f := range found {
				t.Logf("%.200s", f)
			}
		})
	}
}

func TestAnEngineThatForgetsIsFound(t *testing.T) {
	f := enginetest.Factory{Open: func(string) (engine.Engine, error) { return memory.New(memory.Options{}), nil }}
	for _, c := range enginetest.Cases() {
		failures := try(t, func(tb testing.TB) { c.Run(tb, f) })
		if c.Reopens && len(failures) == 0 {
			t.Errorf("%s: passes on an engine that forgets", c.Name)
		}
	}
	failures := try(t, func(tb testing.TB) {
		enginetest.Compare(tb, enginetest.Generate(1, 200), enginetest.Model(), f)
	})
	if len(failures) != 1 || !strings.Contains(failures[0], "reopen") {
		t.Errorf("the difference is told as %q", failures)
	}
}

func TestADifferenceIsToldWithASmallProgram(t *testing.T) {
	f := enginetest.Factory{CannotReopen: "it is memory", Open: func(string) (engine.Engine, error) {
		b := faults["deletes nothing"]()
		b.Engine = memory.New(memory.Options{})
		return &b, nil
	}}
	failures := try(t, func(tb testing.TB) {
		enginetest.Compare(tb, enginetest.Generate(1, 250), enginetest.Model(), f)
	})
	if len(failures) != 1 {
		t.Fatalf("%d failures, want one", len(failures))
	}
	_, program, _ := strings.Cut(failures[0], "in the program\n")
	var verbs []string
	for line := range strings.Lines(program) {
		verbs = append(verbs, strings.Fields(line)[1])
	}
	if got := strings.Join(verbs, " "); got != "put delete list" {
		t.Errorf("the smallest program is %q, want a put, a delete and a list\n%s", got, failures[0])
	}
}
