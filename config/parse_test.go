package config_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"omnibus/config"
)

// validate refuses what the tests ask it to refuse.
func validate(s config.Section) (ps []config.Problem) {
	v, ok := s.Value.(*sample)
	if !ok {
		return nil
	}
	if v.TLS.Cert == "missing.pem" {
		ps = append(ps, config.Problem{Path: "tls.cert", Text: "no such file"})
	}
	if v.TLS.Cert == "missing.pem" && v.TLS.Key == "" {
		ps = append(ps, config.Problem{Path: "tls.key", Text: "expected a key file beside cert"})
	}
	for i, u := range v.Users {
		if u.Name == "" {
			ps = append(ps, config.Problem{Path: fmt.Sprintf("users[%d].name", i), Text: "expected a name"})
		}
	}
	if v.Port == 1 {
		ps = append(ps, config.Problem{Path: "port", Text: "port 1 is taken"}, config.Problem{Text: "the whole section is odd"})
	}
	if v.Queue == 0 {
		ps = append(ps, config.Problem{Path: "queue", Text: "expected more than 0"})
	}
	return ps
}

// Each file of testdata/problems is a file with problems; what Parse says about
// it stands beside it.
func TestProblemsAreReportedTogetherWithTheirLines(t *testing.T) {
	files, err := filepath.Glob("testdata/problems/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no files: %v", err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			sections := newSections()
			err = config.Parse(filepath.Base(file), data, sections, validate)
			ps, ok := errors.AsType[config.Problems](err)
			if !ok || len(ps) == 0 {
				t.Fatalf("got %v, want problems", err)
			}
			if !reflect.DeepEqual(sections, newSections()) {
				t.Error("the values have changed")
			}
			want := strings.TrimSuffix(file, ".yaml") + ".txt"
			if *update {
				if err := os.WriteFile(want, []byte(ps.Error()+"\n"), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			text, err := os.ReadFile(want)
			if err != nil {
				t.Fatal(err)
			}
			if ps.Error()+"\n" != string(text) {
				t.Errorf("got:\n%v\nwant:\n%s", ps, text)
			}
		})
	}
}

func TestWhatIsAbsentKeepsItsDefault(t *testing.T) {
	for name, text := range map[string]string{
		"empty":           "",
		"comments":        "# nothing\n\n# at all\n",
		"empty document":  "---\n",
		"end marker":      "---\n...\n",
		"null section":    "sample:\nsmall: ~\n",
		"null settings":   "sample:\n  listen:\n  export: null\n  tls:\n  proxy:\n  users: ~\n  idle:\n",
		"null in a group": "sample:\n  proxy: {key: }\n  tls:\n    cert: # nothing\n",
		"empty groups":    "sample: {tls: {}, proxy: {}}\n",
	} {
		t.Run(name, func(t *testing.T) {
			sections := newSections()
			if err := config.Parse("x.yaml", []byte(text), sections, validate); err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(sections, newSections()) {
				t.Errorf("got %+v", sampleOf(sections))
			}
		})
	}
}

