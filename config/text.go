package config

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// plain is text that YAML takes as it is, also between brackets, if it is
// nothing but a string.
var plain = regexp.MustCompile(`^[A-Za-z0-9_/.$^+][\w/.$:@+*~^()=;#-]*( [\w/.$(^+][\w/.$:@+*~^()=;#-]*)*$`)

// yamlText returns a scalar as it is written in a file. Strings that look like
// something else are quoted.
func yamlText(s string, isString bool) string {
	switch {
	case !plain.MatchString(s),
		strings.Contains(s, ": "), strings.HasSuffix(s, ":"),
		strings.EqualFold(s, "null"),
		isString && isTyped(s):
		return strconv.Quote(s)
	}
	return s
}

// isTyped reports whether readers of YAML could take s for a number, a date or
// a boolean.
func isTyped(s string) bool {
	if slices.Contains([]string{"true", "false", "yes", "no", "on", "off", "y", "n"}, strings.ToLower(s)) {
		return true
	}
	if _, err := strconv.ParseFloat(strings.TrimPrefix(s, "."), 64); err == nil {
		return true
	}
	if _, err := strconv.ParseInt(s, 0, 64); err == nil {
		return true
	}
	return date.MatchString(s)
}

var date = regexp.MustCompile(`^[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}`)

// comment returns text as comment lines, the long ones wrapped.
func comment(text string) []string {
	var lines []string
	for line := range strings.Lines(text) {
		lines = append(lines, wrap(strings.TrimRight(line, "\r\n\t "))...)
	}
	for i, l := range lines {
		lines[i] = strings.TrimRight("# "+l, " ")
	}
	return lines
}

// wrapAt is the longest a line of help gets.
const wrapAt = 76

// wrap breaks a line at spaces; what follows is indented like its beginning.
func wrap(line string) []string {
	if len(line) <= wrapAt {
		return []string{line}
	}
	words := strings.Fields(line)
	indent := line[:len(line)-len(strings.TrimLeft(line, " "))]
	var lines []string
	cur := indent
	for _, w := range words {
		if len(cur) > len(indent) {
			if len(cur)+1+len(w) > wrapAt {
				lines = append(lines, cur)
				cur = indent
			} else {
				cur += " "
			}
		}
		cur += w
	}
	return append(lines, cur)
}

// prefixed returns the lines with first before the first one and rest before
// the others.
func prefixed(lines []string, first, rest string) []string {
	out := make([]string, len(lines))
	for i, l := range lines {
		p := rest
		if i == 0 {
			p = first
		}
		out[i] = strings.TrimRight(p+l, " ")
	}
	return out
}
