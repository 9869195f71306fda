package mqtttest_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"omnibus/dialect/mqtt/mqtttest"
)

func TestAConversationThatGoesAsWrittenPasses(t *testing.T) {
	script := `
# everything a script can say
a open
a> CONNECT v5 id=a clean keepalive=60
a< CONNACK receive-max=$most *
a> SUBSCRIBE id=1 filter="$share/g/t" qos=1 filter=u  # a comment
{
a< PUBLISH topic=t id=$p qos=1 payload="one two" user=k:v
a< SUBACK id=1 codes=01,00
}
a> PUBACK id=$p
a silent
repeat 1..$most a> PUBLISH topic=t/$i id=$i qos=1
repeat 1..$most a< PUBACK id=$i reason=00|10
wait 48h
a> PINGREQ
a< PINGRESP
b connect v311
a|b< PUBLISH topic=to/b
a> DISCONNECT
a closed
b close
`
	p := &puppet{answers: [][]string{
		{"2006 00 00 03 21 0003", "3214 0001 \"t\" 0009 07 26 0001 \"k\" 0001 \"v\" \"one\" 20 \"two\" 9005 0001 00 01 00", "", "4002 0001", "4003 0002 10", "4002 0003", "end"},
		{"2002 00 00 3006 0004 \"to/b\""},
	}}
	if err := play(t, script, p, nil); err != nil {
		t.Error(err)
	}
}

