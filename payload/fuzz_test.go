package payload_test

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"reflect"
	"strings"
	"sync/atomic"
	"testing"
	"testing/quick"
	"unicode/utf8"

	"omnibus/payload"
)

// via converts data from one form to the next.
func via(t *testing.T, data []byte, forms ...payload.Form) []byte {
	t.Helper()
	for i := 1; i < len(forms); i++ {
		v := payload.New(forms[i-1], data)
		v.Use(countingCodecs(new(atomic.Int64)))
		out, err := v.As(forms[i])
		if err != nil {
			t.Fatalf("%q: %v", data, err)
		}
		data = out
	}
	return data
}

func TestRoundTripsLoseNothing(t *testing.T) {
	check := func(name string, f any) {
		t.Helper()
		if err := quick.Check(f, &quick.Config{MaxCount: 300}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	check("text", func(s string) bool {
		s = strings.ToValidUTF8(s, "?")
		for _, way := range [][]payload.Form{
			{text, jsn, text}, {text, args, text}, {text, cbor, text}, {text, arrow, cbor, text}, {text, bin},
		} {
			if got := via(t, []byte(s), way...); string(got) != s {
				t.Logf("%v: %q became %q", way, s, got)
				return false
			}
		}
		return true
	})
	check("bytes", func(b []byte) bool {
		for _, way := range [][]payload.Form{{bin, jsn, text}, {bin, args, text}, {bin, text}} {
			got, err := base64.StdEncoding.DecodeString(string(via(t, b, way...)))
			if err != nil || string(got) != string(b) {
				t.Logf("%v: %q became %q, %v", way, b, got, err)
				return false
			}
		}
		return true
	})
	check("one value", func(seed uint64) bool {
		x := randomJSON(rand.New(rand.NewPCG(seed, 1)), 3)
		for _, way := range [][]payload.Form{{jsn, args, jsn}, {jsn, cbor, jsn}, {jsn, arrow, cbor, arrow, jsn}} {
			if got := via(t, x, way...); string(got) != string(x) {
				t.Logf("%v: %s became %s", way, x, got)
				return false
			}
		}
		return true
	})
	check("arguments", func(seed uint64) bool {
		r := rand.New(rand.NewPCG(seed, 2))
		list := make([]json.RawMessage, r.IntN(4))
		for i := range list {
			list[i] = randomJSON(r, 2)
		}
		text, err := payload.Marshal(list)
		if err != nil {
			t.Fatal(err)
		}
		got := payload.New(cbor, via(t, text, args, cbor))
		got.Use(countingCodecs(new(atomic.Int64)))
		back, err := got.Args()
		if err != nil || len(back) != len(list) || len(list) > 0 && !reflect.DeepEqual(back, list) {
			t.Logf("%s became %s, %v", list, back, err)
			return false
		}
		// Readers that split arrays and those that do not agree on what it is.
		split, err := got.SplitJSON()
		if err != nil {
			t.Fatal(err)
		}
		again, err := payload.New(raw, split).Args()
		if err != nil || len(again) != len(list) || len(list) > 0 && !reflect.DeepEqual(again, list) {
			t.Logf("%s was split as %s, %v", list, split, err)
			return false
		}
		return true
	})
}

// randomJSON returns the text of a random value, compact.
func randomJSON(r *rand.Rand, depth int) json.RawMessage {
	pick := r.IntN(7)
	if depth == 0 {
		pick %= 5
	}
	switch pick {
	case 0:
		return json.RawMessage([]string{"null", "true", "false"}[r.IntN(3)])
	case 1:
		return json.RawMessage([]string{"0", "-1.50", "1e400", "123456789012345678901234567890"}[r.IntN(4)])
	case 5, 6:
		out := "["
		for i := range r.IntN(4) {
			if i > 0 {
				out += ","
			}
			out += string(randomJSON(r, depth-1))
		}
		out += "]"
		if pick == 6 {
			out = `{"k":` + out + `}`
		}
		return json.RawMessage(out)
	default:
		b, err := payload.Marshal(string([]rune{r.Int32N(0x80), r.Int32N(0xd800), 'é', '"', r.Int32N(0x20)}))
		if err != nil {
			panic(err)
		}
		return b
	}
}

func FuzzConvert(f *testing.F) {
	for _, s := range []string{"", "x", "1", "[1,2]", "[[1]]", `"\ud800"`, `{"a":1e999}`, "C[1]", "A[]", "\xff", "\"\xff\"", " [ ] "} {
		for from := range uint8(allForms) {
			f.Add(from, uint8(jsn), []byte(s))
		}
	}
	f.Fuzz(func(t *testing.T, from, to uint8, data []byte) {
		src, dst := payload.Form(from), payload.Form(to)
		v := payload.New(src, data)
		if from&0x80 != 0 {
			src = payload.Form(from &^ 0x80)
			v.Set(src, data)
			v.Use(countingCodecs(new(atomic.Int64)))
		}
		before := string(data)
		kind := v.Kind()
		out, err := v.As(dst)
		again, err2 := v.As(dst)
		if string(out) != string(again) || (err == nil) != (err2 == nil) {
			t.Errorf("asked twice: %q, %v and %q, %v", out, err, again, err2)
		}
		if err != nil && (!errors.Is(err, payload.ErrForm) || out != nil) {
			t.Errorf("%q and error %v", out, err)
		}
		if err == nil && dst != src && dst != kind && src != arrow && src != cbor {
			checkForm(t, dst, out)
		}
		if s, err := v.SplitJSON(); err == nil && kind != jsn && kind != arrow && len(s) > 0 {
			checkForm(t, jsn, s)
		}
		if list, err := v.Args(); err == nil {
			for _, a := range list {
				checkForm(t, jsn, a)
			}
		}
		var x struct{ A []int }
		var y any
		var z []int
		for _, p := range []any{&x, &y, &z, new(string), new([]byte), new(json.RawMessage)} {
			if err := v.Decode(p); err != nil && !errors.Is(err, payload.ErrForm) {
				t.Errorf("decoding into %T: %v", p, err)
			}
		}
		if k := v.Keep(); !k.Equal(v) || k.Kind() != kind {
			t.Error("a copy differs")
		}
		if string(data) != before {
			t.Errorf("the bytes changed from %q to %q", before, data)
		}
	})
}

// checkForm checks bytes that were made by a conversion.
func checkForm(t *testing.T, form payload.Form, b []byte) {
	t.Helper()
	switch form {
	case jsn, args:
		if !json.Valid(b) || !utf8.Valid(b) {
			t.Errorf("%q is not JSON", b)
		}
		if form == args && payload.New(raw, b).Kind() != args {
			t.Errorf("%q is no list of arguments", b)
		}
	}
}

func FuzzSniff(f *testing.F) {
	for _, s := range []string{"", "x", "1", "[1,2]", " [1]", "[", "\xff", "\"\xff\"", "{}", "\ufeff1"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var want payload.Form
		var x any
		switch err := json.Unmarshal(data, &x); {
		case len(data) == 0:
			want = empty
		case !utf8.Valid(data):
			want = bin
		case err == nil || errors.As(err, new(*json.UnmarshalTypeError)):
			want = jsn
		default:
			want = text
		}
		if got := payload.Sniff(data); got != want {
			t.Errorf("Sniff(%q) = %s, want %s", data, got, want)
		}
		if _, list := x.([]any); list && want == jsn {
			want = args
		}
		if got := payload.New(raw, data).Kind(); got != want && x != nil {
			t.Errorf("raw %q is %s, want %s", data, got, want)
		}
	})
}
