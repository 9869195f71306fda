package payload_test

import (
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"omnibus/payload"
)

// countingCodecs stands for CBOR and Arrow: CBOR is the Args text behind a
// 'C', Arrow the JSON text behind an 'A'.
func countingCodecs(calls *atomic.Int64) *payload.Codecs {
	c := new(payload.Codecs)
	add := func(with string) payload.Converter {
		return func(b []byte) ([]byte, error) {
			calls.Add(1)
			return append([]byte(with), b...), nil
		}
	}
	cut := func(with string) payload.Converter {
		return func(b []byte) ([]byte, error) {
			calls.Add(1)
			rest, found := strings.CutPrefix(string(b), with)
			if !found {
				return nil, errors.New("no " + with + " in front")
			}
			return []byte(rest), nil
		}
	}
	c.Add(args, cbor, add("C"))
	c.Add(cbor, args, cut("C"))
	c.Add(jsn, arrow, add("A"))
	c.Add(arrow, jsn, cut("A"))
	return c
}

func TestCodecsReachEveryFormByWayOfJSONAndArgs(t *testing.T) {
	const n = none
	tests := []struct {
		form payload.Form
		data string
		want map[payload.Form]outcome
	}{
		{cbor, `C[1,2]`, map[payload.Form]outcome{
			args: ok(`[1,2]`), jsn: ok(`[1,2]`), text: ok(`[1,2]`), bin: ok(`C[1,2]`), arrow: ok(`A[1,2]`),
		}},
		{cbor, `C["x"]`, map[payload.Form]outcome{
			args: ok(`["x"]`), jsn: ok(`"x"`), text: ok(`x`), arrow: ok(`A"x"`),
		}},
		{cbor, `[1]`, map[payload.Form]outcome{
			args: fails("no C in front"), jsn: fails("no C"), text: fails("no C"), arrow: fails("no C"), bin: ok(`[1]`),
		}},
		{cbor, `C1`, map[payload.Form]outcome{jsn: fails("JSON array"), args: ok(`1`)}},
		{arrow, `A[{"r":1}]`, map[payload.Form]outcome{
			jsn: ok(`[{"r":1}]`), args: ok(`[[{"r":1}]]`), cbor: ok(`C[[{"r":1}]]`), text: ok(`[{"r":1}]`),
		}},
		{empty, ``, map[payload.Form]outcome{cbor: ok(`C[]`), arrow: ok(`Anull`)}},
		{jsn, `[1]`, map[payload.Form]outcome{cbor: ok(`C[[1]]`), arrow: ok(`A[1]`)}},
		{args, `[1]`, map[payload.Form]outcome{cbor: ok(`C[1]`), arrow: ok(`A1`)}},
		{text, `x`, map[payload.Form]outcome{cbor: ok(`C["x"]`), arrow: ok(`A"x"`)}},
		{bin, "\xff", map[payload.Form]outcome{cbor: ok(`C["/w=="]`)}},
		{raw, `[1,2]`, map[payload.Form]outcome{cbor: ok(`C[1,2]`), arrow: ok(`A[1,2]`), raw: ok(`[1,2]`), empty: fails(n)}},
	}
	for _, tt := range tests {
		for to, want := range tt.want {
			t.Run(tt.form.String()+" "+tt.data+" to "+to.String(), func(t *testing.T) {
				v := payload.New(tt.form, []byte(tt.data))
				v.Use(countingCodecs(new(atomic.Int64)))
				want.check(t, v, to)
			})
		}
	}
	v := payload.OfArgs(1, []int{2})
	v.Use(countingCodecs(new(atomic.Int64)))
	ok(`C[1,[2]]`).check(t, v, cbor)
}

func TestCodecsTakePrecedence(t *testing.T) {
	c := new(payload.Codecs)
	c.Add(text, jsn, func(b []byte) ([]byte, error) { return []byte(`{"text":1}`), nil })
	v := payload.New(text, []byte("x"))
	v.Use(c)
	ok(`{"text":1}`).check(t, v, jsn)
	ok(`[{"text":1}]`).check(t, v, args)
}

