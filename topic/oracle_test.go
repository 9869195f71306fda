package topic_test

import (
	"math/rand/v2"
	"regexp"
	"strings"
	"testing"

	"omnibus/topic"
)

// wants is the naive oracle: whether a pattern matches a name, decided by other
// means than the package uses.
func wants(p topic.Pattern, name string) bool { return oracle(p)(name) }

// oracle returns the oracle for one pattern.
func oracle(p topic.Pattern) func(name string) bool {
	switch p.Kind() {
	case topic.Filter:
		filter := strings.Split(p.Text(), "/")
		return func(name string) bool {
			if strings.HasPrefix(name, "$") && (filter[0] == "+" || filter[0] == "#") {
				return false
			}
			return filterWants(filter, strings.Split(name, "/"))
		}
	case topic.Space:
		re := spaceRegexp(p.Text())
		return func(name string) bool {
			return (strings.Contains(name, "/") || p.Text() == "**") && re.MatchString(name)
		}
	case topic.Regex:
		body := p.Text()
		if !strings.HasPrefix(body, "^") {
			body = "^" + body
		}
		if !strings.HasSuffix(body, "$") {
			body += "$"
		}
		re := regexp.MustCompile(body)
		return func(name string) bool {
			// The leftmost match begins at the start if any match does.
			found := re.FindStringIndex(name)
			return found != nil && found[0] == 0
		}
	default:
		return func(name string) bool { return p.Text() == name }
	}
}

func filterWants(filter, name []string) bool {
	switch {
	case len(filter) == 1 && filter[0] == "#":
		return true
	case len(filter) == 0 || len(name) == 0:
		return len(filter) == len(name)
	case filter[0] != "+" && filter[0] != name[0]:
		return false
	default:
		return filterWants(filter[1:], name[1:])
	}
}

func spaceRegexp(text string) *regexp.Regexp {
	var b strings.Builder
	b.WriteString(`(?s)\A`)
	for text != "" {
		switch {
		case strings.HasPrefix(text, "**"):
			b.WriteString(`[^@]*`)
			text = text[2:]
		case text[0] == '*':
			b.WriteString(`[^/@]+`)
			text = text[1:]
		default:
			end := strings.IndexByte(text, '*')
			if end < 0 {
				end = len(text)
			}
			b.WriteString(regexp.QuoteMeta(text[:end]))
			text = text[end:]
		}
	}
	b.WriteString(`\z`)
	return regexp.MustCompile(b.String())
}

// must returns the pattern that Parse makes of a text.
func must(t testing.TB, s string) topic.Pattern {
	t.Helper()
	p, err := topic.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// generator makes small random names and patterns that often meet.
type generator struct{ *rand.Rand }

func newGenerator(seed uint64) generator {
	return generator{rand.New(rand.NewPCG(seed, 1))}
}

func (g generator) pick(from ...string) string { return from[g.IntN(len(from))] }

func (g generator) join(most int, from ...string) string {
	levels := make([]string, 1+g.IntN(most))
	for i := range levels {
		levels[i] = g.pick(from...)
	}
	return strings.Join(levels, "/")
}

func (g generator) name() string {
	for {
		name := g.join(4, "a", "b", "a", "b", "ab", "", "$x", "@", "a@", "+", "#", "*", "c.d")
		if name != "" {
			return name
		}
	}
}

func (g generator) pattern() topic.Pattern {
	for {
		var p topic.Pattern
		var err error
		switch g.IntN(4) {
		case 0:
			p, err = topic.NewExact(g.name())
		case 1:
			p, err = topic.NewFilter(g.join(4, "a", "b", "+", "+", "#", "", "$x", "@", "ab", "*"))
		case 2:
			p, err = topic.NewSpace(g.join(4, "a", "b", "*", "**", "", "$x", "@", "a*", "*b", "**b", "a**", "***", "*@", "+", "a*b*"))
		case 3:
			p, err = topic.NewRegex(g.join(4, "a", "b", "a|b", ".*", "[^/]+", "", `\$x`, "(a|b)", "@", "^a", "a$", "(?i)A", "a?", `c\.d`, "(ab)"))
		}
		if err == nil {
			return p
		}
	}
}
