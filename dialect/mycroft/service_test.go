package mycroft_test

import (
	"context"
	"fmt"
	"regexp"
	"strings"
	"testing"

	"omnibus/broker"
	"omnibus/bus"
	"omnibus/dialect/mycroft"
	"omnibus/payload"
)

func skills(names ...string) func(*mycroft.Config) {
	return func(c *mycroft.Config) { c.Services = names }
}

var callID = regexp.MustCompile(`"omnibus_call":"([A-Z0-9]+)"`)

// request waits for the request of a call and returns its id.
func (c *client) request(t testing.TB, beginning string) (id string) {
	t.Helper()
	frame := c.next(t)
	m := callID.FindStringSubmatch(frame)
	if m == nil || !strings.HasPrefix(frame, beginning) {
		t.Fatalf("received %s, want a request that begins with %s", frame, beginning)
	}
	return m[1]
}

type answer struct {
	value string
	err   error
}

// call calls a skill from the bus.
func (s *server) call(ctx context.Context, name string, args ...any) <-chan answer {
	done := make(chan answer, 1)
	go func() {
		r := &bus.Request{Service: name}
		r.Args.SetGoArgs(args...)
		v, err := s.bus.Call(ctx, r)
		a := answer{err: err}
		if err == nil {
			var data []byte
			data, a.err = v.As(payload.JSON)
			a.value = v.Kind().String() + " " + string(data)
		}
		done <- a
	}()
	return done
}

func expectAnswer(t testing.TB, ch <-chan answer, want string) {
	t.Helper()
	a := within(t, ch, "the answer")
	if a.err != nil || a.value != want {
		t.Errorf("answered %q, %v; want %q", a.value, a.err, want)
	}
}

func TestASkillAnswersByTheCallsID(t *testing.T) {
	s := start(t, broker.Options{}, skills("add"))
	c := s.connect(t)
	done := s.call(t.Context(), "add", 1, 2)
	id := c.request(t, `{"type":"add","data":{"args":[1,2]},"context":{`)
	for _, other := range []string{
		`{"type":"add.response","data":{"value":0},"context":{"omnibus_call":"another"}}`,
		`{"type":"sub.response","data":{"value":0},"context":{"omnibus_call":"` + id + `"}}`,
		`{"type":"add","data":{"value":0},"context":{"omnibus_call":"` + id + `"}}`,
	} {
		c.send(t, other)
		c.expect(t, other)
	}
	right := `{"type":"add.response","data":{"value":3},"context":{"omnibus_call":"` + id + `"}}`
	c.send(t, right)
	expectAnswer(t, done, "json 3")
	c.expect(t, right) // and everybody hears it
	c.send(t, right)   // late, and nobody waits for it
	c.expect(t, right)
}

func TestTheFormsOfAnswers(t *testing.T) {
	s := start(t, broker.Options{}, skills("svc"))
	c := s.connect(t)
	for data, want := range map[string]string{
		`{"value":"x"}`:                          `json "x"`,
		`{"a":1,"b":2}`:                          `json {"a":1,"b":2}`,
		`{"args":[1,2]}`:                         `args [1,2]`,
		`{"binary":"00ff"}`:                      `bytes "AP8="`,
		`{"error":"text alone"}`:                 `json {"error":"text alone"}`,
		`{"error":"x","kind":"failed","more":1}`: `json {"error":"x","kind":"failed","more":1}`,
		`{"error":5,"kind":"failed"}`:            `json {"error":5,"kind":"failed"}`,
		`{}`:                                     `json {}`,
		`[1]`:                                    `json [1]`,
		`{"value":1,"binary":"00"}`:              `json {"value":1,"binary":"00"}`,
		`{"binary":"odd"}`:                       `json {"binary":"odd"}`,
		`{"args":"no list"}`:                     `json {"args":"no list"}`,
	} {
		done := s.call(t.Context(), "svc")
		id := c.request(t, `{"type":"svc","data":{},`)
		c.send(t, `{"type":"svc.response","data":`+data+`,"context":{"omnibus_call":"`+id+`"}}`)
		expectAnswer(t, done, want)
		_ = c.next(t)
	}
}

func TestAnAnswerWithoutAnID(t *testing.T) {
	s := start(t, broker.Options{}, skills("svc", "other"))
	c := s.connect(t)
	const bare = `{"type":"svc.response","data":{"value":"bare"}}`

	only, elsewhere := s.call(t.Context(), "svc"), s.call(t.Context(), "other")
	ids := []string{c.request(t, `{"type":"`), c.request(t, `{"type":"`)}
	c.send(t, bare) // the only one of its name
	expectAnswer(t, only, `json "bare"`)
	c.expect(t, bare)
	for _, id := range ids {
		f := `{"type":"other.response","data":{"value":1},"context":{"omnibus_call":"` + id + `"}}`
		c.send(t, f)
		c.expect(t, f)
	}
	expectAnswer(t, elsewhere, "json 1")

	one := s.call(t.Context(), "svc", "first")
	idOne := c.request(t, `{"type":"svc","data":{"value":"first"}`)
	two := s.call(t.Context(), "svc", "second")
	idTwo := c.request(t, `{"type":"svc","data":{"value":"second"}`)
	c.send(t, bare) // it could be either's
	c.expect(t, bare)
	for _, x := range []struct{ id, value string }{{idTwo, "2"}, {idOne, "1"}} {
		f := fmt.Sprintf(`{"type":"svc.response","data":{"value":%s},"context":{"omnibus_call":%q}}`, x.value, x.id)
		c.send(t, f)
		c.expect(t, f)
	}
	expectAnswer(t, one, "json 1")
	expectAnswer(t, two, "json 2")
}

