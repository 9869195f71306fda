package topic_test

import (
	"errors"
	"strings"
	"testing"

	"omnibus/topic"
)

func TestCheckNameSaysWhatIsWrongAndWhere(t *testing.T) {
	for _, c := range []struct{ name, says string }{
		{"a/b", ""},
		{"/", ""},
		{"$share/g/a", ""},
		{"+/#/*", ""},
		{strings.Repeat("x", topic.MaxNameBytes), ""},
		{"", "it is empty"},
		{"a/\x00", "byte 2 is NUL"},
		{"aé\xffb", "byte 3 does not begin a valid UTF-8 character"},
		{strings.Repeat("é", 32768), "it has 65536 bytes, at most 65535"},
	} {
		err := topic.CheckName(c.name)
		if c.says == "" {
			if err != nil {
				t.Errorf("CheckName(%.20q): %v", c.name, err)
			}
			continue
		}
		if !errors.Is(err, topic.ErrName) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("CheckName(%.20q) = %.200v, want an ErrName that says %q", c.name, err, c.says)
		}
		if err != nil && len(err.Error()) > 300 {
			t.Errorf("CheckName(%.20q): the error has %d bytes", c.name, len(err.Error()))
		}
	}
}

// matching is a pattern and names it matches and does not match.
type matching struct {
	pattern string
	yes, no []string
}

func (m matching) check(t *testing.T, p topic.Pattern) {
	t.Helper()
	for _, name := range m.yes {
		if !p.Match(name) {
			t.Errorf("%s %q does not match %q", p.Kind(), m.pattern, name)
		}
		if !wants(p, name) {
			t.Errorf("the oracle's %s %q does not match %q", p.Kind(), m.pattern, name)
		}
	}
	for _, name := range m.no {
		if p.Match(name) {
			t.Errorf("%s %q matches %q", p.Kind(), m.pattern, name)
		}
		if wants(p, name) {
			t.Errorf("the oracle's %s %q matches %q", p.Kind(), m.pattern, name)
		}
	}
}

func TestExactMatchesItself(t *testing.T) {
	p, err := topic.NewExact("a/+")
	if err != nil {
		t.Fatal(err)
	}
	matching{"a/+", []string{"a/+"}, []string{"a/b", "a/", "A/+", "a/+/"}}.check(t, p)
}

func TestFilterMatching(t *testing.T) {
	for _, m := range []matching{
		{"a/b", []string{"a/b"}, []string{"a", "a/b/", "a/b/c", "/a/b", "A/b"}},
		{"a/+", []string{"a/b", "a/"}, []string{"a", "a/b/c", "b/b"}},
		{"+", []string{"a", "é"}, []string{"a/b", "/a", "$SYS"}},
		{"+/+", []string{"a/b", "/b", "/"}, []string{"a", "$SYS/x"}},
		{"/+", []string{"/a", "/"}, []string{"a", "/a/b"}},
		{"#", []string{"a", "a/b", "/", "a/$SYS"}, []string{"$SYS", "$SYS/x", "$"}},
		{"a/#", []string{"a", "a/", "a/b", "a/b/c"}, []string{"b", "ab", "ab/c"}},
		{"a/+/#", []string{"a/b", "a/", "a/b/c/d"}, []string{"a"}},
		{"+/b/#", []string{"a/b", "/b/c"}, []string{"a", "b", "$x/b"}},
		{"$SYS/#", []string{"$SYS", "$SYS/x"}, []string{"SYS"}},
		{"$SYS/+", []string{"$SYS/x"}, []string{"$SYS"}},
		{"$share/g/#", []string{"$share/g/x"}, []string{"x"}},
		{"a/*", []string{"a/*"}, []string{"a/b"}},
	} {
		p, err := topic.NewFilter(m.pattern)
		if err != nil {
			t.Fatal(err)
		}
		m.check(t, p)
	}
}

func TestSpaceMatching(t *testing.T) {
	for _, m := range []matching{
		{"a/*", []string{"a/b", "a/é"}, []string{"a", "a/", "a/b/c", "A/b"}},
		{"a/x*", []string{"a/xy"}, []string{"a/x", "a/xyz/q"}},
		{"**/t", []string{"a/t", "a/b/t", "/t"}, []string{"t", "a/tt"}},
		{"a/**", []string{"a/", "a/b", "a/b/c"}, []string{"a", "b/a/b"}},
		{"a/**/b", []string{"a/x/b", "a/x/y/b", "a//b"}, []string{"a/b"}},
		{"**", []string{"a", "a/b", "$SYS/x", "/", "*"}, []string{"a@b", "@/a"}},
		{"*", nil, []string{"a", "a/b", "*"}},
		{"a.b/*", []string{"a.b/c"}, []string{"aXb/c"}},
		{"a/*/c", []string{"a/b/c"}, []string{"a/@b/c", "a//c"}},
		{"a/@*/c", []string{"a/@b/c"}, []string{"a/@@b/c", "a/b/c", "a/@/c"}},
		{"a*", nil, []string{"ab", "a/b", "a"}},
		{"a**", []string{"a/b", "ab/c"}, []string{"ab", "a"}},
		{"***", []string{"a/b"}, []string{"a", "a/"}},
		{"****", []string{"a/b", "a/"}, []string{"a"}},
		{"*/x/*b", []string{"a/x/ab", "a/x/bb"}, []string{"a/x/b", "a/y/x/ab"}},
		{"**a*b**c", []string{"/axbc", "ab/axb/c"}, []string{"ab/bc", "/a/bc"}},
		{"$SYS/*", []string{"$SYS/x"}, nil},
		{"*/x", []string{"$SYS/x"}, nil},
		{"a/*\n", []string{"a/\n\n"}, []string{"a/\n"}},
	} {
		p, err := topic.NewSpace(m.pattern)
		if err != nil {
			t.Fatal(err)
		}
		m.check(t, p)
	}
}