// failures are scripts that do not go as written, and what is said of it. Each
// begins with a client that is accepted.
var failures = []struct {
	name, script string
	answers      []string // to what comes after CONNECT
	says         []string
}{
	{
		"another packet", "a> PUBLISH topic=t id=1 qos=1\na< PUBREC id=1",
		[]string{"4002 0001"},
		[]string{"script.txt:3: ", "expected a< PUBREC id=1", "arrived  a< PUBACK id=1", "another packet"},
	},
	{"another identifier", "a> PUBLISH topic=t id=1 qos=1\na< PUBACK id=1", []string{"4002 0002"}, []string{"id is 2"}},
	{"another reason", "a> PUBLISH topic=t id=1 qos=1\na< PUBACK id=1", []string{"4003 0001 10"}, []string{"arrived  a< PUBACK id=1 reason=10", "reason is not expected"}},
	{"none of the reasons", "a> PUBLISH topic=t id=1 qos=1\na< PUBACK id=1 reason=10|87", []string{"4002 0001"}, []string{"reason is 00"}},
	{"another payload", "a> SUBSCRIBE id=1 filter=t\na< PUBLISH topic=t payload=x", []string{"3005 0001 \"t\" 00 \"y\""}, []string{"payload is y"}},
	{"a payload nobody expects", "a> SUBSCRIBE id=1 filter=t\na< PUBLISH topic=t", []string{"3005 0001 \"t\" 00 \"y\""}, []string{"payload is not expected"}},
	{"a flag nobody expects", "a> SUBSCRIBE id=1 filter=t\na< PUBLISH topic=t *", []string{"3104 0001 \"t\" 00"}, []string{"retain is not expected"}},
	{"a flag that is missing", "a> SUBSCRIBE id=1 filter=t\na< PUBLISH topic=t retain", []string{"3004 0001 \"t\" 00"}, []string{"retain is missing"}},
	{"a QoS nobody expects", "a> SUBSCRIBE id=1 filter=t\na< PUBLISH topic=t id=_", []string{"3206 0001 \"t\" 0001 00"}, []string{"qos is not expected"}},
	{"a property nobody expects", "a> SUBSCRIBE id=1 filter=t\na< PUBLISH topic=t", []string{"3006 0001 \"t\" 02 01 01"}, []string{"format is not expected"}},
	{"a property that is missing", "a> SUBSCRIBE id=1 filter=t\na< PUBLISH topic=t format=1 *", []string{"3004 0001 \"t\" 00"}, []string{"format is missing"}},
	{"a property that must not be there", "a> SUBSCRIBE id=1 filter=t\na< PUBLISH topic=t !format *", []string{"3006 0001 \"t\" 02 01 01"}, []string{"format must not be there"}},
	{"a property above its bound", "a> SUBSCRIBE id=1 filter=t\na< PUBLISH topic=t expiry<=6", []string{"3009 0001 \"t\" 05 02 00000007"}, []string{"expiry is 7"}},
	{"a property below its bound", "a> SUBSCRIBE id=1 filter=t\na< PUBLISH topic=t expiry>=8", []string{"3009 0001 \"t\" 05 02 00000007"}, []string{"expiry is 7"}},
	{"a packet that is too long", "a> SUBSCRIBE id=1 filter=t\na< PUBLISH topic=t size<=5", []string{"3004 0001 \"t\" 00"}, []string{"6 bytes long"}},
	{
		"user properties in another order", "a> SUBSCRIBE id=1 filter=t\na< PUBLISH topic=t user=a: user=b:",
		[]string{"3010 0001 \"t\" 0c 26 0001 \"b\" 0000 26 0001 \"a\" 0000"},
		[]string{"user is b:"},
	},
	{"a user property too few", "a> SUBSCRIBE id=1 filter=t\na< PUBLISH topic=t user=b: user=b:", []string{"300a 0001 \"t\" 06 26 0001 \"b\" 0000"}, []string{"user is missing"}},
	{
		"a user property too many", "a> SUBSCRIBE id=1 filter=t\na< PUBLISH topic=t user=b:",
		[]string{"3010 0001 \"t\" 0c 26 0001 \"b\" 0000 26 0001 \"b\" 0000"},
		[]string{"user is not expected"},
	},
	{
		"another value than before", "a> PUBLISH topic=t id=1 qos=1\na< PUBACK id=$p\na> PUBLISH topic=t id=1 qos=1\na< PUBACK id=$p",
		[]string{"4002 0001", "4002 0002"},
		[]string{"script.txt:5: ", "id is 2"},
	},
	{"codes in another order", "a> SUBSCRIBE id=1 filter=t filter=u\na< SUBACK id=1 codes=01,00", []string{"9005 0001 00 00 01"}, []string{"codes is 00,01"}},
	{"nothing", "a> PUBLISH topic=t id=1 qos=1\na< PUBACK id=1", []string{""}, []string{"expected a< PUBACK id=1", "nothing arrived in time"}},
	{"the end", "a> PUBLISH topic=t id=1 qos=1\na< PUBACK id=1", []string{"end"}, []string{"the connection of a has ended"}},
	{"no end", "a> DISCONNECT\na closed", []string{""}, []string{"expected the end of the connection of a", "nothing arrived in time"}},
	{"a packet and the end", "a> DISCONNECT\na closed", []string{"4002 0001"}, []string{"arrived a< PUBACK id=1"}},
	{"something for a silent client", "a> PUBLISH topic=t\na silent", []string{"3004 0001 \"t\" 00"}, []string{"expected a to be silent", "arrived  a< PUBLISH topic=t"}},
	{"something behind the last step", "a> PUBLISH topic=t", []string{"3004 0001 \"t\" 00"}, []string{"after the last step", "arrived  a< PUBLISH topic=t"}},
	{"the end behind the last step", "a> PUBLISH topic=t", []string{"end"}, []string{"its connection has ended"}},
	{"a silent client that is closed", "a> PUBLISH topic=t\na silent", []string{"end"}, []string{"its connection has ended"}},
	{"no reason", "a> PUBLISH topic=t\na dropped 82", []string{"end"}, []string{"expected a< DISCONNECT reason=82 *"}},
	{"another reason for the end", "a> PUBLISH topic=t\na dropped 82", []string{"e002 81 00"}, []string{"expected a< DISCONNECT reason=82 *", "reason is 81"}},
	{"a reason and no end", "a> PUBLISH topic=t\na dropped 82", []string{"e002 82 00"}, []string{"expected the end", "nothing arrived in time"}},
	{
		"a packet of a group that is missing", "a> SUBSCRIBE id=1 filter=t\n{\na< SUBACK id=1 codes=00\na< PUBLISH topic=t\n}",
		[]string{"9004 0001 00 00"},
		[]string{"script.txt:5: ", "PUBLISH topic=t", "nothing arrived in time"},
	},
	{
		"a packet that is not of the group", "a> SUBSCRIBE id=1 filter=t\n{\na< SUBACK id=1 codes=00\na< PUBLISH topic=t\n}",
		[]string{"9004 0001 00 00 3004 0001 \"u\" 00"},
		[]string{"arrived a< PUBLISH topic=u", "topic is u"},
	},
	{"one of many that is wrong", "repeat 1..3 a> PUBLISH topic=t id=$i qos=1\nrepeat 1..3 a< PUBACK id=$i", []string{"4002 0001", "4002 0007"}, []string{"the time with $i=2", "id is 7"}},
	{"a client that was never opened", "b> PINGREQ", nil, []string{"client b has not been opened"}},
	{"bytes that are no packet", "a> PUBLISH topic=t\na< PINGRESP", []string{"00 00"}, []string{"bytes that are no packet", "0000"}},
	{"a packet that is not well-formed", "a> PUBLISH topic=t\na< PINGRESP", []string{"d001 00"}, []string{"a PINGRESP arrived that is not as it should be", "too many"}},
	{"a packet only clients send", "a> PUBLISH topic=t\na< PINGRESP", []string{"c000"}, []string{"PINGREQ is nothing a broker sends"}},
	{"a session expiry in the DISCONNECT of a server", "a> PUBLISH topic=t\na dropped 82", []string{"e007 82 05 11 00000000"}, []string{"not as it should be"}},
	{"a text frame without frames", "a> text-frame 00", nil, []string{"only WebSockets have text frames"}},
	{"a number that is none", "a> PUBLISH topic=t id=x", nil, []string{"the value of id"}},
	{"an alias that cannot be written", "a> PUBLISH topic=t alias=0", nil, []string{"writes no 0; use hex"}},
	{"a packet of brokers", "a> SUBACK id=1 codes=00", nil, []string{"write it in hex"}},
	{"a packet that cannot be written", "a> PUBLISH topic=repeat(x,65536)", nil, []string{"use hex"}},
}

