package topic

import (
	"errors"
	"fmt"
	"regexp"
	"regexp/syntax"
	"strings"
)

// regex is an anchored regular expression made ready to match.
type regex struct {
	re      *regexp.Regexp
	prefix  string // what every name it matches begins with
	literal bool   // prefix is the only name it matches
}

// compileRegex anchors and compiles text; fault says what is wrong with it.
func compileRegex(text string) (re regex, fault string) {
	body := text
	if body[0] != '^' {
		body = "^" + body
	}
	if body[len(body)-1] != '$' {
		body += "$"
	}
	tree, err := syntax.Parse(body, syntax.Perl)
	if err != nil {
		return regex{}, regexFault(text, err)
	}
	// The group keeps later alternatives from matching in the middle of a name.
	re.re, err = regexp.Compile(`\A(?:` + body + `)`)
	if err != nil {
		return regex{}, `it cannot be anchored at the start: close what \Q opens`
	}
	re.prefix, re.literal = regexPrefix(tree)
	return re, ""
}

// match tells whether the expression matches from the start of name.
func (r *regex) match(name string) bool {
	if r.literal {
		return r.prefix == name
	}
	return r.re.MatchString(name)
}

// regexFault describes err in terms of the text that was given.
func regexFault(text string, err error) string {
	wrong, ok := errors.AsType[*syntax.Error](err)
	if !ok {
		return err.Error()
	}
	for _, look := range []string{"(?=", "(?!", "(?<=", "(?<!"} {
		if at := strings.Index(text, look); at >= 0 && strings.HasPrefix(wrong.Expr, look) {
			return fmt.Sprintf("byte %d: look-around is not supported, the syntax is RE2", at)
		}
	}
	at := strings.Index(text, wrong.Expr)
	if wrong.Expr == "(?P" {
		at = strings.Index(text, "(?P=")
	}
	if at < 0 {
		return wrong.Error()
	}
	back := strings.HasPrefix(text[at:], "(?P=") || strings.HasPrefix(wrong.Expr, `\k`) ||
		len(wrong.Expr) > 1 && wrong.Expr[0] == '\\' && wrong.Expr[1] >= '1' && wrong.Expr[1] <= '9'
	if back {
		return fmt.Sprintf("byte %d: back-references are not supported, the syntax is RE2", at)
	}
	return fmt.Sprintf("byte %d: %v", at, wrong)
}

// regexPrefix returns the literal text at the start of an anchored expression,
// and whether it is all that the expression can match.
func regexPrefix(tree *syntax.Regexp) (prefix string, literal bool) {
	items := flatten(nil, tree)
	if len(items) == 0 || items[0].Op != syntax.OpBeginText {
		return "", false
	}
	var b strings.Builder
	items = items[1:]
	for len(items) > 0 && items[0].Op == syntax.OpLiteral && items[0].Flags&syntax.FoldCase == 0 {
		for _, r := range items[0].Rune {
			b.WriteRune(r)
		}
		items = items[1:]
	}
	prefix = b.String()
	literal = len(items) > 0 && textFault(prefix) == ""
	for _, item := range items {
		literal = literal && item.Op == syntax.OpEndText
	}
	return prefix, literal
}

// flatten appends the factors of re to items.
func flatten(items []*syntax.Regexp, re *syntax.Regexp) []*syntax.Regexp {
	switch re.Op {
	case syntax.OpConcat, syntax.OpCapture:
		for _, sub := range re.Sub {
			items = flatten(items, sub)
		}
		return items
	default:
		return append(items, re)
	}
}
