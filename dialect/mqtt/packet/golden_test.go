package packet_test

import (
	"bytes"
	"testing"

	"omnibus/dialect/mqtt/packet"
)

// has is short for the set of properties present.
var has = packet.Properties

func user(pairs ...string) (u packet.UserProperties) {
	for i := 0; i < len(pairs); i += 2 {
		u = u.Append(pairs[i], pairs[i+1])
	}
	return u
}

// golden are packets and their bytes, worked out by hand from the specification.
var golden = []struct {
	name   string
	v      packet.Version
	packet codec
	bytes  string
}{
	{
		"connect 3.1", packet.V31,
		&connect{packet.Connect{Version: packet.V31, CleanStart: true, KeepAlive: 60, ClientID: "ab"}},
		`10 10 0006 "MQIsdp" 03 02 003C 0002 "ab"`,
	},
	{
		"connect 3.1.1, empty client identifier", packet.V311,
		&connect{packet.Connect{Version: packet.V311, CleanStart: true}},
		`10 0C 0004 "MQTT" 04 02 0000 0000`,
	},
	{
		"connect 3.1.1 with everything", packet.V311,
		&connect{packet.Connect{
			Version: packet.V311, KeepAlive: 0x0102, ClientID: "c", HasUsername: true, Username: "u", HasPassword: true, Password: []byte("p"),
			HasWill: true, Will: packet.Will{Topic: "w", Payload: []byte("x"), QoS: 2, Retain: true},
		}},
		`10 19 0004 "MQTT" 04 F4 0102 0001 "c" 0001 "w" 0001 "x" 0001 "u" 0001 "p"`,
	},
	{
		"connect 5, password alone", packet.V5,
		&connect{packet.Connect{Version: packet.V5, HasPassword: true, Password: []byte("p")}},
		`10 10 0004 "MQTT" 05 40 0000 00 0000 0001 "p"`,
	},
	{
		"connect 5 with everything", packet.V5,
		&connect{packet.Connect{
			Version: packet.V5, CleanStart: true, KeepAlive: 10, ClientID: "c",
			Properties: packet.ConnectProperties{
				Present: has(packet.SessionExpiryInterval, packet.ReceiveMaximum, packet.MaximumPacketSize, packet.TopicAliasMaximum,
					packet.RequestResponseInformation, packet.RequestProblemInformation, packet.UserProperty,
					packet.AuthenticationMethod, packet.AuthenticationData),
				SessionExpiryInterval: 10, ReceiveMaximum: 1, MaximumPacketSize: 256, TopicAliasMaximum: 2,
				RequestResponseInformation: true, NoProblemInformation: true, User: user("k", "v"),
				AuthenticationMethod: "m", AuthenticationData: []byte{9},
			},
			HasWill: true,
			Will: packet.Will{Topic: "w", Payload: []byte("x"), QoS: 1, Properties: packet.WillProperties{
				DelayInterval: 5,
				MessageProperties: packet.MessageProperties{
					Present:       has(packet.WillDelayInterval, packet.PayloadFormatIndicator, packet.MessageExpiryInterval, packet.ContentType, packet.ResponseTopic, packet.CorrelationData, packet.UserProperty),
					PayloadFormat: 1, MessageExpiryInterval: 7, ContentType: "t", ResponseTopic: "r", CorrelationData: []byte{8}, User: user("a", "b"),
				},
			}},
		}},
		`10 57 0004 "MQTT" 05 0E 000A
			23 11 0000000A 21 0001 27 00000100 22 0002 19 01 17 00 26 0001 "k" 0001 "v" 15 0001 "m" 16 0001 09
			0001 "c"
			1F 18 00000005 01 01 02 00000007 03 0001 "t" 08 0001 "r" 09 0001 08 26 0001 "a" 0001 "b"
			0001 "w" 0001 "x"`,
	},
	{"connack 3.1", packet.V31, &packet.Connack{Reason: packet.BadUserNameOrPassword}, `20 02 00 04`},
	{"connack 3.1.1", packet.V311, &packet.Connack{SessionPresent: true}, `20 02 01 00`},
	{"connack 3.1.1, refused", packet.V311, &packet.Connack{Reason: packet.UnsupportedProtocolVersion}, `20 02 00 01`},
	{"connack 5", packet.V5, &packet.Connack{}, `20 03 00 00 00`},
	{
		"connack 5 with everything", packet.V5,
		&packet.Connack{SessionPresent: true, Properties: packet.ConnackProperties{
			Present: has(packet.SessionExpiryInterval, packet.ReceiveMaximum, packet.MaximumQoS, packet.RetainAvailable, packet.MaximumPacketSize,
				packet.AssignedClientIdentifier, packet.TopicAliasMaximum, packet.ReasonString, packet.UserProperty,
				packet.WildcardSubscriptionAvailable, packet.SubscriptionIdentifierAvailable, packet.SharedSubscriptionAvailable,
				packet.ServerKeepAlive, packet.ResponseInformation, packet.ServerReference, packet.AuthenticationMethod, packet.AuthenticationData),
			SessionExpiryInterval: 1, ReceiveMaximum: 2, MaximumQoS: 1, RetainUnavailable: true, MaximumPacketSize: 3,
			AssignedClientID: "c", TopicAliasMaximum: 4, ReasonString: "r", User: user("k", "v"),
			WildcardsUnavailable: true, SubscriptionIDsUnavailable: true, SharedUnavailable: false,
			ServerKeepAlive: 0, ResponseInformation: "i", ServerReference: "s", AuthenticationMethod: "m", AuthenticationData: []byte{9},
		}},
		`20 3F 01 00 3C
			11 00000001 21 0002 24 01 25 00 27 00000003 12 0001 "c" 22 0004 1F 0001 "r" 26 0001 "k" 0001 "v"
			28 00 29 00 2A 01 13 0000 1A 0001 "i" 1C 0001 "s" 15 0001 "m" 16 0001 09`,
	},
	{"publish 3.1.1, QoS 0", packet.V311, &packet.Publish{Topic: "a/b", Payload: []byte("hi")}, `30 07 0003 "a/b" "hi"`},
	{"publish 3.1.1, QoS 0, retained and empty", packet.V311, &packet.Publish{Topic: "a/b", Retain: true}, `31 05 0003 "a/b"`},
	{"publish 3.1, QoS 1, again", packet.V31, &packet.Publish{Topic: "a", QoS: 1, Dup: true, PacketID: 258, Payload: []byte("x")}, `3A 06 0001 "a" 0102 "x"`},
	{"publish 5, QoS 2", packet.V5, &packet.Publish{Topic: "a", QoS: 2, PacketID: 10, Payload: []byte("x")}, `34 07 0001 "a" 000A 00 "x"`},
	{
		"publish 5, alias alone", packet.V5,
		&packet.Publish{Payload: []byte("x"), Properties: packet.PublishProperties{MessageProperties: packet.MessageProperties{Present: has(packet.TopicAlias)}, TopicAlias: 3}},
		`30 07 0000 03 23 0003 "x"`,
	},
	{
		"publish 5 with everything", packet.V5,
		&packet.Publish{Topic: "a", QoS: 1, PacketID: 1, Properties: packet.PublishProperties{
			TopicAlias: 2, SubscriptionIDs: packet.SubscriptionIDs(nil).Append(1).Append(300),
			MessageProperties: packet.MessageProperties{
				Present: has(packet.PayloadFormatIndicator, packet.MessageExpiryInterval, packet.ContentType, packet.ResponseTopic,
					packet.CorrelationData, packet.UserProperty, packet.TopicAlias, packet.SubscriptionIdentifier),
				PayloadFormat: 1, MessageExpiryInterval: 0, ContentType: "", ResponseTopic: "r", CorrelationData: nil, User: user("k", "v", "k", "w"),
			},
		}},
		`32 2D 0001 "a" 0001 27 01 01 02 00000000 03 0000 08 0001 "r" 09 0000 26 0001 "k" 0001 "v" 26 0001 "k" 0001 "w" 23 0002 0B 01 0B AC02`,
	},
	{"puback 3.1.1", packet.V311, &packet.Ack{Type: packet.PUBACK, PacketID: 1}, `40 02 0001`},
	{"puback 5, success", packet.V5, &packet.Ack{Type: packet.PUBACK, PacketID: 1}, `40 02 0001`},
	{"pubrec 5 with a reason", packet.V5, &packet.Ack{Type: packet.PUBREC, PacketID: 1, Reason: packet.QuotaExceeded}, `50 03 0001 97`},
	{
		"pubrel 5 with a reason string", packet.V5,
		&packet.Ack{Type: packet.PUBREL, PacketID: 1, Properties: packet.ReasonProperties{Present: has(packet.ReasonString), ReasonString: "r"}},
		`62 08 0001 00 04 1F 0001 "r"`,
	},
	{"pubrel 3.1", packet.V31, &packet.Ack{Type: packet.PUBREL, PacketID: 0xFFFF}, `62 02 FFFF`},
	{
		"pubcomp 5 with a user property", packet.V5,
		&packet.Ack{Type: packet.PUBCOMP, PacketID: 1, Reason: packet.PacketIdentifierNotFound, Properties: packet.ReasonProperties{Present: has(packet.UserProperty), User: user("k", "")}},
		`70 0A 0001 92 06 26 0001 "k" 0000`,
	},
	{
		"subscribe 3.1.1", packet.V311,
		&packet.Subscribe{PacketID: 10, Filters: []packet.Subscription{{Filter: "a/#", QoS: 1}, {Filter: "+", QoS: 2}}},
		`82 0C 000A 0003 "a/#" 01 0001 "+" 02`,
	},
	{
		"subscribe 5", packet.V5,
		&packet.Subscribe{
			PacketID: 10, Properties: packet.SubscribeProperties{Present: has(packet.SubscriptionIdentifier, packet.UserProperty), SubscriptionID: 200, User: user("k", "v")},
			Filters: []packet.Subscription{{Filter: "#", QoS: 2, NoLocal: true, RetainAsPublished: true, RetainHandling: 2}, {Filter: "$share/g/a", RetainHandling: 1}},
		},
		`82 1E 000A 0A 0B C801 26 0001 "k" 0001 "v" 0001 "#" 2E 000A "$share/g/a" 10`,
	},
	{"suback 3.1.1", packet.V311, &packet.Suback{PacketID: 10, Codes: []packet.ReasonCode{1, 2, 0x80}}, `90 05 000A 01 02 80`},
	{
		"suback 5", packet.V5,
		&packet.Suback{PacketID: 10, Codes: []packet.ReasonCode{packet.GrantedQoS0, packet.NotAuthorized}, Properties: packet.ReasonProperties{Present: has(packet.ReasonString), ReasonString: "r"}},
		`90 09 000A 04 1F 0001 "r" 00 87`,
	},
	{"unsubscribe 3.1.1", packet.V311, &packet.Unsubscribe{PacketID: 1, Filters: []string{"a/#", "+"}}, `A2 0A 0001 0003 "a/#" 0001 "+"`},
	{
		"unsubscribe 5", packet.V5,
		&packet.Unsubscribe{PacketID: 1, Filters: []string{"a"}, Properties: packet.UnsubscribeProperties{User: user("k", "v")}},
		`A2 0D 0001 07 26 0001 "k" 0001 "v" 0001 "a"`,
	},
	{"unsuback 3.1.1", packet.V311, &packet.Unsuback{PacketID: 1}, `B0 02 0001`},
	{"unsuback 5", packet.V5, &packet.Unsuback{PacketID: 1, Codes: []packet.ReasonCode{packet.Success, packet.NoSubscriptionExisted}}, `B0 05 0001 00 00 11`},
	{"pingreq", packet.V31, &ping{packet.PINGREQ}, `C0 00`},
	{"pingresp", packet.V5, &ping{packet.PINGRESP}, `D0 00`},
	{"disconnect 3.1.1", packet.V311, &packet.Disconnect{}, `E0 00`},
	{"disconnect 5", packet.V5, &packet.Disconnect{}, `E0 00`},
	{"disconnect 5 with a reason", packet.V5, &packet.Disconnect{Reason: packet.SessionTakenOver}, `E0 01 8E`},
	{
		"disconnect 5 with everything", packet.V5,
		&packet.Disconnect{Reason: packet.ServerMoved, Properties: packet.DisconnectProperties{
			Present:      has(packet.SessionExpiryInterval, packet.ReasonString, packet.ServerReference, packet.UserProperty),
			ReasonString: "r", ServerReference: "s", User: user("k", "v"),
		}},
		`E0 16 9D 14 11 00000000 1F 0001 "r" 26 0001 "k" 0001 "v" 1C 0001 "s"`,
	},
	{"auth, success", packet.V5, &packet.Auth{}, `F0 00`},
	{
		"auth with everything", packet.V5,
		&packet.Auth{Reason: packet.ContinueAuthentication, Properties: packet.AuthProperties{
			Present:              has(packet.AuthenticationMethod, packet.AuthenticationData, packet.ReasonString, packet.UserProperty),
			AuthenticationMethod: "m", AuthenticationData: []byte{}, ReasonString: "r", User: user("k", "v"),
		}},
		`F0 14 18 12 15 0001 "m" 16 0000 1F 0001 "r" 26 0001 "k" 0001 "v"`,
	},
}

