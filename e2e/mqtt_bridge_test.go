package e2e_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

// The topics below are such that the Mycroft dialect exports them.

func TestMQTTAndMycroftClientsHearEachOther(t *testing.T) {
	t.Parallel()
	b, _ := serveMQTT(t)
	for flavour, module := range pythonClients {
		t.Run(flavour, func(t *testing.T) {
			interpreter := python(t, module)
			eachMQTT(t, []mqttClient{mqttClients[1], mqttClients[4], mqttClients[5]}, func(t *testing.T, c mqttClient) {
				heard, said := flavour+".heard."+c.name(), flavour+".said."+c.name()
				p := c.connect(t, mqttHow{URL: b.urls["mqtt"], Clean: true})
				p.subscribe(t, 1, said)
				skill := startMycroft(t, interpreter, flavour, b.broker)
				skill.write(t, "on "+heard)
				skill.expect(t, "listening")
				skill.write(t, "emit "+said+` {"by": "mycroft"}`)
				got := p.message(t)
				var data map[string]string
				if err := json.Unmarshal([]byte(got.Payload), &data); err != nil || got.Topic != said || data["by"] != "mycroft" {
					t.Errorf("the MQTT client got %+v (%v)", got, err)
				}
				p.publish(t, mqttMessage{Topic: heard, Payload: `{"by": "mqtt"}`, QoS: 1})
				skill.expect(t, "got "+heard+` {"by": "mqtt"}`)
			})
		})
	}
}

// name is one level of a topic.
func (c mqttClient) name() string {
	return strings.NewReplacer(".", "", " ", "-").Replace(c.String())
}

func TestMQTTClientsAndCurlHearEachOther(t *testing.T) {
	t.Parallel()
	curl := need(t, "curl")
	b, _ := serveMQTT(t)
	eachMQTT(t, mqttClients, func(t *testing.T, c mqttClient) {
		topic := "room/" + c.name()
		p := c.connect(t, mqttHow{URL: b.urls["mqtt"], Clean: true})
		p.subscribe(t, 1, topic)
		if out, err := run(t, curl, "-sS", "--fail-with-body", "-d", `{"by":"curl"}`, b.web+"/topics/"+topic); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		expectMessages(t, p, `{"by":"curl"}`)
		listener := start(t, curl, "-sN", b.web+"/events?topics="+topic)
		listener.expect(t, ": omnibus")
		p.publish(t, mqttMessage{Topic: topic, Payload: `{"by":"mqtt"}`, QoS: 2})
		line := listener.expect(t, "data: ")
		var e struct {
			Topic   string
			Payload map[string]string
		}
		if err := json.Unmarshal([]byte(strings.TrimPrefix(line, "data: ")), &e); err != nil || e.Topic != topic || e.Payload["by"] != "mqtt" {
			t.Errorf("curl saw %s (%v)", line, err)
		}
	})
}

// callByCurl has curl call a service while answer plays its part, and returns
// what curl printed.
func callByCurl(t *testing.T, b mqttBroker, service, args string, answer func()) string {
	t.Helper()
	p := start(t, need(t, "curl"), "-sS", "-w", "\nstatus %{http_code}\n", "-d", args, b.web+"/rpc/"+service)
	answer()
	var all []string
	for line := p.expect(t, ""); !strings.HasPrefix(line, "status "); line = p.expect(t, "") {
		all = append(all, line)
	}
	return strings.TrimSpace(strings.Join(all, "\n"))
}

func TestCurlCallsServiceOfMQTT5Client(t *testing.T) {
	t.Parallel()
	need(t, "curl")
	b, _ := serveMQTT(t)
	eachMQTT(t, mqttClients5, func(t *testing.T, c mqttClient) {
		service := "sum/" + c.library
		provider, _ := c.script(t, mqttHow{URL: b.urls["mqtt"], Clean: true})
		provider.subscribe(t, 1, "$service/"+service)
		// It answers where the request says.
		answer := func(wantArgs string, with mqttMessage) func() {
			return func() {
				request := provider.message(t)
				if request.Topic != "$service/"+service || request.Payload != wantArgs || request.ResponseTopic == "" {
					t.Errorf("the request is %+v, want arguments %s", request, wantArgs)
				}
				with.Topic, with.Correlation, with.QoS = request.ResponseTopic, request.Correlation, 1
				provider.publish(t, with)
			}
		}
		if got := callByCurl(t, b, service, "[1,2]", answer("[1,2]", mqttMessage{Payload: "3", ContentType: "application/json"})); got != "3" {
			t.Errorf("curl got %s", got)
		}
		failure := mqttMessage{Payload: "three is too much", User: [][2]string{{"omnibus-error", "invalid"}}}
		got := callByCurl(t, b, service, "[3,4]", answer("[3,4]", failure))
		if !strings.Contains(got, `"kind":"invalid"`) || !strings.Contains(got, failure.Payload) {
			t.Errorf("curl got %s, want the error", got)
		}
		provider.leave(t)
		if got := callByCurl(t, b, service, "[1,2]", func() {}); !strings.Contains(got, `"kind":"un`) { // unknown or unavailable
			t.Errorf("after the provider left curl got %s", got)
		}
	})
}

