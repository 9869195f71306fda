package config_test

import (
	"bytes"
	"errors"
	"flag"
	"io"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"testing"
	"testing/quick"
	"unicode/utf8"

	"omnibus/config"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func golden(t *testing.T, name string, write func(io.Writer, []config.Section) error) {
	t.Helper()
	var out bytes.Buffer
	if err := write(&out, newSections()); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, out.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(out.Bytes(), want) {
		t.Errorf("%s differs (-update rewrites it), got:\n%s", path, out.String())
	}
}

func TestWriteIsComplete(t *testing.T)     { golden(t, "sample.yaml", config.Write) }
func TestReferenceIsComplete(t *testing.T) { golden(t, "sample.md", config.Reference) }

func TestParsingWhatWasWrittenChangesNothing(t *testing.T) {
	var out bytes.Buffer
	if err := config.Write(&out, newSections()); err != nil {
		t.Fatal(err)
	}
	zero := newSections()
	zero[0].Value, zero[1].Value = &sample{}, &small{}
	for name, sections := range map[string][]config.Section{"onto the same": newSections(), "onto nothing": zero} {
		t.Run(name, func(t *testing.T) {
			if err := config.Parse("x.yaml", out.Bytes(), sections, nil); err != nil {
				t.Fatalf("%v\n%s", err, out.String())
			}
			var again bytes.Buffer
			if err := config.Write(&again, sections); err != nil {
				t.Fatal(err)
			}
			if again.String() != out.String() {
				t.Errorf("written again:\n%s", again.String())
			}
		})
	}
	same := newSections()
	if err := config.Parse("x.yaml", out.Bytes(), same, nil); err != nil {
		t.Fatal(err)
	}
	got, want := *sampleOf(same), *newSample()
	got.None, got.Guests, got.TLS.ALPN, got.Users[0].TLS.ALPN = nil, nil, nil, nil // [] was nil
	got.Users[1].TLS.ALPN, got.Users[1].Topics = nil, nil
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

type anything struct {
	S string            `yaml:"s"`
	L []string          `yaml:"l"`
	M map[string]string `yaml:"m"`
	E []struct {
		S string  `yaml:"s"`
		F float64 `yaml:"f"`
		D config.Size
	} `yaml:"e"`
	U uint64 `yaml:"u"`
	I int8   `yaml:"i"`
}

func TestAnyTextComesBack(t *testing.T) {
	check := func(a anything) bool {
		for k := range a.M {
			if !utf8.ValidString(k) || len(k) > 100 { // YAML ends simple keys at 1024 characters
				delete(a.M, k)
			}
		}
		for i := range a.E {
			a.E[i].D &= 1<<62 - 1
		}
		var out, again bytes.Buffer
		if err := config.Write(&out, []config.Section{{Name: "x", Value: &a}}); err != nil {
			t.Error(err)
			return false
		}
		var b anything
		if err := config.Parse("x", out.Bytes(), []config.Section{{Name: "x", Value: &b}}, nil); err != nil {
			t.Errorf("%v\n%s", err, out.String())
			return false
		}
		if err := config.Write(&again, []config.Section{{Name: "x", Value: &b}}); err != nil {
			t.Error(err)
			return false
		}
		return b.S == a.S && out.String() == again.String()
	}
	if err := quick.Check(check, nil); err != nil {
		t.Error(err)
	}
	tricky := []string{
		"", " ", "~", "null", "NULL", "true", "on", "-", "- a", "a: b", "a:", "a #b", "#", "*x", "&x", "!x", "|", ">", "%x", "@x", "`",
		"'", "\"", "a\nb", "a\tb", "[", "]", "{}", "a,b", "? a", "1", "1.5", ".5", ".inf", ".nan", "0x1f", "1_000", "2024-01-01", "<<", "=", "...",
		"---", "é", "日本", "\u2028", "\ufeff", "\x7f", "\x00", "a  b", "a ", " a", "C:\\x", "a:b", "$x", "12:30:45", "0o7", "1e3",
	}
	for _, s := range tricky {
		if !check(anything{S: s, L: []string{s}, M: map[string]string{s: s}}) {
			t.Errorf("%q does not come back", s)
		}
	}
}

func TestWritingFails(t *testing.T) {
	full := errors.New("disk full")
	for name, tt := range map[string]struct {
		value any
		w     io.Writer
		want  string
	}{
		"no pointer":       {small{}, io.Discard, "Value is config_test.small, want a pointer to a struct"},
		"nil":              {nil, io.Discard, "Value is <nil>, want a pointer to a struct"},
		"unsupported type": {&struct{ C struct{ X chan int } }{}, io.Discard, "x: settings of type chan int are not supported"},
		"infinity":         {&struct{ L []struct{ F float64 } }{[]struct{ F float64 }{{math.Inf(1)}}}, io.Discard, "the number +Inf cannot be written"},
		"no text form":     {&struct{ M map[string]mute }{map[string]mute{"a": {}}}, io.Discard, "has neither MarshalText nor String"},
		"writer":           {&small{}, failing{full}, "disk full"},
	} {
		t.Run(name, func(t *testing.T) {
			sections := []config.Section{{Name: "s", Value: tt.value}}
			contains(t, config.Write(tt.w, sections), tt.want)
			contains(t, config.Reference(tt.w, sections), tt.want)
		})
	}
}

// mute can be read but not written.
type mute struct{}

func (*mute) UnmarshalText([]byte) error { return nil }

type failing struct{ err error }

func (f failing) Write([]byte) (int, error) { return 0, f.err }