func TestPacketsAreWrittenAsTheSpecificationSays(t *testing.T) {
	for _, c := range golden {
		t.Run(c.name, func(t *testing.T) {
			want := append([]byte("before"), unhex(t, c.bytes)...)
			if got := c.packet.Append([]byte("before"), c.v); !bytes.Equal(got, want) {
				t.Errorf("got\n%x, want\n%x", got, want)
			}
		})
	}
}

func TestPacketsAreReadAsTheSpecificationSays(t *testing.T) {
	for _, c := range golden {
		t.Run(c.name, func(t *testing.T) {
			got, err := decode(t, unhex(t, c.bytes), c.v)
			if err != nil {
				t.Fatal(err)
			}
			if !equal(got, c.packet) {
				t.Errorf("got\n%+v, want\n%+v", got, c.packet)
			}
		})
	}
}

// Every field has to be set by Decode, whatever it was before.
func TestDecodingIntoAUsedPacketLeavesNothingOfTheOldOne(t *testing.T) {
	for _, old := range golden {
		for _, c := range golden {
			raw := unhex(t, c.bytes)
			if raw[0]>>4 != unhex(t, old.bytes)[0]>>4 {
				continue
			}
			p, err := decode(t, unhex(t, old.bytes), old.v)
			if err != nil {
				t.Fatal(err)
			}
			h, body, _, err := packet.Frame(raw, 0)
			if err != nil {
				t.Fatal(err)
			}
			if err := p.Decode(h, body, c.v); err != nil {
				t.Fatal(err)
			}
			if !equal(p, c.packet) {
				t.Errorf("%s into %s: got\n%+v, want\n%+v", c.name, old.name, p, c.packet)
			}
		}
	}
}

