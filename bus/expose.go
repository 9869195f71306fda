package bus

import (
	"context"
	"encoding/json"
	"fmt"
	"reflect"

	"omnibus/payload"
)

// Args are the arguments of a call as a service may take them: undecoded, for
// services whose arguments differ in type or number.
type Args struct {
	v *payload.Value
}

// Value returns the arguments as they came.
func (a Args) Value() *payload.Value { return a.v }

// Decode stores the arguments in what dst point to, one each. The numbers must
// agree.
func (a Args) Decode(dst ...any) error {
	list, err := a.v.Args()
	if err != nil {
		return err
	}
	if len(list) != len(dst) {
		return Errorf(Invalid, "", "%d arguments, want %d", len(list), len(dst))
	}
	for i, d := range dst {
		if err := payload.New(payload.JSON, list[i]).Decode(d); err != nil {
			return fmt.Errorf("argument %d: %w", i+1, err)
		}
	}
	return nil
}

// Expose provides fn as a service until the Exposure is withdrawn.
//
// A is what it takes: a slice or array (but not []byte) takes the whole list
// of arguments, struct{} none, Args leaves them undecoded, anything else
// exactly one argument. R is its answer; struct{} is an empty one.
func Expose[A, R any](b *Bus, name string, fn func(ctx context.Context, args A) (R, error)) (*Exposure, error) {
	return b.Register(name, func(ctx context.Context, r *Request) (*payload.Value, error) {
		args, err := arguments[A](&r.Args)
		if err != nil {
			return nil, &Error{Kind: Invalid, Topic: name, Text: "arguments: " + err.Error(), Err: err}
		}
		result, err := fn(ctx, args)
		if err != nil {
			return nil, err
		}
		if _, none := any(result).(struct{}); none {
			return new(payload.Value), nil
		}
		return payload.Of(result), nil
	}, nil)
}

// arguments decodes the arguments of a call by the rules of Expose.
func arguments[A any](v *payload.Value) (a A, err error) {
	switch any(a).(type) {
	case Args:
		return any(Args{v}).(A), nil
	case []byte, json.RawMessage:
		return oneArgument[A](v)
	}
	if one, ok := onlyGo(v); ok { // no encoding within the process
		if x, ok := one.(A); ok {
			return x, nil
		}
	}
	switch t := reflect.TypeFor[A](); {
	case t.Kind() == reflect.Slice, t.Kind() == reflect.Array:
		return listArgument[A](v)
	case t == reflect.TypeFor[struct{}]():
		return a, Args{v}.Decode()
	default:
		return oneArgument[A](v)
	}
}

// listArgument decodes the whole list. A list whose only argument is itself a
// list may be meant as that list; a single value that is a list is.
func listArgument[A any](v *payload.Value) (a A, err error) {
	list, err := v.Args()
	if err != nil {
		return a, err
	}
	if len(list) == 1 && !isList(v) {
		if a, err = innerList[A](list[0]); err == nil {
			return a, nil
		}
	}
	all, err := v.As(payload.Args)
	if err != nil {
		return a, err
	}
	if a, err = decodeList[A](all, len(list)); err == nil || len(list) != 1 {
		return a, err
	}
	if b, bad := innerList[A](list[0]); bad == nil {
		return b, nil
	}
	return a, err
}

// isList reports whether v is several arguments, not one value.
func isList(v *payload.Value) bool {
	k := v.Kind()
	return k == payload.Args || k == payload.CBOR
}

// innerList decodes an argument that must be a JSON array.
func innerList[A any](text json.RawMessage) (a A, err error) {
	var inner []json.RawMessage
	if err := json.Unmarshal(text, &inner); err != nil {
		return a, err
	}
	return decodeList[A](text, len(inner))
}

// decodeList decodes a JSON array of n elements. An array must fit exactly.
func decodeList[A any](text []byte, n int) (a A, err error) {
	if t := reflect.TypeFor[A](); t.Kind() == reflect.Array && n != t.Len() {
		return a, Errorf(Invalid, "", "%d arguments, want %d", n, t.Len())
	}
	err = payload.New(payload.JSON, text).Decode(&a)
	return a, err
}

func oneArgument[A any](v *payload.Value) (a A, err error) {
	if one, ok := onlyGo(v); ok {
		return payload.To[A](payload.Of(one))
	}
	if !isList(v) {
		return payload.To[A](v)
	}
	err = Args{v}.Decode(&a)
	return a, err
}

// onlyGo returns the only argument of a call within the process.
func onlyGo(v *payload.Value) (one any, ok bool) {
	list, isList := v.GoValue().([]any)
	if !isList || len(list) != 1 || v.Kind() != payload.Args {
		return nil, false
	}
	return list[0], true
}

// Call calls a service with the given arguments and returns its answer as R.
func Call[R any](ctx context.Context, b *Bus, name string, args ...any) (R, error) {
	r := &Request{Service: name}
	r.Args.SetGoArgs(args...)
	v, err := b.Call(ctx, r)
	if err != nil {
		var none R
		return none, err
	}
	return payload.To[R](v)
}
