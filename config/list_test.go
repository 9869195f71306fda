package config_test

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"omnibus/config"
)

// link is an entry that does not begin as zero.
type link struct {
	Name  string        `yaml:"name" help:"What it is called."`
	Wait  time.Duration `yaml:"wait" help:"How long."`
	TLS   tls           `yaml:"tls"`
	Rules []rule        `yaml:"rules" help:"What passes."`
}

// SetDefaults makes a new entry.
func (l *link) SetDefaults() { l.Wait, l.TLS.Key = time.Minute, "k.pem" }

type rule struct {
	Filter string `yaml:"filter" help:"Which."`
	Keep   bool   `yaml:"keep" help:"Whether it is kept."`
}

// SetDefaults makes a new entry.
func (r *rule) SetDefaults() { r.Keep = true }

func listSection(list *[]link) []config.Section {
	return []config.Section{{Name: "links", Help: "Who is joined.", Value: list}}
}

func TestASectionMayBeAListWhoseEntriesHaveDefaults(t *testing.T) {
	var got []link
	text := "links:\n  - name: a\n    rules:\n      - filter: x\n      - {filter: y, keep: false}\n  -\n  - {wait: 1s, tls: {cert: c}}\n"
	if err := config.Parse("x.yaml", []byte(text), listSection(&got), nil); err != nil {
		t.Fatal(err)
	}
	want := []link{
		{Name: "a", Wait: time.Minute, TLS: tls{Key: "k.pem"}, Rules: []rule{{"x", true}, {"y", false}}},
		{Wait: time.Minute, TLS: tls{Key: "k.pem"}},
		{Wait: time.Second, TLS: tls{Cert: "c", Key: "k.pem"}},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	if err := config.Set(listSection(&got), "links[2].wait", "2s"); err != nil || got[2].Wait != 2*time.Second {
		t.Errorf("set: %v, %v", got[2].Wait, err)
	}
	if err := config.Set(listSection(&got), "links[0].rules[1].keep", "true"); err != nil || !got[0].Rules[1].Keep {
		t.Errorf("set: %+v, %v", got[0].Rules, err)
	}
	if err := config.Set(listSection(&got), "links", "[{name: b}]"); err != nil || len(got) != 1 || got[0].Wait != time.Minute {
		t.Errorf("set: %+v, %v", got, err)
	}
}

func TestASectionMayBeAMap(t *testing.T) {
	var got map[string]*link
	sections := []config.Section{{Name: "links", Value: &got}}
	if err := config.Parse("x.yaml", []byte("links: {a: {name: b}, c: }"), sections, nil); err != nil {
		t.Fatal(err)
	}
	if len(got) != 2 || got["a"].Name != "b" || got["a"].Wait != time.Minute || got["c"].Wait != time.Minute {
		t.Errorf("got %+v %+v", got["a"], got["c"])
	}
}

func TestProblemsOfAListHaveTheirLines(t *testing.T) {
	for text, want := range map[string]string{
		"links: {name: a}\n":                      "x.yaml:1: links: expected a list, found settings",
		"links:\n  - nam: a\n":                    "x.yaml:2: links[0].nam: unknown key, did you mean name?",
		"links:\n  - name: a\n    wait: 1\n":      "x.yaml:3: links[0].wait: expected a duration",
		"links:\n  - name: a\n  - name: bad\n":    "x.yaml:3: links[1].name: no such name",
		"links:\n  - rules:\n      - filtr: x\n":  "x.yaml:3: links[0].rules[0].filtr: unknown key, did you mean filter?",
		"links:\n  - rules:\n      - keep: bad\n": `x.yaml:3: links[0].rules[0].keep: expected true or false, found "bad"`,
	} {
		before := []link{{Name: "before"}}
		err := config.Parse("x.yaml", []byte(text), listSection(&before), func(s config.Section) (ps []config.Problem) {
			for i, l := range *s.Value.(*[]link) {
				if l.Name == "bad" {
					ps = append(ps, config.Problem{Path: fmt.Sprintf("[%d].name", i), Text: "no such name"})
				}
			}
			return ps
		})
		contains(t, err, want)
		if len(before) != 1 || before[0].Name != "before" {
			t.Errorf("%q: the values have changed: %+v", text, before)
		}
	}
	var none []link
	contains(t, config.Set(listSection(&none), "links[0].name", "x"), "links: has 0 entries")
}

func TestAListIsWrittenAndDescribed(t *testing.T) {
	var list []link
	var out strings.Builder
	if err := config.Write(&out, listSection(&list)); err != nil {
		t.Fatal(err)
	}
	const empty = `# Who is joined.
# Each entry has:
#   name            What it is called.
#   wait            How long. Default: 1m
#   tls.cert        Certificate file.
#   tls.key         Key file. Default: k.pem
#   tls.alpn        Protocols.
#   rules           What passes.
#   rules[].filter  Which.
#   rules[].keep    Whether it is kept. Default: true
links: []
`
	if out.String() != empty {
		t.Errorf("got:\n%s", out.String())
	}
	list = []link{{Name: "a", Rules: []rule{{Filter: "x"}}}}
	out.Reset()
	if err := config.Write(&out, listSection(&list)); err != nil {
		t.Fatal(err)
	}
	var again []link
	if err := config.Parse("x.yaml", []byte(out.String()), listSection(&again), nil); err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
	again[0].TLS.ALPN = nil // [] was nil
	if !reflect.DeepEqual(again, list) {
		t.Errorf("read back %+v, want %+v", again, list)
	}
	out.Reset()
	if err := config.Reference(&out, listSection(new([]link))); err != nil {
		t.Fatal(err)
	}
	for _, row := range []string{
		"| `links` | `[]` |  |\n", "| `links[].wait` | `1m` | How long. |\n", "| `links[].tls.key` | `k.pem` | Key file. |\n",
		"| `links[].rules` | `[]` | What passes. |\n", "| `links[].rules[].keep` | `true` | Whether it is kept. |\n",
	} {
		if !strings.Contains(out.String(), row) {
			t.Errorf("the reference has no row %s%s", row, out.String())
		}
	}
}
