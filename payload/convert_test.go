package payload_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"omnibus/payload"
)

// The forms, short, for tables.
const (
	empty = payload.Empty
	jsn   = payload.JSON
	args  = payload.Args
	text  = payload.Text
	bin   = payload.Bytes
	raw   = payload.Raw
	cbor  = payload.CBOR
	arrow = payload.Arrow
	gov   = payload.Go
)

const allForms = arrow + 1

// outcome is what a conversion gives: bytes, or an error that says something.
type outcome struct {
	want string
	err  string
}

func ok(want string) outcome   { return outcome{want: want} }
func fails(why string) outcome { return outcome{err: why} }

func (o outcome) check(t *testing.T, v *payload.Value, to payload.Form) {
	t.Helper()
	got, err := v.As(to)
	switch {
	case o.err == "" && err != nil:
		t.Errorf("to %s: %v", to, err)
	case o.err == "" && string(got) != o.want:
		t.Errorf("to %s: got %q, want %q", to, got, o.want)
	case o.err != "" && err == nil:
		t.Errorf("to %s: got %q, want an error with %q", to, got, o.err)
	case o.err != "":
		if !errors.Is(err, payload.ErrForm) {
			t.Errorf("to %s: error %q does not wrap ErrForm", to, err)
		}
		where := fmt.Sprintf("converting %s to %s: ", v.Form(), to)
		if !strings.Contains(err.Error(), o.err) || !strings.HasPrefix(err.Error(), where) {
			t.Errorf("to %s: error %q, want %q and then %q", to, err, where, o.err)
		}
	}
}

const none = "no converter"

func TestBuiltInConversions(t *testing.T) {
	// The columns are what the value becomes as JSON, Args, Text and Bytes.
	// Its own form is always the bytes it was given.
	tests := []struct {
		form                payload.Form
		data                string
		json, args, text, b outcome
	}{
		{empty, "", ok("null"), ok("[]"), ok(""), ok("")},

		{jsn, `{"a": 1}`, ok(`{"a": 1}`), ok(`[{"a": 1}]`), ok(`{"a": 1}`), ok(`{"a": 1}`)},
		{jsn, `"é\n"`, ok(`"é\n"`), ok(`["é\n"]`), ok("é\n"), ok(`"é\n"`)},
		{jsn, ` "x" `, ok(` "x" `), ok(`[ "x" ]`), ok("x"), ok(` "x" `)},
		{jsn, `[1,2]`, ok(`[1,2]`), ok(`[[1,2]]`), ok(`[1,2]`), ok(`[1,2]`)},
		{jsn, `null`, ok(`null`), ok(`[null]`), ok(`null`), ok(`null`)},
		{jsn, `{`, ok(`{`), fails("unexpected end"), fails("unexpected end"), ok(`{`)},
		{jsn, ``, ok(``), fails("unexpected end"), fails("unexpected end"), ok(``)},
		{jsn, "\"\xff\"", ok("\"\xff\""), fails("UTF-8"), fails("UTF-8"), ok("\"\xff\"")},

		{args, `[]`, ok(`null`), ok(`[]`), ok(`null`), ok(`[]`)},
		{args, `[5]`, ok(`5`), ok(`[5]`), ok(`5`), ok(`[5]`)},
		{args, `["x"]`, ok(`"x"`), ok(`["x"]`), ok(`x`), ok(`["x"]`)},
		{args, ` [ [1, 2] ] `, ok(`[1, 2]`), ok(` [ [1, 2] ] `), ok(`[1, 2]`), ok(` [ [1, 2] ] `)},
		{args, `[1,"b"]`, ok(`[1,"b"]`), ok(`[1,"b"]`), ok(`[1,"b"]`), ok(`[1,"b"]`)},
		{args, `{"a":1}`, fails("JSON array"), ok(`{"a":1}`), fails("JSON array"), ok(`{"a":1}`)},
		{args, `null`, fails("JSON array"), ok(`null`), fails("JSON array"), ok(`null`)},
		{args, `[1`, fails("unexpected end"), ok(`[1`), fails("unexpected end"), ok(`[1`)},

		{text, "", ok(`""`), ok(`[""]`), ok(""), ok("")},
		{text, "plain", ok(`"plain"`), ok(`["plain"]`), ok("plain"), ok("plain")},
		{text, "a\"b\\\n<é>", ok(`"a\"b\\\n<é>"`), ok(`["a\"b\\\n<é>"]`), ok("a\"b\\\n<é>"), ok("a\"b\\\n<é>")},
		{text, "\xff", fails("UTF-8"), fails("UTF-8"), ok("\xff"), ok("\xff")},

		{bin, "", ok(`""`), ok(`[""]`), ok(""), ok("")},
		{bin, "\x00\xff", ok(`"AP8="`), ok(`["AP8="]`), ok("AP8="), ok("\x00\xff")},

		{raw, "", ok("null"), ok("[]"), ok(""), ok("")},
		{raw, "21.5", ok("21.5"), ok("[21.5]"), ok("21.5"), ok("21.5")},
		{raw, `[1, 2]`, ok(`[1, 2]`), ok(`[1, 2]`), ok(`[1, 2]`), ok(`[1, 2]`)},
		{raw, `[7]`, ok(`7`), ok(`[7]`), ok(`7`), ok(`[7]`)},
		{raw, `on`, ok(`"on"`), ok(`["on"]`), ok(`on`), ok(`on`)},
		{raw, "\xff", ok(`"/w=="`), ok(`["/w=="]`), ok(`/w==`), ok("\xff")},

		{cbor, "\x81\x01", fails(none), fails(none), fails(none), ok("\x81\x01")},
		{arrow, "ARROW", fails(none), fails(none), fails(none), ok("ARROW")},
	}
	for _, tt := range tests {
		t.Run(fmt.Sprintf("%s %q", tt.form, tt.data), func(t *testing.T) {
			v := payload.New(tt.form, []byte(tt.data))
			tt.json.check(t, v, jsn)
			tt.args.check(t, v, args)
			tt.text.check(t, v, text)
			tt.b.check(t, v, bin)
			ok(tt.data).check(t, v, tt.form)
			for _, to := range []payload.Form{empty, raw, gov, cbor, arrow, allForms, 255} {
				if to != tt.form && to != v.Kind() {
					fails(none).check(t, v, to)
				}
			}
		})
	}
}

