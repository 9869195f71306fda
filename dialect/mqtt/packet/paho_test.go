package packet_test

import (
	"bytes"
	_ "embed"
	"fmt"
	"strconv"
	"strings"
	"testing"

	"omnibus/dialect/mqtt/packet"
)

//go:embed testdata/paho.txt
var paho string

// pahoSays is what the program that sent testdata/paho.txt told its library.
var pahoSays = []string{
	"CONNECT 3.1 sensor-1 clean true, user user secret, will status/sensor-1 gone 1 true",
	"SUBSCRIBE 1 [{home/+/temperature 1 false false 0}]",
	"SUBSCRIBE 2 [{a/# 0 false false 0} {größe/℃ 2 false false 0}]",
	"PUBLISH home/kitchen/temperature 21.5 0 0 false",
	"PUBLISH home/kitchen/temperature 21.6 4 1 true",
	"PUBLISH home/kitchen/temperature 21.7 5 2 false",
	"PUBREL 5",
	"UNSUBSCRIBE 6 [a/#]",
	"PINGREQ",
	"DISCONNECT success, expiry 0, \"\"",
	"CONNECT 3.1.1 sensor-1 clean true, user user secret, will status/sensor-1 gone 1 true",
	"SUBSCRIBE 1 [{home/+/temperature 1 false false 0}]",
	"SUBSCRIBE 2 [{a/# 0 false false 0} {größe/℃ 2 false false 0}]",
	"PUBLISH home/kitchen/temperature 21.5 0 0 false",
	"PUBLISH home/kitchen/temperature 21.6 4 1 true",
	"PUBLISH home/kitchen/temperature 21.7 5 2 false",
	"PUBREL 5",
	"UNSUBSCRIBE 6 [a/#]",
	"PINGREQ",
	"DISCONNECT success, expiry 0, \"\"",
	"CONNECT 3.1.1 sensor-1 clean false",
	"DISCONNECT success, expiry 0, \"\"",
	"CONNECT 5.0 sensor-1 clean true, user user secret, will status/sensor-1 gone 1 true delay 5, format 1, expiry 60, text/plain, answer answers/1 0102 k=v, expiry 3600, receive 10, size 65536, aliases 5, response true, no problem true, auth plain xyz k=v",
	"SUBSCRIBE 1 [{home/+/temperature 1 true true 2}] as 300 k=v",
	"SUBSCRIBE 2 [{$share/g/jobs/# 2 false false 0}]",
	"PUBLISH home/kitchen/temperature 21.5 0 0 false",
	"PUBLISH home/kitchen/temperature 21.6 4 1 true alias 1, format 1, expiry 60, text/plain, answer answers/1 0102 k=v k=w",
	"PUBLISH home/kitchen/temperature 21.7 5 2 false",
	"PUBREL 5",
	"UNSUBSCRIBE 6 [home/+/temperature] k=v",
	"DISCONNECT disconnect with will message, expiry 10, \"bye\"",
	"CONNECT 5.0 sensor-1 clean true",
	"DISCONNECT success, expiry 0, \"\"",
}

func TestAClientsPacketsAreRead(t *testing.T) {
	count := 0
	for line := range strings.Lines(paho) {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "#") {
			continue
		}
		level, hex, _ := strings.Cut(line, " ")
		n, err := strconv.Atoi(level)
		if err != nil {
			t.Fatal(err)
		}
		v, raw := packet.Version(n), unhex(t, hex)
		p, err := decode(t, raw, v)
		if err != nil {
			t.Errorf("%s: %v", line, err)
			continue
		}
		again := p.Append(nil, v)
		if v < packet.V5 && !bytes.Equal(again, raw) {
			t.Errorf("%s is written as %x", line, again)
		}
		if same, err := decode(t, again, v); err != nil || len(again) != len(raw) || !equal(p, same) {
			t.Errorf("%s is written as %x: %v", line, again, err)
		}
		if count == len(pahoSays) {
			t.Fatalf("nothing is said of %s: %s", line, tell(p))
		}
		if got := tell(p); got != pahoSays[count] {
			t.Errorf("%s:\n got %s\nwant %s", line, got, pahoSays[count])
		}
		count++
	}
	if count != len(pahoSays) {
		t.Errorf("%d packets, want %d", count, len(pahoSays))
	}
}

// tell is a packet of a client in words.
func tell(p codec) string {
	switch p := p.(type) {
	case *connect:
		s := fmt.Sprintf("CONNECT %v %s clean %t", p.Version, p.ClientID, p.CleanStart)
		if p.HasUsername {
			s += fmt.Sprintf(", user %s %s", p.Username, p.Password)
		}
		if p.HasWill {
			s += fmt.Sprintf(", will %s %s %d %t", p.Will.Topic, p.Will.Payload, p.Will.QoS, p.Will.Retain)
			if w := p.Will.Properties; w.Present != 0 {
				s += fmt.Sprintf(" delay %d", w.DelayInterval) + message(w.MessageProperties)
			}
		}
		if q := p.Properties; q.Present != 0 {
			s += fmt.Sprintf(", expiry %d, receive %d, size %d, aliases %d, response %t, no problem %t, auth %s %s",
				q.SessionExpiryInterval, q.ReceiveMaximum, q.MaximumPacketSize, q.TopicAliasMaximum,
				q.RequestResponseInformation, q.NoProblemInformation, q.AuthenticationMethod, q.AuthenticationData) + users(q.User)
		}
		return s
	case *packet.Publish:
		s := fmt.Sprintf("PUBLISH %s %s %d %d %t", p.Topic, p.Payload, p.PacketID, p.QoS, p.Retain)
		if p.Properties.Present != 0 {
			s += fmt.Sprintf(" alias %d", p.Properties.TopicAlias) + message(p.Properties.MessageProperties)
		}
		return s
	case *packet.Subscribe:
		s := fmt.Sprintf("SUBSCRIBE %d %v", p.PacketID, p.Filters)
		if p.Properties.Present != 0 {
			s += fmt.Sprintf(" as %d", p.Properties.SubscriptionID) + users(p.Properties.User)
		}
		return s
	case *packet.Unsubscribe:
		return fmt.Sprintf("UNSUBSCRIBE %d %v", p.PacketID, p.Filters) + users(p.Properties.User)
	case *packet.Ack:
		return fmt.Sprintf("%v %d", p.Type, p.PacketID)
	case *ping:
		return p.Type.String()
	case *packet.Disconnect:
		return fmt.Sprintf("DISCONNECT %v, expiry %d, %q", p.Reason, p.Properties.SessionExpiryInterval, p.Properties.ReasonString)
	}
	return fmt.Sprintf("%T", p)
}

func message(p packet.MessageProperties) string {
	return fmt.Sprintf(", format %d, expiry %d, %s, answer %s %x",
		p.PayloadFormat, p.MessageExpiryInterval, p.ContentType, p.ResponseTopic, p.CorrelationData) + users(p.User)
}

func users(u packet.UserProperties) (s string) {
	for name, value := range u.All() {
		s += " " + name + "=" + value
	}
	return s
}
