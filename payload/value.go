package payload

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"
	"sync"
	"sync/atomic"
)

// ErrForm is wrapped by every error about bytes that are not what their form
// says, or that cannot be had in the form asked for.
var ErrForm = errors.New("payload form")

// Value is what a message carries. The zero Value is Empty and ready to use.
// A Value must not be copied; use Keep. Reading is safe from many goroutines
// once the value is set.
type Value struct {
	form   Form
	list   bool // goval is a []any that stands for several arguments
	data   []byte
	goval  any
	codecs *Codecs
	raw    atomic.Uint32 // the Form that Raw was decided to be; 0 is not yet, or Empty

	mu   sync.Mutex // guards made
	made []conversion
}

// conversion is one result of As, kept for the next who asks.
type conversion struct {
	form Form
	data []byte
	err  error
}

// New returns a value of the given form over data.
func New(form Form, data []byte) *Value {
	v := new(Value)
	v.Set(form, data)
	return v
}

// Of returns a value that carries a Go value.
func Of(x any) *Value {
	v := new(Value)
	v.SetGo(x)
	return v
}

// OfArgs returns a value that carries Go values as several arguments.
func OfArgs(args ...any) *Value {
	v := new(Value)
	v.SetGoArgs(args...)
	return v
}

// Set makes v carry data in the given form and forgets what it carried
// before. v keeps data; it is not checked against the form until somebody
// converts it.
func (v *Value) Set(form Form, data []byte) {
	v.form, v.data, v.goval, v.list = form, data, nil, false
	if v.raw.Load() != 0 {
		v.raw.Store(0)
	}
	v.forget()
}

// forget drops what was made of the bytes before.
func (v *Value) forget() {
	clear(v.made)
	v.made = v.made[:0]
}

// SetGo makes v carry x. Strings are text, byte slices are bytes,
// json.RawMessage is JSON; anything else is encoded by encoding/json when
// somebody asks for it.
func (v *Value) SetGo(x any) {
	v.Set(Go, nil)
	v.goval = x
}

// SetGoArgs makes v carry Go values as several arguments.
func (v *Value) SetGoArgs(args ...any) {
	if args == nil {
		args = []any{}
	}
	v.SetGo(args)
	v.list = true
}

// Use hands in the converters for forms that are not built in. Handing in the
// same ones again only reads v.
func (v *Value) Use(c *Codecs) {
	if v.codecs != c {
		v.codecs = c
		v.forget()
	}
}

// Form returns the form as it was set.
func (v *Value) Form() Form { return v.form }

// Data returns the bytes as they were set; nil for Go.
func (v *Value) Data() []byte { return v.data }

// GoValue returns the Go value that v was set to, nil for other forms.
func (v *Value) GoValue() any { return v.goval }

// Kind returns the form with Raw and Go resolved: Raw by looking at the bytes,
// Go by the type of the value (Text, Bytes, Args or JSON).
func (v *Value) Kind() Form {
	switch v.form {
	case Raw:
		return v.rawKind()
	case Go:
		return v.goKind()
	default:
		return v.form
	}
}

// rawKind is Kind for Raw, and looks at the bytes once.
func (v *Value) rawKind() Form {
	if k := Form(v.raw.Load()); k != Empty {
		return k
	}
	k := sniffArgs(v.data)
	v.raw.Store(uint32(k))
	return k
}

// As returns v in the given form, converting at most once. The result is
// shared and must not be changed. In the form that v was set in, and in the one
// that Raw turns out to be, it is the very bytes, unchecked. Forms that have no
// converter, and bytes that are not what their form says, are errors that wrap
// ErrForm.
func (v *Value) As(form Form) ([]byte, error) {
	if form == v.form || v.form == Raw && form == v.rawKind() {
		return v.data, nil
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	data, err := v.as(form)
	if err != nil {
		return nil, fmt.Errorf("converting %s to %s: %w", v.form, form, err)
	}
	return data, nil
}

// SplitJSON returns the JSON text for readers that take a top-level array for
// several arguments: a single value that is itself an array is written nested.
// An empty value is no text at all.
func (v *Value) SplitJSON() ([]byte, error) {
	switch v.Kind() {
	case Empty:
		return nil, nil
	case Args, CBOR:
		args, err := v.Args()
		if err != nil {
			return nil, err
		}
		if len(args) == 1 && !isArray(args[0]) {
			return args[0], nil
		}
		return v.As(Args)
	default:
		one, err := v.As(JSON)
		if err != nil || !isArray(one) {
			return one, err
		}
		return v.As(Args)
	}
}

// Keep returns a copy of v that shares nothing that can change. Go values are
// kept by reference, as a function call would.
func (v *Value) Keep() *Value {
	k := new(Value)
	v.KeepIn(k)
	return k
}

// KeepIn is Keep into a Value that exists.
func (v *Value) KeepIn(k *Value) {
	k.Set(v.form, bytes.Clone(v.data))
	k.goval, k.list, k.codecs = v.goval, v.list, v.codecs
	k.raw.Store(v.raw.Load())
}

// Equal reports whether both carry the same form and bytes, or the same Go
// value. It converts nothing.
func (v *Value) Equal(w *Value) bool {
	return v.form == w.form && v.list == w.list && bytes.Equal(v.data, w.data) &&
		(v.form != Go || reflect.DeepEqual(v.goval, w.goval))
}