func TestValuesAreRead(t *testing.T) {
	ten := 10
	for text, change := range map[string]func(*sample){
		"enabled: false":                      func(s *sample) { s.Enabled = false },
		"enabled: FALSE":                      func(s *sample) { s.Enabled = false },
		"listen: ':80'":                       func(s *sample) { s.Listen = ":80" },
		"listen: 007":                         func(s *sample) { s.Listen = "007" },
		"listen: true":                        func(s *sample) { s.Listen = "true" },
		"listen: |-\n    a\n    b":            func(s *sample) { s.Listen = "a\nb" },
		"listen: \"null\"":                    func(s *sample) { s.Listen = "null" },
		"idle: 1h2m":                          func(s *sample) { s.Idle = 62 * time.Minute },
		"idle: '250ms'":                       func(s *sample) { s.Idle = 250 * time.Millisecond },
		"idle: 0":                             func(s *sample) { s.Idle = 0 },
		"idle: -1s":                           func(s *sample) { s.Idle = -time.Second },
		"limit: 64KiB":                        func(s *sample) { s.Limit = 64 * config.KiB },
		"limit: 1500":                         func(s *sample) { s.Limit = 1500 },
		"port: 0x1F":                          func(s *sample) { s.Port = 31 },
		"port: 010":                           func(s *sample) { s.Port = 10 },
		"offset: -0o17":                       func(s *sample) { s.Offset = -15 },
		"ratio: 2":                            func(s *sample) { s.Ratio = 2 },
		"ratio: 1e-3":                         func(s *sample) { s.Ratio = 0.001 },
		"level: debug":                        func(s *sample) { s.Level = -4 },
		"tls: {key: k}":                       func(s *sample) { s.TLS.Key = "k" },
		"backup: {cert: c}":                   func(s *sample) { s.Backup = &tls{Cert: "c"} },
		"proxy: {cert: c}":                    func(s *sample) { s.Proxy.Cert = "c" },
		"burst: 10":                           func(s *sample) { s.Burst = &ten },
		"export: []":                          func(s *sample) { s.Export = []string{} },
		"export: [x]":                         func(s *sample) { s.Export = []string{"x"} },
		"users: [{name: bob}]":                func(s *sample) { s.Users = []user{{Name: "bob"}} },
		"guests:\n    -\n    - name: g":       func(s *sample) { s.Guests = []*user{{}, {Name: "g"}} },
		"matrix: [[], ~, [7]]":                func(s *sample) { s.Matrix = [][]int{{}, nil, {7}} },
		"labels: {x: 1, \"<<\": '', ~: \"\"}": func(s *sample) { s.Labels = map[string]string{"x": "1", "<<": "", "~": ""} },
		"routes: {r: {next: {}}, q: }":        func(s *sample) { s.Routes = map[string]route{"r": {Next: &route{}}, "q": {}} },
		"queue: 7":                            func(s *sample) { s.Queue = 7 },
		"listen: &a x\n  path: *a":            func(s *sample) { s.Listen, s.Path = "x", "x" },
		"tls: &t {key: k}\n  backup: *t":      func(s *sample) { s.TLS.Key, s.Backup = "k", &tls{Key: "k"} },
	} {
		t.Run(text, func(t *testing.T) {
			sections, want := newSections(), newSample()
			change(want)
			for _, end := range []string{"\n", "\r\n"} {
				file := strings.ReplaceAll("sample:\n  "+text+"\n", "\n", end)
				if err := config.Parse("x.yaml", []byte(file), sections, nil); err != nil {
					t.Fatal(err)
				}
				if got := sampleOf(sections); !reflect.DeepEqual(got, want) {
					t.Errorf("got  %+v\nwant %+v", got, want)
				}
			}
		})
	}
}

func TestDefaultsBehindPointersAreNotTouched(t *testing.T) {
	sections := newSections()
	proxy, labels, export := sampleOf(sections).Proxy, sampleOf(sections).Labels, sampleOf(sections).Export
	err := config.Parse("x", []byte("sample: {proxy: {key: new}, labels: {a: new}, export: [new]}"), sections, nil)
	if err != nil {
		t.Fatal(err)
	}
	want := newSample()
	if !reflect.DeepEqual(proxy, want.Proxy) || !reflect.DeepEqual(labels, want.Labels) || !reflect.DeepEqual(export, want.Export) {
		t.Errorf("defaults changed: %v %v %v", proxy, labels, export)
	}
}

func TestLimits(t *testing.T) {
	bomb := "sample:\n  labels: &a {x: y}\n  export: &b [" + strings.Repeat("1, ", 200) + "]\n  matrix:\n" + strings.Repeat("    - *b\n", 100)
	for name, tt := range map[string]struct{ text, want string }{
		"size":             {strings.Repeat("#\n", config.MaxFile/2+1), "the file has 1048578 bytes, expected at most 1MiB"},
		"nesting":          {"sample: " + strings.Repeat("[", config.MaxDepth+1), "depth"},
		"aliases":          {bomb, "stand for more than 10000 values"},
		"alias to unknown": {"sample: {routes: {a: &a {" + unknownKeys(2000) + "}, " + aliasesTo("a", 2000) + "}}", "there are more problems than can be listed"},
		"problems":         {"sample:\n" + strings.Repeat("  x: 1\n", 5000), "there are more problems than can be listed"},
		"itself":           {"sample: {labels: &a {x: *a}}", "sample.labels.x: expected text, found settings"},
		"itself in itself": {"sample: {routes: {r: &a {next: *a}}}", "stand for more than 10000 values"},
	} {
		t.Run(name, func(t *testing.T) {
			err := config.Parse("x.yaml", []byte(tt.text), newSections(), nil)
			contains(t, err, tt.want)
			if ps, _ := errors.AsType[config.Problems](err); len(ps) > config.MaxProblems+1 {
				t.Errorf("%d problems", len(ps))
			}
		})
	}
}

