package config

import (
	"fmt"
	"io"
	"reflect"
	"strings"
)

const referenceIntro = `# Configuration

Settings stand in sections: "a.b" in the tables is "b:" below "a:". What is
absent, or has no value, keeps its default; a list or a table of names that is
given replaces the default one as a whole. Durations are written "10s" or
"1h30m" (units h, m, s, ms, us, ns), sizes "1500" or "25MiB" (units KiB, MiB,
GiB, TiB). Unknown keys and keys set twice are errors.
`

// Reference writes what Write does as a page of Markdown: for every section a
// table of the settings, their current values as the defaults, and their
// meanings.
func Reference(w io.Writer, sections []Section) error {
	vs, err := targets(sections)
	if err != nil {
		return fmt.Errorf("writing the reference: %w", err)
	}
	var out strings.Builder
	out.WriteString(referenceIntro)
	for i, s := range sections {
		fmt.Fprintf(&out, "\n## %s\n", s.Name)
		if help := strings.TrimSpace(s.Help); help != "" {
			fmt.Fprintf(&out, "\n%s\n", help)
		}
		if vs[i].Kind() == reflect.Struct && vs[i].NumField() == 0 {
			continue
		}
		out.WriteString("\n| setting | default | meaning |\n| --- | --- | --- |\n")
		if err := sectionRows(&out, s, vs[i]); err != nil {
			return fmt.Errorf("writing the reference: %w", err)
		}
	}
	if _, err := io.WriteString(w, out.String()); err != nil {
		return fmt.Errorf("writing the reference: %w", err)
	}
	return nil
}

// sectionRows writes the settings of a section.
func sectionRows(w *strings.Builder, s Section, v reflect.Value) error {
	if shapeOf(v.Type()) == group {
		return rows(w, s.Name+".", v, 0)
	}
	return entryRows(w, s.Name, v, false, "", 0)
}

// entryRows writes a setting that is no group, and those of its entries.
func entryRows(w *strings.Builder, path string, v reflect.Value, unset bool, help string, depth int) error {
	text, err := flow(v)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	row(w, path, defaultCell(text, unset), help)
	entry, suffix := entryType(v.Type())
	for _, e := range flatten(entry, path+suffix+".", depth+1) {
		row(w, e.name, defaultCell(e.first, false), e.help)
	}
	return nil
}

// rows writes the settings of a group.
func rows(w *strings.Builder, prefix string, v reflect.Value, depth int) error {
	if depth > flattenDepth {
		return nil
	}
	for _, f := range fieldsOf(v.Type()) {
		path, fv := prefix+f.name, v.FieldByIndex(f.index)
		unset := fv.Kind() == reflect.Pointer && fv.IsNil()
		fv = pointee(fv)
		if shapeOf(fv.Type()) == group {
			if f.help != "" || unset {
				row(w, path, defaultCell("", unset), f.help)
			}
			if err := rows(w, path+".", fv, depth+1); err != nil {
				return err
			}
			continue
		}
		if err := entryRows(w, path, fv, unset, f.help, depth); err != nil {
			return err
		}
	}
	return nil
}

func row(w *strings.Builder, path, value, help string) {
	fmt.Fprintf(w, "| %s | %s | %s |\n", code(path), value, cell(help))
}

func defaultCell(text string, unset bool) string {
	switch {
	case unset:
		return "not set"
	case text == "":
		return ""
	}
	return code(text)
}

// code returns text in a code span that can stand in a table.
func code(text string) string {
	text = strings.ReplaceAll(text, "|", `\|`)
	if strings.Contains(text, "`") {
		return "`` " + text + " ``"
	}
	return "`" + text + "`"
}

// cell returns text as it can stand in a table.
func cell(text string) string {
	text = strings.ReplaceAll(strings.TrimSpace(text), "|", `\|`)
	return strings.Join(strings.Split(text, "\n"), "<br>")
}
