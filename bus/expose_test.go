package bus_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"omnibus/bus"
	"omnibus/payload"
)

type point struct{ X, Y int }

// takes exposes a service that takes an A and reports what it was called with.
func takes[A any](b *bus.Bus, got *any) error {
	_, err := bus.Expose(b, "s", func(_ context.Context, a A) (struct{}, error) {
		*got = a
		return struct{}{}, nil
	})
	return err
}

type exposer func(b *bus.Bus, got *any) error

// args are arguments as they come from within the process.
func args(list ...any) *bus.Request {
	r := &bus.Request{Service: "s"}
	r.Args.SetGoArgs(list...)
	return r
}

// form are arguments as they come from a link.
func form(f payload.Form, text string) *bus.Request {
	r := &bus.Request{Service: "s"}
	r.Args.Set(f, []byte(text))
	return r
}

func goValue(v any) *bus.Request {
	r := &bus.Request{Service: "s"}
	r.Args.SetGo(v)
	return r
}

func TestWhatAServiceTakes(t *testing.T) {
	ch := make(chan int)
	invalid := bus.Errorf(bus.Invalid, "", "")
	tests := []struct {
		name   string
		expose exposer
		r      *bus.Request
		want   any // an error: the call is Invalid
	}{
		{"one int", takes[int], args(1), 1},
		{"none for one", takes[int], args(), invalid},
		{"two for one", takes[int], args(1, 2), invalid},
		{"text for int", takes[int], args("1"), invalid},
		{"int for float", takes[float64], args(1), 1.0},
		{"one struct as it is", takes[point], args(point{1, 2}), point{1, 2}},
		{"one struct from a map", takes[point], args(map[string]int{"X": 1}), point{X: 1}},
		{"what cannot be encoded", takes[chan int], args(ch), ch},
		{"one string", takes[string], args("a"), "a"},
		{"one []byte", takes[[]byte], args([]byte{1, 255}), []byte{1, 255}},
		{"text as []byte", takes[[]byte], args("text"), []byte("text")},
		{"one json.RawMessage", takes[json.RawMessage], args(json.RawMessage(`{"a": 1}`)), json.RawMessage(`{"a": 1}`)},
		{"struct as json.RawMessage", takes[json.RawMessage], args(point{1, 2}), json.RawMessage(`{"X":1,"Y":2}`)},
		{"one any", takes[any], args("a"), "a"},

		{"list", takes[[]int], args(1, 2, 3), []int{1, 2, 3}},
		{"empty list", takes[[]int], args(), []int{}},
		{"one for a list", takes[[]int], args(7), []int{7}},
		{"the very list", takes[[]int], args([]int{1, 2}), []int{1, 2}},
		{"a list of the wrong type", takes[[]int], args("a", "b"), invalid},
		{"list of any", takes[[]any], args(1, "a"), []any{1.0, "a"}},
		{"list of lists", takes[[][]int], args([]int{1}, []int{2}), [][]int{{1}, {2}}},
		{"array", takes[[2]int], args(1, 2), [2]int{1, 2}},
		{"the very array", takes[[2]int], args([2]int{1, 2}), [2]int{1, 2}},
		{"a list that fits the array", takes[[2]int], args([]int{1, 2}), [2]int{1, 2}},
		{"one for an array of two", takes[[2]int], args(1), invalid},
		{"a short list for an array", takes[[2]int], args([]int{1}), invalid},
		{"three for an array of two", takes[[2]int], args(1, 2, 3), invalid},

		{"nothing", takes[struct{}], args(), struct{}{}},
		{"something for nothing", takes[struct{}], args(1), invalid},

		{"JSON value", takes[point], form(payload.JSON, `{"X":1,"Y":2}`), point{1, 2}},
		{"JSON array is one value", takes[[]int], form(payload.JSON, `[1,2]`), []int{1, 2}},
		{"JSON arguments", takes[[]int], form(payload.Args, `[1,2]`), []int{1, 2}},
		{"one JSON argument", takes[int], form(payload.Args, `[1]`), 1},
		{"two JSON arguments for one", takes[int], form(payload.Args, `[1,2]`), invalid},
		{"a nested array", takes[[]int], form(payload.Args, `[[1,2]]`), []int{1, 2}},
		{"a nested array of one", takes[[1]int], form(payload.Args, `[[5]]`), [1]int{5}},
		{"a text", takes[string], form(payload.Text, `hello`), "hello"},
		{"an argument that is text", takes[string], form(payload.Args, `["hello"]`), "hello"},
		{"nothing from a link", takes[struct{}], form(payload.Empty, ``), struct{}{}},
		{"an empty list from a link", takes[struct{}], form(payload.Args, `[]`), struct{}{}},
		{"bytes", takes[[]byte], form(payload.Bytes, "\x00\xff"), []byte("\x00\xff")},
		{"no JSON", takes[[]int], form(payload.Args, `[1,`), invalid},
		{"unlabelled array", takes[[]int], form(payload.Raw, `[1,2]`), []int{1, 2}},
		{"unlabelled value", takes[point], form(payload.Raw, `{"X":1}`), point{X: 1}},

		{"a Go value that is a list", takes[[]any], goValue([]any{"a"}), []any{"a"}},
		{"a Go value that is a list, for one string", takes[string], goValue([]any{"a"}), `["a"]`},
		{"a Go value", takes[point], goValue(point{1, 2}), point{1, 2}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := newBus(t, bus.Options{})
			var got any
			if err := tt.expose(b, &got); err != nil {
				t.Fatal(err)
			}
			_, err := b.Call(t.Context(), tt.r)
			if _, bad := tt.want.(error); bad {
				if bus.KindOf(err) != bus.Invalid || !strings.HasPrefix(err.Error(), `"s": arguments: `) {
					t.Errorf("called with %#v, err %v", got, err)
				}
				return
			}
			if err != nil || !reflect.DeepEqual(got, tt.want) {
				t.Errorf("called with %#v, err %v, want %#v", got, err, tt.want)
			}
		})
	}
}

