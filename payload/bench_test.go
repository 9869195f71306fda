package payload_test

import (
	"strings"
	"testing"

	"omnibus/payload"
)

func BenchmarkAs(b *testing.B) {
	object := []byte(`{"sensor":"kitchen","values":[21.5,22,22.25],"unit":"C","` + strings.Repeat("n", 64) + `":1}`)
	for _, bb := range []struct {
		name     string
		from, to payload.Form
		data     []byte
	}{
		{"same", jsn, jsn, object},
		{"raw-to-json", raw, jsn, object},
		{"json-to-args", jsn, args, object},
		{"args-to-json", args, jsn, []byte(`[` + string(object) + `]`)},
		{"text-to-json", text, jsn, []byte(strings.Repeat("plain text ", 12))},
		{"text-to-json-escaped", text, jsn, []byte(strings.Repeat("grün \"x\" ", 12))},
		{"bytes-to-json", bin, jsn, object},
	} {
		b.Run(bb.name, func(b *testing.B) {
			b.ReportAllocs()
			var v payload.Value
			for b.Loop() {
				v.Set(bb.from, bb.data)
				if _, err := v.As(bb.to); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
