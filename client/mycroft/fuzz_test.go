package mycroft_test

import (
	"testing"

	"omnibus/client/mycroft"
)

// FuzzMessages holds that what can be read can be derived from and written, and
// reads the same again.
func FuzzMessages(f *testing.F) {
	for _, s := range []string{
		`{"type":"speak","data":{"utterance":"hi"},"context":{"source":"a","destination":["b"]}}`,
		`{"type":"mycroft.session.set","namespace":"weather","data":[1,{"a":null}],"data":0}`,
		`{"type":"a","type":"b","x":{},"x":1}`, `{"type":5,"data":[1],"context":"s"}`, `{ "t\u0079pe" : "\ud800" }`, `[]`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		m, err := mycroft.ParseMessage(text)
		if err != nil {
			return
		}
		for _, d := range []*mycroft.Message{m.Response(nil), m.Forward("f", nil), m.Publish("p", nil, nil), m.WithContext("k", 1)} {
			if d.Type == "" || d.Data == nil && d.Fields == nil {
				continue
			}
			if out, err := d.AppendTo(nil); err == nil {
				if _, err := mycroft.ParseMessage(out); err != nil {
					t.Fatalf("%s became %s: %v", text, out, err)
				}
			}
		}
		out, err := m.AppendTo(nil)
		if err != nil {
			return // no type, or data that is no object
		}
		again, err := mycroft.ParseMessage(out)
		if err != nil {
			t.Fatalf("%s became %s: %v", text, out, err)
		}
		if got := frame(t, again); got != string(out) || again.Type != m.Type {
			t.Fatalf("%s became %s, then %s", text, out, got)
		}
	})
}
