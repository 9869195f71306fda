package packet_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"strings"
	"testing"
	"unicode/utf8"

	"omnibus/dialect/mycroft/packet"
)

// oracle is Parse by means of encoding/json.
func oracle(frame []byte) (fields map[string]json.RawMessage, ok bool) {
	if !utf8.Valid(frame) {
		return nil, false
	}
	err := json.Unmarshal(frame, &fields)
	return fields, err == nil && fields != nil
}

// agree checks Parse against the oracle and what Append makes of it.
func agree(t *testing.T, frame []byte) {
	t.Helper()
	before := bytes.Clone(frame)
	m, err := packet.Parse(frame)
	if !bytes.Equal(frame, before) {
		t.Fatalf("Parse changed %q to %q", before, frame)
	}
	fields, ok := oracle(frame)
	if ok != (err == nil) {
		t.Fatalf("%.200q: %v, encoding/json says it is an object: %v", frame, err, ok)
	}
	if err != nil {
		if !errors.Is(err, packet.ErrSyntax) && !errors.Is(err, packet.ErrNotObject) {
			t.Fatalf("%.200q: %v is none of the reasons", frame, err)
		}
		return
	}
	var typ string
	if json.Unmarshal(fields["type"], &typ) != nil {
		typ = ""
	}
	if m.Type != typ {
		t.Fatalf("%.200q: type %q, want %q", frame, m.Type, typ)
	}
	for key, got := range map[string]json.RawMessage{"data": m.Data, "context": m.Context} {
		want := fields[key]
		if falsy(want) {
			want = raw("{}")
		}
		if !bytes.Equal(got, want) {
			t.Fatalf("%.200q: %s is %s, want %s", frame, key, got, want)
		}
	}
	back, err := packet.Parse(packet.Append(nil, m.Type, m.Data, m.Context))
	if err != nil || back.Type != m.Type || !bytes.Equal(back.Data, m.Data) || !bytes.Equal(back.Context, m.Context) {
		t.Fatalf("%.200q is %+v, written and read again %+v, %v", frame, m, back, err)
	}
	collected := maps.Collect(packet.Members(frame))
	if !maps.EqualFunc(collected, fields, func(a, b json.RawMessage) bool { return bytes.Equal(a, b) }) {
		t.Fatalf("%.200q has members %s, want %s", frame, collected, fields)
	}
}