func TestRegexMatching(t *testing.T) {
	for _, m := range []matching{
		{"a|b", []string{"a", "ab", "a/b", "b"}, []string{"bb", "cb", "xa"}},
		{"/robot/.*", []string{"/robot/", "/robot/pose/x"}, []string{"/robot", "x/robot/y"}},
		{"^a$", []string{"a"}, []string{"ab", "ba"}},
		{"^a|b$", []string{"a", "ax", "b"}, []string{"xb"}},
		{`a\$`, []string{"a$", "a$b"}, []string{"a"}},
		{"(?i)abc", []string{"ABC", "abc"}, []string{"abcd"}},
		{"[^/]+", []string{"a", "$x"}, []string{"a/b"}},
		{"a(b|c)*", []string{"a", "abcb"}, []string{"abd"}},
		{"a/b|a/c", []string{"a/b", "a/bx", "a/c"}, []string{"a/cx"}},
		{"a/b?", []string{"a/b", "a/"}, []string{"a"}},
		{"(a/)(b)", []string{"a/b"}, []string{"a/", "a/bb"}},
	} {
		p, err := topic.NewRegex(m.pattern)
		if err != nil {
			t.Fatal(err)
		}
		m.check(t, p)
	}
}

func TestMalformedPatternsAreErrorsThatExplain(t *testing.T) {
	long := strings.Repeat("a", topic.MaxNameBytes+1)
	for _, c := range []struct{ pattern, says string }{
		{"exact:", "it is empty"},
		{"exact:a\x00", "byte 1 is NUL"},
		{"exact:" + long, "at most 65535"},
		{"filter:", "it is empty"},
		{"filter:a+", "byte 1: '+' must be a whole level"},
		{"filter:+a/b", "byte 0: '+' must be a whole level"},
		{"filter:a/+/b+", "byte 5: '+' must be a whole level"},
		{"filter:a/#/b", "byte 2: '#' must be the last level"},
		{"a/#/b", "byte 2: '#' must be the last level"},
		{"news.*", "use a regex: pattern"},
		{"filter:#/", "byte 0: '#' must be the last level"},
		{"filter:a#", "byte 1: '#' must be a whole level"},
		{"filter:##", "byte 0: '#' must be a whole level"},
		{"filter:a/\xc3", "byte 2 does not begin"},
		{"filter:a\x00", "byte 1 is NUL"},
		{"filter:" + long, "at most 65535"},
		{"space:", "it is empty"},
		{"space:a/b", "use an exact topic"},
		{"space:*\x00", "byte 1 is NUL"},
		{"space:*" + long, "at most 65535"},
		{"regex:", "it is empty"},
		{"regex:a(", "missing closing )"},
		{"regex:a)(b", "unexpected )"},
		{"regex:a(?=b)", "byte 1: look-around is not supported"},
		{"regex:(?!b)", "look-around is not supported"},
		{"regex:x(?<=b)", "look-around is not supported"},
		{"regex:x(?<!b)", "look-around is not supported"},
		{`regex:(a)\1`, "byte 3: back-references are not supported"},
		{`regex:(?P<n>a)(?P=n)`, "back-references are not supported"},
		{`regex:\Qa`, "cannot be anchored"},
		{"regex:a{1001}", "byte 1: "},
		{"regex:" + long, "at most 65535"},
	} {
		p, err := topic.Parse(c.pattern)
		if !errors.Is(err, topic.ErrPattern) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("Parse(%.30q) = %.300v, want an ErrPattern that says %q", c.pattern, err, c.says)
		}
		if !p.IsZero() {
			t.Errorf("Parse(%.30q) returns %.30v with its error", c.pattern, p)
		}
	}
	if _, err := topic.NewExact(""); !errors.Is(err, topic.ErrName) {
		t.Errorf(`NewExact("") = %v, want an ErrName, too`, err)
	}
}

