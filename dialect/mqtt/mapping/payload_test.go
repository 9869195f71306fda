package mapping_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"testing"
	"unicode/utf8"

	"omnibus/dialect/mqtt/mapping"
	"omnibus/dialect/mqtt/packet"
	"omnibus/payload"
)

func TestPayloadsAreWrittenAndReadAgain(t *testing.T) {
	for _, c := range []struct {
		form             payload.Form
		data             string
		want, label      string // the payload and its content type
		back, unlabelled string // what that is read as, with and without the label
	}{
		{payload.Empty, ``, ``, ``, `empty `, `empty `},
		{payload.JSON, `{"a":1}`, `{"a":1}`, `application/json`, `raw {"a":1}`, `json {"a":1}`},
		{payload.JSON, `[1,2]`, `[[1,2]]`, `application/json`, `raw [[1,2]]`, `args [[1,2]]`},
		{payload.JSON, `[]`, `[[]]`, `application/json`, `raw [[]]`, `args [[]]`},
		{payload.JSON, `null`, `null`, `application/json`, `raw null`, `json null`},
		{payload.JSON, `"x"`, `"x"`, `application/json`, `raw "x"`, `json "x"`},
		{payload.Args, `[]`, ``, ``, `empty `, `empty `},
		{payload.Args, ` [ ]`, ``, ``, `empty `, `empty `},
		{payload.Args, `[5]`, `5`, `application/json`, `raw 5`, `json 5`},
		{payload.Args, `[1,"x"]`, `[1,"x"]`, `application/json`, `raw [1,"x"]`, `args [1,"x"]`},
		{payload.Args, `[[1]]`, `[[1]]`, `application/json`, `raw [[1]]`, `args [[1]]`},
		{payload.Text, `5`, `5`, `text/plain`, `text 5`, `json "5"`},
		{payload.Text, `é "x"`, `é "x"`, `text/plain`, `text é "x"`, `json "é \"x\""`},
		{payload.Text, ``, ``, `text/plain`, `empty `, `json ""`},
		{payload.Bytes, "\x00\xff", "\x00\xff", `application/octet-stream`, "bytes \x00\xff", "bytes \x00\xff"},
		{payload.Bytes, `5`, `5`, `application/octet-stream`, `bytes 5`, `json 5`},
		{payload.Raw, `[1,2]`, `[1,2]`, ``, `raw [1,2]`, `args [1,2]`},
		{payload.Raw, "\xff", "\xff", ``, "raw \xff", "bytes \xff"},
	} {
		v := payload.New(c.form, []byte(c.data))
		var p packet.MessageProperties
		got, err := mapping.Payload(&p, v)
		if err != nil || string(got) != c.want || p.ContentType != c.label {
			t.Errorf("%s %q is written %q as %q, %v; want %q as %q", c.form, c.data, got, p.ContentType, err, c.want, c.label)
			continue
		}
		if (p.PayloadFormat == 1) != (c.label == mapping.TypeText) {
			t.Errorf("the format of %s %q is %d", c.form, c.data, p.PayloadFormat)
		}
		var back payload.Value
		mapping.SetPayload(&back, p.ContentType, got)
		if text := fmt.Sprintf("%s %s", back.Form(), back.Data()); text != c.back {
			t.Errorf("%s %q is read as %s, want %s", c.form, c.data, text, c.back)
		}
		got, err = mapping.Unlabelled(v)
		mapping.SetPayload(&back, "", got)
		if text := fmt.Sprintf("%s %s", back.Kind(), back.Data()); err != nil || text != c.unlabelled {
			t.Errorf("%s %q without a label is %s, %v; want %s", c.form, c.data, text, err, c.unlabelled)
		}
	}
}

func TestGoValuesAreWritten(t *testing.T) {
	for _, c := range []struct {
		v           *payload.Value
		want, label string
	}{
		{payload.Of(1), `1`, mapping.TypeJSON},
		{payload.Of("x"), `x`, mapping.TypeText},
		{payload.Of([]byte{1}), "\x01", mapping.TypeBytes},
		{payload.Of([]int{1}), `[[1]]`, mapping.TypeJSON},
		{payload.OfArgs(1, 2), `[1,2]`, mapping.TypeJSON},
		{payload.OfArgs(), ``, ``},
	} {
		var p packet.MessageProperties
		got, err := mapping.Payload(&p, c.v)
		if err != nil || string(got) != c.want || p.ContentType != c.label {
			t.Errorf("%v is written %q as %q, %v; want %q as %q", c.v.GoValue(), got, p.ContentType, err, c.want, c.label)
		}
	}
}

// What came in over MQTT goes out as it came, whatever its label says.
func TestForeignPayloadsStayAsTheyAre(t *testing.T) {
	for _, c := range []struct{ label, data, form string }{
		{"", `{"a":1}`, "raw"},
		{"", "\x00\xff", "raw"},
		{"image/png", "\x00\xff", "raw"},
		{"application/json", `[1, 2]`, "raw"},
		{"application/json; charset=utf-8", `garbage`, "raw"},
		{"text/plain", "x", "text"},
		{"TEXT/Plain ;charset=utf-8", "x", "text"},
		{"text/plain", "\xff", "raw"},
		{"application/octet-stream", "x", "bytes"},
		{"application/cbor", "\xa0", "cbor"},
		{"application/vnd.apache.arrow.stream", "\xff\xff", "arrow"},
		{"application/cbor", "", "empty"},
		{"text/plain", "", "empty"},
	} {
		p := packet.MessageProperties{ContentType: c.label, PayloadFormat: 1}
		var v payload.Value
		mapping.SetPayload(&v, c.label, []byte(c.data))
		if v.Form().String() != c.form {
			t.Errorf("%q of %q is read as %s, want %s", c.label, c.data, v.Form(), c.form)
		}
		got, err := mapping.Payload(&p, &v)
		if err != nil || string(got) != c.data || p.ContentType != c.label || p.PayloadFormat != 1 {
			t.Errorf("%q of %q is written %q as %q with format %d, %v", c.label, c.data, got, p.ContentType, p.PayloadFormat, err)
		}
	}
}

