package packet_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"omnibus/dialect/mqtt/packet"
)

const (
	malformed = packet.MalformedPacket
	protocol  = packet.ProtocolError
	version   = packet.UnsupportedProtocolVersion
	badName   = packet.TopicNameInvalid
	badFilter = packet.TopicFilterInvalid
	badAlias  = packet.TopicAliasInvalid
)

// refused are bodies, without the length in front of them, and what is said of
// them: the reason and a word of the text.
var refused = []struct {
	name   string
	v      packet.Version
	first  byte
	body   string
	reason packet.ReasonCode
	says   string
}{
	// Fixed headers.
	{"connect with flags", packet.V311, 0x11, `0004 "MQTT" 04 02 0000 0000`, malformed, "MQTT-2.1.3-1"},
	{"connack with flags", packet.V5, 0x21, `00 00 00`, malformed, "MQTT-2.1.3-1"},
	{"puback with flags", packet.V311, 0x42, `0001`, malformed, "MQTT-2.1.3-1"},
	{"pubrel without flags", packet.V5, 0x60, `0001`, malformed, "MQTT-2.1.3-1"},
	{"subscribe without flags", packet.V311, 0x80, `0001 0001 "a" 00`, malformed, "MQTT-2.1.3-1"},
	{"suback with flags", packet.V5, 0x92, `0001 00 00`, malformed, "MQTT-2.1.3-1"},
	{"unsubscribe without flags", packet.V5, 0xA0, `0001 00 0001 "a"`, malformed, "MQTT-2.1.3-1"},
	{"unsuback with flags", packet.V311, 0xB8, `0001`, malformed, "MQTT-2.1.3-1"},
	{"pingreq with flags", packet.V5, 0xC1, ``, malformed, "MQTT-2.1.3-1"},
	{"pingresp with flags", packet.V311, 0xD1, ``, malformed, "MQTT-2.1.3-1"},
	{"disconnect with flags", packet.V5, 0xE2, ``, malformed, "MQTT-2.1.3-1"},
	{"auth with flags", packet.V5, 0xF2, ``, malformed, "MQTT-2.1.3-1"},
	{"auth in 3.1.1", packet.V311, 0xF0, ``, malformed, "reserved before version 5"},
	{"publish of QoS 3", packet.V311, 0x36, `0001 "a" 0001`, malformed, "MQTT-3.3.1-4"},
	{"publish of QoS 0 with DUP", packet.V5, 0x38, `0001 "a" 00`, malformed, "MQTT-3.3.1-2"},

	// CONNECT.
	{"connect with another protocol", packet.V311, 0x10, `0004 "HTTP" 04 02 0000 0000`, version, "MQTT-3.1.2-1"},
	{"connect of level 6", packet.V5, 0x10, `0004 "MQTT" 06 02 0000 00 0000`, version, "MQTT-3.1.2-2"},
	{"connect of level 3 with the new name", packet.V311, 0x10, `0004 "MQTT" 03 02 0000 0000`, version, "MQTT-3.1.2-2"},
	{"connect of level 4 with the old name", packet.V311, 0x10, `0006 "MQIsdp" 04 02 0000 0000`, version, "MQTT-3.1.2-2"},
	{"connect of a bridge", packet.V311, 0x10, `0004 "MQTT" 84 02 0000 0000`, version, "MQTT-3.1.2-2"},
	{"connect without a protocol", packet.V311, 0x10, `0004 "MQT"`, malformed, "protocol name is cut off"},
	{"connect without a level", packet.V311, 0x10, `0004 "MQTT"`, malformed, "protocol version is cut off"},
	{"connect without flags", packet.V311, 0x10, `0004 "MQTT" 04`, malformed, "connect flags is cut off"},
	{"connect without keep alive", packet.V311, 0x10, `0004 "MQTT" 04 02 00`, malformed, "keep alive"},
	{"connect without a client identifier", packet.V311, 0x10, `0004 "MQTT" 04 02 0000`, malformed, "client identifier"},
	{"connect without properties", packet.V5, 0x10, `0004 "MQTT" 05 02 0000`, malformed, "properties"},
	{"connect with the reserved flag", packet.V311, 0x10, `0004 "MQTT" 04 03 0000 0000`, malformed, "MQTT-3.1.2-3"},
	{"connect with will QoS 3", packet.V311, 0x10, `0004 "MQTT" 04 1E 0000 0000 0001 "w" 0000`, malformed, "MQTT-3.1.2-12"},
	{"connect with will QoS 3 in 3.1", packet.V31, 0x10, `0006 "MQIsdp" 03 1E 0000 0000 0001 "w" 0000`, malformed, "MQTT-3.1.2-12"},
	{"connect with QoS of no will", packet.V5, 0x10, `0004 "MQTT" 05 0A 0000 00 0000`, malformed, "MQTT-3.1.2-11"},
	{"connect with retain of no will", packet.V311, 0x10, `0004 "MQTT" 04 22 0000 0000`, malformed, "MQTT-3.1.2-13"},
	{"connect with a password alone", packet.V311, 0x10, `0004 "MQTT" 04 42 0000 0000 0001 "p"`, malformed, "3.1.1: MQTT-3.1.2-22"},
	{"connect with a password alone in 3.1", packet.V31, 0x10, `0006 "MQIsdp" 03 42 0000 0001 "c" 0001 "p"`, malformed, "password without"},
	{"connect without the user name it announces", packet.V311, 0x10, `0004 "MQTT" 04 82 0000 0000`, malformed, "user name is cut off"},
	{"connect without the password it announces", packet.V5, 0x10, `0004 "MQTT" 05 C2 0000 00 0000 0001 "u"`, malformed, "password is cut off"},
	{"connect with a user name it does not announce", packet.V311, 0x10, `0004 "MQTT" 04 02 0000 0000 0001 "u"`, malformed, "3 bytes too many"},
	{"connect without the will it announces", packet.V311, 0x10, `0004 "MQTT" 04 06 0000 0000`, malformed, "will topic is cut off"},
	{"connect without a will payload", packet.V5, 0x10, `0004 "MQTT" 05 06 0000 00 0000 00 0001 "w"`, malformed, "will payload is cut off"},
	{"connect with a wildcard to publish to", packet.V311, 0x10, `0004 "MQTT" 04 06 0000 0000 0001 "#" 0000`, badName, "wildcard"},
	{"connect with no topic to publish to", packet.V5, 0x10, `0004 "MQTT" 05 06 0000 00 0000 00 0000 0000`, badName, "MQTT-4.7.3-1"},
	{"connect with a client identifier that is no text", packet.V311, 0x10, `0004 "MQTT" 04 02 0000 0001 FF`, malformed, "client identifier is not valid UTF-8"},
	{"connect with a client identifier with U+0000", packet.V311, 0x10, `0004 "MQTT" 04 02 0000 0001 00`, malformed, "MQTT-1.5.4-2"},
	{"connect with a user name that is no text", packet.V5, 0x10, `0004 "MQTT" 05 82 0000 00 0000 0002 C328`, malformed, "user name is not valid UTF-8"},
	{"connect with data of no method", packet.V5, 0x10, `0004 "MQTT" 05 02 0000 03 16 0000 0000`, protocol, "without a method"},
	{"connect with a receive maximum of 0", packet.V5, 0x10, `0004 "MQTT" 05 02 0000 03 21 0000 0000`, protocol, "receive maximum is 0"},
	{"connect with a packet size of 0", packet.V5, 0x10, `0004 "MQTT" 05 02 0000 05 27 00000000 0000`, protocol, "maximum packet size is 0"},
	{"connect with request problem information 2", packet.V5, 0x10, `0004 "MQTT" 05 02 0000 02 17 02 0000`, protocol, "neither 0 nor 1"},
	{"connect with request response information 2", packet.V5, 0x10, `0004 "MQTT" 05 02 0000 02 19 02 0000`, protocol, "neither 0 nor 1"},
	{"connect with two session expiry intervals", packet.V5, 0x10, `0004 "MQTT" 05 02 0000 0A 11 00000000 11 00000000 0000`, protocol, "session expiry interval occurs twice"},
	{"connect with a topic alias", packet.V5, 0x10, `0004 "MQTT" 05 02 0000 03 23 0001 0000`, malformed, "topic alias is not allowed here"},
	{"connect with a will delay outside of the will", packet.V5, 0x10, `0004 "MQTT" 05 02 0000 05 18 00000000 0000`, malformed, "will delay interval is not allowed here"},
	{"connect with a session expiry in the will", packet.V5, 0x10, `0004 "MQTT" 05 06 0000 00 0000 05 11 00000000 0001 "w" 0000`, malformed, "not allowed here"},

	// CONNACK.
	{"connack with flags it does not know", packet.V311, 0x20, `02 00`, malformed, "MQTT-3.2.2-1"},
	{"connack of no code", packet.V311, 0x20, `00 06`, protocol, "return code 6 is reserved"},
	{"connack of another packet's reason", packet.V5, 0x20, `00 8E 00`, protocol, "session taken over is no reason code"},
	{"connack with a session and a refusal", packet.V311, 0x20, `01 05`, protocol, "MQTT-3.2.2-6"},
	{"connack with a session and a refusal in 5", packet.V5, 0x20, `01 87 00`, protocol, "MQTT-3.2.2-6"},
	{"connack too long", packet.V311, 0x20, `00 00 00`, malformed, "1 bytes too many"},
	{"connack too short", packet.V5, 0x20, `00 00`, malformed, "properties is cut off"},
	{"connack with maximum QoS 2", packet.V5, 0x20, `00 00 02 24 02`, protocol, "maximum QoS is neither 0 nor 1"},
	{"connack with retain available 2", packet.V5, 0x20, `00 00 02 25 02`, protocol, "neither 0 nor 1"},
	{"connack with wildcards 2", packet.V5, 0x20, `00 00 02 28 02`, protocol, "neither 0 nor 1"},
	{"connack with identifiers 2", packet.V5, 0x20, `00 00 02 29 02`, protocol, "neither 0 nor 1"},
	{"connack with shares 2", packet.V5, 0x20, `00 00 02 2A 02`, protocol, "neither 0 nor 1"},
	{"connack with data of no method", packet.V5, 0x20, `00 00 03 16 0000`, protocol, "without a method"},

	// PUBLISH.
	{"publish of nothing", packet.V311, 0x30, ``, malformed, "topic name is cut off"},
	{"publish to half a name", packet.V311, 0x30, `0004 "abc"`, malformed, "topic name is cut off"},
	{"publish to no name", packet.V311, 0x30, `0000`, badName, "MQTT-4.7.3-1"},
	{"publish to no name in 5", packet.V5, 0x30, `0000 00`, protocol, "no topic alias"},
	{"publish to +", packet.V311, 0x30, `0003 "a/+"`, badName, "wildcard"},
	{"publish to #", packet.V5, 0x30, `000B "a/b/c/d/e/#" 00`, badName, "wildcard"},
	{"publish to a long name with a wildcard and more letters", packet.V5, 0x30, `000B "größe/+/x" 00`, badName, "wildcard"},
	{"publish to U+0000", packet.V311, 0x30, `0003 610062`, malformed, "MQTT-1.5.4-2"},
	{"publish to a surrogate", packet.V5, 0x30, `0003 EDA080 00`, malformed, "MQTT-1.5.4-1"},
	{"publish to an overlong slash", packet.V5, 0x30, `0002 C0AF 00`, malformed, "MQTT-1.5.4-1"},
	{"publish to half a character", packet.V5, 0x30, `0002 E284 00`, malformed, "MQTT-1.5.4-1"},
	{"publish without an identifier", packet.V311, 0x32, `0001 "a" 00`, malformed, "packet identifier is cut off"},
	{"publish with identifier 0", packet.V311, 0x32, `0001 "a" 0000`, protocol, "MQTT-2.2.1-3"},
	{"publish without properties", packet.V5, 0x30, `0001 "a"`, malformed, "properties is cut off"},
	{"publish with half its properties", packet.V5, 0x30, `0001 "a" 03 01 01`, malformed, "properties are cut off"},
	{"publish with a length of properties that does not end", packet.V5, 0x30, `0001 "a" 80 80 80 80 00`, malformed, "more than four bytes"},
	{"publish with a longer length of properties than needed", packet.V5, 0x30, `0001 "a" 80 00`, malformed, "MQTT-1.5.5-1"},
	{"publish with half a property", packet.V5, 0x30, `0001 "a" 03 02 00 00`, malformed, "message expiry interval is cut off"},
	{"publish with half an alias", packet.V5, 0x30, `0001 "a" 02 23 00`, malformed, "topic alias is cut off"},
	{"publish with half a content type", packet.V5, 0x30, `0001 "a" 04 03 0002 "a"`, malformed, "content type is cut off"},
	{"publish with half a user property", packet.V5, 0x30, `0001 "a" 04 26 0001 "a"`, malformed, "user property is cut off"},
	{"publish with an identifier that does not end", packet.V5, 0x30, `0001 "a" 02 0B 80`, malformed, "subscription identifier is cut off"},
	{"publish with a longer identifier than needed", packet.V5, 0x30, `0001 "a" 03 0B 81 00`, malformed, "shortest form"},
	{"publish with identifier 0 of a subscription", packet.V5, 0x30, `0001 "a" 02 0B 00`, protocol, "subscription identifier is 0"},
	{"publish with alias 0", packet.V5, 0x30, `0001 "a" 03 23 0000`, badAlias, "MQTT-3.3.2-8"},
	{"publish with two aliases", packet.V5, 0x30, `0001 "a" 06 23 0001 23 0001`, protocol, "topic alias occurs twice"},
	{"publish with payload format 2", packet.V5, 0x30, `0001 "a" 02 01 02`, protocol, "payload format indicator is neither"},
	{"publish with a response topic with a wildcard", packet.V5, 0x30, `0001 "a" 04 08 0001 "+"`, protocol, "MQTT-3.3.2-14"},
	{"publish with an empty response topic", packet.V5, 0x30, `0001 "a" 03 08 0000`, protocol, "response topic is empty"},
	{"publish with a content type that is no text", packet.V5, 0x30, `0001 "a" 04 03 0001 80`, malformed, "content type is not valid UTF-8"},
	{"publish with a name of a user property that is no text", packet.V5, 0x30, `0001 "a" 06 26 0001 80 0000`, malformed, "has a name that is not"},
	{"publish with a user property with U+0000", packet.V5, 0x30, `0001 "a" 06 26 0000 0001 00`, malformed, "has a value that has"},
	{"publish with a reason string", packet.V5, 0x30, `0001 "a" 03 1F 0000`, malformed, "reason string is not allowed here"},
	{"publish with an unknown property", packet.V5, 0x30, `0001 "a" 02 2F 00`, malformed, "property 47 is not allowed here"},
	{"publish with a property of two bytes", packet.V5, 0x30, `0001 "a" 03 81 01 00`, malformed, "property 129 is not allowed here"},

	// What answers a PUBLISH.
	{"puback without an identifier", packet.V311, 0x40, `00`, malformed, "packet identifier is cut off"},
	{"puback with identifier 0", packet.V5, 0x40, `0000`, protocol, "packet identifier is 0"},
	{"puback with a reason in 3.1.1", packet.V311, 0x40, `0001 00`, malformed, "too many"},
	{"puback with another packet's reason", packet.V5, 0x40, `0001 92`, protocol, "is no reason code"},
	{"pubrec with no reason there is", packet.V5, 0x50, `0001 7F`, protocol, "reason code 0x7F is no reason code"},
	{"pubrel with another packet's reason", packet.V5, 0x62, `0001 10`, protocol, "is no reason code"},
	{"pubcomp with a content type", packet.V5, 0x70, `0001 00 03 03 0000`, malformed, "content type is not allowed here"},
	{"pubcomp with two reason strings", packet.V5, 0x70, `0001 00 06 1F 0000 1F 0000`, protocol, "reason string occurs twice"},
	{"puback too long", packet.V5, 0x40, `0001 00 00 00`, malformed, "too many"},

	// SUBSCRIBE.
	{"subscribe of nothing", packet.V311, 0x82, `0001`, protocol, "MQTT-3.8.3-2"},
	{"subscribe of nothing in 5", packet.V5, 0x82, `0001 00`, protocol, "MQTT-3.8.3-2"},
	{"subscribe with identifier 0", packet.V311, 0x82, `0000 0001 "a" 00`, protocol, "packet identifier is 0"},
	{"subscribe without options", packet.V311, 0x82, `0001 0001 "a"`, malformed, "subscription options is cut off"},
	{"subscribe with half a filter", packet.V311, 0x82, `0001 0002 "a"`, malformed, "topic filter is cut off"},
	{"subscribe of an empty filter", packet.V311, 0x82, `0001 0000 00`, badFilter, "MQTT-4.7.3-1"},
	{"subscribe of QoS 3", packet.V311, 0x82, `0001 0001 "a" 03`, malformed, "3.1.1: MQTT-3.8.3-4"},
	{"subscribe of QoS 3 in 3.1", packet.V31, 0x82, `0001 0001 "a" 03`, malformed, "requested QoS is 3"},
	{"subscribe of QoS 3 in 5", packet.V5, 0x82, `0001 00 0001 "a" 03`, protocol, "maximum QoS is 3"},
	{"subscribe with no local in 3.1.1", packet.V311, 0x82, `0001 0001 "a" 04`, malformed, "reserved bit"},
	{"subscribe with reserved bits", packet.V5, 0x82, `0001 00 0001 "a" 40`, malformed, "MQTT-3.8.3-5"},
	{"subscribe with retain handling 3", packet.V5, 0x82, `0001 00 0001 "a" 30`, protocol, "retain handling is 3"},
	{"subscribe to a share with no local", packet.V5, 0x82, `0001 00 000A "$share/g/a" 04`, protocol, "MQTT-3.8.3-4"},
	{"subscribe to a share of no name", packet.V5, 0x82, `0001 00 0009 "$share//a" 00`, badFilter, "MQTT-4.8.2-1"},
	{"subscribe to a share of no filter", packet.V5, 0x82, `0001 00 0008 "$share/g" 00`, badFilter, "MQTT-4.8.2-2"},
	{"subscribe to a#", packet.V311, 0x82, `0001 0002 "a#" 00`, badFilter, "MQTT-4.7.1-1"},
	{"subscribe to #/a", packet.V5, 0x82, `0001 00 0003 "#/a" 00`, badFilter, "MQTT-4.7.1-1"},
	{"subscribe to a+/b", packet.V311, 0x82, `0001 0004 "a+/b" 00`, badFilter, "MQTT-4.7.1-2"},
	{"subscribe to +a", packet.V311, 0x82, `0001 0002 "+a" 00`, badFilter, "MQTT-4.7.1-2"},
	{"subscribe to no text", packet.V311, 0x82, `0001 0001 FE 00`, malformed, "topic filter is not valid UTF-8"},
	{"subscribe with subscription identifier 0", packet.V5, 0x82, `0001 02 0B 00 0001 "a" 00`, protocol, "subscription identifier is 0"},
	{"subscribe with two subscription identifiers", packet.V5, 0x82, `0001 04 0B 01 0B 02 0001 "a" 00`, protocol, "occurs twice"},

	// SUBACK, UNSUBSCRIBE, UNSUBACK.
	{"suback of nothing", packet.V311, 0x90, `0001`, protocol, "has no reason code"},
	{"suback with identifier 0", packet.V311, 0x90, `0000 00`, protocol, "packet identifier is 0"},
	{"suback of QoS 3", packet.V311, 0x90, `0001 03`, protocol, "is no reason code"},
	{"suback with a new reason in 3.1.1", packet.V311, 0x90, `0001 87`, protocol, "return code 0x87 is reserved"},
	{"suback with another packet's reason", packet.V5, 0x90, `0001 00 11`, protocol, "is no reason code"},
	{"unsubscribe of nothing", packet.V311, 0xA2, `0001`, protocol, "MQTT-3.10.3-2"},
	{"unsubscribe with identifier 0", packet.V5, 0xA2, `0000 00 0001 "a"`, protocol, "packet identifier is 0"},
	{"unsubscribe of half a filter", packet.V311, 0xA2, `0001 0001 "a" 00`, malformed, "topic filter is cut off"},
	{"unsubscribe of a filter that is none", packet.V311, 0xA2, `0001 0002 "#a"`, badFilter, "MQTT-4.7.1-1"},
	{"unsubscribe with a subscription identifier", packet.V5, 0xA2, `0001 02 0B 01 0001 "a"`, malformed, "not allowed here"},
	{"unsuback too long", packet.V311, 0xB0, `0001 00`, malformed, "too many"},
	{"unsuback of nothing in 5", packet.V5, 0xB0, `0001 00`, protocol, "has no reason code"},
	{"unsuback with another packet's reason", packet.V5, 0xB0, `0001 00 01`, protocol, "is no reason code"},

	// The rest.
	{"pingreq with a body", packet.V311, 0xC0, `00`, malformed, "too many"},
	{"pingresp with a body", packet.V5, 0xD0, `00`, malformed, "too many"},
	{"disconnect with a reason in 3.1.1", packet.V311, 0xE0, `00`, malformed, "too many"},
	{"disconnect with another packet's reason", packet.V5, 0xE0, `01`, protocol, "is no reason code"},
	{"disconnect with an alias maximum", packet.V5, 0xE0, `00 03 22 0000`, malformed, "topic alias maximum is not allowed here"},
	{"disconnect too long", packet.V5, 0xE0, `00 00 00`, malformed, "too many"},
	{"auth with another packet's reason", packet.V5, 0xF0, `87 04 15 0001 "m"`, protocol, "is no reason code"},
	{"auth of no method", packet.V5, 0xF0, `18 00`, protocol, "MQTT-4.12.0-5"},
	{"auth without properties", packet.V5, 0xF0, `18`, malformed, "properties is cut off"},
	{"auth with two methods", packet.V5, 0xF0, `18 08 15 0001 "m" 15 0001 "m"`, protocol, "occurs twice"},
}

