package payload_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"omnibus/payload"
)

type point struct{ X, Y int }

func (p point) String() string { return fmt.Sprint(p.X, ",", p.Y) }

type blob []byte

// to is To without its type, for tables.
func to[T any](v *payload.Value) (any, error) {
	x, err := payload.To[T](v)
	var y T
	if err2 := v.Decode(&y); !reflect.DeepEqual(x, y) || fmt.Sprint(err) != fmt.Sprint(err2) {
		return nil, fmt.Errorf("To gives %#v, %v but Decode %#v, %v", x, err, y, err2)
	}
	return x, err
}

func TestDecodingRules(t *testing.T) {
	of := func(f payload.Form, s string) *payload.Value { return payload.New(f, []byte(s)) }
	type rule = func(*payload.Value) (any, error)
	p := &point{1, 2}
	tests := []struct {
		v    *payload.Value
		to   rule
		want any
		err  string
	}{
		// Bytes.
		{of(empty, ""), to[[]byte], []byte(nil), ""},
		{of(jsn, `"a"`), to[[]byte], []byte(`"a"`), ""},
		{of(text, "a"), to[[]byte], []byte("a"), ""},
		{of(bin, "\xff"), to[[]byte], []byte("\xff"), ""},
		{of(raw, "\xff"), to[[]byte], []byte("\xff"), ""},
		{of(args, "[1]"), to[[]byte], []byte("[1]"), ""},
		{payload.Of("a"), to[[]byte], []byte("a"), ""},
		{payload.Of(5), to[[]byte], []byte("5"), ""},
		{payload.Of([]byte("a")), to[blob], blob("a"), ""},
		// Text.
		{of(empty, ""), to[string], "", ""},
		{of(jsn, `"a"`), to[string], "a", ""},
		{of(jsn, `5`), to[string], "5", ""},
		{of(args, `["a"]`), to[string], "a", ""},
		{of(bin, "\xff"), to[string], "/w==", ""},
		{of(raw, "on"), to[string], "on", ""},
		{payload.Of(point{1, 2}), to[string], `{"X":1,"Y":2}`, ""},
		{payload.OfArgs("a"), to[string], "a", ""},
		{of(cbor, "\x80"), to[string], "", "no converter"},
		// JSON text.
		{of(empty, ""), to[json.RawMessage], json.RawMessage("null"), ""},
		{of(text, "a"), to[json.RawMessage], json.RawMessage(`"a"`), ""},
		{of(bin, "a"), to[json.RawMessage], json.RawMessage(`"YQ=="`), ""},
		{payload.Of([]byte("a")), to[json.RawMessage], json.RawMessage(`"YQ=="`), ""},
		{payload.Of(json.RawMessage(`{ }`)), to[json.RawMessage], json.RawMessage(`{ }`), ""},
		// Go's own terms.
		{of(empty, ""), to[any], nil, ""},
		{of(raw, ""), to[any], nil, ""},
		{of(jsn, `null`), to[any], nil, ""},
		{of(jsn, `true`), to[any], true, ""},
		{of(jsn, `1`), to[any], 1.0, ""},
		{of(jsn, `{"a":[1,"b"]}`), to[any], map[string]any{"a": []any{1.0, "b"}}, ""},
		{of(text, `1`), to[any], "1", ""},
		{of(bin, "\xff"), to[any], []byte("\xff"), ""},
		{of(raw, "\xff"), to[any], []byte("\xff"), ""},
		{of(raw, "1"), to[any], 1.0, ""},
		{of(args, `[]`), to[any], nil, ""},
		{of(args, `[1]`), to[any], 1.0, ""},
		{of(args, `[1,2]`), to[any], []any{1.0, 2.0}, ""},
		{of(args, `1`), to[any], nil, "JSON array"},
		{of(jsn, `{`), to[any], nil, "unexpected end"},
		{payload.Of(nil), to[any], nil, ""},
		{payload.Of(p), to[any], p, ""},
		{payload.OfArgs(), to[any], nil, ""},
		{payload.OfArgs(1), to[any], 1, ""},
		{payload.OfArgs(1, "b"), to[any], []any{1, "b"}, ""},
		// A Go value of the type is handed over.
		{payload.Of(p), to[*point], p, ""},
		{payload.OfArgs(p), to[*point], p, ""},
		{payload.Of(*p), to[fmt.Stringer], *p, ""},
		{payload.Of(*p), to[map[string]int], map[string]int{"X": 1, "Y": 2}, ""},
		// Anything else is decoded from JSON.
		{of(jsn, `{"X":1,"Y":2}`), to[point], *p, ""},
		{of(args, `[{"X":1,"Y":2}]`), to[point], *p, ""},
		{of(raw, `{"X":1,"Y":2}`), to[*point], p, ""},
		{of(empty, ""), to[*point], (*point)(nil), ""},
		{of(empty, ""), to[int], 0, ""},
		{of(raw, `12`), to[int], 12, ""},
		{of(text, `12`), to[int], 0, "decoding *int"},
		{of(raw, `1.5`), to[int], 0, "decoding *int"},
		{of(jsn, `300`), to[uint8], uint8(0), "decoding *uint8"},
		{of(jsn, `x`), to[int], 0, "decoding *int"},
		{of(jsn, `1`), to[fmt.Stringer], nil, "decoding *fmt.Stringer"},
		{of(bin, "\xff"), to[blob], blob("\xff"), ""},
		// Slices and arrays take a list, too.
		{of(jsn, `[1,2]`), to[[]int], []int{1, 2}, ""},
		{of(raw, `[1,2]`), to[[]int], []int{1, 2}, ""},
		{of(raw, `[1]`), to[[]int], []int{1}, ""},
		{of(raw, `[[1]]`), to[[]int], []int{1}, ""},
		{of(raw, `[[1]]`), to[[][]int], [][]int{{1}}, ""},
		{of(args, `["a"]`), to[[1]string], [1]string{"a"}, ""},
		{payload.OfArgs(1), to[[]int], []int{1}, ""},
		{payload.OfArgs(1, 2), to[[]int], []int{1, 2}, ""},
		{of(args, `["a"]`), to[[]int], []int(nil), "decoding *[]int"},
		{of(jsn, `1`), to[[]int], []int(nil), "decoding *[]int"},
	}
	for i, tt := range tests {
		got, err := tt.to(tt.v)
		name := fmt.Sprintf("%d: %s %q %v", i, tt.v.Form(), tt.v.Data(), tt.v.GoValue())
		if tt.err != "" {
			if !errors.Is(err, payload.ErrForm) || !strings.Contains(err.Error(), tt.err) {
				t.Errorf("%s: got %#v, %v; want an error with %q", name, got, err, tt.err)
			}
			continue
		}
		if err != nil || !reflect.DeepEqual(got, tt.want) {
			t.Errorf("%s: got %#v, %v; want %#v", name, got, err, tt.want)
		}
	}
}