func TestASkillsErrorKeepsItsKind(t *testing.T) {
	s := start(t, broker.Options{}, skills("svc"))
	c := s.connect(t)
	for kind := range bus.Kinds {
		done := s.call(t.Context(), "svc")
		id := c.request(t, `{"type":"svc"`)
		c.send(t, fmt.Sprintf(`{"type":"svc.response","data":{"error":"the oven is cold","kind":%q},"context":{"omnibus_call":%q}}`, kind, id))
		a := within(t, done, "the answer")
		if a.err == nil || bus.KindOf(a.err) != kind || !strings.Contains(a.err.Error(), "the oven is cold") {
			t.Errorf("%v: %q, %v", kind, a.value, a.err)
		}
		_ = c.next(t)
	}
}

func TestASkillCannotBeCalledWithoutClients(t *testing.T) {
	s := start(t, broker.Options{}, skills("svc"))
	eventually(t, "the service", func() bool { return s.bus.Exposed("svc", nil) })
	for range 2 {
		a := within(t, s.call(t.Context(), "svc"), "the end of the call")
		if bus.KindOf(a.err) != bus.Unavailable || !strings.Contains(a.err.Error(), "no Mycroft client is connected") {
			t.Errorf("%q, %v; want it unavailable", a.value, a.err)
		}
		c := s.connect(t)
		_ = c.ws.Drop()
		eventually(t, "the client's departure", func() bool { return s.broker.Status().Peers["mycroft"] == 0 })
	}
}

func TestACallOfASkillEndsWithItsCaller(t *testing.T) {
	s := start(t, broker.Options{}, skills("svc"))
	c := s.connect(t)
	ctx, cancel := context.WithCancel(t.Context())
	done := s.call(ctx, "svc")
	id := c.request(t, `{"type":"svc"`)
	cancel()
	if a := within(t, done, "the end of the call"); a.err == nil {
		t.Errorf("answered %q", a.value)
	}
	next := s.call(t.Context(), "svc")
	idNext := c.request(t, `{"type":"svc"`)
	for _, x := range []string{id, idNext} {
		c.send(t, fmt.Sprintf(`{"type":"svc.response","data":{"value":%q},"context":{"omnibus_call":%q}}`, x, x))
	}
	expectAnswer(t, next, fmt.Sprintf("json %q", idNext))
}

func TestACallWithoutARequestThatFits(t *testing.T) {
	s := start(t, broker.Options{}, func(c *mycroft.Config) { c.Services, c.MaxMessage, c.MaxQueue = []string{"svc"}, 1000, 1000 })
	c := s.connect(t)
	a := within(t, s.call(t.Context(), "svc", strings.Repeat("x", 1000)), "the end of the call")
	if bus.KindOf(a.err) != bus.TooLarge || !strings.Contains(a.err.Error(), "mycroft.max_queue") {
		t.Errorf("%q, %v; want it too large", a.value, a.err)
	}
	c.send(t, `{"type":"still.here"}`)
	c.expect(t, `{"type":"still.here"}`)
}

func TestAHeaderOfTheCallCannotChangeItsID(t *testing.T) {
	s := start(t, broker.Options{}, skills("svc"))
	c := s.connect(t)
	done := make(chan error, 1)
	go func() {
		_, err := s.bus.Call(t.Context(), &bus.Request{Service: "svc", Headers: bus.MakeHeaders(
			bus.Header{Key: "omnibus_call", Value: "MINE"}, bus.Header{Key: "k", Value: "v"},
		)})
		done <- err
	}()
	id := c.request(t, `{"type":"svc","data":{},"context":{"k":"v",`)
	if id == "MINE" {
		t.Error("the caller chose the id")
	}
	c.send(t, `{"type":"svc.response","context":{"omnibus_call":"`+id+`"}}`)
	if err := within(t, done, "the answer"); err != nil {
		t.Error(err)
	}
}