func TestGoValuesAreEncodedByTheirType(t *testing.T) {
	type point struct{ X, Y int }
	tests := []struct {
		v                   *payload.Value
		kind                payload.Form
		json, args, text, b outcome
	}{
		{payload.Of("a"), text, ok(`"a"`), ok(`["a"]`), ok(`a`), ok(`a`)},
		{payload.Of([]byte{0, 255}), bin, ok(`"AP8="`), ok(`["AP8="]`), ok(`AP8=`), ok("\x00\xff")},
		{payload.Of(nil), jsn, ok(`null`), ok(`[null]`), ok(`null`), ok(`null`)},
		{payload.Of(point{1, 2}), jsn, ok(`{"X":1,"Y":2}`), ok(`[{"X":1,"Y":2}]`), ok(`{"X":1,"Y":2}`), ok(`{"X":1,"Y":2}`)},
		{payload.Of([]any{1, "<&>"}), jsn, ok(`[1,"<&>"]`), ok(`[[1,"<&>"]]`), ok(`[1,"<&>"]`), ok(`[1,"<&>"]`)},
		{payload.Of(json.RawMessage(`{"n": 1e400}`)), jsn, ok(`{"n": 1e400}`), ok(`[{"n": 1e400}]`), ok(`{"n": 1e400}`), ok(`{"n": 1e400}`)},
		{payload.Of(json.RawMessage(nil)), jsn, ok(`null`), ok(`[null]`), ok(`null`), ok(`null`)},
		{payload.Of(json.RawMessage(`{`)), jsn, fails("not JSON"), fails("not JSON"), fails("not JSON"), fails("not JSON")},
		{payload.Of("\xff"), text, fails("UTF-8"), fails("UTF-8"), ok("\xff"), ok("\xff")},
		{payload.Of(make(chan int)), jsn, fails("encoding chan int"), fails("chan int"), fails("chan int"), fails("chan int")},
		{payload.OfArgs(), args, ok(`null`), ok(`[]`), ok(`null`), ok(`[]`)},
		{payload.OfArgs("a"), args, ok(`"a"`), ok(`["a"]`), ok(`a`), ok(`["a"]`)},
		{payload.OfArgs([]int{1, 2}), args, ok(`[1,2]`), ok(`[[1,2]]`), ok(`[1,2]`), ok(`[[1,2]]`)},
		{payload.OfArgs(1, nil), args, ok(`[1,null]`), ok(`[1,null]`), ok(`[1,null]`), ok(`[1,null]`)},
	}
	for _, tt := range tests {
		t.Run(fmt.Sprintf("%T %v", tt.v.GoValue(), tt.v.GoValue()), func(t *testing.T) {
			if got := tt.v.Kind(); got != tt.kind {
				t.Errorf("Kind %s, want %s", got, tt.kind)
			}
			if tt.v.Form() != gov || tt.v.Data() != nil {
				t.Errorf("Form %s, Data %q", tt.v.Form(), tt.v.Data())
			}
			tt.json.check(t, tt.v, jsn)
			tt.args.check(t, tt.v, args)
			tt.text.check(t, tt.v, text)
			tt.b.check(t, tt.v, bin)
		})
	}
}