func TestWhatIsNotWellFormedIsRefused(t *testing.T) {
	for _, c := range refused {
		t.Run(c.name, func(t *testing.T) {
			body := unhex(t, c.body)
			if len(body) > 127 {
				t.Fatal("a body this long needs a longer header")
			}
			raw := append([]byte{c.first, byte(len(body))}, body...)
			_, err := decode(t, raw, c.v)
			refusedFor(t, err, c.reason, c.says)
			if want := "decoding " + packet.Type(c.first>>4).String() + ": "; err != nil && !strings.HasPrefix(err.Error(), want) {
				t.Errorf("the error is %q and does not begin with %q", err, want)
			}
		})
	}
}

func refusedFor(t *testing.T, err error, reason packet.ReasonCode, says string) {
	t.Helper()
	if err == nil {
		t.Fatal("it was accepted")
	}
	e, ok := errors.AsType[*packet.Error](err)
	if !ok || e.Reason != reason {
		t.Errorf("the reason of %q is 0x%02X, not 0x%02X", err, byte(packet.ReasonOf(err)), byte(reason))
	}
	if !strings.Contains(err.Error(), says) {
		t.Errorf("the error is %q and does not say %q", err, says)
	}
}

// In version 5 the length has to be in its shortest form.
func TestLongFormsOfTheLengthAreRefusedInVersion5(t *testing.T) {
	for _, c := range golden {
		raw := unhex(t, c.bytes)
		padded := append([]byte{raw[0], raw[1] | 0x80, 0}, raw[2:]...)
		_, err := decode(t, padded, c.v)
		if c.v == packet.V5 {
			refusedFor(t, err, packet.MalformedPacket, "MQTT-1.5.5-1")
		} else if err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

// A body that ends early is either refused or the shorter packet it seems to be.
func TestBodiesThatEndEarlyDoNotReadOn(t *testing.T) {
	for _, c := range golden {
		raw := unhex(t, c.bytes)
		h, body, _, err := packet.Frame(raw, 0)
		if err != nil {
			t.Fatal(err)
		}
		for n := range body {
			p := empty(h.Type)
			if p.Decode(h, body[:n:n], c.v) != nil {
				continue
			}
			again, err := decode(t, p.Append(nil, c.v), c.v)
			if err != nil || !equal(p, again) {
				t.Errorf("%s, cut to %d bytes, was accepted as %+v but not written so: %v", c.name, n, p, err)
			}
		}
	}
}

func TestTheVersionThatWasAskedForIsKnownWhenItIsRefused(t *testing.T) {
	for body, want := range map[string]packet.Version{
		`0004 "MQTT" 06 02 0000 0000`:   6,
		`0004 "MQTT" 03 02 0000 0000`:   3,
		`0004 "MQTT" 84 02 0000 0000`:   0x84,
		`0004 "HTTP" 04 02 0000 0000`:   0,
		`0006 "MQIsdp" 02 02 0000 0000`: 2,
	} {
		var c packet.Connect
		err := c.Decode(packet.Header{Type: packet.CONNECT}, unhex(t, body))
		if packet.ReasonOf(err) != packet.UnsupportedProtocolVersion || c.Version != want {
			t.Errorf("%s: version %d and %v, want version %d and 0x84", body, c.Version, err, want)
		}
	}
}

func TestAPacketIsNotDecodedAsAnother(t *testing.T) {
	for a := packet.CONNECT; a <= packet.AUTH; a++ {
		for b := packet.CONNECT; b <= packet.AUTH; b++ {
			p := empty(a)
			if fmt.Sprintf("%T", p) == fmt.Sprintf("%T", empty(b)) {
				continue
			}
			if err := p.Decode(packet.Header{Type: b}, nil, packet.V5); packet.ReasonOf(err) != packet.ProtocolError {
				t.Errorf("%T decoded %v: %v", p, b, err)
			}
		}
	}
}

func TestWhatOneSideMayNotSendIsFound(t *testing.T) {
	ids := packet.PublishProperties{SubscriptionIDs: packet.SubscriptionIDs(nil).Append(1)}
	ids.Present.Add(packet.SubscriptionIdentifier)
	type checker interface {
		CheckSender(packet.Sender) error
	}
	for _, c := range []struct {
		name           string
		packet         checker
		client, server bool
	}{
		{"publish", &packet.Publish{}, true, true},
		{"publish with a subscription identifier", &packet.Publish{Properties: ids}, false, true},
		{"disconnect", &packet.Disconnect{}, true, true},
		{"disconnect with will", &packet.Disconnect{Reason: packet.DisconnectWithWill}, true, false},
		{"disconnect of a client", &packet.Disconnect{Reason: packet.PacketTooLarge}, true, true},
		{"disconnect of a server", &packet.Disconnect{Reason: packet.ServerShuttingDown}, false, true},
		{"disconnect with session expiry", &packet.Disconnect{Properties: packet.DisconnectProperties{Present: has(packet.SessionExpiryInterval)}}, true, false},
		{"disconnect with a reference", &packet.Disconnect{Properties: packet.DisconnectProperties{Present: has(packet.ServerReference)}}, false, true},
		{"auth, success", &packet.Auth{Reason: packet.Success}, false, true},
		{"auth, continue", &packet.Auth{Reason: packet.ContinueAuthentication}, true, true},
		{"auth, again", &packet.Auth{Reason: packet.Reauthenticate}, true, false},
	} {
		for from, may := range map[packet.Sender]bool{packet.FromClient: c.client, packet.FromServer: c.server} {
			want := packet.Success
			if !may {
				want = packet.ProtocolError
			}
			if err := c.packet.CheckSender(from); packet.ReasonOf(err) != want {
				t.Errorf("%s from side %d: %v, want %v", c.name, from, err, want)
			}
		}
	}
}
