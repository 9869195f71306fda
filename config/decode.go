package config

import (
	"fmt"
	"reflect"
	"strconv"

	"go.yaml.in/yaml/v4"
)

// decoder walks a document and the types of the settings side by side and
// collects what does not fit.
type decoder struct {
	file     string
	problems Problems
	lines    map[string]int  // settings present in the file
	bad      map[string]bool // settings that could not be decoded
	aliases  int             // aliases around the current node
	aliased  int             // keys and values met below aliases
}

// add adds a problem, as long as there is room.
func (d *decoder) add(line int, path, text string) {
	switch {
	case len(d.problems) > MaxProblems:
		return
	case len(d.problems) == MaxProblems:
		path, text = "", "there are more problems than can be listed"
	}
	d.problems = append(d.problems, Problem{File: d.file, Line: line, Path: path, Text: text})
}

// wrong adds a value that cannot be decoded.
func (d *decoder) wrong(line int, path, text string) {
	d.bad[path] = true
	d.add(line, path, text)
}

// sections decodes the root of a document.
func (d *decoder) sections(root *yaml.Node, sections []Section, vs []reflect.Value) {
	if isNull(root) {
		return
	}
	names := make([]string, len(sections))
	for i, s := range sections {
		names[i] = s.Name
	}
	if root.Kind != yaml.MappingNode {
		d.add(root.Line, "", "expected sections like \"name:\" with settings below them, found "+found(root))
		return
	}
	d.entries(root, "", func(key, path string, line int, n *yaml.Node) {
		for i, name := range names {
			if name == key {
				d.value(vs[i], n, path, line)
				return
			}
		}
		d.add(line, path, unknown(key, names))
	})
}

// spent counts what stands below aliases and reports whether it is too much.
func (d *decoder) spent(path string, line int) bool {
	if d.aliases == 0 {
		return false
	}
	told := d.aliased > MaxAliased
	d.aliased++
	if d.aliases > MaxDepth {
		d.aliased = MaxAliased + 1
	}
	if !told && d.aliased > MaxAliased {
		d.wrong(line, path, fmt.Sprintf("the aliases up to here stand for more than %d values or for themselves", MaxAliased))
	}
	return d.aliased > MaxAliased
}

// entries calls f for every key of a mapping that is a name and comes for the
// first time, with its path and its line.
func (d *decoder) entries(n *yaml.Node, path string, f func(key, path string, line int, value *yaml.Node)) {
	seen := make(map[string]int, len(n.Content)/2)
	for i := 0; i+1 < len(n.Content); i += 2 {
		k := n.Content[i]
		line := k.Line
		if d.spent(path, line) {
			return
		}
		if k.Kind == yaml.AliasNode && k.Alias != nil {
			k = k.Alias
		}
		switch {
		case k.Tag == "!!merge":
			d.add(line, path, "merge keys (<<) are not supported: repeat the settings, or reuse a whole value with &name and *name")
			continue
		case k.Kind != yaml.ScalarNode || k.Style&yaml.TaggedStyle != 0:
			d.add(line, path, "expected a name as the key, found "+found(k))
			continue
		}
		p := k.Value
		if path != "" {
			p = path + "." + k.Value
		}
		if first, ok := seen[k.Value]; ok {
			d.add(line, p, fmt.Sprintf("set twice, first on line %d: remove one", first))
			continue
		}
		seen[k.Value] = line
		d.lines[p] = line
		f(k.Value, p, line, n.Content[i+1])
	}
}

// value decodes n into v. Null keeps what v holds.
func (d *decoder) value(v reflect.Value, n *yaml.Node, path string, line int) {
	if n.Kind == yaml.AliasNode {
		d.aliases++
		defer func() { d.aliases-- }()
		n = n.Alias
	}
	if d.spent(path, line) {
		return
	}
	if n.Style&yaml.TaggedStyle != 0 {
		d.wrong(line, path, "tags like "+quote(n.Tag)+" are not supported: remove it")
		return
	}
	if isNull(n) {
		return
	}
	t := v.Type()
	s := shapeOf(t)
	if s == optional {
		p := reflect.New(t.Elem())
		if !v.IsNil() {
			p.Elem().Set(v.Elem())
		}
		d.value(p.Elem(), n, path, line)
		v.Set(p)
		return
	}
	kind := map[shape]yaml.Kind{scalar: yaml.ScalarNode, group: yaml.MappingNode, table: yaml.MappingNode, list: yaml.SequenceNode}[s]
	if n.Kind != kind {
		d.wrong(line, path, "expected "+expected(t)+", found "+found(n))
		return
	}
	switch s {
	case scalar:
		if err := setScalar(v, n.Value, isQuoted(n)); err != nil {
			d.wrong(line, path, err.Error())
		}
	case group:
		d.group(v, n, path)
	case list:
		d.list(v, n, path)
	case table:
		d.table(v, n, path)
	}
}

func (d *decoder) group(v reflect.Value, n *yaml.Node, path string) {
	fs := fieldsOf(v.Type())
	d.entries(n, path, func(key, path string, line int, value *yaml.Node) {
		f, ok := find(fs, key)
		if !ok {
			d.add(line, path, unknown(key, namesOf(fs)))
			return
		}
		d.value(v.FieldByIndex(f.index), value, path, line)
	})
}

func (d *decoder) list(v reflect.Value, n *yaml.Node, path string) {
	fresh := reflect.MakeSlice(v.Type(), len(n.Content), len(n.Content))
	for i, item := range n.Content {
		p := path + "[" + strconv.Itoa(i) + "]"
		d.lines[p] = item.Line
		d.entry(fresh.Index(i), item, p, item.Line)
	}
	v.Set(fresh)
}

func (d *decoder) table(v reflect.Value, n *yaml.Node, path string) {
	t := v.Type()
	fresh := reflect.MakeMapWithSize(t, len(n.Content)/2)
	d.entries(n, path, func(key, path string, line int, value *yaml.Node) {
		e := reflect.New(t.Elem()).Elem()
		d.entry(e, value, path, line)
		fresh.SetMapIndex(reflect.ValueOf(key).Convert(t.Key()), e)
	})
	v.Set(fresh)
}

// entry decodes n into v, an entry of a list or a table. It has no default that
// null could keep, so only a group may be null, and is as it begins then.
func (d *decoder) entry(v reflect.Value, n *yaml.Node, path string, line int) {
	if isNull(n) && shapeOf(deref(v.Type())) == scalar {
		d.wrong(line, path, "expected "+expected(v.Type())+", found nothing")
		return
	}
	p := v
	for ; p.Kind() == reflect.Pointer; p = p.Elem() {
		p.Set(reflect.New(p.Type().Elem()))
	}
	begin(p)
	d.value(v, n, path, line)
}

// isNull reports whether a node says nothing.
func isNull(n *yaml.Node) bool {
	if n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	return n.Kind == yaml.ScalarNode && n.Tag == "!!null" && n.Style&yaml.TaggedStyle == 0
}

func isQuoted(n *yaml.Node) bool {
	return n.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle|yaml.LiteralStyle|yaml.FoldedStyle) != 0
}

// found describes what stands in the file.
func found(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "settings"
	case yaml.SequenceNode:
		return "a list"
	case yaml.AliasNode:
		return "an alias"
	}
	return quote(n.Value)
}
