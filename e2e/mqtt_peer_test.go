package e2e_test

import (
	"encoding/json"
	"maps"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// mqttClient is a foreign client and the version of the protocol that it is told
// to speak.
type mqttClient struct{ library, version string }

func (c mqttClient) String() string { return c.library + " " + c.version }

// mqttClients are all of them. Which is not installed skips its tests.
var mqttClients = []mqttClient{
	{"mosquitto", "3.1"},
	{"mosquitto", "3.1.1"},
	{"mosquitto", "5"},
	{"paho", "3.1.1"},
	{"paho", "5"},
	{"mqtt.js", "3.1.1"},
	{"mqtt.js", "5"},
}

// mqttClients5 are those that tell and take properties.
var mqttClients5 = []mqttClient{{"paho", "5"}, {"mqtt.js", "5"}}

// eachMQTT runs a test with every client that is installed, some at a time.
func eachMQTT(t *testing.T, clients []mqttClient, test func(t *testing.T, c mqttClient)) {
	t.Helper()
	for _, c := range clients {
		t.Run(c.String(), func(t *testing.T) {
			t.Parallel()
			c.need(t)
			test(t, c)
		})
	}
}

// topicOf is a topic that no other test has.
func topicOf(t *testing.T, level string) string {
	t.Helper()
	return strings.NewReplacer(" ", "-", "#", "-", "+", "-").Replace(t.Name()) + "/" + level
}

// mqttBroker is a broker that listens for MQTT, too.
type mqttBroker struct {
	broker

	urls map[string]string // where it speaks MQTT, by the scheme
}

// serveMQTT starts the program on free ports, and finds out from what it prints
// where it listens.
func serveMQTT(t *testing.T, args ...string) (mqttBroker, *process) {
	t.Helper()
	all := []string{"serve"}
	for _, listener := range []string{"web", "mycroft", "mqtt", "mqtt.tls", "mqtt.websocket"} {
		all = append(all, "--set", listener+".listen=127.0.0.1:0")
	}
	p := start(t, omnibus(t), append(all, args...)...)
	p.expect(t, "is running")
	b := mqttBroker{urls: map[string]string{}}
	for line := p.expect(t, ""); !strings.Contains(line, "Try next"); line = p.expect(t, "") {
		fields := strings.Fields(line)
		if len(fields) != 2 {
			continue
		}
		switch fields[0] {
		case "web":
			b.web = fields[1]
		case "mycroft":
			b.mycroft = fields[1]
		case "mqtt":
			scheme, _, _ := strings.Cut(fields[1], "://")
			b.urls[scheme] = fields[1]
		}
	}
	return b, p
}

// mqttHow is how a client connects.
type mqttHow struct {
	URL     string       `json:"url"`
	Version string       `json:"version"`
	ID      string       `json:"id"`
	Clean   bool         `json:"clean"`
	Expiry  int          `json:"expiry,omitempty"` // of the session, in seconds; version 5 only
	CA      string       `json:"ca,omitempty"`
	Will    *mqttMessage `json:"will,omitempty"`
	// Aliases is how many topic aliases the client takes; AssignAliases has MQTT.js
	// use them itself.
	Aliases       int  `json:"aliases,omitempty"`
	AssignAliases bool `json:"assignAliases,omitempty"`
	Inflight      int  `json:"inflight,omitempty"` // messages of a flood that are not acknowledged
}

// mqttMessage is a message as it was received, or as it is to be published.
type mqttMessage struct {
	Topic         string      `json:"topic"`
	Payload       string      `json:"payload"`
	QoS           int         `json:"qos"`
	Retain        bool        `json:"retain"`
	Dup           bool        `json:"dup"`
	Format        int         `json:"format,omitempty"`
	ContentType   string      `json:"contentType,omitempty"`
	ResponseTopic string      `json:"responseTopic,omitempty"`
	Correlation   []byte      `json:"correlation,omitempty"`
	User          [][2]string `json:"user,omitempty"`
	Expiry        int         `json:"expiry,omitempty"`
	Alias         int         `json:"alias,omitempty"`
	Subscriptions []int       `json:"subscriptions,omitempty"`
}

// mqttPeer is a client that runs.
type mqttPeer interface {
	// subscribe returns when the server has acknowledged.
	subscribe(t *testing.T, qos int, topics ...string)
	// publish returns when the server has acknowledged, or for QoS 0 when it is sent.
	publish(t *testing.T, m mqttMessage)
	// message is the next that has arrived.
	message(t *testing.T) mqttMessage
	// kill ends the process without a word to the server.
	kill(t *testing.T)
	// leave says goodbye.
	leave(t *testing.T)
}

// connect starts a client. Those of mosquitto connect when they subscribe.
func (c mqttClient) connect(t *testing.T, how mqttHow) mqttPeer {
	t.Helper()
	if c.library == "mosquitto" {
		how.Version = c.version
		return newMosquitto(t, how)
	}
	p, _ := c.script(t, how)
	return p
}

// need skips the test when the client is not installed.
func (c mqttClient) need(t *testing.T) {
	t.Helper()
	switch c.library {
	case "mosquitto":
		need(t, "mosquitto_sub")
		need(t, "mosquitto_pub")
		need(t, "stdbuf")
	case "paho":
		python(t, pahoModule)
	case "mqtt.js":
		if dir, why := mqttJS(); dir == "" {
			t.Skip(why)
		}
	}
}

// installed are those of the clients that are; a test is skipped for each other.
func installed(t *testing.T, clients []mqttClient) (all []mqttClient) {
	t.Helper()
	for _, c := range clients {
		t.Run("with "+c.String(), func(t *testing.T) {
			c.need(t)
			all = append(all, c)
		})
	}
	return all
}

// pahoModule is one that version 1 of the library does not have.
const pahoModule = "paho.mqtt.enums"

// mqttJS returns the directory in whose node_modules MQTT.js is, or why there is none.
var mqttJS = sync.OnceValues(func() (dir, why string) {
	if _, err := exec.LookPath("node"); err != nil {
		return "", "node is not installed: " + err.Error()
	}
	dir = os.Getenv("OMNIBUS_E2E_NODE")
	if dir == "" {
		return "", "OMNIBUS_E2E_NODE does not name a directory with the npm package mqtt in its node_modules"
	}
	out, err := exec.Command("node", "-e", "require('node:module').createRequire(process.argv[1] + '/')('mqtt')", dir).CombinedOutput()
	if err != nil {
		return "", "OMNIBUS_E2E_NODE names a directory without the npm package mqtt in its node_modules: " + lastLine(string(out))
	}
	return dir, ""
})

// mqttEvent is a line that testdata/mqtt_client.py or .mjs prints.
type mqttEvent struct {
	mqttMessage

	Event    string `json:"event"`
	Present  bool   `json:"present"`
	Reason   int    `json:"reason"`
	Reasons  []int  `json:"reasons"`
	ID       string `json:"id"`
	Aliases  int    `json:"aliases"`
	ByServer bool   `json:"byServer"`
}

// mqttScript is a client library driven over standard input.
type mqttScript struct {
	*process

	early map[string][]mqttEvent // events that came before they were asked for
}

// script starts a client library and waits for its CONNACK, which it returns.
func (c mqttClient) script(t *testing.T, how mqttHow) (*mqttScript, mqttEvent) {
	t.Helper()
	c.need(t)
	how.Version = c.version
	text, err := json.Marshal(how)
	if err != nil {
		t.Fatal(err)
	}
	s := &mqttScript{early: map[string][]mqttEvent{}}
	if c.library == "paho" {
		s.process = start(t, python(t, pahoModule), "testdata/mqtt_client.py", string(text))
	} else {
		s.process = start(t, need(t, "node"), "testdata/mqtt_client.mjs", string(text))
	}
	connected := s.event(t, "connected")
	if connected.Reason != 0 {
		t.Fatalf("%v was refused with reason %d", c, connected.Reason)
	}
	return s, connected
}

// event waits for the next of a kind; others are kept until they are asked for.
func (s *mqttScript) event(t *testing.T, kind string) mqttEvent {
	t.Helper()
	if early := s.early[kind]; len(early) > 0 {
		s.early[kind] = early[1:]
		return early[0]
	}
	for {
		line := s.expect(t, `{"event"`)
		var e mqttEvent
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		switch e.Event {
		case kind:
			return e
		case "error", "disconnected":
			t.Fatalf("waiting for %q: the client says %s", kind, line)
		}
		s.early[e.Event] = append(s.early[e.Event], e)
	}
}

// do has the client do something; the fields of what are the script's.
func (s *mqttScript) do(t *testing.T, verb string, what mqttMessage, more map[string]any) {
	t.Helper()
	text, err := json.Marshal(what)
	if err != nil {
		t.Fatal(err)
	}
	fields := map[string]any{}
	if err := json.Unmarshal(text, &fields); err != nil {
		t.Fatal(err)
	}
	fields["do"] = verb
	maps.Copy(fields, more)
	if text, err = json.Marshal(fields); err != nil {
		t.Fatal(err)
	}
	s.write(t, string(text))
}

func (s *mqttScript) subscribe(t *testing.T, qos int, topics ...string) {
	t.Helper()
	for _, topic := range topics {
		s.subscribeAs(t, 0, qos, topic)
	}
}

// subscribeAs subscribes with a subscription identifier.
func (s *mqttScript) subscribeAs(t *testing.T, id, qos int, topic string) {
	t.Helper()
	if reason := s.trySubscribe(t, id, qos, topic); reason != qos {
		t.Fatalf("subscribing to %s with QoS %d: reason %d", topic, qos, reason)
	}
}

// trySubscribe returns the reason in SUBACK.
func (s *mqttScript) trySubscribe(t *testing.T, id, qos int, topic string) (reason int) {
	t.Helper()
	s.do(t, "subscribe", mqttMessage{Topic: topic, QoS: qos}, map[string]any{"subscription": id})
	e := s.event(t, "subscribed")
	if len(e.Reasons) != 1 {
		t.Fatalf("SUBACK for %s has reasons %v", topic, e.Reasons)
	}
	return e.Reasons[0]
}

func (s *mqttScript) publish(t *testing.T, m mqttMessage) {
	t.Helper()
	s.do(t, "publish", m, nil)
	if reason := s.event(t, "published").Reason; reason >= 0x80 {
		t.Fatalf("publishing to %s: reason %#x", m.Topic, reason)
	}
}

func (s *mqttScript) message(t *testing.T) mqttMessage {
	t.Helper()
	return s.event(t, "message").mqttMessage
}

func (s *mqttScript) leave(t *testing.T) {
	t.Helper()
	s.do(t, "disconnect", mqttMessage{}, nil)
	s.event(t, "disconnected")
}

// kill ends the process and waits for its end.
func (p *process) kill(t *testing.T) {
	t.Helper()
	if err := p.cmd.Process.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-p.done:
		p.done <- err
	case <-time.After(patience):
		t.Fatal("it did not end after SIGKILL")
	}
}

// expectMessages waits for messages of these payloads, in this order.
func expectMessages(t *testing.T, p mqttPeer, payloads ...string) {
	t.Helper()
	for _, want := range payloads {
		if got := p.message(t); got.Payload != want {
			t.Fatalf("got %+v, want payload %q of %q", got, want, payloads)
		}
	}
}