func TestOtherWaysToSayTheSameAreRead(t *testing.T) {
	for _, c := range []struct {
		name  string
		v     packet.Version
		bytes string
		want  codec
	}{
		{"puback 5 with a reason of success", packet.V5, `40 03 0001 00`, &packet.Ack{Type: packet.PUBACK, PacketID: 1}},
		{"puback 5 with no properties", packet.V5, `40 04 0001 10 00`, &packet.Ack{Type: packet.PUBACK, PacketID: 1, Reason: packet.NoMatchingSubscribers}},
		{"disconnect 5 with no properties", packet.V5, `E0 02 00 00`, &packet.Disconnect{}},
		{"puback 3.1.1 in a long form", packet.V311, `40 82 00 0001`, &packet.Ack{Type: packet.PUBACK, PacketID: 1}},
		{"publish 3.1.1 in the longest form", packet.V311, `30 84 80 80 00 0001 "ax"`, &packet.Publish{Topic: "a", Payload: []byte("x")}},
		{"subscribe 3.1, sent again", packet.V31, `8A 06 0001 0001 "a" 01`, &packet.Subscribe{PacketID: 1, Filters: []packet.Subscription{{Filter: "a", QoS: 1}}}},
		{"subscribe 3.1 with unused bits", packet.V31, `82 06 0001 0001 "a" FD`, &packet.Subscribe{PacketID: 1, Filters: []packet.Subscription{{Filter: "a", QoS: 1}}}},
		{"connack 3.1 with unused bits", packet.V31, `20 02 FF 00`, &packet.Connack{}},
		{
			"connect 3.1 with unused flags, without the user name and password it announces", packet.V31, `10 0F 0006 "MQIsdp" 03 F9 0000 0001 "c"`,
			&connect{packet.Connect{Version: packet.V31, ClientID: "c"}},
		},
		{
			"connect 3.1 without the password it announces", packet.V31, `10 12 0006 "MQIsdp" 03 C2 0000 0001 "c" 0001 "u"`,
			&connect{packet.Connect{Version: packet.V31, ClientID: "c", CleanStart: true, HasUsername: true, Username: "u"}},
		},
		{
			"user properties with others between them", packet.V5, `E0 15 00 13 26 0001 "k" 0001 "v" 11 00000001 26 0001 "k" 0001 "w"`,
			&packet.Disconnect{Properties: packet.DisconnectProperties{Present: has(packet.SessionExpiryInterval, packet.UserProperty), SessionExpiryInterval: 1, User: user("k", "v", "k", "w")}},
		},
		{
			"a shared subscription's filter in 3.1.1 is like any other", packet.V311, `82 0B 0001 0006 "$share" 00`,
			&packet.Subscribe{PacketID: 1, Filters: []packet.Subscription{{Filter: "$share"}}},
		},
		{"a byte order mark is a character", packet.V5, `30 07 0003 EFBBBF 00 "x"`, &packet.Publish{Topic: "\uFEFF", Payload: []byte("x")}},
	} {
		t.Run(c.name, func(t *testing.T) {
			raw := unhex(t, c.bytes)
			got, err := decode(t, raw, c.v)
			if err != nil {
				t.Fatal(err)
			}
			again, err := decode(t, got.Append(nil, c.v), c.v)
			if err != nil {
				t.Fatal(err)
			}
			if !equal(got, c.want) {
				t.Errorf("got\n%+v, want\n%+v", got, c.want)
			}
			if !equal(again, c.want) {
				t.Errorf("written and read again\n%+v, want\n%+v", again, c.want)
			}
		})
	}
}