func TestSplitJSONNestsAnArrayThatIsOneValue(t *testing.T) {
	tests := []struct {
		v    *payload.Value
		want outcome
	}{
		{payload.New(empty, nil), ok("")},
		{payload.New(raw, nil), ok("")},
		{payload.New(jsn, []byte(`null`)), ok("null")},
		{payload.New(jsn, []byte(`{"a":[1]}`)), ok(`{"a":[1]}`)},
		{payload.New(jsn, []byte(`[1,2]`)), ok(`[[1,2]]`)},
		{payload.New(jsn, []byte(" \n[]")), ok("[ \n[]]")},
		{payload.New(args, []byte(`[]`)), ok(`[]`)},
		{payload.New(args, []byte(`[1]`)), ok(`1`)},
		{payload.New(args, []byte(`[1,2]`)), ok(`[1,2]`)},
		{payload.New(args, []byte(`[[1,2]]`)), ok(`[[1,2]]`)},
		{payload.New(args, []byte(`[ [1,2] ]`)), ok(`[ [1,2] ]`)},
		{payload.New(raw, []byte(`[1,2]`)), ok(`[1,2]`)},
		{payload.New(raw, []byte(`[[1,2]]`)), ok(`[[1,2]]`)},
		{payload.New(raw, []byte(`[x`)), ok(`"[x"`)},
		{payload.New(text, []byte(`[1]`)), ok(`"[1]"`)},
		{payload.New(bin, []byte{1}), ok(`"AQ=="`)},
		{payload.Of([]int{1, 2}), ok(`[[1,2]]`)},
		{payload.OfArgs(1, 2), ok(`[1,2]`)},
		{payload.OfArgs([]int{1, 2}), ok(`[[1,2]]`)},
		{payload.New(args, []byte(`1`)), fails("JSON array")},
		{payload.New(jsn, []byte(`[1`)), fails("unexpected end")},
		{payload.New(cbor, []byte{0x80}), fails(none)},
		{payload.New(arrow, nil), fails(none)},
	}
	for _, tt := range tests {
		got, err := tt.v.SplitJSON()
		name := fmt.Sprintf("%s %q %v", tt.v.Form(), tt.v.Data(), tt.v.GoValue())
		switch {
		case tt.want.err == "" && (err != nil || string(got) != tt.want.want):
			t.Errorf("%s: got %q, %v; want %q", name, got, err, tt.want.want)
		case tt.want.err != "" && (!errors.Is(err, payload.ErrForm) || !strings.Contains(err.Error(), tt.want.err)):
			t.Errorf("%s: got %q, %v; want an error with %q", name, got, err, tt.want.err)
		}
	}
}

func TestSplitJSONOfNothingIsNoText(t *testing.T) {
	if got, err := new(payload.Value).SplitJSON(); got != nil || err != nil {
		t.Errorf("got %q, %v; want nil", got, err)
	}
}
