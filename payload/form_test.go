package payload_test

import (
	"strings"
	"testing"

	"omnibus/payload"
)

func TestFormNamesAreParsedBack(t *testing.T) {
	seen := map[string]bool{}
	for f := range allForms {
		name := f.String()
		if got, ok := payload.ParseForm(name); !ok || got != f || seen[name] || name == "" {
			t.Errorf("form %d: name %q is parsed as %d, %v", f, name, got, ok)
		}
		seen[name] = true
	}
	if got := allForms.String(); got != "unknown" {
		t.Errorf("a form that does not exist is %q", got)
	}
	for _, name := range []string{"", "unknown", "JSON"} {
		if got, ok := payload.ParseForm(name); ok || got != empty {
			t.Errorf("ParseForm(%q) = %s, %v", name, got, ok)
		}
	}
}

func TestUnlabelledBytesAreJSONElseTextElseBytes(t *testing.T) {
	tests := []struct {
		data        string
		sniff, kind payload.Form // kind: a top-level array is arguments
	}{
		{"", empty, empty},
		{"0", jsn, jsn},
		{" 21.5\n", jsn, jsn},
		{"-1e5", jsn, jsn},
		{"true", jsn, jsn},
		{"null", jsn, jsn},
		{`"x"`, jsn, jsn},
		{`{"a":[1]}`, jsn, jsn},
		{`[]`, jsn, args},
		{`[1,2]`, jsn, args},
		{"\t\r\n [1,2]", jsn, args},
		{`[1,2`, text, text},
		{`[1,2] x`, text, text},
		{`1 2`, text, text},
		{`01`, text, text},
		{`NaN`, text, text},
		{`True`, text, text},
		{`'x'`, text, text},
		{" ", text, text},
		{"\x00", text, text},
		{"grün", text, text},
		{"\ufeff{}", text, text},
		{"\xff", bin, bin},
		{"a\xc3", bin, bin},
		{"\"\xff\"", bin, bin}, // looks like JSON, but JSON is UTF-8
		{"[\"\xff\"]", bin, bin},
		{"\xed\xa0\x80", bin, bin}, // a surrogate
		{strings.Repeat("[", 20000) + strings.Repeat("]", 20000), text, text},
	}
	for _, tt := range tests {
		name := tt.data[:min(len(tt.data), 20)]
		if got := payload.Sniff([]byte(tt.data)); got != tt.sniff {
			t.Errorf("Sniff(%q) = %s, want %s", name, got, tt.sniff)
		}
		v := payload.New(raw, []byte(tt.data))
		for range 2 { // the second time from memory
			if got := v.Kind(); got != tt.kind {
				t.Errorf("Kind of raw %q = %s, want %s", name, got, tt.kind)
			}
		}
		if got := v.Keep().Kind(); got != tt.kind {
			t.Errorf("Kind of a copy of raw %q = %s, want %s", name, got, tt.kind)
		}
	}
}

func TestKindIsTheFormForLabelledBytes(t *testing.T) {
	for _, f := range []payload.Form{empty, jsn, args, text, bin, cbor, arrow} {
		if got := payload.New(f, []byte(`[1]`)).Kind(); got != f {
			t.Errorf("Kind of %s = %s", f, got)
		}
	}
}
