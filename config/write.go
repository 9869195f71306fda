package config

import (
	"fmt"
	"io"
	"reflect"
	"slices"
	"strings"
)

// Write writes a complete commented file that holds the Values' current
// settings: the sections in order, every setting, its help above it. Optional
// settings (pointers) that are not set are there as comments. Parsing the file
// changes nothing.
func Write(w io.Writer, sections []Section) error {
	vs, err := targets(sections)
	if err != nil {
		return fmt.Errorf("writing the configuration: %w", err)
	}
	var out strings.Builder
	for i, s := range sections {
		lines, err := keyed(s.Name, vs[i], style{help: true, unset: true})
		if err != nil {
			return fmt.Errorf("writing the configuration: %w", err)
		}
		if i > 0 {
			out.WriteByte('\n')
		}
		for _, l := range slices.Concat(comment(s.Help), comment(entryHelp(vs[i].Type())), lines) {
			out.WriteString(l + "\n")
		}
	}
	if _, err := io.WriteString(w, out.String()); err != nil {
		return fmt.Errorf("writing the configuration: %w", err)
	}
	return nil
}

// flowWidth is the longest a list gets on one line.
const flowWidth = 60

// style says what is written of a group besides what is set.
type style struct {
	help  bool // comments
	unset bool // optional settings that are not set, as comments
}

// keyed returns the lines of a setting, or of an entry with a name.
func keyed(name string, v reflect.Value, st style) ([]string, error) {
	key := yamlText(name, true) + ":"
	lines, inline, err := valueLines(v, st)
	switch {
	case err != nil:
		return nil, fmt.Errorf("%s: %w", name, err)
	case inline:
		return []string{key + " " + lines[0]}, nil
	}
	return append([]string{key}, prefixed(lines, "  ", "  ")...), nil
}

// valueLines returns the lines of a value, and whether it is a single one that may
// follow the key on its line.
func valueLines(v reflect.Value, st style) (lines []string, inline bool, err error) {
	v = pointee(v)
	switch shapeOf(v.Type()) {
	case group:
		lines, err = settings(v, st)
	case list:
		lines, err = items(v)
	case table:
		for _, k := range sortedKeys(v) {
			ls, err := keyed(k.String(), v.MapIndex(k), style{})
			if err != nil {
				return nil, false, err
			}
			lines = append(lines, ls...)
		}
	}
	if err != nil || len(lines) > 0 {
		return lines, false, err
	}
	text, err := flow(v)
	return []string{text}, true, err
}

// settings returns the lines of a group, none when there is nothing to write.
func settings(v reflect.Value, st style) ([]string, error) {
	var lines []string
	for _, f := range fieldsOf(v.Type()) {
		fv, inner := v.FieldByIndex(f.index), st
		unset := fv.Kind() == reflect.Pointer && fv.IsNil()
		if unset {
			if !st.unset {
				continue
			}
			inner.unset = false
		}
		ls, err := keyed(f.name, fv, inner)
		if err != nil {
			return nil, err
		}
		if unset {
			ls = prefixed(ls, "# ", "# ")
		}
		if st.help {
			lines = append(lines, comment(f.help)...)
			lines = append(lines, comment(entryHelp(f.typ))...)
		}
		lines = append(lines, ls...)
	}
	return lines, nil
}

// items returns the lines of a list, none when it fits on the line of its key.
func items(v reflect.Value) ([]string, error) {
	if shapeOf(deref(v.Type().Elem())) == scalar {
		if text, err := flow(v); err != nil || len(text) <= flowWidth {
			return nil, err
		}
	}
	var out []string
	for i := range v.Len() {
		lines, _, err := valueLines(v.Index(i), style{})
		if err != nil {
			return nil, err
		}
		out = append(out, prefixed(lines, "- ", "  ")...)
	}
	return out, nil
}

// flow returns a value on one line.
func flow(v reflect.Value) (string, error) {
	v = pointee(v)
	var parts []string
	add := func(name string, e reflect.Value) error {
		text, err := flow(e)
		if name != "" {
			text = yamlText(name, true) + ": " + text
		}
		parts = append(parts, text)
		return err
	}
	switch shapeOf(v.Type()) {
	case scalar:
		return formatScalar(v)
	case list:
		for i := range v.Len() {
			if err := add("", v.Index(i)); err != nil {
				return "", err
			}
		}
		return "[" + strings.Join(parts, ", ") + "]", nil
	case table:
		for _, k := range sortedKeys(v) {
			if err := add(k.String(), v.MapIndex(k)); err != nil {
				return "", err
			}
		}
	case group:
		for _, f := range fieldsOf(v.Type()) {
			fv := v.FieldByIndex(f.index)
			if fv.Kind() == reflect.Pointer && fv.IsNil() {
				continue
			}
			if err := add(f.name, fv); err != nil {
				return "", err
			}
		}
	default:
		return "", fmt.Errorf("settings of type %v are not supported", v.Type())
	}
	return "{" + strings.Join(parts, ", ") + "}", nil
}

// entryHelp describes the settings of the entries of a list or a table.
func entryHelp(t reflect.Type) string {
	t = deref(t)
	e, _ := entryType(t)
	fs := flatten(e, "", 0)
	if len(fs) == 0 {
		return ""
	}
	width := 0
	for _, f := range fs {
		width = max(width, len(f.name))
	}
	var b strings.Builder
	b.WriteString("Each entry has:\n")
	if shapeOf(t) == table {
		b.Reset()
		b.WriteString("Each entry has a name of its own and below it:\n")
	}
	for _, f := range fs {
		help, _, _ := strings.Cut(f.help, "\n")
		if f.first != "" && f.first != `""` && f.first != "[]" {
			help += " Default: " + f.first
		}
		fmt.Fprintf(&b, "  %-*s  %s\n", width, f.name, help)
	}
	return b.String()
}

// sortedKeys returns the names in a table, in order.
func sortedKeys(v reflect.Value) []reflect.Value {
	keys := v.MapKeys()
	slices.SortFunc(keys, func(a, b reflect.Value) int { return strings.Compare(a.String(), b.String()) })
	return keys
}

// pointee returns the value behind pointers, the zero value behind nil.
func pointee(v reflect.Value) reflect.Value {
	for v.Kind() == reflect.Pointer {
		if v.IsNil() {
			v = reflect.Zero(v.Type().Elem())
		} else {
			v = v.Elem()
		}
	}
	return v
}
