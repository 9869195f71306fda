package mqtttest_test

import (
	"fmt"
	"strings"
	"testing"

	"omnibus/dialect/mqtt/mqtttest"
)

// breaches are what breaks each rule: a script, and the answers of a broker that
// would hold it, were it not for the rule.
var breaches = []struct {
	rule, script string
	answers      []string
}{
	{"nothing before CONNACK", "a open\na> CONNECT id=a\na< PUBLISH topic=t", []string{`3004 0001 "t" 00`}},
	{"nothing before CONNACK", "a open\na> CONNECT id=a\na< DISCONNECT reason=87", []string{"e001 87"}},
	{"one CONNACK", "a connect\na> PUBLISH topic=t\na< CONNACK", []string{accepted, accepted}},
	{"nothing after the end", "a connect\na> PUBLISH topic=t\na< DISCONNECT reason=82\na< PUBLISH topic=t", []string{accepted, `e001 82 3004 0001 "t" 00`}},
	{"nothing after the end", "a open\na> CONNECT id=a\na< CONNACK reason=87\na< DISCONNECT reason=87", []string{"2003 00 87 00 e001 87"}},
	{"the client's packet size", "a connect max-packet-size=10\na> SUBSCRIBE id=1 filter=t\na< PUBLISH topic=t payload=12345", []string{accepted, `3009 0001 "t" 00 "12345"`}},
	{"the client's packet size", "a connect max-packet-size=10\na> SUBSCRIBE id=1 filter=t\na< SUBACK id=1 codes=00 *", []string{accepted, `900a 0001 06 1f 0003 "why" 00`}},
	{"the client's topic aliases", "a connect\na> SUBSCRIBE id=1 filter=t\na< PUBLISH topic=t *", []string{accepted, `3007 0001 "t" 03 23 0001`}},
	{"the client's topic aliases", "a connect alias-max=1\na> SUBSCRIBE id=1 filter=t\na< PUBLISH topic=t *", []string{accepted, `3007 0001 "t" 03 23 0002`}},
	{"the client's topic aliases", "a connect alias-max=1\na> SUBSCRIBE id=1 filter=t\na< PUBLISH *", []string{accepted, `3006 0000 03 23 0001`}},
	{
		"the client's receive maximum", "a connect receive-max=1\na> SUBSCRIBE id=1 filter=t qos=1\na< PUBLISH topic=t id=1 qos=1\na< PUBLISH topic=t id=2 qos=1",
		[]string{accepted, `3206 0001 "t" 0001 00 3206 0001 "t" 0002 00`},
	},
	{
		"the client's receive maximum", "a connect receive-max=1\na> SUBSCRIBE id=1 filter=t qos=2\na< PUBLISH topic=t id=1 qos=2\na> PUBREC id=1\na< PUBREL id=1\na< PUBLISH topic=t id=2 qos=1",
		[]string{accepted, `3406 0001 "t" 0001 00`, `6202 0001 3206 0001 "t" 0002 00`},
	},
	{
		"unused packet identifiers", "a connect\na> SUBSCRIBE id=1 filter=t qos=1\na< PUBLISH topic=t id=1 qos=1\na< PUBLISH topic=t id=1 qos=1",
		[]string{accepted, `3206 0001 "t" 0001 00 3206 0001 "t" 0001 00`},
	},
	{
		"unused packet identifiers", "a resume\na> SUBSCRIBE id=1 filter=t qos=1\na< PUBREL id=1\na< PUBLISH topic=t id=1 qos=1",
		[]string{"2003 01 00 00", `6202 0001 3206 0001 "t" 0001 00`},
	},
	{"no explanations for who wants none", "a connect request-problem-info=0\na> PUBLISH topic=t id=1 qos=1\na< PUBACK id=1 *", []string{accepted, `400a 0001 00 06 1f 0003 "why"`}},
	{"no response information unasked", "a connect", []string{`2007 00 00 04 1a 0001 "r"`}},
	{"no response information unasked", "a connect request-response-info=0", []string{`2007 00 00 04 1a 0001 "r"`}},
	{"the client's authentication method", "a connect method=m", []string{accepted}},
	{"the client's authentication method", "a connect method=m", []string{`2007 00 00 04 15 0001 "x"`}},
	{"the client's authentication method", "a connect", []string{`2007 00 00 04 15 0001 "m"`}},
	{"the client's authentication method", "a open\na> CONNECT id=a\na< AUTH reason=18 method=m", []string{`f006 18 04 15 0001 "m"`}},
	{"the client's authentication method", "a open\na> CONNECT id=a method=m\na< AUTH reason=18 method=x", []string{`f006 18 04 15 0001 "x"`}},
}