func TestAServiceElsewhereAnswersLikeASkill(t *testing.T) {
	s := start(t, broker.Options{}, func(c *mycroft.Config) { c.MaxMessage, c.MaxQueue = 1<<16, 1<<16 })
	serve := func(name string, f bus.Service) {
		t.Helper()
		if _, err := s.bus.Register(name, f, nil); err != nil {
			t.Fatal(err)
		}
	}
	serve("args", func(_ context.Context, r *bus.Request) (*payload.Value, error) {
		args, err := r.Args.As(payload.Args)
		return payload.New(payload.JSON, []byte(`{"kind":"`+r.Args.Kind().String()+`","args":`+string(args)+`}`)), err
	})
	serve("fail", func(context.Context, *bus.Request) (*payload.Value, error) {
		return nil, bus.Errorf(bus.Refused, "", "not \"today\"")
	})
	serve("large", func(context.Context, *bus.Request) (*payload.Value, error) {
		return payload.New(payload.Bytes, make([]byte, 1<<16)), nil // twice as long in hexadecimal
	})
	serve("broken", func(context.Context, *bus.Request) (*payload.Value, error) {
		return payload.New(payload.JSON, []byte("garbage")), nil
	})
	a, b := s.connect(t), s.connect(t)
	for request, want := range map[string]string{
		`{"type":"args","data":{},"context":{"source":"a","destination":"b","k":1}}`: `{"type":"args.response","data":{"kind":"empty","args":[]},"context":{"source":"b","destination":"a","k":1}}`,
		`{"type":"args","data":{"args":[1,"x"]}}`:                                    `{"type":"args.response","data":{"kind":"args","args":[1,"x"]},"context":{}}`,
		`{"type":"args","data":{"x":1}}`:                                             `{"type":"args.response","data":{"kind":"json","args":[{"x":1}]},"context":{}}`,
		`{"type":"args","data":{"value":[1]}}`:                                       `{"type":"args.response","data":{"kind":"json","args":[[1]]},"context":{}}`,
		`{"type":"fail"}`:                                                            `{"type":"fail.response","data":{"error":"\"fail\": not \"today\"","kind":"refused"},"context":{}}`,
	} {
		a.send(t, request)
		for _, c := range []*client{a, b} {
			c.expect(t, request, want)
		}
	}
	for name, kind := range map[string]bus.Kind{"large": bus.TooLarge, "broken": bus.Invalid} {
		request := `{"type":"` + name + `"}`
		a.send(t, request)
		a.expect(t, request)
		b.expect(t, request)
		for _, c := range []*client{a, b} {
			if got := c.next(t); !strings.HasPrefix(got, `{"type":"`+name+`.response","data":{"error":"`) || !strings.Contains(got, `"kind":"`+kind.String()+`"`) {
				t.Errorf("%s is answered %.200s, want an error of kind %q", name, got, kind)
			}
		}
	}
}

func TestAServiceThatTakesTooLong(t *testing.T) {
	s := start(t, broker.Options{}, func(c *mycroft.Config) { c.CallTimeout = 1 })
	release := make(chan struct{})
	defer close(release)
	if _, err := s.bus.Register("slow", func(context.Context, *bus.Request) (*payload.Value, error) {
		<-release
		return nil, nil
	}, nil); err != nil {
		t.Fatal(err)
	}
	c := s.connect(t)
	c.send(t, `{"type":"slow"}`)
	c.expect(t, `{"type":"slow"}`)
	if got := c.next(t); !strings.HasPrefix(got, `{"type":"slow.response","data":{"error":`) || !strings.Contains(got, `"kind":"timed out"`) {
		t.Errorf("received %s", got)
	}
}

func TestADeclaredServiceEndsWithItsClient(t *testing.T) {
	s := start(t, broker.Options{}, nil)
	a, b := s.connect(t), s.connect(t)
	for range 2 { // declaring again changes nothing
		a.send(t, `{"type":"omnibus.expose","data":{"service":"svc"}}`)
		a.expect(t, `{"type":"omnibus.expose.response","data":{"ok":true},"context":{}}`)
	}
	b.send(t, `{"type":"omnibus.unexpose","data":{"service":"svc"}}`) // it is not b's
	if got := b.next(t); !strings.Contains(got, `"kind":"unknown"`) {
		t.Errorf("received %s", got)
	}
	done := s.call(t.Context(), "svc")
	id := a.request(t, `{"type":"svc"`)
	_ = b.next(t)
	a.send(t, `{"type":"svc.response","data":{"value":1},"context":{"omnibus_call":"`+id+`"}}`)
	expectAnswer(t, done, "json 1")
	waiting := s.call(t.Context(), "svc")
	_ = a.next(t)
	a.request(t, `{"type":"svc"`)
	_ = a.ws.Drop()
	if x := within(t, waiting, "the end of the call"); bus.KindOf(x.err) != bus.Unavailable {
		t.Errorf("%q, %v; want it unavailable", x.value, x.err)
	}
	if x := within(t, s.call(t.Context(), "svc"), "the end of the call"); bus.KindOf(x.err) != bus.Unknown {
		t.Errorf("%q, %v; want it unknown", x.value, x.err)
	}
}
