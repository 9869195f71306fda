package e2e_test

import (
	"encoding/json"
	"net/url"
	"strconv"
	"strings"
	"testing"
)

// mosquitto is a mosquitto_sub for each subscription and a mosquitto_pub for each
// message.
type mosquitto struct {
	how      mqttHow
	subs     []*process
	messages chan mqttMessage
}

func newMosquitto(t *testing.T, how mqttHow) *mosquitto {
	t.Helper()
	return &mosquitto{how: how, messages: make(chan mqttMessage, 10_000)}
}

// args are those that all programs of mosquitto have in common.
func (m *mosquitto) args(t *testing.T) []string {
	t.Helper()
	u, err := url.Parse(m.how.URL)
	if err != nil {
		t.Fatal(err)
	}
	args := []string{"-V", map[string]string{"3.1": "mqttv31", "3.1.1": "mqttv311", "5": "mqttv5"}[m.how.Version]}
	if u.Scheme == "mqtt+unix" {
		return append(args, "--unix", u.Path)
	}
	args = append(args, "-h", u.Hostname(), "-p", u.Port())
	if m.how.CA != "" {
		args = append(args, "--cafile", m.how.CA)
	}
	return args
}

func (m *mosquitto) subscribe(t *testing.T, qos int, topics ...string) {
	t.Helper()
	args := append(m.args(t), "-d", "-F", "%j", "-q", strconv.Itoa(qos))
	for _, topic := range topics {
		args = append(args, "-t", topic)
	}
	if m.how.ID != "" {
		args = append(args, "-i", m.how.ID)
	}
	if !m.how.Clean {
		args = append(args, "-c")
	}
	if m.how.Expiry > 0 {
		args = append(args, "-x", strconv.Itoa(m.how.Expiry))
	}
	if w := m.how.Will; w != nil {
		args = append(args, "--will-topic", w.Topic, "--will-payload", w.Payload, "--will-qos", strconv.Itoa(w.QoS))
	}
	// What it does is told by lines that it would keep back without a terminal.
	p := start(t, need(t, "stdbuf"), append([]string{"-oL", "mosquitto_sub"}, args...)...)
	m.subs = append(m.subs, p)
	// Messages of a session that continues come before SUBACK. This is the last
	// that is printed for it: a signal before would find the program busy, and it
	// might lock up.
	for line := p.expect(t, ""); !strings.HasPrefix(line, "Subscribed ("); line = p.expect(t, "") {
		m.hear(line)
	}
	go func() {
		for line := range p.lines {
			m.hear(line)
		}
	}()
}

func (m *mosquitto) hear(line string) {
	var heard struct {
		Topic   string
		Payload string
		QoS     int
		Retain  int
	}
	if strings.HasPrefix(line, "{") && json.Unmarshal([]byte(line), &heard) == nil {
		m.messages <- mqttMessage{Topic: heard.Topic, Payload: heard.Payload, QoS: heard.QoS, Retain: heard.Retain != 0}
	}
}

func (m *mosquitto) publish(t *testing.T, msg mqttMessage) {
	t.Helper()
	args := append(m.args(t), "-t", msg.Topic, "-q", strconv.Itoa(msg.QoS))
	if msg.Retain {
		args = append(args, "-r")
	}
	if msg.Payload == "" {
		args = append(args, "-n")
	} else {
		args = append(args, "-m", msg.Payload)
	}
	if out, err := run(t, need(t, "mosquitto_pub"), args...); err != nil {
		t.Fatalf("mosquitto_pub %q: %v: %s", args, err, out)
	}
}

func (m *mosquitto) message(t *testing.T) mqttMessage {
	t.Helper()
	return next(t, m.messages)
}

func (m *mosquitto) kill(t *testing.T) {
	t.Helper()
	for _, p := range m.subs {
		p.kill(t)
	}
	m.subs = nil
}

func (m *mosquitto) leave(t *testing.T) {
	t.Helper()
	for _, p := range m.subs {
		p.terminate(t)
	}
	m.subs = nil
}
