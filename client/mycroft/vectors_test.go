package mycroft_test

import (
	"bytes"
	"encoding/json"
	"os"
	"strings"
	"testing"

	"omnibus/client/mycroft"
)

// vectors are frames of the original programs and what they mean.
type vectors struct {
	Greeting []struct{ Wire *string }
	Encode   []struct {
		Name        string
		Message     wire
		MycroftWire string `json:"mycroft_wire"`
		OVOSWire    string `json:"ovos_wire"`
	}
	Decode []struct {
		Wire    string
		Message json.RawMessage
		Error   string
		OVOS    string
	} `json:"decode_mycroft_client"`
	Server []struct{ In string } `json:"server_behaviour"`
	Derive struct {
		Base  wire
		Cases []struct {
			BaseContext json.RawMessage `json:"base_context"`
			Op          string
			Out         wire
		}
	}
	Collect struct {
		Sequence        []struct{ Wire string }
		Failure, Extend string
	}
	RequestResponse []struct {
		Request string
		Default string `json:"default_reply_type"`
	} `json:"request_response"`
	Session []struct{ Wire string } `json:"ovos_session"`
	AES     struct {
		Key       string `json:"key_utf8"`
		Nonce     string `json:"nonce_hex"`
		Plain     string `json:"plaintext"`
		Wire      string
		WebCrypto string `json:"wire_webcrypto_form"`
	} `json:"ovos_aes_gcm"`
	GUI []struct {
		On, Wire string
		Core     string `json:"core_bus_out"`
	} `json:"gui_bus"`
	Backoff []float64 `json:"reconnect_backoff_s"`
}

// wire is a message in the vectors.
type wire struct {
	Type          any
	Data, Context json.RawMessage
}

func readVectors(t *testing.T) (v vectors) {
	t.Helper()
	data, err := os.ReadFile("testdata/mycroft_vectors.json")
	noError(t, err)
	noError(t, json.Unmarshal(data, &v))
	return v
}

// canonical is a JSON text without white space and with sorted keys.
func canonical(t testing.TB, text []byte) string {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	var x any
	if err := d.Decode(&x); err != nil {
		t.Fatalf("%.200q: %v", text, err)
	}
	out, err := json.Marshal(x)
	noError(t, err)
	return string(out)
}

func sameJSON(t testing.TB, what string, got, want []byte) {
	t.Helper()
	same(t, what, canonical(t, got), canonical(t, want))
}

func compact(t testing.TB, text string) string {
	t.Helper()
	var buf bytes.Buffer
	noError(t, json.Compact(&buf, []byte(text)))
	return buf.String()
}

func TestGreetingsOfAllHubsAreRead(t *testing.T) {
	n := 0
	for _, g := range readVectors(t).Greeting {
		if g.Wire == nil {
			continue // a hub without one; clients do not wait for it
		}
		n++
		m, err := mycroft.ParseMessage([]byte(*g.Wire))
		noError(t, err)
		same(t, "type", m.Type, "connected")
		same(t, "frame", frame(t, m), compact(t, *g.Wire))
	}
	if n == 0 {
		t.Error("there are no greetings")
	}
}

func TestFramesOfBothGenerationsAreReadAndWritten(t *testing.T) {
	for _, x := range readVectors(t).Encode {
		for _, text := range []string{x.MycroftWire, x.OVOSWire} {
			m, err := mycroft.ParseMessage([]byte(text))
			noError(t, err)
			same(t, x.Name, m.Type, x.Message.Type.(string))
			sameJSON(t, x.Name, m.Data, x.Message.Data)
			sameJSON(t, x.Name, m.Context, x.Message.Context)
		}
		out := mycroft.NewMessage(x.Message.Type.(string), x.Message.Data)
		out.Context = x.Message.Context
		out.Context = json.RawMessage(compact(t, string(out.Context)))
		same(t, x.Name, frame(t, out), x.OVOSWire)
		var data map[string]any
		noError(t, out.Decode(&data))
		sameJSON(t, x.Name+" from Go values", []byte(frame(t, mycroft.NewMessage(out.Type, data))),
			[]byte(strings.Replace(x.OVOSWire, string(out.Context)+"}", "{}}", 1)))
	}
}

func TestFramesAreReadAsTheOriginalsDo(t *testing.T) {
	for _, x := range readVectors(t).Decode {
		m, err := mycroft.ParseMessage([]byte(x.Wire))
		if x.Error != "" || strings.Contains(x.OVOS, "error") {
			mentions(t, err, "not")
			continue
		}
		noError(t, err)
		var want struct {
			Type          any
			Data, Context json.RawMessage
		}
		noError(t, json.Unmarshal(x.Message, &want))
		msgType, _ := want.Type.(string) // one that is no text is none here
		same(t, x.Wire, m.Type, msgType)
		for what, pair := range map[string][2]json.RawMessage{"data": {m.Data, want.Data}, "context": {m.Context, want.Context}} {
			got := pair[0]
			if got == nil && m.Fields != nil { // a flat frame has none
				got = json.RawMessage("{}")
			}
			sameJSON(t, x.Wire+": "+what, got, pair[1])
		}
	}
}