func TestAServiceMayDecodeItsArgumentsItself(t *testing.T) {
	b := newBus(t, bus.Options{})
	expose(t, b, "greet", func(_ context.Context, a bus.Args) (string, error) {
		var name string
		var times int
		if err := a.Decode(&name, &times); err != nil {
			return "", err
		}
		return strings.Repeat("hello "+name+" ", times), nil
	})
	if got, err := bus.Call[string](t.Context(), b, "greet", "you", 2); got != "hello you hello you " || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
	_, err := bus.Call[string](t.Context(), b, "greet", "you")
	if bus.KindOf(err) != bus.Invalid || err.Error() != `"greet": 1 arguments, want 2` {
		t.Errorf("one argument: %v", err)
	}
	_, err = bus.Call[string](t.Context(), b, "greet", "you", "twice")
	if bus.KindOf(err) != bus.Invalid || !strings.Contains(err.Error(), "argument 2") {
		t.Errorf("the wrong type: %v", err)
	}
	expose(t, b, "form", func(_ context.Context, a bus.Args) (string, error) { return a.Value().Form().String(), nil })
	if got, err := bus.Call[string](t.Context(), b, "form"); got != "go" || err != nil {
		t.Errorf("the form is %q, %v", got, err)
	}
}

func TestWhatACallReturns(t *testing.T) {
	b := newBus(t, bus.Options{})
	sent := &point{1, 2}
	expose(t, b, "pointer", func(context.Context, struct{}) (*point, error) { return sent, nil })
	expose(t, b, "nothing", func(context.Context, struct{}) (struct{}, error) { return struct{}{}, nil })
	expose(t, b, "bytes", func(context.Context, struct{}) ([]byte, error) { return []byte{0, 255}, nil })
	if _, err := b.Register("nil", func(context.Context, *bus.Request) (*payload.Value, error) { return nil, nil }, nil); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name string
		call func(string) (any, error)
		want any
	}{
		{"pointer", call[*point](t, b), sent},
		{"pointer", call[point](t, b), *sent},
		{"pointer", call[map[string]int](t, b), map[string]int{"X": 1, "Y": 2}},
		{"pointer", call[any](t, b), sent},
		{"nothing", call[struct{}](t, b), struct{}{}},
		{"nothing", call[any](t, b), nil},
		{"nil", call[any](t, b), nil},
		{"nil", call[*point](t, b), (*point)(nil)},
		{"bytes", call[[]byte](t, b), []byte{0, 255}},
	} {
		if got, err := tt.call(tt.name); err != nil || !reflect.DeepEqual(got, tt.want) {
			t.Errorf("%s: got %#v, %v, want %#v", tt.name, got, err, tt.want)
		}
	}
	if got, err := bus.Call[*point](t.Context(), b, "pointer"); got != sent || err != nil {
		t.Errorf("the very pointer is not handed over: %p, %v", got, err)
	}
	if _, err := bus.Call[int](t.Context(), b, "pointer"); bus.KindOf(err) != bus.Invalid || !errors.Is(err, payload.ErrForm) {
		t.Errorf("an answer of another type: %v", err)
	}
	if v, err := b.Call(t.Context(), &bus.Request{Service: "nothing"}); err != nil || v.Form() != payload.Empty {
		t.Errorf("struct{} is answered as %v, %v", v, err)
	}
}

func call[R any](t *testing.T, b *bus.Bus) func(name string) (any, error) {
	return func(name string) (any, error) {
		v, err := bus.Call[R](t.Context(), b, name)
		return v, err
	}
}

func TestServicesMayCallEachOther(t *testing.T) {
	b := newBus(t, bus.Options{})
	expose(t, b, "fib", func(ctx context.Context, n int) (int, error) {
		if n < 2 {
			return n, nil
		}
		x, err := bus.Call[int](ctx, b, "fib", n-1)
		if err != nil {
			return 0, err
		}
		y, err := bus.Call[int](ctx, b, "fib", n-2)
		return x + y, err
	})
	if got, err := bus.Call[int](t.Context(), b, "fib", 10); got != 55 || err != nil {
		t.Error(got, err)
	}
	expose(t, b, "deep", func(ctx context.Context, n int) (int, error) {
		if n == 0 {
			return 0, fmt.Errorf("the bottom: %w", bus.Errorf(bus.Refused, "", "no further"))
		}
		return bus.Call[int](ctx, b, "deep", n-1)
	})
	if _, err := bus.Call[int](t.Context(), b, "deep", 3); bus.KindOf(err) != bus.Refused || strings.Count(err.Error(), "deep") != 1 {
		t.Errorf("through three services: %v", err)
	}
}