func TestAConversationThatDoesNotGoAsWrittenFails(t *testing.T) {
	for _, f := range failures {
		t.Run(f.name, func(t *testing.T) {
			p := &puppet{answers: [][]string{append([]string{accepted}, f.answers...)}}
			err := play(t, "a connect\n"+f.script, p, nil)
			if err == nil {
				t.Fatal("it passed")
			}
			for _, says := range append(f.says, "script.txt:") {
				if !strings.Contains(err.Error(), says) {
					t.Errorf("the error does not say %q:\n%v", says, err)
				}
			}
		})
	}
}

func TestPacketsOfABrokerThatIsDeafAreNotTakenForSilence(t *testing.T) {
	p := &puppet{answers: [][]string{{accepted}}, deaf: true}
	if err := play(t, "a connect\na silent", p, nil); err == nil || !strings.Contains(err.Error(), "client a waits for PINGRESP") {
		t.Errorf("%v", err)
	}
}

func TestARefusalIsToldInTheConnack(t *testing.T) {
	p := &puppet{answers: [][]string{{"2003 00 87 00"}}}
	if err := play(t, "a open\na> CONNECT id=a\na dropped 87", p, nil); err == nil || !strings.Contains(err.Error(), "expected the end") {
		t.Errorf("a refusal without an end: %v", err)
	}
	p = &puppet{answers: [][]string{{"2003 00 87 00"}}}
	if err := play(t, "a open\na> CONNECT id=a\na dropped 86", p, nil); err == nil || !strings.Contains(err.Error(), "expected a< CONNACK reason=86 *") {
		t.Errorf("a refusal of another reason: %v", err)
	}
}

func TestABrokerThatNeverSaysWhyMayJustClose(t *testing.T) {
	mute := func(p *mqtttest.Player) {
		p.Lacks = map[mqtttest.Ability]string{mqtttest.Reasons: "it is old"}
	}
	script := "a connect\na> PUBLISH topic=t\na dropped 82"
	if err := play(t, script, &puppet{answers: [][]string{{accepted, "end"}}}, mute); err != nil {
		t.Errorf("it closed: %v", err)
	}
	if err := play(t, script, &puppet{answers: [][]string{{accepted, "e002 81 00"}}}, mute); err == nil || !strings.Contains(err.Error(), "reason is 81") {
		t.Errorf("it gave a wrong reason: %v", err)
	}
	if err := play(t, script, &puppet{answers: [][]string{{accepted, ""}}}, mute); err == nil || !strings.Contains(err.Error(), "nothing arrived in time") {
		t.Errorf("it did nothing: %v", err)
	}
}

