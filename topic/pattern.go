package topic

import (
	"errors"
	"fmt"
	"strings"
)

// ErrPattern is wrapped by every error about a pattern.
var ErrPattern = errors.New("invalid topic pattern")

// Kind is the language a pattern is written in.
type Kind uint8

// The kinds of pattern.
const (
	Exact  Kind = iota // the name itself
	Filter             // MQTT topic filter
	Space              // Rembus space
	Regex              // MiniBus anchored regular expression
)

// kindNames are the texts of the kinds, which are also the prefixes in the text
// form of a pattern.
var kindNames = [...]string{Exact: "exact", Filter: "filter", Space: "space", Regex: "regex"}

// String returns "exact", "filter", "space" or "regex".
func (k Kind) String() string {
	if int(k) < len(kindNames) {
		return kindNames[k]
	}
	return fmt.Sprintf("kind(%d)", uint8(k))
}

// Pattern says which names are wanted. It is small, immutable and safe for
// concurrent use. The zero Pattern matches nothing. Compare patterns with Equal:
// two that were made from the same text need not be == to each other.
type Pattern struct {
	text string
	comp *compiled // nil for Exact and Filter
	kind Kind
}

// compiled is what a Space or a Regex needs to match.
type compiled struct {
	space space
	regex regex
}

// NewExact returns the pattern that matches name alone. Errors wrap ErrPattern
// and ErrName.
func NewExact(name string) (Pattern, error) {
	if err := CheckName(name); err != nil {
		return Pattern{}, fmt.Errorf("%w: exact: %w", ErrPattern, err)
	}
	return Pattern{kind: Exact, text: name}, nil
}

// NewFilter returns the pattern of an MQTT topic filter. A filter that begins
// with "$share/" gets no special meaning here. Errors wrap ErrPattern and name
// the position and the rule.
func NewFilter(text string) (Pattern, error) {
	if err := checkText(Filter, text); err != nil {
		return Pattern{}, err
	}
	if fault := filterFault(text); fault != "" {
		return Pattern{}, patternError(Filter, text, fault)
	}
	return Pattern{kind: Filter, text: text}, nil
}

// NewSpace returns the pattern of a Rembus space. A text without '*' is an
// error, since Rembus takes it as a topic. Errors wrap ErrPattern.
func NewSpace(text string) (Pattern, error) {
	if err := checkText(Space, text); err != nil {
		return Pattern{}, err
	}
	if !strings.Contains(text, "*") {
		return Pattern{}, patternError(Space, text, "it has no '*'; use an exact topic instead")
	}
	return Pattern{kind: Space, text: text, comp: &compiled{space: compileSpace(text)}}, nil
}

// NewRegex returns the pattern of a regular expression in RE2 syntax. '^' is put
// in front and '$' at the end unless they are there, without grouping, and the
// result must match from the start of the name: "a|b" matches "b" and every name
// that begins with "a". Errors wrap ErrPattern.
func NewRegex(text string) (Pattern, error) {
	if err := checkText(Regex, text); err != nil {
		return Pattern{}, err
	}
	re, fault := compileRegex(text)
	if fault != "" {
		return Pattern{}, patternError(Regex, text, fault)
	}
	return Pattern{kind: Regex, text: text, comp: &compiled{regex: re}}, nil
}

// Parse reads the form that people write: a prefix "exact:", "filter:", "space:"
// or "regex:" and the text. Without a prefix a '*' anywhere makes it a space; a
// level that is "+" or "#" makes it a filter; anything else is exact. What looks
// like a pattern but matches nothing, such as "news.*", is refused unless its
// prefix says that it is meant so.
func Parse(s string) (Pattern, error) {
	kind, text, ok := cutKind(s)
	if !ok {
		kind, text = guessKind(s), s
		if kind == Space && !strings.Contains(s, "/") && !strings.Contains(s, "**") {
			return Pattern{}, patternError(Space, s, "matches no name: '*' stays within a level, and of names without '/' "+
				"spaces match none but with ** alone; use a regex: pattern for those")
		}
	}
	switch kind {
	case Filter:
		return NewFilter(text)
	case Space:
		return NewSpace(text)
	case Regex:
		return NewRegex(text)
	default:
		return NewExact(text)
	}
}

// Kind returns the language the pattern is written in.
func (p Pattern) Kind() Kind { return p.kind }

// Text returns the pattern as it was given, without a prefix.
func (p Pattern) Text() string { return p.text }

// String returns a form that Parse reads back to an equal pattern, with the
// prefix only where it is needed. The zero Pattern gives an empty text.
func (p Pattern) String() string {
	if p.IsZero() {
		return ""
	}
	if q, err := Parse(p.text); err == nil && q.kind == p.kind && q.text == p.text {
		return p.text
	}
	return p.kind.String() + ":" + p.text
}

// Match tells whether the pattern wants name. It does not check name. It
// allocates nothing for Exact, Filter and Space.
func (p Pattern) Match(name string) bool {
	switch p.kind {
	case Filter:
		return matchFilter(p.text, name)
	case Space:
		return p.comp.space.match(name)
	case Regex:
		return p.comp.regex.match(name)
	default:
		return p.text == name && name != ""
	}
}

// Equal tells whether the two are of the same kind and have the same text.
// Patterns that match the same names by other means are not equal.
func (p Pattern) Equal(q Pattern) bool { return p.kind == q.kind && p.text == q.text }

// IsZero tells whether p is the zero Pattern, which no constructor returns
// without an error.
func (p Pattern) IsZero() bool { return p.text == "" }

// Literal returns the single name that the pattern can match, when it is made
// that way: every Exact, a Filter without wildcards, a Regex without operators.
func (p Pattern) Literal() (name string, ok bool) {
	switch p.kind {
	case Exact:
		return p.text, p.text != ""
	case Filter:
		return p.text, !isFilter(p.text)
	case Regex:
		return p.comp.regex.prefix, p.comp.regex.literal
	default:
		return "", false
	}
}

// cutKind splits off the prefix of the text form.
func cutKind(s string) (kind Kind, text string, ok bool) {
	prefix, text, found := strings.Cut(s, ":")
	if !found {
		return 0, s, false
	}
	for kind, name := range kindNames {
		if prefix == name {
			return Kind(kind), text, true
		}
	}
	return 0, s, false
}

// guessKind tells the kind of a text form that has no prefix.
func guessKind(text string) Kind {
	switch {
	case strings.Contains(text, "*"):
		return Space
	case isFilter(text):
		return Filter
	default:
		return Exact
	}
}

// checkText returns what is wrong with text as a pattern of any kind.
func checkText(kind Kind, text string) error {
	if fault := textFault(text); fault != "" {
		return patternError(kind, text, fault)
	}
	return nil
}

func patternError(kind Kind, text, fault string) error {
	return fmt.Errorf("%w: %s %s: %s", ErrPattern, kind, quote(text), fault)
}
