package mapping_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"omnibus/bus"
	"omnibus/dialect/mycroft/mapping"
	"omnibus/payload"
)

func TestPayloadsAreWrittenAndReadAgain(t *testing.T) {
	for _, c := range []struct {
		form       payload.Form
		data       string
		want, back string // the data of a message, and what that is read as
	}{
		{payload.Empty, ``, ``, `json {}`},
		{payload.JSON, `{"a":1}`, `{"a":1}`, `json {"a":1}`},
		{payload.JSON, ` {"a":1} `, `{"a":1}`, `json {"a":1}`},
		{payload.JSON, `5`, `{"value":5}`, `json 5`},
		{payload.JSON, `[1,2]`, `{"value":[1,2]}`, `json [1,2]`},
		{payload.JSON, `null`, `{"value":null}`, `json null`},
		{payload.Text, `é "x"`, `{"value":"é \"x\""}`, `json "é \"x\""`},
		{payload.Bytes, "\x00\xff", `{"binary":"00ff"}`, "bytes \x00\xff"},
		{payload.Args, `[]`, ``, `json {}`},
		{payload.Args, `[5]`, `{"value":5}`, `json 5`},
		{payload.Args, `[{"a":1}]`, `{"a":1}`, `json {"a":1}`},
		{payload.Args, `[1,"x"]`, `{"args":[1,"x"]}`, `args [1,"x"]`},
		{payload.Raw, `[1,2]`, `{"args":[1,2]}`, `args [1,2]`},
		{payload.Raw, `plain`, `{"value":"plain"}`, `json "plain"`},
	} {
		got, err := mapping.Data(payload.New(c.form, []byte(c.data)))
		if err != nil || string(got) != c.want {
			t.Errorf("%s %q is written %s, %v; want %s", c.form, c.data, got, err, c.want)
			continue
		}
		if len(got) == 0 {
			got = []byte("{}") // as a frame without data reads
		}
		var v payload.Value
		mapping.SetPayload(&v, got)
		if back := fmt.Sprintf("%s %s", v.Form(), v.Data()); back != c.back {
			t.Errorf("%s is read as %q, want %q", got, back, c.back)
		}
	}
}

func TestWhatIsNotItsFormIsAnError(t *testing.T) {
	for _, v := range []*payload.Value{
		payload.New(payload.JSON, []byte("garbage")), payload.New(payload.JSON, nil), payload.New(payload.JSON, []byte("\"\xff\"")),
		payload.New(payload.JSON, []byte(`{"a":1}}`)), payload.New(payload.Args, []byte("[1")), payload.New(payload.Text, []byte("\xff")),
		payload.New(payload.CBOR, []byte{0x80}), payload.Of(func() {}),
	} {
		if got, err := mapping.Data(v); !errors.Is(err, payload.ErrForm) {
			t.Errorf("%s %q is written %s, %v; want ErrForm", v.Form(), v.Data(), got, err)
		}
	}
}

func TestErrorsAreWrittenAndReadAgain(t *testing.T) {
	for kind := range bus.Kinds {
		err := mapping.ErrorOf(mapping.ErrorData(bus.Errorf(kind, "", "the \"oven\" is cold")))
		if bus.KindOf(err) != kind || err.Error() != `the "oven" is cold` {
			t.Errorf("%v came back as %v", kind, err)
		}
	}
	if err := mapping.ErrorOf(json.RawMessage(`{"kind":"unheard of","error":"x"}`)); err == nil || bus.KindOf(err) != bus.Failed {
		t.Errorf("an unknown kind is read as %v", err)
	}
	for _, text := range []string{`{}`, `null`, `[]`, `{"error":"x"}`, `{"kind":"failed"}`, `{"error":1,"kind":"failed"}`, `{"error":"x","kind":"failed","more":1}`, ``} {
		if err := mapping.ErrorOf(json.RawMessage(text)); err != nil {
			t.Errorf("%s is read as the error %v", text, err)
		}
	}
}

// FuzzData: whatever the payload and the headers, a frame is JSON.
func FuzzData(f *testing.F) {
	f.Add(byte(payload.JSON), []byte(`{"a":1}`), "key", `{"b":"x"}`)
	f.Add(byte(payload.Args), []byte(`[1,2]`), "key", "[\"\xff\"]")
	f.Add(byte(payload.Raw), []byte("\x00\xff"), "\xff", "text")
	f.Fuzz(func(t *testing.T, form byte, data []byte, key, value string) {
		text, err := mapping.Data(payload.New(payload.Form(form%9), data))
		if err == nil && len(text) > 0 && (!utf8.Valid(text) || !json.Valid(text) || text[0] != '{') {
			t.Errorf("form %d of %q is written %q", form%9, data, text)
		}
		h := bus.MakeHeaders(bus.Header{Key: key, Value: value}, bus.Header{Key: "k", Value: value})
		context := mapping.Context(h)
		if !utf8.Valid(context) || !json.Valid(context) {
			t.Fatalf("%q: %q is written %q", key, value, context)
		}
		if !utf8.ValidString(key) || !utf8.ValidString(value) || key == "k" {
			return
		}
		trim := func(s string) string { return strings.TrimRight(s, " \t\r\n") } // behind JSON it means nothing
		if back := mapping.Headers(context); len(back) != 2 || back[0].Key != key || trim(back[0].Value) != trim(value) {
			t.Errorf("%q: %q came back as %q", key, value, back)
		}
	})
}

func FuzzSetPayload(f *testing.F) {
	for _, text := range []string{`{"value":1}`, `{"args":[1]}`, `{"binary":"00ff"}`, `{"binary":"\u0030"}`, `{"args":1}`, `[1]`, `{}`, `"x"`} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if !utf8.Valid(data) || !json.Valid(data) || len(data) == 0 || data[0] <= ' ' {
			return // data have been through packet.Parse
		}
		var v payload.Value
		mapping.SetPayload(&v, data)
		if _, err := v.As(payload.JSON); err != nil {
			t.Errorf("%s is %s %q: %v", data, v.Form(), v.Data(), err)
		}
		if _, err := mapping.Data(&v); err != nil {
			t.Errorf("%s cannot be written again: %v", data, err)
		}
		_ = mapping.ErrorOf(data)
		_ = mapping.Headers(data)
	})
}
