package app_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"omnibus/dialect"
	"omnibus/internal/app"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// diary is what happened, in order.
type diary struct {
	mu    sync.Mutex
	lines []string
}

func (d *diary) note(line string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.lines = append(d.lines, line)
}

func (d *diary) String() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return strings.Join(d.lines, ", ")
}

// fake is a dialect that does what a test wants, and its own configuration,
// opened dialect and bound listener.
type fake struct {
	Off    bool   `yaml:"off" help:"Not there."`
	Listen string `yaml:"listen" help:"Nowhere."`

	name    string
	diary   *diary
	open    error // what Open answers
	bind    error // what Bind answers
	exposed bool
	port    dialect.Port
	run     func(ctx context.Context) error // nil waits for the end
}

func (f *fake) spec() dialect.Spec {
	return dialect.Spec{Name: f.name, Title: "A fake", Defaults: func() dialect.Config { return f }}
}

func (f *fake) Enabled() bool { return !f.Off }

func (f *fake) Validate() []dialect.Problem {
	if f.Listen == "bad" {
		return []dialect.Problem{{Path: "listen", Text: "want another one"}}
	}
	return nil
}

func (f *fake) Open(env dialect.Env) (dialect.Dialect, error) {
	f.port = env.Port
	env.Counter("opened").Add(1)
	return f, f.open
}

func (f *fake) Listeners() []dialect.Listener {
	return []dialect.Listener{{Option: f.name + ".listen", Bind: func(context.Context) (dialect.Bound, error) {
		if f.bind != nil {
			return nil, f.bind
		}
		f.diary.note("bind " + f.name)
		return f, nil
	}}}
}

func (f *fake) URL() string   { return "fake://" + f.name }
func (f *fake) Exposed() bool { return f.exposed }

func (f *fake) Run(ctx context.Context) error {
	f.diary.note("run " + f.name)
	var err error
	if f.run != nil {
		err = f.run(ctx)
	} else {
		<-ctx.Done()
	}
	f.diary.note("end " + f.name)
	return err
}

func (f *fake) Close() error {
	f.diary.note("close " + f.name)
	return nil
}

var errBroken = errors.New("broken")

// wire makes an application of fakes, with what it logs.
func wire(t *testing.T, fakes ...*fake) (*app.App, *bytes.Buffer) {
	t.Helper()
	specs := make([]dialect.Spec, len(fakes))
	for i, f := range fakes {
		specs[i] = f.spec()
	}
	log := new(bytes.Buffer)
	a, err := app.New(app.Defaults(specs), slog.New(slog.NewTextHandler(log, nil)), "1.2.3")
	if err != nil {
		t.Fatal(err)
	}
	return a, log
}