func TestMessagesAreDerivedAsTheOriginalsDo(t *testing.T) {
	v := readVectors(t).Derive
	object := func(text string) json.RawMessage { return json.RawMessage(text) }
	derive := map[string]func(m *mycroft.Message) *mycroft.Message{
		"forward('f',{y:2})": func(m *mycroft.Message) *mycroft.Message { return m.Forward("f", map[string]int{"y": 2}) },
		"reply('r',{x:1})":   func(m *mycroft.Message) *mycroft.Message { return m.Reply("r", map[string]int{"x": 1}, nil) },
		"response({x:1})":    func(m *mycroft.Message) *mycroft.Message { return m.Response(object(`{"x":1}`)) },
		"reply('r',{destination:'mars'})": func(m *mycroft.Message) *mycroft.Message {
			return m.Reply("r", map[string]string{"destination": "mars"}, nil)
		},
		"reply('r',{}, context={destination:'mars',extra:1})": func(m *mycroft.Message) *mycroft.Message {
			return m.Reply("r", nil, map[string]any{"destination": "mars", "extra": 1})
		},
		"reply('r')": func(m *mycroft.Message) *mycroft.Message { return m.Reply("r", nil, nil) },
		"publish('p',{y:2},{z:3})": func(m *mycroft.Message) *mycroft.Message {
			return m.Publish("p", map[string]int{"y": 2}, map[string]int{"z": 3})
		},
	}
	for _, x := range v.Cases {
		base := mycroft.NewMessage(v.Base.Type.(string), v.Base.Data)
		base.Context = v.Base.Context
		if x.BaseContext != nil {
			base.Context = x.BaseContext
		}
		before := frame(t, base)
		fn := derive[x.Op]
		if fn == nil {
			t.Fatalf("this test does not know %s", x.Op)
		}
		out := fn(base)
		same(t, x.Op, out.Type, x.Out.Type.(string))
		sameJSON(t, x.Op+": data", out.Data, x.Out.Data)
		sameJSON(t, x.Op+": context", out.Context, x.Out.Context)
		same(t, "the original message", frame(t, base), before)
	}
}

// TestFramesSurviveTheClient reads and writes again all the other frames of the
// vectors: nothing in them is lost, flat ones included.
func TestFramesSurviveTheClient(t *testing.T) {
	v := readVectors(t)
	var all []string
	for _, x := range v.Collect.Sequence {
		all = append(all, x.Wire)
	}
	all = append(all, v.Collect.Failure, v.Collect.Extend)
	for _, x := range v.RequestResponse {
		all = append(all, x.Request)
	}
	for _, x := range v.Session {
		all = append(all, x.Wire)
	}
	for _, x := range v.GUI {
		all = append(all, x.Wire)
		if x.Core != "" {
			all = append(all, x.Core)
		}
	}
	for _, text := range all {
		m, err := mycroft.ParseMessage([]byte(text))
		noError(t, err)
		same(t, text, compact(t, frame(t, m)), compact(t, text))
		again, err := json.Marshal(m)
		noError(t, err)
		sameJSON(t, text, again, []byte(text))
	}
	if len(all) < 15 {
		t.Errorf("there are only %d frames", len(all))
	}
	for _, x := range v.Server {
		if x.In == "" || x.In[0] != '{' || strings.Contains(x.In, "limit") {
			continue
		}
		m, err := mycroft.ParseMessage([]byte(x.In))
		noError(t, err)
		if m.Fields != nil {
			same(t, x.In, compact(t, frame(t, m)), compact(t, x.In))
		}
	}
}

func TestFlatFramesAreWritten(t *testing.T) {
	for _, x := range readVectors(t).GUI {
		m, err := mycroft.ParseMessage([]byte(x.Wire))
		noError(t, err)
		if m.Fields == nil {
			continue // of the core bus
		}
		var fields map[string]any
		noError(t, json.Unmarshal([]byte(x.Wire), &fields))
		delete(fields, "type")
		sameJSON(t, x.On, []byte(frame(t, mycroft.NewFlat(m.Type, fields))), []byte(x.Wire))
	}
	m := mycroft.NewFlat("mycroft.events.triggered", map[string]any{"namespace": "weather", "event_name": "refresh"})
	same(t, "frame", frame(t, m), `{"type":"mycroft.events.triggered","event_name":"refresh","namespace":"weather"}`)
	same(t, "without fields", frame(t, mycroft.NewFlat("x", nil)), `{"type":"x"}`)
	var fields struct{ Namespace string }
	noError(t, m.DecodeFields(&fields))
	same(t, "field", fields.Namespace, "weather")
}
