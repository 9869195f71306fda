package mycroft_test

import (
	"strings"
	"testing"

	"omnibus/auth"
	"omnibus/broker"
	"omnibus/bus"
	"omnibus/dialect/mycroft"
	"omnibus/payload"
	"omnibus/topic"
)

func pattern(t testing.TB, text string) topic.Pattern {
	t.Helper()
	p, err := topic.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

type receiver func(*bus.Message)

func (r receiver) Deliver(m *bus.Message, _ *bus.Subscription) { r(m) }

func host(url string) string {
	_, rest, _ := strings.Cut(url, "://")
	at, _, _ := strings.Cut(rest, "/")
	return at
}

// rules refuse an action on names that begin with "secret".
type rules auth.Action

func (r rules) Allow(_ *auth.Principal, a auth.Action, name string) bool {
	return a != auth.Action(r) || !strings.HasPrefix(name, "secret")
}

func TestARefusedFrameIsToldToItsSenderAlone(t *testing.T) {
	s := start(t, broker.Options{Access: rules(auth.Publish), Limits: broker.Limits{MessageBytes: 20}}, nil)
	var heard []string
	if _, err := s.bus.Attach(pattern(t, "#"), receiver(func(m *bus.Message) { heard = append(heard, m.Topic) }), bus.AttachOptions{}); err != nil {
		t.Fatal(err)
	}
	a, b := s.connect(t), s.connect(t)
	a.send(t, `{"type":"secret.x","data":{},"context":{"source":"a"}}`)
	a.expect(t, `{"type":"omnibus.rejected","data":{"type":"secret.x","kind":"refused",`+
		`"reason":"\"secret.x\": an anonymous peer may not publish this"},"context":{"source":"a"}}`)
	a.send(t, `{"type":"large","data":{"text":"0123456789"}}`)
	a.expect(t, `{"type":"omnibus.rejected","data":{"type":"large","kind":"too large",`+
		`"reason":"\"large\": the payload has 21 bytes, the limit is 20 (broker.limits.message_bytes)"},"context":{}}`)
	a.send(t, `{"type":"nul\u0000"}`)
	if got := a.next(t); !strings.HasPrefix(got, `{"type":"omnibus.rejected","data":{"type":"nul\u0000","kind":"invalid",`) {
		t.Errorf("received %s", got)
	}
	a.send(t, `{"type":"public"}`)
	a.expect(t, `{"type":"public"}`)
	b.expect(t, `{"type":"public"}`) // first of all
	if len(heard) != 1 || heard[0] != "public" {
		t.Errorf("the bus heard %q, want what was admitted", heard)
	}
	if n := s.counted("frames_rejected"); n != 3 {
		t.Errorf("counted %d rejected frames, want 3", n)
	}
}

func TestARefusedAnswerIsNone(t *testing.T) {
	s := start(t, broker.Options{Access: rules(auth.Publish)}, func(c *mycroft.Config) { c.Services = []string{"secret.skill"} })
	c := s.connect(t)
	answered := make(chan error, 1)
	go func() {
		got, err := bus.Call[string](t.Context(), s.bus, "secret.skill")
		if err == nil {
			t.Errorf("answered %q by who may not", got)
		}
		answered <- err
	}()
	if got := c.next(t); !strings.HasPrefix(got, `{"type":"secret.skill",`) {
		t.Fatalf("received %s", got)
	}
	c.send(t, `{"type":"secret.skill.response","data":{"value":"forged"}}`)
	if got := c.next(t); !strings.HasPrefix(got, `{"type":"omnibus.rejected",`) {
		t.Errorf("received %s", got)
	}
	s.stop()
	if err := within(t, answered, "the end of the call"); bus.KindOf(err) != bus.Unavailable {
		t.Errorf("the call ended by %v", err)
	}
}

func TestWhatTheHubMayNotReceiveIsNotExported(t *testing.T) {
	s := start(t, broker.Options{Access: rules(auth.Receive)}, nil)
	c := s.connect(t)
	publish(t, s.bus, "secret.x", payload.JSON, "1")
	publish(t, s.bus, "public.x", payload.JSON, "1")
	c.expect(t, `{"type":"public.x","data":{"value":1},"context":{}}`)
}

func TestAServiceThatAClientMayNotExposeIsRefused(t *testing.T) {
	s := start(t, broker.Options{Access: rules(auth.Expose)}, nil)
	a, b := s.connect(t), s.connect(t)
	a.send(t, `{"type":"omnibus.expose","data":{"service":"secret.skill"}}`)
	a.expect(t, `{"type":"omnibus.expose.response","data":{"error":"\"secret.skill\": an anonymous peer may not expose this","kind":"refused"},"context":{}}`)
	b.send(t, `{"type":"next"}`)
	b.expect(t, `{"type":"next"}`)
}