// falsy is what Python takes for false.
func falsy(text json.RawMessage) bool {
	var x any
	if len(text) == 0 {
		return true
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	if d.Decode(&x) != nil {
		return true
	}
	switch v := x.(type) {
	case nil:
		return true
	case bool:
		return !v
	case string:
		return v == ""
	case []any:
		return len(v) == 0
	case json.Number:
		return !strings.ContainsAny(strings.FieldsFunc(string(v), func(r rune) bool { return r == 'e' || r == 'E' })[0], "123456789")
	default:
		return false // an empty object is one either way
	}
}

// words are what random frames are made of, those that matter more often.
var words = []string{
	`"type"`, `"data"`, `"context"`, `"type"`, `"data"`, `"context"`, `"t\u0079pe"`, `"Type"`, `"a"`, `"\u00e9\ud83d\ude00"`, `"\\\""`,
	`"]}"`, `"é"`, `""`, "0", "-0.0", "0e1", "1.5e-3", "-12", "true", "false", "null", "{}", "[]", `[ 1,"[" ]`, `{ "x" : {} }`,
}

// object writes a random object that may have anything in it.
func object(r *rand.Rand, depth int) string {
	var b strings.Builder
	space := func() { b.WriteString([]string{"", "", " ", "\n", "\t \r"}[r.IntN(5)]) }
	space()
	b.WriteString("{")
	for i := range r.IntN(5) {
		if i > 0 {
			b.WriteString(",")
		}
		space()
		for {
			if w := words[r.IntN(len(words))]; w[0] == '"' {
				b.WriteString(w)
				break
			}
		}
		space()
		b.WriteString(":")
		space()
		if depth > 0 && r.IntN(3) == 0 {
			b.WriteString(object(r, depth-1))
		} else {
			b.WriteString(words[r.IntN(len(words))])
		}
		space()
	}
	space()
	b.WriteString("}")
	space()
	return b.String()
}

const noise = "{}[]\",:\\ x0\xff"

func TestParseAgreesWithEncodingJSON(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 20_000 {
		frame := []byte(object(r, 3))
		if _, ok := oracle(frame); !ok {
			t.Fatalf("the test's frame %q is none", frame)
		}
		agree(t, frame)
		if at := r.IntN(len(frame)); r.IntN(2) == 0 { // most of these are broken
			frame[at] = noise[r.IntN(len(noise))]
		} else {
			frame = frame[:at]
		}
		agree(t, frame)
	}
}

func FuzzParse(f *testing.F) {
	for _, w := range words {
		f.Add([]byte(`{"type":"a","data":` + w + `,"context":{"k":` + w + `}}`))
	}
	f.Add([]byte(` {"t\u0079pe" : "a\ud800" , "data":[[[]]] } `))
	f.Add([]byte("{\"type\":\"\xff\"}"))
	f.Fuzz(agree)
}

func FuzzResponse(f *testing.F) {
	f.Add([]byte(`{"source":"a","destination":["b"],"k":1}`))
	f.Add([]byte(`{"s\u006furce":"a","destination":null,"source":{}}`))
	f.Fuzz(func(t *testing.T, context []byte) {
		before, ok := oracle(context)
		if !ok {
			return // contexts have been through Parse
		}
		got, ok := oracle(packet.Response(context))
		if !ok {
			t.Fatalf("%q is answered with %q", context, packet.Response(context))
		}
		if from, to := before["source"], before["destination"]; from != nil && to != nil {
			before["source"], before["destination"] = to, from
		}
		if !maps.EqualFunc(got, before, func(a, b json.RawMessage) bool { return bytes.Equal(a, b) }) {
			t.Fatalf("%q is answered with %s", context, packet.Response(context))
		}
	})
}

const plainFrame = `{"type":"recognizer_loop:utterance","data":{"utterances":["what time is it"],"lang":"en-us"},"context":{"source":"cli","destination":["skills"]}}`

// scannerAllocations is how many allocations of encoding/json's own may come on
// top of ours.
var scannerAllocations = 0.0

func TestParseAllocatesOnlyTheType(t *testing.T) {
	frame := []byte(plainFrame)
	if n := testing.AllocsPerRun(100, func() {
		if _, err := packet.Parse(frame); err != nil {
			t.Error(err)
		}
	}); n > 1+scannerAllocations {
		t.Errorf("%v allocations, want at most 1", n)
	}
	buf := make([]byte, 0, 1024)
	m, _ := packet.Parse(frame)
	if n := testing.AllocsPerRun(100, func() { buf = packet.Append(buf[:0], m.Type, m.Data, m.Context) }); n > 0 {
		t.Errorf("Append into a buffer with room: %v allocations, want none", n)
	}
}

// sized is a plain frame with about n bytes of data.
func sized(n int) []byte {
	return fmt.Appendf(nil, `{"type":"speak","data":{"utterance":%q,"expect_response":false},"context":{"source":"a","destination":"b"}}`, strings.Repeat("word ", n/5))
}

func BenchmarkParse(b *testing.B) {
	for _, n := range []int{0, 64, 1 << 10, 64 << 10} {
		b.Run(fmt.Sprint(n, "B"), func(b *testing.B) {
			frame := sized(n)
			b.SetBytes(int64(len(frame)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := packet.Parse(frame); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkAppend(b *testing.B) {
	for name, typ := range map[string]string{"plain": "speak", "escaped": "grüße"} {
		b.Run(name, func(b *testing.B) {
			m, err := packet.Parse(sized(64))
			if err != nil {
				b.Fatal(err)
			}
			buf := make([]byte, 0, 1024)
			b.ReportAllocs()
			for b.Loop() {
				buf = packet.Append(buf[:0], typ, m.Data, m.Context)
			}
		})
	}
}

func BenchmarkResponse(b *testing.B) {
	context := json.RawMessage(`{"source":"cli","destination":["skills"],"session":{"session_id":"default"}}`)
	b.ReportAllocs()
	for b.Loop() {
		packet.Response(context)
	}
}
