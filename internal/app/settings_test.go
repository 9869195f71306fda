package app_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"omnibus/config"
	"omnibus/dialect"
	"omnibus/dialect/echo"
	"omnibus/dialect/std"
	"omnibus/internal/app"
)

func file(t *testing.T, text string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "omnibus.yaml")
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

func TestTheDefaultsAreValid(t *testing.T) {
	if err := app.Defaults(std.All()).Check(); err != nil {
		t.Error(err)
	}
	s := app.Defaults(std.All())
	if err := s.Load(file(t, "")); err != nil {
		t.Errorf("an empty file: %v", err)
	}
}

func TestAllProblemsOfAFileAreToldWithTheirLines(t *testing.T) {
	name := file(t, `log:
  level: loud
  format: xml
broker:
  call_timeout: 0s
  grace: -1s
  limits:
    peers: many
    retained: 0
nonsense: 1
echo:
  listen: here
  max_lines: 5
  enabled: true
mycroft:
  route: core
  export:
    - "regex:("
    - good
    - a/#/b
`)
	s := app.Defaults(std.All())
	err := s.Load(name)
	problems, ok := errors.AsType[config.Problems](err)
	if !ok {
		t.Fatalf("got %v", err)
	}
	want := []struct {
		line int
		path string
		word string
	}{
		{2, "log.level", "debug, info, warn or error"},
		{3, "log.format", "text or json"},
		{5, "broker.call_timeout", "more than zero"},
		{6, "broker.grace", "more than zero"},
		{8, "broker.limits.peers", "many"},
		{9, "broker.limits.retained", "not be 0"},
		{10, "nonsense", ""},
		{12, "echo.listen", "host:port"},
		{13, "echo.max_lines", "max_line"},
		{16, "mycroft.route", "/"},
		{18, "mycroft.export[0]", "regex"},
		{20, "mycroft.export[2]", "a/#/b"},
	}
	for i, w := range want {
		if i >= len(problems) {
			t.Fatalf("only %d problems:\n%v", len(problems), problems)
		}
		if p := problems[i]; p.Line != w.line || p.Path != w.path || !strings.Contains(p.Text, w.word) || p.File != name {
			t.Errorf("problem %d is %v, want line %d, %s: …%s…", i, p, w.line, w.path, w.word)
		}
	}
	if len(problems) != len(want) {
		t.Errorf("%d problems, want %d:\n%v", len(problems), len(want), problems)
	}
	if s.Log.Level != "info" || s.Broker.CallTimeout != 30*time.Second {
		t.Errorf("a file that is refused changed the settings: %+v", s)
	}
}

func TestAFileThatCannotBeReadIsNamed(t *testing.T) {
	name := filepath.Join(t.TempDir(), "none.yaml")
	if err := app.Defaults(nil).Load(name); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "none.yaml") {
		t.Errorf("got %v, want the file named", err)
	}
}

func TestAFileChangesWhatItSays(t *testing.T) {
	s := app.Defaults(std.All())
	if err := s.Load(file(t, "echo:\n  enabled: true\nbroker:\n  limits: {peers: -1}\n")); err != nil {
		t.Fatal(err)
	}
	e := echoOf(t, s)
	if !e.On || e.Listen != "127.0.0.1:7007" || s.Broker.Limits.Peers != -1 || s.Broker.Limits.Services != 1000 {
		t.Errorf("%+v, %+v", e, s.Broker)
	}
}

func echoOf(t *testing.T, s *app.Settings) *echo.Config {
	t.Helper()
	for _, d := range s.Dialects {
		if e, ok := d.Config.(*echo.Config); ok {
			return e
		}
	}
	t.Fatal("echo is not there")
	return nil
}

func TestSetAndCheck(t *testing.T) {
	s := app.Defaults(std.All())
	set(t, s, "echo.listen", "127.0.0.1:1")
	set(t, s, "broker.limits.message_bytes", "1MiB")
	set(t, s, "log.level", "debug")
	if echoOf(t, s).Listen != "127.0.0.1:1" || s.Broker.Limits.MessageBytes != 1<<20 || s.Log.Level != "debug" {
		t.Errorf("%+v", s)
	}
	for _, bad := range [][2]string{{"echo.nothing", "1"}, {"nothing.listen", "1"}, {"echo.max_line", "long"}, {"echo", "1"}} {
		if err := s.Set(bad[0], bad[1]); err == nil || !strings.Contains(err.Error(), bad[0]) {
			t.Errorf("%s=%s: %v; want the setting named", bad[0], bad[1], err)
		}
	}
	if err := s.Check(); err != nil {
		t.Errorf("the settings: %v", err)
	}
	set(t, s, "echo.listen", "here")
	set(t, s, "log.format", "xml")
	err := s.Check()
	if err == nil || !strings.Contains(err.Error(), "echo.listen") || !strings.Contains(err.Error(), "log.format") {
		t.Errorf("got %v, want both settings named", err)
	}
}

func TestEveryLimitMustSayHowMuch(t *testing.T) {
	for _, name := range []string{"peers", "subscriptions", "services", "calls", "message_bytes", "retained", "retained_bytes"} {
		s := app.Defaults(nil)
		set(t, s, "broker.limits."+name, "0") // which would be the default, not nothing
		if err := s.Check(); err == nil || !strings.Contains(err.Error(), "broker.limits."+name) {
			t.Errorf("%s: %v", name, err)
		}
		set(t, s, "broker.limits."+name, "1")
		if err := s.Check(); err != nil {
			t.Error(err)
		}
	}
}

func TestSectionsAreThoseOfTheDialects(t *testing.T) {
	f := &fake{name: "fake", diary: new(diary)}
	s := app.Defaults([]dialect.Spec{f.spec()})
	var names []string
	for _, x := range s.Sections() {
		names = append(names, x.Name)
		if x.Help == "" {
			t.Errorf("%s has no help", x.Name)
		}
	}
	if got := strings.Join(names, " "); got != "log broker fake bridges" {
		t.Errorf("sections %s", got)
	}
	err := s.Load(file(t, "# first\nfake:\n  listen: bad\n"))
	if err == nil || !strings.Contains(err.Error(), ":3: fake.listen: want another one") {
		t.Errorf("got %v", err)
	}
}

func TestTheLogIsAsSet(t *testing.T) {
	for level, lines := range map[string]int{"debug": 4, "info": 3, "warn": 2, "error": 1, "nonsense": 3} {
		for _, format := range []string{"text", "json"} {
			s := app.Defaults(nil)
			s.Log.Level, s.Log.Format = level, format
			var out bytes.Buffer
			log := s.Logger(&out)
			log.Debug("x")
			log.Info("x")
			log.Warn("x")
			log.Error("x", "key", "a b")
			if n := strings.Count(out.String(), "\n"); n != lines {
				t.Errorf("%s: %d lines, want %d", level, n, lines)
			}
			if last := out.Bytes()[bytes.LastIndexByte(bytes.TrimSpace(out.Bytes()), '\n')+1:]; json.Valid(last) != (format == "json") {
				t.Errorf("as %s: %s", format, last)
			}
		}
	}
}
