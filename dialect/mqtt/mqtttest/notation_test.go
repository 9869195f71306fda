package mqtttest_test

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"omnibus/dialect/mqtt/mqtttest"
	"omnibus/dialect/mqtt/packet"
)

// What both sides can send is written in the same way when it is sent and when
// it is received.
func TestPacketsAreReadAsTheyAreWritten(t *testing.T) {
	for _, p := range []string{
		`PUBLISH topic=t`,
		`PUBLISH topic="größe / \"x\"" payload="a b"`,
		`PUBLISH topic=t payload=hex:00ff10 id=7 qos=1`,
		`PUBLISH topic=t payload=x id=7 qos=2 dup retain format=1 expiry=100 content-type=c response-topic=r correlation=hex:ff user=k:v user=k:w`,
		`PUBLISH topic=t format=0 expiry=0 content-type= user=:`,
		`PUBLISH topic=t payload=repeat("ab c",50)`,
		`PUBLISH topic="$share"$most payload=$most+1`,
		`PUBACK id=1`, `PUBACK id=1 reason=10`, `PUBACK id=1 reason=00 reason-string=why user=k:v`,
		`PUBREC id=1 reason=97`, `PUBREL id=65535 reason=92`, `PUBCOMP id=2 reason-string=`,
		`AUTH reason=18 method=m data=hmac(secret,"a message") reason-string=why user=k:v`,
		`AUTH reason=18 method=m data=`,
		`DISCONNECT reason=87 reason-string="it is so" user=k:v`,
	} {
		script := "a open\na> CONNECT id=a method=m\na< CONNACK receive-max=$most *\na> " + p + "\na< " + p
		q := &puppet{answers: [][]string{{`200a 00 00 07 21 0003 15 0001 "m"`, "echo", "end"}}}
		if err := play(t, script+"\na close", q, nil); err != nil {
			t.Errorf("%s: %v", p, err)
		}
		if !strings.HasPrefix(p, "PUBLISH topic=t payload=repeat") {
			continue
		}
		if want := strings.Repeat("ab c", 50); !bytes.Contains(q.got[1], []byte(want)) {
			t.Errorf("%s: sent %q", p, q.got[1])
		}
	}
}

// The proof of the authentication that scripts use, computed by another program.
func TestAProofIsTheHMACOfTheMessage(t *testing.T) {
	q := &puppet{answers: [][]string{{`2007 00 00 04 15 0001 "m"`, ""}}}
	if err := play(t, "a connect method=m\na> AUTH reason=18 method=m data=hmac(key,\"The quick brown fox jumps over the lazy dog\")", q, nil); err != nil {
		t.Fatal(err)
	}
	want := unhex("f7bc83f430538424b13298e6aa6fb143ef4d59a14946175997479dbc2d1a3cd8")
	if !bytes.HasSuffix(q.got[1], want) {
		t.Errorf("sent %x, want it to end with %x", q.got[1], want)
	}
}

// sent are requests, as a script writes them and as they are sent.
var sent = []struct{ text, bytes string }{
	{"hex 10 [ s\"MQTT\" 05 [ ] ]", `1008 0004 "MQTT" 05 00`},
	{"hex 30 [ s\"t\" 00 \"a b\" 0aFF ]", `3009 0001 "t" 00 "a" 20 "b" 0aff`},
	{"PINGREQ", "c000"},
	{"DISCONNECT", "e000"},
	{"DISCONNECT reason=04", "e001 04"},
	{"DISCONNECT session-expiry=0", "e007 00 05 11 00000000"},
	{"DISCONNECT server-reference=x", `e006 00 04 1c 0001 "x"`},
	{"SUBSCRIBE id=258 filter=a qos=2 no-local rap rh=1 filter=b sub-id=7 user=k:v", `8214 0102 09 0b 07 26 0001 "k" 0001 "v" 0001 "a" 1e 0001 "b" 00`},
	{"SUBSCRIBE id=1", "8203 0001 00"},
	{"UNSUBSCRIBE id=1 filter=a filter=b user=k:v", `a210 0001 07 26 0001 "k" 0001 "v" 0001 "a" 0001 "b"`},
	{"PUBLISH topic= alias=3 sub-id=5", `3008 0000 05 23 0003 0b 05`},
	{
		"CONNECT v311 id=a clean keepalive=10 username=u password=p will-topic=w will-payload=x will-qos=1 will-retain",
		`1019 0004 "MQTT" 04 ee 000a 0001 "a" 0001 "w" 0001 "x" 0001 "u" 0001 "p"`,
	},
	{"CONNECT v31 id=a", `100f 0006 "MQIsdp" 03 00 0000 0001 "a"`},
	{
		"CONNECT v5 id= session-expiry=1 receive-max=2 max-packet-size=3 alias-max=4 request-response-info=1 request-problem-info=0 method=m data=d user=k:v",
		`1030 0004 "MQTT" 05 00 0000 23 11 00000001 21 0002 27 00000003 22 0004 19 01 17 00 15 0001 "m" 16 0001 "d" 26 0001 "k" 0001 "v" 0000`,
	},
	{"CONNECT v5 id=a receive-max=0", `1011 0004 "MQTT" 05 00 0000 03 21 0000 0001 "a"`},
	{
		"CONNECT v5 id=a will-topic=w will-delay=1 will-format=1 will-expiry=2 will-content-type=c will-response-topic=r will-correlation=d will-user=k:v",
		`1033 0004 "MQTT" 05 04 0000 00 0001 "a" 1f 18 00000001 01 01 02 00000002 03 0001 "c" 08 0001 "r" 09 0001 "d" 26 0001 "k" 0001 "v" 0001 "w" 0000`,
	},
}

func TestPacketsAreSentAsWritten(t *testing.T) {
	for _, s := range sent {
		q := &puppet{answers: [][]string{{""}}}
		if err := play(t, "a open\na> "+s.text, q, nil); err != nil {
			t.Errorf("%s: %v", s.text, err)
			continue
		}
		got, want := sameOrder(q.got[0]), sameOrder(unhex(s.bytes))
		if got != want {
			t.Errorf("%s:\n%x, want\n%x", s.text, q.got[0], unhex(s.bytes))
		}
	}
}

// sameOrder makes packets equal that differ in the order of their bytes only: the
// codec chooses that of properties, and is tested itself.
func sameOrder(raw []byte) string {
	sorted := slices.Clone(raw)
	slices.Sort(sorted)
	return string(sorted)
}

func TestEveryKeyIsUsedByATranscript(t *testing.T) {
	text := allText(t)
	for typ := packet.CONNECT; typ <= packet.AUTH; typ++ {
		for _, k := range mqtttest.Keys(typ) {
			if !strings.Contains(text, k) {
				t.Errorf("%v: no transcript uses the key %s", typ, k)
			}
		}
	}
}

func TestClientsMayUseWebSockets(t *testing.T) {
	script := "a open websocket\na> CONNECT id=a\na< CONNACK\na> PUBLISH topic=t\na< PUBLISH topic=t\na> text-frame 00\na closed"
	for _, protocol := range []string{"mqtt", "mqttv3.1"} {
		err := overWebSocket(t, script, protocol)
		if protocol == "mqtt" && err != nil {
			t.Error(err)
		}
		if protocol != "mqtt" && (err == nil || !strings.Contains(err.Error(), "MQTT-6.0.0-4")) {
			t.Errorf("a broker that speaks %s: %v", protocol, err)
		}
	}
}