func unknownKeys(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "k%d: 1, ", i)
	}
	return b.String()
}

func aliasesTo(anchor string, n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "r%d: *%s, ", i, anchor)
	}
	return b.String()
}

func TestValidationSeesEverySection(t *testing.T) {
	var seen []string
	err := config.Parse("x", []byte("small: {size: 1KiB}"), newSections(), func(s config.Section) []config.Problem {
		seen = append(seen, s.Name)
		if v, ok := s.Value.(*small); ok && v.Size != 1024 {
			t.Errorf("validated before decoding: %v", v.Size)
		}
		return []config.Problem{{Path: "size", Text: "no"}}
	})
	if want := []string{"sample", "small", "empty"}; !reflect.DeepEqual(seen, want) {
		t.Errorf("got %v, want %v", seen, want)
	}
	want := config.Problems{
		{File: "x", Path: "sample.size", Text: "no"},
		{File: "x", Path: "empty.size", Text: "no"},
		{File: "x", Line: 1, Path: "small.size", Text: "no"},
	}
	if got, ok := errors.AsType[config.Problems](err); !ok || !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", err, want)
	}
}

func TestProblemString(t *testing.T) {
	for want, p := range map[string]config.Problem{
		"omnibus.yaml:12: mycroft.tls.cert: no such file": {File: "omnibus.yaml", Line: 12, Path: "mycroft.tls.cert", Text: "no such file"},
		"omnibus.yaml: mycroft: odd":                      {File: "omnibus.yaml", Path: "mycroft", Text: "odd"},
		"line 3: odd":                                     {Line: 3, Text: "odd"},
		`a\nb: odd`:                                       {Path: "a\nb", Text: "odd"},
		strings.Repeat("x", 200) + "…: odd":               {Path: strings.Repeat("x", 300), Text: "odd"},
	} {
		if got := p.String(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestSectionsAreStructsListsOrMaps(t *testing.T) {
	contains(t, config.Parse("x", nil, []config.Section{{Name: "s", Value: 1}}, nil), "section s: Value is int, want a pointer to a struct, a list or a map")
}

// FuzzParse: nothing panics, and what is accepted can be written and read again.
func FuzzParse(f *testing.F) {
	files, err := filepath.Glob("testdata/*/*.yaml")
	if err != nil || len(files) == 0 {
		f.Fatal("no seeds", err)
	}
	for _, file := range append(files, "testdata/sample.yaml") {
		data, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		sections := newSections()
		err := config.Parse("x.yaml", data, sections, validate)
		if err != nil {
			ps, ok := errors.AsType[config.Problems](err)
			if !ok || len(ps) == 0 || ps.Error() == "" {
				t.Fatalf("got %T %v", err, err)
			}
			if !reflect.DeepEqual(sections, newSections()) {
				t.Fatal("refused, but the values have changed")
			}
			return
		}
		var out strings.Builder
		if err := config.Write(&out, sections); err != nil {
			t.Fatal(err)
		}
		again := newSections()
		if err := config.Parse("x.yaml", []byte(out.String()), again, validate); err != nil {
			t.Fatalf("%v\n%s", err, out.String())
		}
		var second strings.Builder
		if err := config.Write(&second, again); err != nil {
			t.Fatal(err)
		}
		if out.String() != second.String() {
			t.Fatalf("first:\n%s\nthen:\n%s", out.String(), second.String())
		}
	})
}