func TestCurlCallsServiceByRequestTopics(t *testing.T) {
	t.Parallel()
	need(t, "curl")
	b, _ := serveMQTT(t)
	eachMQTT(t, mqttClients[3:], func(t *testing.T, c mqttClient) {
		service := "sum/" + c.name()
		provider, _ := c.script(t, mqttHow{URL: b.urls["mqtt"], Clean: true})
		provider.subscribe(t, 1, "$request/+/"+service)
		// It answers under the first of two topics, with the request's id.
		answer := func(kind, payload string) func() {
			return func() {
				request := provider.message(t)
				id, name, ok := strings.Cut(strings.TrimPrefix(request.Topic, "$request/"), "/")
				if !ok || name != service || request.Payload != "[1,2]" {
					t.Errorf("the request is %+v", request)
				}
				provider.publish(t, mqttMessage{Topic: kind + "/" + id, Payload: payload, QoS: 1})
			}
		}
		if got := callByCurl(t, b, service, "[1,2]", answer("$response", "3")); got != "3" {
			t.Errorf("curl got %s", got)
		}
		got := callByCurl(t, b, service, "[1,2]", answer("$error", `{"kind":"invalid","error":"not today"}`))
		if !strings.Contains(got, `"kind":"invalid"`) || !strings.Contains(got, "not today") {
			t.Errorf("curl got %s, want the error", got)
		}
	})
}

// TestMQTTClientsCallServices calls a command and, where it is installed, a skill:
// the same sum of the same numbers.
func TestMQTTClientsCallServices(t *testing.T) {
	t.Parallel()
	interpreter := python(t, "json")
	b, _ := serveMQTT(t, "--set", "mycroft.services=[sum.up]")
	command := start(t, omnibus(t), "expose", "-b", b.web, "add", "--", interpreter, "-c", "import json,sys; print(sum(json.load(sys.stdin)))")
	command.expect(t, "exposing add")
	for _, service := range []string{"add", "sum.up"} {
		t.Run(service, func(t *testing.T) {
			want := "3"
			if service == "sum.up" {
				skill := startMycroft(t, python(t, pythonClients["mycroft"]), "mycroft", b.broker)
				skill.write(t, "answer sum.up")
				skill.expect(t, "answering")
			}
			t.Run("by response topic", func(t *testing.T) {
				eachMQTT(t, mqttClients5, func(t *testing.T, c mqttClient) {
					p, _ := c.script(t, mqttHow{URL: b.urls["mqtt"], Clean: true})
					answers := "answers/" + service + "/" + c.library
					p.subscribe(t, 1, answers)
					for n := range 3 {
						correlation := fmt.Appendf(nil, "call %d", n)
						p.publish(t, mqttMessage{Topic: service, Payload: "[1,2]", QoS: 1, ResponseTopic: answers, Correlation: correlation})
						got := p.message(t)
						if got.Payload != want || string(got.Correlation) != string(correlation) || len(got.User) > 0 {
							t.Errorf("the answer is %+v", got)
						}
					}
				})
			})
			t.Run("by request topics", func(t *testing.T) {
				eachMQTT(t, mqttClients[3:], func(t *testing.T, c mqttClient) {
					p, _ := c.script(t, mqttHow{URL: b.urls["mqtt"], Clean: true})
					id := c.name()
					p.subscribe(t, 1, "$response/"+id, "$error/"+id)
					p.publish(t, mqttMessage{Topic: "$request/" + id + "/" + service, Payload: "[1,2]", QoS: 1})
					if got := p.message(t); got.Topic != "$response/"+id || got.Payload != want {
						t.Errorf("the answer is %+v", got)
					}
					p.publish(t, mqttMessage{Topic: "$request/" + id + "/nobody/has/this", Payload: "[1,2]", QoS: 1})
					got := p.message(t)
					var failure struct{ Kind, Error string }
					if err := json.Unmarshal([]byte(got.Payload), &failure); err != nil || got.Topic != "$error/"+id || failure.Kind != "unknown" {
						t.Errorf("the answer of a service that is not there is %+v (%v)", got, err)
					}
				})
			})
		})
	}
}

func TestMosquittoCallsServiceByResponseTopic(t *testing.T) {
	t.Parallel()
	caller, interpreter := need(t, "mosquitto_rr"), python(t, "json")
	b, _ := serveMQTT(t)
	command := start(t, omnibus(t), "expose", "-b", b.web, "add", "--", interpreter, "-c", "import json,sys; print(sum(json.load(sys.stdin)))")
	command.expect(t, "exposing add")
	m := newMosquitto(t, mqttHow{URL: b.urls["mqtt"], Version: "5"})
	out, err := run(t, caller, append(m.args(t), "-t", "add", "-e", "answers/rr", "-m", "[20,22]", "-q", "1")...)
	if err != nil || strings.TrimSpace(out) != "42" {
		t.Errorf("it printed %q (%v)", out, err)
	}
}
