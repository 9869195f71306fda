package mycroft_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"os"
	"strings"
	"testing"

	"omnibus/broker"
	"omnibus/bus"
	"omnibus/carrier"
	"omnibus/dialect/mycroft"
	"omnibus/dialect/mycroft/mapping"
	"omnibus/dialect/mycroft/packet"
	"omnibus/payload"
)

// vectors are frames of the original programs, and what their hubs do with them.
type vectors struct {
	Greeting []struct{ Server, Wire string }
	Encode   []struct {
		Name    string
		Message struct {
			Type          string
			Data, Context json.RawMessage
		}
		Mycroft string `json:"mycroft_wire"`
		OVOS    string `json:"ovos_wire"`
	}
	Decode []struct {
		Wire    string
		Message json.RawMessage
		Error   string
	} `json:"decode_mycroft_client"`
	Server []map[string]string `json:"server_behaviour"`
	Derive struct {
		Base  derived
		Cases []struct {
			BaseContext json.RawMessage `json:"base_context"`
			Op          string
			Out         derived
		}
	}
	Collect struct {
		Sequence        []struct{ Wire string }
		Failure, Extend string
	}
	Request []struct {
		Request string
		Reply   string `json:"default_reply_type"`
	} `json:"request_response"`
	Session []struct{ Wire string } `json:"ovos_session"`
	AES     struct {
		Wire string
		Web  string `json:"wire_webcrypto_form"`
	} `json:"ovos_aes_gcm"`
	GUI []struct{ Wire string } `json:"gui_bus"`
}

type derived struct {
	Type          string
	Data, Context json.RawMessage
}

func readVectors(t *testing.T) (v vectors) {
	t.Helper()
	text, err := os.ReadFile("testdata/mycroft_vectors.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &v); err != nil {
		t.Fatal(err)
	}
	return v
}

// compact is a JSON text without white space.
func compact(t testing.TB, text []byte) string {
	t.Helper()
	var buf bytes.Buffer
	if err := json.Compact(&buf, text); err != nil {
		t.Fatal(err)
	}
	return buf.String()
}

func TestTheGreetingIsTheOneOfTheVectors(t *testing.T) {
	found := false
	for _, g := range readVectors(t).Greeting {
		if g.Wire == "" {
			continue // a hub that greets nobody
		}
		m, err := packet.Parse([]byte(g.Wire))
		if err != nil || m.Type != "connected" {
			t.Errorf("%s: %q, %v", g.Server, m.Type, err)
		}
		found = found || g.Wire == greeting
	}
	if !found {
		t.Errorf("no original greets with %s", greeting)
	}
}

// arrival is a message as the rest of the bus gets it.
type arrival struct{ topic, form, data, context string }

func arrivals(t testing.TB, b *bus.Bus) <-chan arrival {
	t.Helper()
	got := make(chan arrival, 100)
	if _, err := b.Attach(pattern(t, "**"), receiver(func(m *bus.Message) {
		a := arrival{topic: strings.Clone(m.Topic), form: m.Payload.Kind().String(), context: string(mapping.Context(m.Headers))}
		if text, err := m.Payload.As(payload.JSON); err == nil {
			a.data = string(text)
		}
		got <- a
	}), bus.AttachOptions{}); err != nil {
		t.Fatal(err)
	}
	return got
}

// TestVectorsIn: frames of both generations are relayed as they are, and mean on
// the bus what they say.
func TestVectorsIn(t *testing.T) {
	v := readVectors(t)
	s := start(t, broker.Options{}, nil)
	heard := arrivals(t, s.bus)
	a, b := s.connect(t), s.connect(t)
	for _, c := range v.Encode {
		for _, frame := range []string{c.Mycroft, c.OVOS} {
			a.send(t, frame)
			a.expect(t, frame)
			b.expect(t, frame)
			got := within(t, heard, "the message")
			context := compact(t, c.Message.Context)
			if context == "{}" {
				context = ""
			}
			if got.topic != c.Message.Type || !sameJSON(t, got.data, string(c.Message.Data)) || context != "" && !sameJSON(t, got.context, context) {
				t.Errorf("%s: the bus got %+v", c.Name, got)
			}
		}
	}
	for _, c := range v.Decode {
		a.send(t, c.Wire)
		a.send(t, `{"type":"mark"}`)
		if got := a.next(t); got == c.Wire {
			if c.Error != "" {
				t.Errorf("%s was relayed", c.Wire)
			}
			a.expect(t, `{"type":"mark"}`)
		} else if c.Error == "" && !bytes.HasPrefix(c.Message, []byte(`"`)) { // NaN is no JSON: see the dialect's page
			t.Errorf("%s was not relayed", c.Wire)
		}
		got := within(t, heard, "a message")
		if got.topic != "mark" {
			var want struct {
				Type any
				Data json.RawMessage
			}
			if err := json.Unmarshal(c.Message, &want); err != nil || want.Type != got.topic || !sameJSON(t, got.data, string(want.Data)) {
				t.Errorf("%s: the bus got %+v, %v", c.Wire, got, err)
			}
			_ = within(t, heard, "the mark")
		}
	}
}

func sameJSON(t testing.TB, a, b string) bool {
	t.Helper()
	var x, y any
	if err := json.Unmarshal([]byte(a), &x); err != nil {
		t.Fatalf("%s: %v", a, err)
	}
	if err := json.Unmarshal([]byte(b), &y); err != nil {
		t.Fatalf("%s: %v", b, err)
	}
	p, _ := json.Marshal(x)
	q, _ := json.Marshal(y)
	return bytes.Equal(p, q)
}

