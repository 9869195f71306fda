package topic_test

import (
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"omnibus/topic"
)

var fuzzPatterns = []string{
	"a/b", "a/+", "#", "a/+/#", "a/#/b", "a+", "$SYS/#", "a/*", "**", "**/t", "a/**/b", "a/***b", "*@*", "exact:a/+", "filter:a/b",
	"space:filter:*", "regex:a|b", "regex:^/a/.*$", `regex:a\$`, "regex:(?i)a", "regex:(", `regex:\Qa`, "regex:a/(b|c)?", "kind:x", ":", "",
}

func FuzzParse(f *testing.F) {
	for _, s := range fuzzPatterns {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		p, err := topic.Parse(s)
		if err != nil {
			if !p.IsZero() {
				t.Errorf("Parse(%q) returns %v with error %v", s, p, err)
			}
			return
		}
		again, err := topic.Parse(p.String())
		if err != nil || !again.Equal(p) {
			t.Errorf("Parse(%q) = %v, but Parse(%q) = %v, %v", s, p, p.String(), again, err)
		}
		if again.String() != p.String() {
			t.Errorf("%q has two text forms: %q and %q", s, p, again)
		}
		if name, ok := p.Literal(); ok && !p.Match(name) {
			t.Errorf("%v does not match its literal %q", p, name)
		}
	})
}

func FuzzMatch(f *testing.F) {
	for i, s := range fuzzPatterns {
		f.Add(s, fuzzPatterns[(i+1)%len(fuzzPatterns)], "a/b")
		f.Add(s, "a/*/c", "$SYS/t/@")
	}
	f.Fuzz(func(t *testing.T, text, other, name string) {
		if topic.CheckName(name) != nil || strings.Count(name, "/") > 200 {
			return
		}
		if strings.ContainsRune(text+other+name, utf8.RuneError) {
			return
		}
		var ix topic.Index[int]
		var names topic.Names[int]
		names.Set(name, 1)
		var want []int
		var ps []topic.Pattern
		for i, s := range []string{text, other} {
			p, err := topic.Parse(s)
			if err != nil {
				continue
			}
			matches := p.Match(name)
			if matches != wants(p, name) {
				t.Errorf("%s %q matches %q: %v, the oracle disagrees", p.Kind(), p.Text(), name, matches)
			}
			if matches {
				want = append(want, i)
			}
			found := 0
			for range names.Match(p) {
				found++
			}
			if found == 1 != matches {
				t.Errorf("names find %q by %v: %v, want %v", name, p, found == 1, matches)
			}
			ix.Insert(p, i)
			if i == 0 {
				find(&ix, name) // so that the other pattern patches the cache
			}
			ps = append(ps, p)
		}
		for range 2 {
			if got := find(&ix, name); !slices.Equal(got, want) {
				t.Errorf("%v match %q: %v, want %v", ps, name, got, want)
			}
		}
	})
}
