package config

import (
	"encoding"
	"reflect"
	"strings"
	"time"
)

// shape is what a type looks like in a file.
type shape int

const (
	unsupported shape = iota
	scalar
	group // a struct: settings with names of their own
	list
	table // a map: entries with free names
	optional
)

var (
	durationType    = reflect.TypeFor[time.Duration]()
	defaulterType   = reflect.TypeFor[Defaulter]()
	textReaderType  = reflect.TypeFor[encoding.TextUnmarshaler]()
	emptyStructType = reflect.TypeFor[struct{}]()
)

// shapeOf returns a type's shape.
func shapeOf(t reflect.Type) shape {
	if t.Kind() != reflect.Pointer && reflect.PointerTo(t).Implements(textReaderType) {
		return scalar
	}
	switch t.Kind() {
	case reflect.Bool, reflect.String, reflect.Float32, reflect.Float64,
		reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return scalar
	case reflect.Struct:
		return group
	case reflect.Slice:
		return list
	case reflect.Map:
		if t.Key().Kind() == reflect.String {
			return table
		}
	case reflect.Pointer:
		return optional
	}
	return unsupported
}

// field is one setting of a group.
type field struct {
	name  string
	help  string
	typ   reflect.Type
	index []int
	first string // how an entry of a list or a table begins with it, if that is told
}

// fieldsOf returns the settings of a struct type in their order, those of
// embedded and inline structs among them.
func fieldsOf(t reflect.Type) []field {
	var fs []field
	for i := range t.NumField() {
		f := t.Field(i)
		tag := f.Tag.Get("yaml")
		name, flags, _ := strings.Cut(tag, ",")
		inline := flags == "inline" || f.Anonymous && name == ""
		switch {
		case tag == "-":
		case inline && shapeOf(f.Type) == group:
			for _, sub := range fieldsOf(f.Type) {
				sub.index = append([]int{i}, sub.index...)
				fs = append(fs, sub)
			}
		case f.IsExported():
			if name == "" {
				name = strings.ToLower(f.Name)
			}
			fs = append(fs, field{name: name, help: f.Tag.Get("help"), typ: f.Type, index: []int{i}})
		}
	}
	return fs
}

// namesOf returns the names of the fields.
func namesOf(fs []field) []string {
	names := make([]string, len(fs))
	for i, f := range fs {
		names[i] = f.name
	}
	return names
}

// find returns the field of that name.
func find(fs []field, name string) (field, bool) {
	for _, f := range fs {
		if f.name == name {
			return f, true
		}
	}
	return field{}, false
}

// deref returns the type behind pointers.
func deref(t reflect.Type) reflect.Type {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	return t
}

// entryType returns the struct type of the entries of a list or a table, an
// empty one when they are no structs, and how an entry is written below the
// path of its setting.
func entryType(t reflect.Type) (e reflect.Type, suffix string) {
	switch shapeOf(t) {
	case list:
		suffix = "[]"
	case table:
		suffix = ".NAME"
	default:
		return emptyStructType, ""
	}
	if e = deref(t.Elem()); shapeOf(e) == group {
		return e, suffix
	}
	return emptyStructType, ""
}

// begin gives a new entry its defaults, if it has some.
func begin(v reflect.Value) {
	if d, ok := reflect.TypeAssert[Defaulter](v.Addr()); ok {
		d.SetDefaults()
	}
}

// flattenDepth ends the description of types that contain themselves.
const flattenDepth = 4

// flatten returns the settings of the entries of a list or a table and of those
// inside them, with their paths as names.
func flatten(t reflect.Type, prefix string, depth int) []field {
	v := reflect.New(t).Elem()
	begin(v)
	return flattenValue(v, prefix, depth, reflect.PointerTo(t).Implements(defaulterType))
}

// flattenValue is flatten for an entry as it begins. tell says that it has
// defaults.
func flattenValue(v reflect.Value, prefix string, depth int, tell bool) []field {
	var fs []field
	if depth > flattenDepth {
		return nil
	}
	for _, f := range fieldsOf(v.Type()) {
		fv := pointee(v.FieldByIndex(f.index))
		f.name = prefix + f.name
		if shapeOf(fv.Type()) == group {
			fs = append(fs, flattenValue(fv, f.name+".", depth+1, tell)...)
			continue
		}
		if tell {
			f.first, _ = flow(fv) // what cannot be written is told where it is
		}
		fs = append(fs, f)
		inner, suffix := entryType(fv.Type())
		fs = append(fs, flatten(inner, f.name+suffix+".", depth+1)...)
	}
	return fs
}