// TestVectorsOut: what comes from the bus is written as OVOS writes it.
func TestVectorsOut(t *testing.T) {
	s := start(t, broker.Options{}, nil)
	c := s.connect(t)
	for _, x := range readVectors(t).Encode {
		m := &bus.Message{Topic: x.Message.Type}
		m.Payload.Set(payload.JSON, []byte(compact(t, x.Message.Data)))
		m.Headers = bus.MakeHeaders(mapping.Headers(json.RawMessage(compact(t, x.Message.Context)))...)
		if _, err := s.bus.Publish(m); err != nil {
			t.Fatal(err)
		}
		c.expect(t, x.OVOS)
	}
}

// TestVectorsOfTheServers plays what the original hubs do on a hub that is set to
// do the same.
func TestVectorsOfTheServers(t *testing.T) {
	for name, original := range map[string]struct {
		configure func(*mycroft.Config)
		keys      []string // the vectors' names of it, the first that is there counts
	}{
		"Mycroft":         {func(c *mycroft.Config) { c.CheckSessions = false }, []string{"mycroft"}},
		"OVOS unfiltered": {func(c *mycroft.Config) { c.CheckSessions, c.RelayAnything = false, true }, []string{"ovos_filter_off", "ovos_0.0.10"}},
		"OVOS filtered":   {func(c *mycroft.Config) { c.CheckSessions, c.Filter = false, true }, []string{"ovos_filter_on_0.0.10", "ovos_filter_on", "ovos_0.0.10"}},
		"OVOS newest":     {func(c *mycroft.Config) { c.RelayAnything, c.Filter = true, true }, []string{"ovos_newest"}},
	} {
		t.Run(name, func(t *testing.T) {
			s := start(t, broker.Options{}, original.configure)
			sender, other := s.connect(t), s.connect(t)
			played := 0
			for _, v := range readVectors(t).Server {
				does := ""
				for _, k := range original.keys {
					if does == "" {
						does = v[k]
					}
				}
				frame, op := []byte(v["in"]), carrier.Text
				if v["in_binary_hex"] != "" {
					op = carrier.Binary
					var err error
					if frame, err = hex.DecodeString(v["in_binary_hex"]); err != nil {
						t.Fatal(err)
					}
				}
				var want []string
				switch {
				case strings.HasPrefix(does, "relay"):
					want = []string{string(frame)}
				case strings.HasPrefix(does, "drop; broadcast"):
					want = []string{v["ovos_newest_out"]}
				case strings.HasPrefix(does, "drop"):
				default:
					continue // it says nothing of this hub, or is about the limit, which has a test of its own
				}
				played++
				if err := sender.ws.Send(op, frame); err != nil {
					t.Fatal(err)
				}
				sender.send(t, `{"type":"mark"}`)
				for _, c := range []*client{sender, other} {
					c.expect(t, append(want, `{"type":"mark"}`)...)
				}
			}
			if played < 3 {
				t.Errorf("the vectors told only %d things of it", played)
			}
		})
	}
}

// TestVectorsOfConversations: frames of every kind pass through untouched, the
// encrypted and the flat ones included.
func TestVectorsOfConversations(t *testing.T) {
	v := readVectors(t)
	all := []string{v.Collect.Failure, v.Collect.Extend, v.AES.Wire, v.AES.Web}
	for _, x := range v.Collect.Sequence {
		all = append(all, x.Wire)
	}
	for _, x := range v.Request {
		all = append(all, x.Request)
	}
	for _, x := range v.Session {
		all = append(all, x.Wire)
	}
	for _, x := range v.GUI {
		all = append(all, x.Wire)
	}
	s := start(t, broker.Options{}, nil)
	a, b := s.connect(t), s.connect(t)
	for _, frame := range all {
		if frame == "" {
			t.Fatal("a vector without a frame")
		}
		a.send(t, frame)
		a.expect(t, frame)
		b.expect(t, frame)
	}
	if len(all) < 15 {
		t.Errorf("%d frames", len(all))
	}
}

// TestVectorsOfAnswers: the hub's own answers to a request have the type and the
// context of the libraries' response().
func TestVectorsOfAnswers(t *testing.T) {
	v := readVectors(t)
	played := 0
	for _, c := range v.Derive.Cases {
		if !strings.HasPrefix(c.Op, "response(") && c.Op != "reply('r')" {
			continue // the hub makes no other
		}
		played++
		s := start(t, broker.Options{}, nil)
		if _, err := s.bus.Register(v.Derive.Base.Type, echoService, nil); err != nil {
			t.Fatal(err)
		}
		context := v.Derive.Base.Context
		if c.BaseContext != nil {
			context = c.BaseContext
		}
		a := s.connect(t)
		request := string(packet.Append(nil, v.Derive.Base.Type, []byte(`{"x":1}`), []byte(compact(t, context))))
		a.send(t, request)
		a.expect(t, request)
		m, err := packet.Parse([]byte(a.next(t)))
		if err != nil || m.Type != v.Derive.Base.Type+".response" || !sameJSON(t, string(m.Context), string(c.Out.Context)) || string(m.Data) != `{"x":1}` {
			t.Errorf("%s: answered %q %s %s, %v", c.Op, m.Type, m.Data, m.Context, err)
		}
	}
	if played < 3 {
		t.Errorf("only %d cases", played)
	}
}