func TestAnOlderClientIsToldNothing(t *testing.T) {
	p := &puppet{answers: [][]string{{"2002 00 00", "end"}}}
	if err := play(t, "a connect v311\na> PUBLISH topic=t\na dropped 82", p, nil); err != nil {
		t.Error(err)
	}
	p = &puppet{answers: [][]string{{"2002 00 00", "e000"}}}
	if err := play(t, "a connect v311\na> PUBLISH topic=t\na dropped 82", p, nil); err == nil || !strings.Contains(err.Error(), "arrived a< DISCONNECT") {
		t.Errorf("a DISCONNECT to 3.1.1: %v", err)
	}
}

func TestReturnCodesAreThoseOfTheVersion(t *testing.T) {
	p := &puppet{answers: [][]string{{"2002 00 05"}}}
	if err := play(t, "a open v311\na> CONNECT v311 id=a\na< CONNACK code=4", p, nil); err == nil || !strings.Contains(err.Error(), "arrived  a< CONNACK code=5") {
		t.Errorf("%v", err)
	}
}

func TestAResumedSessionMustBeThere(t *testing.T) {
	p := &puppet{answers: [][]string{{accepted}}}
	if err := play(t, "a resume", p, nil); err == nil || !strings.Contains(err.Error(), "session-present is missing") {
		t.Errorf("no session: %v", err)
	}
	p = &puppet{answers: [][]string{{"2003 01 00 00"}}}
	if err := play(t, "a connect", p, nil); err == nil || !strings.Contains(err.Error(), "session-present is not expected") {
		t.Errorf("a session with a clean start: %v", err)
	}
}

func TestTimePassesAsThePlayerIsTold(t *testing.T) {
	var waited []time.Duration
	p := &puppet{answers: [][]string{{accepted}}}
	err := play(t, "a connect\nwait 90s\nwait 1500ms", p, func(p *mqtttest.Player) {
		p.Wait = func(d time.Duration) { waited = append(waited, d) }
	})
	if err != nil || !slices.Equal(waited, []time.Duration{90 * time.Second, 1500 * time.Millisecond}) {
		t.Errorf("waited %v: %v", waited, err)
	}
}

func TestWhatAScriptLeavesInASharedBrokerIsRemoved(t *testing.T) {
	visit := []string{accepted, "end"}
	p := &puppet{answers: [][]string{{accepted, "", "end"}, visit, {accepted, "", "end"}}}
	err := play(t, "a connect session-expiry=60\na> PUBLISH topic=t retain payload=x\na> DISCONNECT\na closed", p,
		func(p *mqtttest.Player) { p.Shared = true })
	if err != nil {
		t.Fatal(err)
	}
	var kept []string
	for _, raw := range p.got {
		if raw[0] != 0xC0 {
			kept = append(kept, string(raw))
		}
	}
	want := []string{
		string(unhex(`1013 0004 "MQTT" 05 02 0000 05 11 0000003c 0001 "a"`)), string(unhex(`3105 0001 "t" 00 "x"`)), string(unhex("e000")),
		string(unhex(`100e 0004 "MQTT" 05 02 0000 00 0001 "a"`)), string(unhex("e000")),
		string(unhex(`1014 0004 "MQTT" 05 02 0000 00 0007 "cleaner"`)), string(unhex(`3104 0001 "t" 00`)), string(unhex("e000")),
	}
	if !slices.Equal(kept, want) {
		t.Errorf("sent\n%q, want\n%q", kept, want)
	}
}

func TestScriptsForWhatABrokerLacksAreSkipped(t *testing.T) {
	p := &mqtttest.Player{Lacks: map[mqtttest.Ability]string{mqtttest.ACL: "it has no list"}}
	for script, says := range map[string]string{
		"a open":                             "",
		"needs: login\na open":               "",
		"needs: login, acl\na open":          "the broker lacks acl: it has no list",
		"needs: websocket\na open websocket": "no way to dial a WebSocket",
	} {
		if got := p.Skips(parse(t, script)); !strings.Contains(got, says) || (got == "") != (says == "") {
			t.Errorf("%q: %q, want %q", script, got, says)
		}
	}
}
