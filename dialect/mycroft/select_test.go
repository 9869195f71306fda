package mycroft_test

import (
	"errors"
	"strings"
	"testing"

	"omnibus/broker"
	"omnibus/bus"
	"omnibus/carrier"
	"omnibus/dialect/mycroft"
	"omnibus/payload"
)

// asking connects a client whose URL has a query.
func (s *server) asking(t testing.TB, query string) *client {
	t.Helper()
	ws, err := carrier.DialWebSocket(t.Context(), s.url+query, nil, carrier.WebSocketOptions{})
	if err != nil {
		t.Fatalf("connecting: %v", err)
	}
	t.Cleanup(func() { _ = ws.Drop() })
	c := &client{ws: ws, got: make(chan string, 1<<10), gone: make(chan error, 1)}
	go c.read()
	return c
}

func TestAClientGetsTheTypesThatItsURLNames(t *testing.T) {
	s := start(t, broker.Options{}, func(c *mycroft.Config) { c.RelayAnything = true })
	everything := s.connect(t)
	some := s.asking(t, "?types=speak,mycroft.volume.*&types=regex:skill\\.[0-9]%2B,speak")
	none := s.asking(t, "?types=")
	some.expect(t, greeting)
	none.expect(t, greeting)
	wanted := map[string]bool{"speak": true, "mycroft.volume.set": true, "mycroft.volume.": true, "skill.42": true}
	for _, typ := range []string{"speak", "speaks", "mycroft.volume.set", "mycroftxvolume.set", "mycroft.volume.", "skill.42", "skill.x", ""} {
		frame := `{"type":"` + typ + `"}`
		everything.send(t, frame)
		everything.expect(t, frame)
		if wanted[typ] {
			some.expect(t, frame)
		}
	}
	everything.send(t, "not a message") // which has no type
	everything.expect(t, "not a message")
	publish(t, s.bus, "mycroft.mic.mute", payload.JSON, "{}")
	publish(t, s.bus, "mycroft.volume.get", payload.JSON, "{}")
	some.expect(t, `{"type":"mycroft.volume.get","data":{},"context":{}}`)

	// What is meant for it alone it gets in any case, and it may send anything.
	for _, c := range []*client{some, none} {
		c.send(t, `{"type":"omnibus.unexpose","data":{"service":"x"}}`)
		if got := c.next(t); !strings.HasPrefix(got, `{"type":"omnibus.unexpose.response"`) {
			t.Errorf("received %s", got)
		}
	}
	none.send(t, `{"type":"speak","data":{"by":"none"}}`)
	some.expect(t, `{"type":"speak","data":{"by":"none"}}`)
}

func TestAClientChangesWhatItGets(t *testing.T) {
	s := start(t, broker.Options{}, func(c *mycroft.Config) { c.MaxPatterns = 2 })
	sender, c := s.connect(t), s.connect(t)
	all := []string{`{"type":"a"}`, `{"type":"b.x"}`, `{"type":"b.y"}`}
	flow := func() {
		t.Helper()
		for _, f := range all {
			sender.send(t, f)
			sender.expect(t, f)
		}
	}
	const ok = `{"type":"omnibus.select.response","data":{"ok":true},"context":{}}`
	for _, step := range []struct {
		data string
		gets []string
	}{
		{`{"types":["a"]}`, all[:1]},
		{`{"types":["b.*","b.x"]}`, all[1:]},
		{`{"types":[]}`, nil},
		{`{"types":null}`, all},
		{`{"types":["exact:a","a"]}`, all[:1]},
		{`{}`, all},
	} {
		c.send(t, `{"type":"omnibus.select","data":`+step.data+`}`)
		c.expect(t, ok)
		flow()
		c.expect(t, step.gets...)
	}
	c.send(t, `{"type":"omnibus.select","data":{"types":["a"]}}`)
	c.expect(t, ok)
	for data, want := range map[string]string{
		`{"types":["a","b","c"]}`:    "mycroft.max_patterns",
		`{"types":["regex:(","b"]}`:  "regex:(",
		`{"types":[""]}`:             "empty",
		`{"types":"a"}`:              "must list types",
		`{"types":["filter:a/#/b"]}`: "filter",
	} {
		c.send(t, `{"type":"omnibus.select","data":`+data+`}`)
		got := c.next(t)
		if !strings.HasPrefix(got, `{"type":"omnibus.select.response","data":{"error":`) || !strings.Contains(got, want) || !strings.Contains(got, `"kind":"invalid"`) {
			t.Errorf("%s is answered %s, want it to say %q", data, got, want)
		}
	}
	flow() // nothing has changed
	c.expect(t, all[0])
	sender.send(t, `{"type":"a","last":1}`)
	c.expect(t, `{"type":"a","last":1}`)
}