func TestSplitJSONOfCodecForms(t *testing.T) {
	for data, want := range map[string]string{`C[1]`: `1`, `C[[1]]`: `[[1]]`, `C[1,2]`: `[1,2]`, `C[]`: `[]`} {
		v := payload.New(cbor, []byte(data))
		v.Use(countingCodecs(new(atomic.Int64)))
		if got, err := v.SplitJSON(); string(got) != want || err != nil {
			t.Errorf("%s: got %s, %v; want %s", data, got, err, want)
		}
	}
}

func TestConversionsAreMadeOnceAndShared(t *testing.T) {
	var calls atomic.Int64
	v := payload.New(cbor, []byte(`C["x"]`))
	v.Use(countingCodecs(&calls))
	first := make([][]byte, allForms)
	for i := range 3 {
		for _, to := range []payload.Form{text, jsn, args, arrow} {
			got, err := v.As(to)
			if err != nil {
				t.Fatal(err)
			}
			if i == 0 {
				first[to] = got
			} else if &got[0] != &first[to][0] {
				t.Errorf("%s was made again", to)
			}
		}
		if _, err := v.SplitJSON(); err != nil {
			t.Fatal(err)
		}
	}
	if n := calls.Load(); n != 2 { // CBOR to Args and JSON to Arrow
		t.Errorf("%d conversions, want 2", n)
	}
}

func TestFailuresAreMadeOnceToo(t *testing.T) {
	var calls atomic.Int64
	v := payload.New(cbor, []byte(`bad`))
	v.Use(countingCodecs(&calls))
	for range 3 {
		for _, to := range []payload.Form{args, jsn, text} {
			fails("no C in front").check(t, v, to)
		}
	}
	if n := calls.Load(); n != 1 {
		t.Errorf("%d attempts, want 1", n)
	}
}

func TestGoValuesAreEncodedOnce(t *testing.T) {
	var m marshalCounter
	v := payload.Of(&m)
	for range 2 {
		for to, want := range map[payload.Form]string{jsn: `"m"`, args: `["m"]`, text: `m`, bin: `"m"`} {
			ok(want).check(t, v, to)
		}
	}
	if m != 1 {
		t.Errorf("encoded %d times", m)
	}
}

type marshalCounter int

func (m *marshalCounter) MarshalJSON() ([]byte, error) {
	*m++
	return []byte(`"m"`), nil
}

func TestManyReadersShareOneConversion(t *testing.T) {
	var calls atomic.Int64
	c := countingCodecs(&calls)
	values := []*payload.Value{
		payload.New(cbor, []byte(`C["x"]`)),
		payload.New(raw, []byte(`["x"]`)),
		payload.Of([]string{"x"}),
	}
	for _, v := range values {
		v.Use(c)
	}
	want := []string{`"x"`, `"x"`, `["x"]`}
	var readers sync.WaitGroup
	start := make(chan struct{})
	for range 16 {
		readers.Go(func() {
			<-start
			for i, v := range values {
				v.Use(c)
				v.Kind()
				if got, err := v.As(jsn); string(got) != want[i] || err != nil {
					t.Errorf("got %s, %v", got, err)
				}
				if _, err := v.As(arrow); err != nil {
					t.Error(err)
				}
				if _, err := v.Args(); err != nil {
					t.Error(err)
				}
				if _, err := payload.To[any](v.Keep()); err != nil {
					t.Error(err)
				}
			}
		})
	}
	close(start)
	readers.Wait()
	// CBOR to Args once for the shared value and once in each of the copies;
	// JSON to Arrow once for each of the three.
	if n := calls.Load(); n != 1+16+3 {
		t.Errorf("%d conversions, want %d", n, 1+16+3)
	}
}

func TestNewCodecsForgetWhatCouldNotBeMade(t *testing.T) {
	v := payload.New(jsn, []byte("1"))
	fails(none).check(t, v, cbor)
	v.Use(countingCodecs(new(atomic.Int64)))
	ok("C[1]").check(t, v, cbor)
}