func TestDecodingIntoNothingUsableIsAnError(t *testing.T) {
	for _, v := range []*payload.Value{payload.Of(1), payload.New(jsn, []byte("1"))} {
		for _, dst := range []any{nil, 1, (*int)(nil)} {
			if err := v.Decode(dst); !errors.Is(err, payload.ErrForm) {
				t.Errorf("%s into %#v: %v", v.Form(), dst, err)
			}
		}
	}
}

func TestFailedDecodingLeavesAnAnyAlone(t *testing.T) {
	n := 1
	var x any = &n
	if err := payload.New(jsn, []byte(`2`)).Decode(&x); err != nil || x != 2.0 || n != 1 {
		t.Errorf("got %v, %v and %d behind what was there", x, err, n)
	}
	x = "before"
	if err := payload.New(jsn, []byte(`{`)).Decode(&x); err == nil || x != "before" {
		t.Errorf("got %v, %v", x, err)
	}
}

func TestWhatIsConvertedIsTheCallersOwn(t *testing.T) {
	src := []byte(`["abc"]`)
	v := payload.New(args, src)
	b, _ := payload.To[[]byte](v)
	j, _ := payload.To[json.RawMessage](v)
	a, err := v.Args()
	if err != nil {
		t.Fatal(err)
	}
	clear(b)
	clear(j)
	clear(a[0])
	if string(src) != `["abc"]` {
		t.Errorf("the value's bytes are now %q", src)
	}
	if s, err := payload.To[string](v); s != "abc" || err != nil {
		t.Errorf("the value is now %q, %v", s, err)
	}
}

func TestNumbersStayExact(t *testing.T) {
	const big = `123456789012345678901234567890.10`
	for _, v := range []*payload.Value{
		payload.New(jsn, []byte(big)),
		payload.New(raw, []byte(big)),
		payload.New(args, []byte("["+big+"]")),
		payload.Of(json.RawMessage(big)),
		payload.Of(json.Number(big)),
	} {
		for range 2 {
			if got, err := payload.To[json.RawMessage](v); string(got) != big || err != nil {
				t.Errorf("%s: got %s, %v", v.Form(), got, err)
			}
			if got, err := v.Args(); err != nil || len(got) != 1 || string(got[0]) != big {
				t.Errorf("%s: arguments %s, %v", v.Form(), got, err)
			}
			v = v.Keep()
		}
	}
	if got, err := payload.To[int64](payload.New(raw, []byte(`9007199254740993`))); got != 9007199254740993 || err != nil {
		t.Errorf("got %d, %v", got, err)
	}
	if got, err := payload.To[any](payload.New(raw, []byte(`9007199254740993`))); got != 9007199254740992.0 || err != nil {
		t.Errorf("as any: got %v, %v; want the nearest float64", got, err)
	}
}

func TestArgs(t *testing.T) {
	tests := []struct {
		v    *payload.Value
		want []string
	}{
		{payload.New(empty, nil), nil},
		{payload.New(args, []byte(`[]`)), nil},
		{payload.New(args, []byte(` [ 1 , [2, 3] ]`)), []string{`1`, `[2, 3]`}},
		{payload.New(jsn, []byte(`[2,3]`)), []string{`[2,3]`}},
		{payload.New(text, []byte(`a`)), []string{`"a"`}},
		{payload.Of(nil), []string{`null`}},
		{payload.OfArgs(1, "b"), []string{`1`, `"b"`}},
	}
	for _, tt := range tests {
		got, err := tt.v.Args()
		if err != nil || len(got) != len(tt.want) {
			t.Errorf("%s %q: got %s, %v; want %s", tt.v.Form(), tt.v.Data(), got, err, tt.want)
			continue
		}
		for i := range got {
			if string(got[i]) != tt.want[i] {
				t.Errorf("%s %q: argument %d is %q, want %q", tt.v.Form(), tt.v.Data(), i, got[i], tt.want[i])
			}
		}
	}
}