func TestAURLThatAsksForWhatCannotBeIsRefused(t *testing.T) {
	s := start(t, broker.Options{}, func(c *mycroft.Config) { c.MaxPatterns = 1 })
	for query, want := range map[string]string{"?types=regex:(": "regex:(", "?types=a,b": "mycroft.max_patterns"} {
		err := s.asking(t, query).ended(t)
		if closed, ok := errors.AsType[*carrier.CloseError](err); !ok || closed.Code != carrier.ClosePolicy || !strings.Contains(closed.Reason, want) {
			t.Errorf("%s: it ended by %v, want close code 1008 and the reason", query, err)
		}
	}
	eventually(t, "both are counted", func() bool { return s.counted("clients_refused") == 2 })
}

func TestAnswersGoToTheirDestination(t *testing.T) {
	s := start(t, broker.Options{}, func(c *mycroft.Config) { c.AnswersTo = true })
	if _, err := s.bus.Register("svc", echoService, nil); err != nil {
		t.Fatal(err)
	}
	asker, skill, other := s.connect(t), s.connect(t), s.connect(t)
	say := func(c *client, frame string, to ...*client) {
		t.Helper()
		c.send(t, frame)
		for _, x := range to {
			x.expect(t, frame)
		}
	}
	everybody := []*client{asker, skill, other}
	answer := `{"type":"q.response","data":{},"context":{"source":"skills","destination":"cli"}}`
	say(skill, answer, everybody...) // nobody is known as cli
	say(asker, `{"type":"q","context":{"source":"cli","destination":"skills"}}`, everybody...)
	say(skill, answer, asker, skill)
	say(skill, `{"type":"q.handling","context":{"destination":["cli"]}}`, asker, skill)
	say(skill, `{"type":"q.response","context":{"destination":["cli","kde"]}}`, everybody...) // kde may be anybody
	say(skill, `{"type":"q.response","context":{}}`, everybody...)
	say(skill, `{"type":"speak","context":{"destination":"cli"}}`, everybody...) // no answer
	say(other, `{"type":"hello","context":{"source":["kde","x"]}}`, everybody...)
	say(skill, `{"type":"q.response","context":{"destination":["cli","kde"]}}`, everybody...)

	// From the rest of the bus, and from its services.
	m := &bus.Message{Topic: "q.response", Headers: bus.MakeHeaders(bus.Header{Key: "destination", Value: "kde"})}
	if _, err := s.bus.Publish(m); err != nil {
		t.Fatal(err)
	}
	other.expect(t, `{"type":"q.response","data":{},"context":{"destination":"kde"}}`)
	say(skill, `{"type":"svc","context":{"k":1}}`, everybody...)
	skill.expect(t, `{"type":"svc.response","data":{},"context":{"k":1}}`)

	// Who has asked for other types does not get them, whoever sends them.
	skill.send(t, `{"type":"omnibus.select","data":{"types":["mark","q"]}}`)
	skill.expect(t, `{"type":"omnibus.select.response","data":{"ok":true},"context":{}}`)
	say(skill, answer, asker)
	say(skill, `{"type":"svc","context":{"k":2}}`, asker, other)
	say(skill, `{"type":"mark"}`, everybody...)
	skill.send(t, `{"type":"omnibus.select","data":{}}`)
	skill.expect(t, `{"type":"omnibus.select.response","data":{"ok":true},"context":{}}`)

	// A name goes with its client.
	_ = asker.ws.Drop()
	eventually(t, "its departure", func() bool { return s.broker.Status().Peers["mycroft"] == 2 })
	say(skill, answer, skill, other)
}