func TestPacketsThatBreakARuleFailWhateverIsExpected(t *testing.T) {
	broken := make(map[string]bool)
	for i, b := range breaches {
		t.Run(fmt.Sprint(b.rule, " ", i), func(t *testing.T) {
			broken[b.rule] = true
			err := play(t, b.script, &puppet{answers: [][]string{b.answers}}, nil)
			if err == nil || !strings.Contains(err.Error(), fmt.Sprintf("breaks the rule %q", b.rule)) {
				t.Errorf("%v", err)
			}
		})
	}
	for _, r := range mqtttest.Rules() {
		if !broken[r.Name] {
			t.Errorf("nothing here breaks the rule %q", r.Name)
		}
		if len(r.Shows) == 0 {
			t.Errorf("the rule %q shows no statement", r.Name)
		}
	}
}

// What seems to break a rule and does not.
func TestPacketsThatKeepTheRulesPass(t *testing.T) {
	for name, c := range map[string]struct {
		script  string
		answers []string
	}{
		"an alias stands for its topic": {
			"a connect alias-max=1\na> SUBSCRIBE id=1 filter=t\na< PUBLISH topic=t *\na< PUBLISH topic=t payload=x *",
			[]string{accepted, `3007 0001 "t" 03 23 0001 3007 0000 03 23 0001 "x"`},
		},
		"an identifier is free after PUBACK": {
			"a connect receive-max=1\na> SUBSCRIBE id=1 filter=t qos=1\na< PUBLISH topic=t id=1 qos=1\na> PUBACK id=1\na< PUBLISH topic=t id=1 qos=1",
			[]string{accepted, `3206 0001 "t" 0001 00`, `3206 0001 "t" 0001 00`},
		},
		"an identifier is free after PUBCOMP": {
			"a connect receive-max=1\na> SUBSCRIBE id=1 filter=t qos=2\na< PUBLISH topic=t id=1 qos=2\na> PUBREC id=1\na< PUBREL id=1\na> PUBCOMP id=1\na< PUBLISH topic=t id=1 qos=2",
			[]string{accepted, `3406 0001 "t" 0001 00`, `6202 0001`, `3406 0001 "t" 0001 00`},
		},
		"an identifier is free after a refusal": {
			"a connect receive-max=1\na> SUBSCRIBE id=1 filter=t qos=2\na< PUBLISH topic=t id=1 qos=2\na> PUBREC id=1 reason=97\na< PUBLISH topic=t id=1 qos=2",
			[]string{accepted, `3406 0001 "t" 0001 00`, `3406 0001 "t" 0001 00`},
		},
		"a PUBREL is no message": {
			"a resume receive-max=1\na> SUBSCRIBE id=1 filter=t qos=1\na< PUBREL id=1\na< PUBLISH topic=t id=2 qos=1",
			[]string{"2003 01 00 00", `6202 0001 3206 0001 "t" 0002 00`},
		},
		"response information that was asked for": {"a connect request-response-info=1", []string{`2007 00 00 04 1a 0001 "r"`}},
		"a CONNACK may explain":                   {"a connect request-problem-info=0", []string{`2009 00 00 06 1f 0003 "why"`}},
		"the client's own method":                 {"a connect method=m", []string{`2007 00 00 04 15 0001 "m"`}},
		"a refusal has no method":                 {"a open\na> CONNECT id=a method=m\na dropped 8c", []string{"2003 00 8c 00 end"}},
	} {
		t.Run(name, func(t *testing.T) {
			p := &puppet{answers: [][]string{c.answers}}
			if err := play(t, c.script, p, nil); err != nil {
				t.Error(err)
			}
		})
	}
}
