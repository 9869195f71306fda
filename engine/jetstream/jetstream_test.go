package jetstream_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"omnibus/engine"
	"omnibus/engine/enginetest"
	"omnibus/engine/jetstream"
	"omnibus/engine/memory"
)

func factory(o jetstream.Options) enginetest.Factory {
	return enginetest.Factory{Open: func(dir string) (engine.Engine, error) {
		o.Dir = dir
		return jetstream.Open(o)
	}}
}

func TestConformance(t *testing.T) {
	enginetest.Run(t, factory(jetstream.Options{}))
}

// Without a tail nearly everything is read from the stream.
func TestConformanceWithoutATail(t *testing.T) {
	enginetest.Run(t, factory(jetstream.Options{Tail: -1}))
}

func TestConformanceWithOtherPolicies(t *testing.T) {
	if testing.Short() {
		t.Skip("the journal is the same for every policy; the long run shows it")
	}
	for name, o := range map[string]jetstream.Options{
		"interval":              {Flush: jetstream.Interval},
		"never":                 {Flush: jetstream.Never},
		"each write alone":      jetstream.Options{}.WithPlainSync(),
		"room for a few calls":  {Backlog: 1000},
		"bounds that are large": {MaxBytes: 1 << 30, MaxAge: 1 << 50},
	} {
		t.Run(name, func(t *testing.T) { enginetest.Run(t, factory(o)) })
	}
}

// TestHistoriesAreThoseOfMemory plays random programs on both engines.
func TestHistoriesAreThoseOfMemory(t *testing.T) {
	inMemory := enginetest.Factory{
		Open:         func(string) (engine.Engine, error) { return memory.New(memory.Options{}), nil },
		CannotReopen: "nothing outlives the process",
	}
	for seed := uint64(100); seed < 106; seed++ {
		enginetest.Compare(t, enginetest.Generate(seed, 400), inMemory, factory(jetstream.Options{Tail: 10_000}))
	}
}

// FuzzPrograms plays random programs, with restarts, on the model and on an
// engine whose tail is small.
func FuzzPrograms(f *testing.F) {
	f.Add(uint64(1), uint16(100))
	f.Fuzz(func(t *testing.T, seed uint64, steps uint16) {
		enginetest.Compare(t, enginetest.Generate(seed, int(steps%500)), enginetest.Model(), factory(jetstream.Options{Tail: 10_000}))
	})
}

func TestPromise(t *testing.T) {
	for want, o := range map[engine.Promise]jetstream.Options{
		{Name: "jetstream (embedded)", Durability: engine.PowerLoss}:                           {},
		{Name: "jetstream (embedded)", Durability: engine.Crash}:                               {Flush: jetstream.Interval},
		{Name: "jetstream (embedded, each write flushed alone)", Durability: engine.PowerLoss}: jetstream.Options{}.WithPlainSync(),
	} {
		o.Dir = t.TempDir()
		if got := open(t, o).Promise(); got != want {
			t.Errorf("%s: %+v, want %+v", o.Flush, got, want)
		}
	}
}

func TestOptionsThatMakeNoSenseAreRefused(t *testing.T) {
	for want, o := range map[string]jetstream.Options{
		"either a data directory or the URL": {},
		"letters, digits":                    {Dir: t.TempDir(), Name: "a.b"},
		"policy 9":                           {Dir: t.TempDir(), Flush: 9},
		"cannot be negative":                 {Dir: t.TempDir(), MaxBytes: -1},
		"no URL is given":                    {Dir: t.TempDir(), SyncsAlways: true},
	} {
		if _, err := jetstream.Open(o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, want an error about %q", o, err, want)
		}
	}
}

func TestTablesHaveNamesAndRecordsHaveKeys(t *testing.T) {
	r := open(t, jetstream.Options{Dir: t.TempDir()}).Records()
	if err := r.Put("state", "k", nil); err == nil {
		t.Error("the engine's own table can be written to")
	}
	if err := r.Put("a.b", "k", nil); err == nil {
		t.Error("a table may have any name")
	}
	if err := r.Put(engine.Keys, "", nil); err == nil {
		t.Error("a record may have no key")
	}
}

func TestSyncStopsWithItsContext(t *testing.T) {
	release := make(chan struct{})
	o := jetstream.Options{Dir: t.TempDir()}
	var blocking chan struct{}
	o = o.WithSync(func(string) error {
		if blocking != nil {
			<-blocking
		}
		return nil
	})
	e := open(t, o)
	blocking = release
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- e.Records().Sync(ctx) }()
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("syncing: %v, want that it was cancelled", err)
	}
	close(release)
}
