package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v4"
	"go.yaml.in/yaml/v4/plugin/loaderlimits"
)

// Parse decodes data into the sections' Values and validates them. It returns
// nil, or Problems with all that is wrong: syntax errors, unknown keys, keys set
// twice, values of the wrong type, values that validate refuses.
//
// validate (nil for none) is called for every section, absent ones too, once
// all are decoded. The Problems it returns have a Path relative to the section
// ("tls.cert", or "" for the section itself); Parse adds File, the section's
// name and the line of the setting, or of the nearest present one around it, or
// 0 when the section is absent. A setting that could not be decoded is not
// reported a second time.
//
// When Parse returns an error the Values are what they were before.
func Parse(file string, data []byte, sections []Section, validate func(s Section) []Problem) error {
	d := &decoder{file: file, lines: map[string]int{}, bad: map[string]bool{}}
	vs, err := targets(sections)
	if err != nil {
		d.add(0, "", err.Error())
		return d.problems.err()
	}
	restore := restorer(vs)
	root, whole := d.load(data)
	if root != nil {
		d.sections(root, sections, vs)
	}
	if whole && validate != nil {
		for _, s := range sections {
			d.refused(s.Name, validate(s))
		}
	}
	if len(d.problems) > 0 {
		restore()
	}
	return d.problems.err()
}

// load returns the root of the file's only document, nil when there is none,
// and whether the file is YAML to its end.
func (d *decoder) load(data []byte) (root *yaml.Node, whole bool) {
	if len(data) > MaxFile {
		d.add(0, "", fmt.Sprintf("the file has %d bytes, expected at most %v", len(data), Size(MaxFile)))
		return nil, false
	}
	if line, what := unreadable(data); what != "" {
		d.add(line, "", what)
		return nil, false
	}
	loader, err := yaml.NewLoader(bytes.NewReader(data), yaml.WithPlugin(loaderlimits.New(
		loaderlimits.DepthValue(MaxDepth), loaderlimits.AliasNone()))) // aliases are counted while decoding
	if err != nil {
		d.add(0, "", err.Error())
		return nil, false
	}
	var first, second yaml.Node
	switch err := loader.Load(&first); {
	case errors.Is(err, io.EOF):
		return nil, true
	case err != nil:
		d.syntax(err, data)
		return nil, false
	}
	switch err := loader.Load(&second); {
	case errors.Is(err, io.EOF):
	case err != nil:
		d.syntax(err, data)
		return first.Content[0], false
	default:
		d.add(second.Line, "", "a second document begins here, expected one document: remove the --- line")
	}
	return first.Content[0], true
}

// syntax adds a syntax error.
func (d *decoder) syntax(err error, data []byte) {
	var le *yaml.LoadError
	if !errors.As(err, &le) {
		d.add(0, "", "reading YAML: "+err.Error())
		return
	}
	text := "no valid YAML: " + le.Message
	if le.ContextMsg != "" {
		text += " " + le.ContextMsg
		if l := le.ContextMark.Line; l > 0 && l != le.Mark.Line {
			text += fmt.Sprintf(" that begins on line %d", l)
		}
	}
	if tabbed(data, le.Mark.Line) {
		text += ": indent with spaces, not with tabs"
	}
	d.add(le.Mark.Line, "", text)
}

// tabbed reports whether a line is indented with a tab.
func tabbed(data []byte, line int) bool {
	for l := range bytes.Lines(data) {
		if line--; line == 0 {
			return bytes.Contains(l[:len(l)-len(bytes.TrimLeft(l, " \t"))], []byte("\t"))
		}
	}
	return false
}

// unreadable finds the first thing in data that is not text.
func unreadable(data []byte) (line int, what string) {
	line = 1
	for i := 0; i < len(data); {
		r, n := utf8.DecodeRune(data[i:])
		switch {
		case r == utf8.RuneError && n == 1:
			return line, "expected text in UTF-8"
		case r == '\n':
			line++
		case r < ' ' && r != '\t' && r != '\r', r == 0x7f:
			return line, fmt.Sprintf("control character %U, expected text", r)
		}
		i += n
	}
	return 0, ""
}

// refused adds what a section's validation returned.
func (d *decoder) refused(section string, ps []Problem) {
	for _, p := range ps {
		path := section
		switch {
		case strings.HasPrefix(p.Path, "["):
			path += p.Path
		case p.Path != "":
			path += "." + p.Path
		}
		if d.isBad(path) {
			continue
		}
		line := p.Line
		if line == 0 {
			line = d.lineOf(path)
		}
		d.add(line, path, p.Text)
	}
}

// lineOf returns the line of a setting or of the nearest one around it that is
// in the file, else 0.
func (d *decoder) lineOf(path string) int {
	for p := range upwards(path) {
		if line, ok := d.lines[p]; ok {
			return line
		}
	}
	return 0
}

// isBad reports whether the setting, or one around it, has been reported as
// undecodable.
func (d *decoder) isBad(path string) bool {
	for p := range upwards(path) {
		if d.bad[p] {
			return true
		}
	}
	return false
}

// upwards yields a path and the paths around it: a.b[0].c, a.b[0], a.b, a.
func upwards(path string) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		for path != "" && yield(path) {
			path = path[:max(0, strings.LastIndexAny(path, ".["))]
		}
	}
}
