package config

import (
	"fmt"
	"reflect"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v4"
)

// Set changes one setting by its path: Set(sections, "mycroft.listen",
// "127.0.0.1:0"). A single value is given as it is, without quotes; lists,
// tables and groups are given as YAML ("[a, b]"). "a.list[0]" is an entry that
// exists, "a.table.name" one that may be new. Nothing is validated. The error
// is Problems without a file and lines; after it nothing has changed.
func Set(sections []Section, path, value string) error {
	d := &decoder{lines: map[string]int{}, bad: map[string]bool{}}
	vs, err := targets(sections)
	if err != nil {
		d.add(0, path, err.Error())
		return d.problems.err()
	}
	restore := restorer(vs)
	end := strings.IndexAny(path, ".[")
	if end < 0 {
		end = len(path)
	}
	name, rest := path[:end], strings.TrimPrefix(path[end:], ".")
	names := make([]string, len(sections))
	known := false
	for i, s := range sections {
		names[i] = s.Name
		if s.Name == name && !known {
			known = true
			d.set(vs[i], name, rest, value)
		}
	}
	if !known {
		d.add(0, path, unknown(name, names))
	}
	if len(d.problems) > 0 {
		restore()
	}
	for i := range d.problems {
		d.problems[i].Line = 0
	}
	return d.problems.err()
}

// set sets what rest names in v, or v itself.
func (d *decoder) set(v reflect.Value, path, rest, value string) {
	if v.Kind() == reflect.Pointer {
		p := reflect.New(v.Type().Elem())
		if !v.IsNil() {
			p.Elem().Set(v.Elem())
		}
		d.set(p.Elem(), path, rest, value)
		v.Set(p)
		return
	}
	if rest == "" {
		d.assign(v, path, value)
		return
	}
	switch shapeOf(v.Type()) {
	case group:
		d.setField(v, path, rest, value)
	case table:
		d.setEntry(v, path, rest, value)
	case list:
		d.setItem(v, path, rest, value)
	default:
		d.add(0, path, fmt.Sprintf("has no settings below it, expected %s", expected(v.Type())))
	}
}

func (d *decoder) setField(v reflect.Value, path, rest, value string) {
	end := strings.IndexAny(rest, ".[")
	if end < 0 {
		end = len(rest)
	}
	name, rest := rest[:end], strings.TrimPrefix(rest[end:], ".")
	fs := fieldsOf(v.Type())
	f, ok := find(fs, name)
	if !ok {
		d.add(0, path+"."+name, unknown(name, namesOf(fs)))
		return
	}
	d.set(v.FieldByIndex(f.index), path+"."+name, rest, value)
}

// setEntry sets an entry of a copy of a table. Names may contain dots where no
// path can follow them.
func (d *decoder) setEntry(v reflect.Value, path, rest, value string) {
	t := v.Type()
	name, inner := rest, ""
	if shapeOf(deref(t.Elem())) != scalar {
		name, inner, _ = strings.Cut(rest, ".")
	}
	key := reflect.ValueOf(name).Convert(t.Key())
	fresh, e := reflect.MakeMap(t), reflect.New(t.Elem()).Elem()
	for k, old := range v.Seq2() {
		fresh.SetMapIndex(k, old)
	}
	if old := v.MapIndex(key); old.IsValid() {
		e.Set(old)
	}
	d.set(e, path+"."+name, inner, value)
	fresh.SetMapIndex(key, e)
	v.Set(fresh)
}

// setItem sets an entry of a copy of a list.
func (d *decoder) setItem(v reflect.Value, path, rest, value string) {
	index, inner, ok := strings.Cut(strings.TrimPrefix(rest, "["), "]")
	i, err := strconv.Atoi(index)
	if !ok || err != nil || i < 0 || i >= v.Len() {
		d.add(0, path, fmt.Sprintf("has %d entries, expected the number of one of them in brackets like [0]", v.Len()))
		return
	}
	fresh := reflect.MakeSlice(v.Type(), v.Len(), v.Len())
	reflect.Copy(fresh, v)
	d.set(fresh.Index(i), path+"["+index+"]", strings.TrimPrefix(inner, "."), value)
	v.Set(fresh)
}

// assign gives v the value, which is YAML unless v is a scalar.
func (d *decoder) assign(v reflect.Value, path, value string) {
	if shapeOf(v.Type()) == scalar {
		d.value(v, &yaml.Node{Kind: yaml.ScalarNode, Value: value}, path, 0)
		return
	}
	root, whole := d.load([]byte(value))
	switch {
	case !whole:
		d.problems[0].Path = path
	case root == nil || isNull(root):
		d.wrong(0, path, "expected "+expected(v.Type())+", found nothing")
	default:
		d.value(v, root, path, 0)
	}
}
