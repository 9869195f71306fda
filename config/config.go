// Package config reads and describes omnibus.yaml: one file, a tree of settings,
// strict, with defaults that work.
//
// A file is a mapping of sections; each section belongs to whoever owns the
// value behind it, and this package knows none of them. The promises:
//
//   - Nothing is guessed. Unknown keys, keys set twice, values of the wrong
//     type, explicit tags, merge keys and further documents are refused.
//   - Everything is told at once. Parse reports every problem it finds, each
//     with its line. Only a file that is no YAML ends at its first, only
//     one with more than MaxProblems is cut short.
//   - All or nothing. When Parse or Set returns an error, the Values are what
//     they were before.
//   - What is absent, or null, keeps its default. A list or a map that is
//     present replaces its default as a whole; its entries begin as zero, or as
//     their SetDefaults makes them.
//   - What is read is bounded: MaxFile bytes, a nesting of MaxDepth, and
//     aliases that expand to no more than MaxAliased values.
//   - What Write writes, Parse reads back without a change.
//
// Fields are named by their yaml tag and explained by their help tag. They may
// be booleans, numbers, strings, time.Duration, Size, anything that implements
// encoding.TextUnmarshaler, structs (embedded or inline ones add their fields
// to those around them), slices, maps with string keys, and pointers to any of
// these.
//
// The package keeps no state and starts nothing. Calls on different sections
// may run at the same time.
package config

import (
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// Limits of what Parse reads and tells.
const (
	MaxFile     = 1 << 20 // bytes in a file
	MaxDepth    = 100     // lists and mappings inside each other
	MaxAliased  = 10_000  // values that all the aliases of a file stand for together
	MaxProblems = 1_000   // problems listed
)

// Section is one top-level key of the file and the value that holds its
// settings.
type Section struct {
	// Name is the key ("mycroft").
	Name string
	// Help is one or more lines, written above the section.
	Help string
	// Value is a pointer to a struct that already holds the defaults, or to a
	// list or a map of entries.
	Value any
}

// Defaulter is what the entries of a list or a map may be: settings that do not
// begin as zero. SetDefaults is called on a new entry before it is decoded; it
// has a pointer receiver.
type Defaulter interface {
	SetDefaults()
}

// Problem is one thing wrong with a file.
type Problem struct {
	// File is the file's name as it was given to Parse.
	File string
	// Line counts from 1; 0 when the problem is with no line in particular.
	Line int
	// Path leads to the setting: "mycroft.tls.cert", "auth.users[0].name".
	Path string
	// Text says what is wrong and what would be right.
	Text string
}

// String returns the problem on one line: "omnibus.yaml:12: mycroft.tls.cert:
// no such file". What is not known is left out.
func (p Problem) String() string {
	var b strings.Builder
	if p.File != "" {
		b.WriteString(p.File)
		if p.Line > 0 {
			b.WriteString(":" + strconv.Itoa(p.Line))
		}
		b.WriteString(": ")
	} else if p.Line > 0 {
		fmt.Fprintf(&b, "line %d: ", p.Line)
	}
	if p.Path != "" {
		b.WriteString(printable(p.Path) + ": ")
	}
	b.WriteString(p.Text)
	return b.String()
}

// Problems is all that is wrong with a file, sorted by line.
type Problems []Problem

// Error returns the problems, one a line.
func (ps Problems) Error() string {
	lines := make([]string, len(ps))
	for i, p := range ps {
		lines[i] = p.String()
	}
	return strings.Join(lines, "\n")
}

// err returns the problems in order, or nil when there are none.
func (ps Problems) err() error {
	if len(ps) == 0 {
		return nil
	}
	slices.SortStableFunc(ps, func(a, b Problem) int { return a.Line - b.Line })
	return ps
}

// target returns what a section's settings are kept in.
func target(s Section) (reflect.Value, error) {
	v := reflect.ValueOf(s.Value)
	if v.Kind() == reflect.Pointer && !v.IsNil() {
		switch shapeOf(v.Elem().Type()) {
		case group, list, table:
			return v.Elem(), nil
		}
	}
	return reflect.Value{}, fmt.Errorf("section %s: Value is %T, want a pointer to a struct, a list or a map", s.Name, s.Value)
}

// targets returns the values of all the sections.
func targets(sections []Section) ([]reflect.Value, error) {
	vs := make([]reflect.Value, len(sections))
	for i, s := range sections {
		v, err := target(s)
		if err != nil {
			return nil, err
		}
		vs[i] = v
	}
	return vs, nil
}

// restorer returns a function that puts the values back to what they hold
// now. Decoding never writes through a pointer, a slice or a map it found, so
// the copies may be shallow.
func restorer(vs []reflect.Value) func() {
	saved := make([]reflect.Value, len(vs))
	for i, v := range vs {
		saved[i] = reflect.New(v.Type()).Elem()
		saved[i].Set(v)
	}
	return func() {
		for i, v := range vs {
			v.Set(saved[i])
		}
	}
}

// shorten cuts s to about limit bytes, at the end of a character.
func shorten(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	return strings.ToValidUTF8(s[:limit], "") + "…"
}

// quote returns the beginning of a value as it can stand in a message.
func quote(s string) string { return strconv.Quote(shorten(s, 40)) }

// printable returns the beginning of a text as it can stand in a message that
// has one line.
func printable(s string) string {
	s = shorten(s, 200)
	for _, r := range s {
		if !strconv.IsPrint(r) {
			q := strconv.Quote(s)
			return q[1 : len(q)-1]
		}
	}
	return s
}