func TestSetForgetsWhatWasCarriedBefore(t *testing.T) {
	v := payload.New(raw, []byte(`[1]`))
	ok("1").check(t, v, jsn)
	if v.Kind() != args {
		t.Fatal(v.Kind())
	}
	v.Set(raw, []byte("on"))
	if v.Kind() != text {
		t.Errorf("Kind %s", v.Kind())
	}
	ok(`"on"`).check(t, v, jsn)
	v.SetGoArgs(1)
	ok(`[1]`).check(t, v, args)
	v.SetGo("x")
	ok(`["x"]`).check(t, v, args)
	v.Set(empty, nil)
	ok("null").check(t, v, jsn)
	if v.GoValue() != nil || v.Data() != nil || v.Kind() != empty {
		t.Errorf("left over: %v %q %s", v.GoValue(), v.Data(), v.Kind())
	}
}

func TestTheZeroValueIsEmpty(t *testing.T) {
	var v payload.Value
	if v.Form() != empty || v.Kind() != empty || v.Data() != nil {
		t.Errorf("%s %s %q", v.Form(), v.Kind(), v.Data())
	}
	ok("null").check(t, &v, jsn)
}

func TestTheSameFormIsTheVeryBytes(t *testing.T) {
	for f := range allForms {
		data := []byte("x")
		got, err := payload.New(f, data).As(f)
		if err != nil || len(got) != 1 || &got[0] != &data[0] {
			t.Errorf("%s: got %q, %v", f, got, err)
		}
	}
}

func TestKeepDependsOnNothingThatChanges(t *testing.T) {
	buf := []byte(`["abc"]`)
	v := payload.New(raw, buf)
	v.Use(countingCodecs(new(atomic.Int64)))
	if _, err := v.As(text); err != nil {
		t.Fatal(err)
	}
	k := v.Keep()
	copy(buf, `XXXXXXX`)
	if k.Form() != raw || k.Kind() != args {
		t.Errorf("Form %s, Kind %s", k.Form(), k.Kind())
	}
	for to, want := range map[payload.Form]string{raw: `["abc"]`, args: `["abc"]`, jsn: `"abc"`, text: `abc`, cbor: `C["abc"]`} {
		ok(want).check(t, k, to)
	}

	x := &point{1, 2}
	for _, v := range []*payload.Value{payload.Of(x), payload.OfArgs(x)} {
		if got, err := payload.To[*point](v.Keep()); got != x || err != nil {
			t.Errorf("a kept Go value is %v, %v", got, err)
		}
	}

	into := payload.New(jsn, []byte("1"))
	ok("[1]").check(t, into, args)
	k.KeepIn(into)
	ok(`["abc"]`).check(t, into, args)
}

func TestEqual(t *testing.T) {
	values := []*payload.Value{
		new(payload.Value),
		payload.New(jsn, []byte(`1`)),
		payload.New(jsn, []byte(`1 `)),
		payload.New(text, []byte(`1`)),
		payload.Of(1),
		payload.Of(2),
		payload.Of(nil),
		payload.Of([]any{1}),
		payload.OfArgs(1),
		payload.Of(map[string]int{"a": 1}),
	}
	for i, v := range values {
		for j, w := range values {
			if v.Equal(w) != (i == j) {
				t.Errorf("values %d and %d: Equal is %v", i, j, v.Equal(w))
			}
		}
		if !v.Equal(v.Keep()) {
			t.Errorf("value %d is not equal to its copy", i)
		}
	}
	if !payload.Of(&point{1, 2}).Equal(payload.Of(&point{1, 2})) {
		t.Error("Go values are compared by what they hold")
	}
	if !payload.New(text, nil).Equal(payload.New(text, []byte{})) {
		t.Error("no bytes are no bytes")
	}
}

func TestReadingAllocatesNothingOnTheFastPath(t *testing.T) {
	same := payload.New(jsn, []byte(`{"a":1}`))
	sniffed := payload.New(raw, []byte(`{"a":1}`))
	made := payload.New(text, []byte(`x`))
	reused := new(payload.Value)
	data := []byte(`{"a":1}`)
	for name, f := range map[string]func(){
		"the same form":      func() { _, _ = same.As(jsn) },
		"what raw turns out": func() { _, _ = sniffed.As(jsn) },
		"made before":        func() { _, _ = made.As(jsn) },
		"kind of raw":        func() { sniffed.Kind() },
		"set again":          func() { reused.Set(raw, data); reused.Kind(); _, _ = reused.As(jsn) },
	} {
		f()
		if n := testing.AllocsPerRun(100, f); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}
