package packet_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"omnibus/dialect/mycroft/packet"
)

// vectors are frames of the original programs, and what they mean.
type vectors struct {
	Greeting []string
	Encode   []struct {
		Name, Type    string
		Data, Context json.RawMessage
		Mycroft, OVOS string // the frames of both generations
	}
	Decode []struct {
		Frame, Type   string
		Data, Context json.RawMessage
		Error         string
	}
	Response []struct{ Context, Want json.RawMessage }
}

func readVectors(t *testing.T) (v vectors) {
	t.Helper()
	data, err := os.ReadFile("testdata/vectors.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, &v); err != nil {
		t.Fatal(err)
	}
	return v
}

// same reports whether two JSON texts mean the same.
func same(t testing.TB, a, b []byte) bool {
	t.Helper()
	return bytes.Equal(canonical(t, a), canonical(t, b))
}

func canonical(t testing.TB, text []byte) []byte {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	var x any
	if err := d.Decode(&x); err != nil {
		t.Fatalf("%.200q: %v", text, err)
	}
	out, err := json.Marshal(x)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func compact(t testing.TB, text []byte) []byte {
	t.Helper()
	var buf bytes.Buffer
	if err := json.Compact(&buf, text); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

func TestGreetingsAreMessages(t *testing.T) {
	all := readVectors(t).Greeting
	for _, frame := range all {
		if m, err := packet.Parse([]byte(frame)); err != nil || m.Type != "connected" {
			t.Errorf("%s: type %q, %v", frame, m.Type, err)
		}
	}
	if len(all) == 0 {
		t.Error("no greetings")
	}
}

func TestFramesOfBothGenerations(t *testing.T) {
	all := readVectors(t).Encode
	for _, c := range all {
		for _, frame := range []string{c.Mycroft, c.OVOS} {
			m, err := packet.Parse([]byte(frame))
			if err != nil || m.Type != c.Type || !same(t, m.Data, c.Data) || !same(t, m.Context, c.Context) {
				t.Errorf("%s: %s\n%q %s %s, %v", c.Name, frame, m.Type, m.Data, m.Context, err)
			}
		}
		got := packet.Append([]byte("before "), c.Type, compact(t, c.Data), compact(t, c.Context))
		if string(got) != "before "+c.OVOS {
			t.Errorf("%s is written as\n%s\nwant\n%s", c.Name, got, c.OVOS)
		}
	}
	if len(all) == 0 {
		t.Error("no frames")
	}
}

func TestDecoding(t *testing.T) {
	reasons := map[string]error{"not an object": packet.ErrNotObject, "not JSON": packet.ErrSyntax}
	all := readVectors(t).Decode
	for _, c := range all {
		m, err := packet.Parse([]byte(c.Frame))
		if c.Error != "" {
			if reasons[c.Error] == nil || !errors.Is(err, reasons[c.Error]) {
				t.Errorf("%s: %v, want it to be %s", c.Frame, err, c.Error)
			}
			continue
		}
		if err != nil || m.Type != c.Type || !same(t, m.Data, c.Data) || !same(t, m.Context, c.Context) {
			t.Errorf("%s: %q %s %s, %v", c.Frame, m.Type, m.Data, m.Context, err)
		}
	}
	if len(all) == 0 {
		t.Error("no frames")
	}
}

func TestWhatASenderMayWrite(t *testing.T) {
	for frame, want := range map[string]packet.Message{
		" {\t\"type\" : \"a\" ,\r\n\"data\":  {\"x\":[1, 2]}\n,\"context\"\t:{\"k\":\"v\"} } ": {Type: "a", Data: raw(`{"x":[1, 2]}`), Context: raw(`{"k":"v"}`)},
		`{"context":{"type":"c"},"data":{"type":"b"},"type":"a"}`:                              {Type: "a", Data: raw(`{"type":"b"}`), Context: raw(`{"type":"c"}`)},
		`{"TYPE":"x","Type":"y","Data":1}`:                                                     {Data: raw("{}"), Context: raw("{}")},
		`{"type":"\u0061\u00e9\ud83d\ude00\"\\\/\n"}`:                                          {Type: "aé😀\"\\/\n", Data: raw("{}"), Context: raw("{}")},
		`{"t\u0079pe":"a"}`: {Type: "a", Data: raw("{}"), Context: raw("{}")},
		`{"type":"a","data":{"s":"}],{\"\\"},"context":{"s":"[\\\\"}}`: {Type: "a", Data: raw(`{"s":"}],{\"\\"}`), Context: raw(`{"s":"[\\\\"}`)},
		`{"type":"a","data":-12.5e+3,"context":true}`:                  {Type: "a", Data: raw("-12.5e+3"), Context: raw("true")},
		`{"type":"a","data":12}`:                                       {Type: "a", Data: raw("12"), Context: raw("{}")},
		`{"type":"","data":{},"context":{}}`:                           {Data: raw("{}"), Context: raw("{}")},
		`{"data":{"a":1},"data":null}`:                                 {Data: raw("{}"), Context: raw("{}")},
		`{"type":"a","type":null}`:                                     {Data: raw("{}"), Context: raw("{}")},
		`{"data":[ ],"context":[ [] ]}`:                                {Data: raw("{}"), Context: raw("[ [] ]")},
		`{"data":"","context":" "}`:                                    {Data: raw("{}"), Context: raw(`" "`)},
		`{"data":false,"context":0.0}`:                                 {Data: raw("{}"), Context: raw("{}")},
		`{"data":0e5,"context":-0.00E-7}`:                              {Data: raw("{}"), Context: raw("{}")},
		`{"data":{ },"context":0.1}`:                                   {Data: raw("{ }"), Context: raw("0.1")},
		`{"":1," type":2,"type ":3}`:                                   {Data: raw("{}"), Context: raw("{}")},
	} {
		got, err := packet.Parse([]byte(frame))
		if err != nil || got.Type != want.Type || string(got.Data) != string(want.Data) || string(got.Context) != string(want.Context) {
			t.Errorf("%s\nis %q %s %s, %v\nwant %q %s %s", frame, got.Type, got.Data, got.Context, err, want.Type, want.Data, want.Context)
		}
	}
}

func raw(text string) json.RawMessage { return json.RawMessage(text) }

func TestWhatIsNoMessage(t *testing.T) {
	for _, frame := range []string{
		"", " ", "{", "}", "{}}", "{} {}", `{"type"}`, `{"type":}`, `{"type":"a"`, `{"type":"a",}`, `{'type':'a'}`,
		`{"type":"a}`, `{"type":NaN}`, `{"data":Infinity}`, `{"data":01}`, "{\"type\":\"a\nb\"}", "\xef\xbb\xbf{}", "\x00",
		`{"a":1 "b":2}`, `{"\x":1}`, "nul", "{\"a\":\"\\ud800", strings.Repeat("[", 20_000),
		"{\"type\":\"\xff\"}", "{\"\xc3\x28\":1}", "{\"data\":\"\xed\xa0\x80\"}",
	} {
		if m, err := packet.Parse([]byte(frame)); !errors.Is(err, packet.ErrSyntax) {
			t.Errorf("%.40q: %+v, %v; want it not to be JSON", frame, m, err)
		}
	}
	for _, frame := range []string{"null", "true", "1", `"{}"`, "[]", "[{}]", " [1] "} {
		if m, err := packet.Parse([]byte(frame)); !errors.Is(err, packet.ErrNotObject) {
			t.Errorf("%q: %+v, %v; want it not to be an object", frame, m, err)
		}
	}
}

func TestMembers(t *testing.T) {
	for text, want := range map[string][]string{
		`{}`:    nil,
		``:      nil,
		`null`:  nil,
		`[1,2]`: nil,
		`"a"`:   nil,
		`5`:     nil,
		` { "a" : 1 , "b\u0031":"x","a":{"c":[2]} } `: {"a 1", "b1 \"x\"", `a {"c":[2]}`},
	} {
		var got []string
		for key, value := range packet.Members(raw(text)) {
			got = append(got, key+" "+string(value))
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s has %q, want %q", text, got, want)
		}
	}
	n := 0
	for range packet.Members(raw(`{"a":1,"b":2,"c":3}`)) {
		if n++; n == 2 {
			break
		}
	}
	if n != 2 {
		t.Errorf("broke off after %d", n)
	}
}

func TestOnlyMember(t *testing.T) {
	for text, want := range map[string]string{
		`{"a":1}`: "a 1", ` { "value" : [1, 2] } `: "value [1, 2]", `{"\u0061":{}}`: "a {}",
		`{}`: "", `{"a":1,"b":2}`: "", `{"a":1,"a":1}`: "", `[1]`: "", `"a"`: "", ``: "", `null`: "",
	} {
		key, value, ok := packet.OnlyMember(raw(text))
		got := ""
		if ok {
			got = key + " " + string(value)
		}
		if got != want {
			t.Errorf("%s: %q, want %q", text, got, want)
		}
	}
}

func TestText(t *testing.T) {
	for text, want := range map[string]string{
		`"a"`: "a", `"\u00e9\n\"x"`: "é\n\"x", `""`: "", `1.50`: "1.50", `{"a": 1}`: `{"a": 1}`, `null`: "null", `[]`: "[]", ``: "",
	} {
		if got := packet.Text(raw(text)); got != want {
			t.Errorf("%s: %q, want %q", text, got, want)
		}
	}
}

func TestResponse(t *testing.T) {
	all := readVectors(t).Response
	for _, c := range all {
		if got := packet.Response(c.Context); !same(t, got, c.Want) {
			t.Errorf("%s is answered with %s, want %s", c.Context, got, c.Want)
		}
	}
	if len(all) == 0 {
		t.Error("no answers")
	}
	for context, want := range map[string]string{
		`{}`:                              `{}`,
		`null`:                            `{}`,
		`[1]`:                             `{}`,
		`"text"`:                          `{}`,
		``:                                `{}`,
		`{"source":null,"destination":1}`: `{"source":1,"destination":null}`,
		`{"a":1,"s\u006furce":"x" , "b":2,"destination":{"c":[3]}}`:        `{"a":1,"s\u006furce":{"c":[3]},"b":2,"destination":"x"}`,
		`{"source":1,"source":2,"destination":3}`:                          `{"source":3,"source":3,"destination":2}`,
		`{"n":9007199254740993,"s":"</x>"}`:                                `{"n":9007199254740993,"s":"</x>"}`,
		`{"n":9007199254740993,"s":"</x>","source":"a","destination":"b"}`: `{"n":9007199254740993,"s":"</x>","source":"b","destination":"a"}`,
	} {
		if got := packet.Response(raw(context)); string(got) != want {
			t.Errorf("%s is answered with %s, want %s", context, got, want)
		}
	}
}

func TestStringsAreWrittenAsTheyAre(t *testing.T) {
	for _, s := range []string{
		"", "plain", `"quoted" \back`, "line\nfeed\ttab\x00\x1f\x7f", "é ☃ 😀", "</x>&", "\u2028\u2029", "\ufffd", strings.Repeat("x", 5000),
	} {
		got := packet.AppendString([]byte("before"), s)
		var back string
		if err := json.Unmarshal(bytes.TrimPrefix(got, []byte("before")), &back); err != nil || back != s {
			t.Errorf("%q is written as %s, which is %q, %v", s, got, back, err)
		}
	}
	if got := packet.AppendString(nil, "</x>&é😀"); string(got) != `"</x>&é😀"` {
		t.Errorf("written as %s", got)
	}
	if got := packet.AppendString(nil, "a\xffb"); !utf8.Valid(got) || !json.Valid(got) {
		t.Errorf("what is not UTF-8 is written as %q", got)
	}
}

func TestEmptyTextsAreEmptyObjects(t *testing.T) {
	const want = `{"type":"a","data":{},"context":{}}`
	if got := packet.Append(nil, "a", nil, []byte{}); string(got) != want {
		t.Errorf("%s, want %s", got, want)
	}
}

func TestTextsOfAValue(t *testing.T) {
	for value, want := range map[string][]string{
		`"a"`:                                  {"a"},
		` "caf\u00e9" `:                        {"café"},
		`["a", "b,]\"" ,"c"]`:                  {"a", `b,]"`, "c"},
		`["a",1,{"x":["no"]},["no"],null,"b"]`: {"a", "b"},
		`[ ]`:                                  nil,
		`[[]]`:                                 nil,
		`{"a":"b"}`:                            nil,
		`5`:                                    nil,
		`null`:                                 nil,
		``:                                     nil,
	} {
		if got := packet.Texts(json.RawMessage(value)); !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", value, got, want)
		}
	}
}