func TestTextFormRoundTrips(t *testing.T) {
	for _, c := range []struct {
		text string
		kind topic.Kind
		back string
	}{
		{"a/b", topic.Exact, "a/b"},
		{"a#b+c", topic.Exact, "a#b+c"},
		{"exact:a/#/b", topic.Exact, "exact:a/#/b"},
		{"space:news.*", topic.Space, "space:news.*"},
		{"http://x", topic.Exact, "http://x"},
		{"exact:a/b", topic.Exact, "a/b"},
		{"exact:a/+", topic.Exact, "exact:a/+"},
		{"exact:filter:a", topic.Exact, "exact:filter:a"},
		{"exact:a*", topic.Exact, "exact:a*"},
		{"a/+", topic.Filter, "a/+"},
		{"#", topic.Filter, "#"},
		{"+/#", topic.Filter, "+/#"},
		{"filter:a/b", topic.Filter, "filter:a/b"},
		{"filter:a/*/+", topic.Filter, "filter:a/*/+"},
		{"filter:a/#", topic.Filter, "a/#"},
		{"a/*", topic.Space, "a/*"},
		{"+/*", topic.Space, "+/*"},
		{"space:**", topic.Space, "**"},
		{"space:regex:*", topic.Space, "space:regex:*"},
		{"regex:a", topic.Regex, "regex:a"},
		{"regex:.*", topic.Regex, "regex:.*"},
	} {
		p := must(t, c.text)
		if p.Kind() != c.kind || p.String() != c.back {
			t.Errorf("Parse(%q) is %v %q, want %v %q", c.text, p.Kind(), p, c.kind, c.back)
		}
		if again := must(t, p.String()); !again.Equal(p) {
			t.Errorf("Parse(%q) = %v, want %v", p, again, p)
		}
	}
}

func TestLiteralIsTheOnlyName(t *testing.T) {
	for _, c := range []struct{ pattern, name string }{
		{"exact:a/+", "a/+"},
		{"filter:a/b", "a/b"},
		{"filter:a/*", "a/*"},
		{"a/+", ""},
		{"#", ""},
		{"a/*", ""},
		{"regex:/a/b", "/a/b"},
		{"regex:^a$", "a"},
		{`regex:c\.d`, "c.d"},
		{"regex:(a)(b)", "ab"},
		{"regex:a|b", ""},
		{"regex:a.b", ""},
		{"regex:(?i)a", ""},
		{"regex:a?", ""},
		{`regex:a\$`, ""},
		{"regex:^$", ""},
		{"regex:(?m)a", ""},
	} {
		name, ok := must(t, c.pattern).Literal()
		if name = map[bool]string{true: name}[ok]; name != c.name {
			t.Errorf("%s is literally %q, want %q", c.pattern, name, c.name)
		}
	}
}

func TestZeroPatternMatchesNothing(t *testing.T) {
	var p topic.Pattern
	if !p.IsZero() || p.Match("") || p.Match("a") || p.String() != "" {
		t.Errorf("the zero Pattern is %q, matches: %v", p, p.Match("") || p.Match("a"))
	}
	if _, ok := p.Literal(); ok {
		t.Error("the zero Pattern has a literal")
	}
	if p.Equal(must(t, "a")) || !p.Equal(topic.Pattern{}) {
		t.Error("the zero Pattern is equal to itself alone")
	}
}

func TestEqualComparesKindAndText(t *testing.T) {
	if !must(t, "a/*").Equal(must(t, "space:a/*")) {
		t.Error("a space is not equal to one with the same text")
	}
	if must(t, "exact:a").Equal(must(t, "filter:a")) || must(t, "a").Equal(must(t, "b")) {
		t.Error("patterns of other kind or text are equal")
	}
}

func TestMatchingAllocatesNothing(t *testing.T) {
	names := []string{"a/b/c", "bench/device/17/state", strings.Repeat("abc/", 500)}
	for _, text := range []string{
		"a/b/c", "filter:a/b/c", "a/+/c", "+/+/#", "a/*/c", "**/c", "a/**c*/**/**a*b*c*/**",
	} {
		p := must(t, text)
		for _, name := range names {
			if n := testing.AllocsPerRun(100, func() { p.Match(name) }); n != 0 {
				t.Errorf("matching %v against %.20q allocates %v times", p, name, n)
			}
		}
	}
}

func TestHostileSpacesEndSoon(t *testing.T) {
	// A matcher that tries everything would not come back from any of these.
	name := strings.Repeat("a", 20_000) + "/" + strings.Repeat("a", 20_000)
	levels := strings.Repeat("a/", 15_000)
	for _, c := range []struct{ space, name string }{
		{strings.Repeat("**a", 200) + "b", name},
		{strings.Repeat("*a", 200) + "b", name},
		{"**" + strings.Repeat("a*", 200) + "b**", name},
		{strings.Repeat("**aa*", 100) + "/b", name},
		{"**" + strings.Repeat("*a/*", 100) + "b**", levels},
		{strings.Repeat("**/a/", 500) + "b", levels},
	} {
		if must(t, "space:"+c.space).Match(c.name) {
			t.Errorf("space %.20q matches %.20q", c.space, c.name)
		}
	}
}
