package payload

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
)

// To returns v as a Go value of type T. A Go value of that type is handed over
// as it is. []byte takes the bytes, string the text, json.RawMessage the JSON
// text, any the value in Go's own terms (nil, bool, float64, string, []byte,
// []any, map[string]any); any other type is decoded from JSON. A slice or an
// array that the one value does not fit takes the list of arguments instead,
// so that [1] is as good a []int as [1,2] is. What is converted is the
// caller's own.
func To[T any](v *Value) (T, error) {
	if v.form == Go {
		if x, ok := v.goOne().(T); ok {
			return x, nil
		}
	}
	var x T
	err := v.decode(&x)
	return x, err
}

// Decode stores v in what dst, a pointer, points to, by the rules of To.
func (v *Value) Decode(dst any) error {
	if v.form == Go && assign(dst, v.goOne()) {
		return nil
	}
	return v.decode(dst)
}

// decode is Decode for what is not handed over as it is.
func (v *Value) decode(dst any) error {
	switch d := dst.(type) {
	case *[]byte:
		return decodeBytes(d, v, Bytes)
	case *json.RawMessage:
		return decodeBytes(d, v, JSON)
	case *string:
		data, err := v.As(Text)
		if err == nil {
			*d = string(data)
		}
		return err
	case *any:
		return v.decodeAny(d)
	}
	err := v.decodeJSON(dst, JSON)
	if err != nil && v.isList() && takesList(dst) && v.decodeJSON(dst, Args) == nil {
		return nil
	}
	return err
}

func decodeBytes[T ~[]byte](dst *T, v *Value, form Form) error {
	data, err := v.As(form)
	if err == nil {
		*dst = T(bytes.Clone(data))
	}
	return err
}

func (v *Value) decodeJSON(dst any, form Form) error {
	data, err := v.As(form)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(data, dst); err != nil {
		return fmt.Errorf("%w: decoding %T: %w", ErrForm, dst, err)
	}
	return nil
}

func (v *Value) decodeAny(dst *any) error {
	if v.form == Go {
		*dst = v.goOne()
		return nil
	}
	switch v.Kind() {
	case Empty:
		*dst = nil
		return nil
	case Text:
		*dst = string(v.data)
		return nil
	case Bytes:
		*dst = bytes.Clone(v.data)
		return nil
	}
	var x any
	err := v.decodeJSON(&x, JSON)
	if err == nil {
		*dst = x
	}
	return err
}

// isList reports whether v is several arguments, if only one of them is there.
func (v *Value) isList() bool {
	k := v.Kind()
	return k == Args || k == CBOR
}

// takesList reports whether dst points to a slice or an array.
func takesList(dst any) bool {
	t := reflect.TypeOf(dst)
	if t == nil || t.Kind() != reflect.Pointer {
		return false
	}
	k := t.Elem().Kind()
	return k == reflect.Slice || k == reflect.Array
}

// assign stores x in what dst points to when it is of that type.
func assign(dst, x any) bool {
	to, from := reflect.ValueOf(dst), reflect.ValueOf(x)
	if to.Kind() != reflect.Pointer || to.IsNil() || !from.IsValid() {
		return false
	}
	to = to.Elem()
	if from.Type() != to.Type() && (to.Kind() != reflect.Interface || !from.Type().Implements(to.Type())) {
		return false
	}
	to.Set(from)
	return true
}

// Args returns the arguments of v, one JSON text each: those of a list, the
// one value otherwise, none of an empty value. They are the caller's own.
func (v *Value) Args() ([]json.RawMessage, error) {
	data, err := v.As(Args)
	if err != nil {
		return nil, err
	}
	return splitArgs(data)
}

// goOne returns the Go value that v stands for as one value: a single argument
// is that value, several are a []any, none is nil.
func (v *Value) goOne() any {
	args, ok := v.goval.([]any)
	switch {
	case !v.list || !ok:
		return v.goval
	case len(args) == 0:
		return nil
	case len(args) == 1:
		return args[0]
	default:
		return args
	}
}

// goKind is Kind for Go values.
func (v *Value) goKind() Form {
	if v.list {
		return Args
	}
	switch v.goval.(type) {
	case string:
		return Text
	case []byte:
		return Bytes
	default:
		return JSON
	}
}

// encodeGo encodes the Go value in the form of goKind.
func (v *Value) encodeGo() ([]byte, error) {
	switch x := v.goval.(type) {
	case string:
		return []byte(x), nil
	case []byte:
		return x, nil
	case json.RawMessage: // as it was written, if there is something
		if x != nil {
			return x, checkJSON(x)
		}
	}
	data, err := Marshal(v.goval)
	if err != nil {
		return nil, fmt.Errorf("%w: encoding %T: %w", ErrForm, v.goval, err)
	}
	return data, nil
}