func TestLabelsOfAnotherFormAreReplaced(t *testing.T) {
	p := packet.MessageProperties{ContentType: mapping.TypeCBOR, PayloadFormat: 1, Present: packet.Properties(packet.ContentType)}
	got, err := mapping.Payload(&p, payload.Of([]byte("x")))
	if err != nil || string(got) != "x" || p.ContentType != mapping.TypeBytes || p.PayloadFormat != 0 {
		t.Errorf("written %q, %+v, %v", got, p, err)
	}
}

func TestOtherFormsAreConverted(t *testing.T) {
	var codecs payload.Codecs
	codecs.Add(payload.CBOR, payload.Args, func(src []byte) ([]byte, error) { return []byte(`[1,2]`), nil })
	codecs.Add(payload.Arrow, payload.JSON, func(src []byte) ([]byte, error) { return []byte(`[{"a":1}]`), nil })
	for form, want := range map[payload.Form]string{payload.CBOR: `[1,2]`, payload.Arrow: `[[{"a":1}]]`} {
		v := payload.New(form, []byte{1})
		v.Use(&codecs)
		var p packet.MessageProperties
		got, err := mapping.Payload(&p, v)
		if err != nil || string(got) != want || p.ContentType != mapping.TypeJSON {
			t.Errorf("%s is written %q as %q, %v", form, got, p.ContentType, err)
		}
		if got, err := mapping.Unlabelled(v); err != nil || string(got) != want {
			t.Errorf("%s is written %q, %v", form, got, err)
		}
	}
}

func TestWhatIsNotItsFormIsAnError(t *testing.T) {
	for _, v := range []*payload.Value{
		payload.New(payload.Args, []byte("[1")), payload.New(payload.Text, []byte("\xff")),
		payload.New(payload.CBOR, []byte{0x80}), payload.New(payload.Arrow, []byte{1}), payload.Of(func() {}),
	} {
		var p packet.MessageProperties
		if got, err := mapping.Payload(&p, v); !errors.Is(err, payload.ErrForm) {
			t.Errorf("%s %q is written %q, %v; want ErrForm", v.Form(), v.Data(), got, err)
		}
		if got, err := mapping.Unlabelled(v); !errors.Is(err, payload.ErrForm) {
			t.Errorf("%s %q is written %q without a label, %v; want ErrForm", v.Form(), v.Data(), got, err)
		}
	}
}

// FuzzPayload: what is written reads as the same arguments, and what was read is
// written as it came.
func FuzzPayload(f *testing.F) {
	f.Add(byte(payload.JSON), []byte(`[{"a":1}]`), "text/plain")
	f.Add(byte(payload.Args), []byte(`[[1],2]`), "")
	f.Add(byte(payload.Text), []byte(`5`), "application/cbor")
	f.Add(byte(payload.Bytes), []byte("\x00\xff"), "x; y")
	f.Fuzz(func(t *testing.T, form byte, data []byte, label string) {
		var came payload.Value
		mapping.SetPayload(&came, label, data)
		kept := packet.MessageProperties{ContentType: label}
		if out, err := mapping.Payload(&kept, &came); err != nil || !bytes.Equal(out, data) || kept.ContentType != label {
			t.Errorf("%q of %q is written %q as %q, %v", label, data, out, kept.ContentType, err)
		}
		v := payload.New(payload.Form(form%7), data) // those without Go, CBOR and Arrow
		if v.Form() == payload.Go {
			return
		}
		var p packet.MessageProperties
		out, err := mapping.Payload(&p, v)
		if err != nil {
			return
		}
		var back payload.Value
		mapping.SetPayload(&back, p.ContentType, out)
		compare(t, v, &back)
		if out, err = mapping.Unlabelled(v); err != nil || v.Kind() == payload.Bytes || v.Form() == payload.Empty {
			return // nothing tells bytes from text there
		}
		mapping.SetPayload(&back, "", out)
		compare(t, v, &back)
	})
}

// compare compares the arguments of two values, as far as the first has any. No
// bytes are no value in MQTT.
func compare(t *testing.T, v, w *payload.Value) {
	t.Helper()
	a, err := v.Args()
	if err != nil || len(v.Data()) == 0 {
		return
	}
	b, err := w.Args()
	if err != nil || len(a) != len(b) {
		t.Fatalf("%s %q: %q came back as %q, %v", v.Form(), v.Data(), a, b, err)
	}
	for i := range a {
		if !utf8.Valid(a[i]) || !json.Valid(a[i]) {
			continue // v is not what it says
		}
		var x, y bytes.Buffer
		if errors.Join(json.Compact(&x, a[i]), json.Compact(&y, b[i])) != nil || x.String() != y.String() {
			t.Fatalf("%s %q: %s came back as %s", v.Form(), v.Data(), a[i], b[i])
		}
	}
}
