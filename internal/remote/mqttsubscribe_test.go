package remote_test

import (
	"strings"
	"testing"
	"testing/synctest"

	"omnibus/bus"
	"omnibus/dialect/mqtt/packet"
	"omnibus/internal/remote"
	"omnibus/payload"
)

// message is a message of the broker.
func message(name, data string, ids ...uint32) packet.Publish {
	p := packet.Publish{Topic: name, Payload: []byte(data)}
	for _, id := range ids {
		p.Properties.SubscriptionIDs = p.Properties.SubscriptionIDs.Append(id)
	}
	return p
}

func TestMQTTSubscribes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, c := startPeer(t, packet.V5, plain(packet.V5))
		s := subscribe(t, c, "a/#")
		<-s.ready
		p.wants(t, "SUBSCRIBE a/# qos 2 id 1")
		labelled := func(contentType, data string) packet.Publish {
			m := message("a", data)
			m.Properties.ContentType = contentType
			return m
		}
		rich := message("a/b", "5")
		rich.Retain = true
		rich.Properties.ContentType = "text/plain; charset=utf-8"
		rich.Properties.ResponseTopic = "r"
		rich.Properties.CorrelationData = []byte{0, 255}
		rich.Properties.PayloadFormat = 1
		rich.Properties.User = rich.Properties.User.Append("k", "1").Append("k", "2")
		for _, x := range []struct {
			m    packet.Publish
			want string
		}{
			{message("a", `{"x": 1}`), `a json {"x": 1}`},
			{message("a", `[1,2]`), `a args [1,2]`},
			{message("a", `hi`), `a text "hi"`},
			{message("a", "\xff"), `a bytes "/w=="`},
			{message("a", ""), `a empty null`},
			{labelled("application/json", `[1,2]`), `a args [1,2] mqtt-content-type=application/json`},
			{labelled("text/plain", "5"), `a text "5" mqtt-content-type=text/plain`},
			{labelled("application/octet-stream", "5"), `a bytes "NQ==" mqtt-content-type=application/octet-stream`},
			{rich, `a/b text "5" stored mqtt-content-type=text/plain; charset=utf-8 mqtt-response-topic=r mqtt-correlation-data=AP8= mqtt-payload-format=1 k=1 k=2`},
		} {
			p.publish(x.m)
			same(t, "message", describe(t, <-s.messages), x.want)
		}
		s.stop()
		noError(t, <-s.ended)
		p.wants(t, "UNSUBSCRIBE a/#")
		p.publish(message("a", "1"))
		synctest.Wait()
		if len(s.messages) > 0 {
			t.Error("there was a message after the end of the subscription")
		}
	})
}

func TestMQTTMessagesAreAcknowledged(t *testing.T) {
	for _, v := range []packet.Version{packet.V311, packet.V5} {
		synctest.Test(t, func(t *testing.T) {
			p, c := startPeer(t, v, plain(v))
			s := subscribe(t, c, "a")
			<-s.ready
			<-p.packets
			one := packet.Publish{Topic: "a", Payload: []byte("1"), QoS: 1, PacketID: 1}
			p.publish(one)
			p.wants(t, "PUBACK 1 success")
			two := packet.Publish{Topic: "a", Payload: []byte("2"), QoS: 2, PacketID: 1}
			p.publish(two)
			p.wants(t, "PUBREC 1 success")
			two.Dup = true
			p.publish(two)
			p.wants(t, "PUBREC 1 success")
			p.send(packet.AppendAck(nil, packet.PUBREL, 1, packet.Success, v))
			p.wants(t, "PUBCOMP 1 success")
			p.send(packet.AppendAck(nil, packet.PUBREL, 1, packet.Success, v))
			reason := "packet identifier not found"
			if v < packet.V5 {
				reason = "success" // there is no other
			}
			p.wants(t, "PUBCOMP 1 "+reason)
			two.Payload = []byte("3")
			p.publish(two)
			for _, want := range []string{"a json 1", "a json 2", "a json 3"} {
				same(t, "message", describe(t, <-s.messages), want)
			}
		})
	}
}

func TestMQTTOverlappingFilters(t *testing.T) {
	for name, x := range map[string]struct {
		version  packet.Version
		patterns string
		subs     string // what is subscribed to
		sent     []packet.Publish
		want     string
	}{
		"one copy that names all": {
			packet.V5, "a/# a/+ +/b", "a/# a/+ +/b",
			[]packet.Publish{message("a/b", "1", 1, 2, 3), message("a/c", "2", 2, 1), message("x/b", "3", 3)},
			"1 2 3",
		},
		"a copy for each": {
			packet.V5, "a/# a/+ +/b", "a/# a/+ +/b",
			[]packet.Publish{message("a/b", "1", 3), message("a/b", "1", 1), message("a/b", "1", 2), message("x/b", "2", 3), message("a/b/c", "3", 1)},
			"1 2 3",
		},
		"a name that a filter matches": {packet.V5, "a/b a/# c", "a/# c", []packet.Publish{message("a/b", "1", 1), message("c", "2", 2)}, "1 2"},
		"the same twice":               {packet.V5, "a a filter:a", "a", []packet.Publish{message("a", "1", 1)}, "1"},
		"without identifiers":          {packet.V311, "a/b a/# +/c", "a/# +/c", []packet.Publish{message("a/b", "1"), message("x/c", "2")}, "1 2"},
		"of somebody else":             {packet.V5, "a", "a", []packet.Publish{message("b", "1", 1), message("a", "3", 1)}, "3"},
		"shared": {
			packet.V5, "$share/g/a/# filter:$share/h/b", "$share/g/a/# $share/h/b",
			[]packet.Publish{message("a/b", "1", 1), message("b", "2", 2)},
			"1 2",
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p, c := startPeer(t, x.version, plain(x.version))
				s := subscribe(t, c, strings.Fields(x.patterns)...)
				<-s.ready
				var subs, got []string
				for range len(p.packets) {
					subs = append(subs, p.topicOf(t, "SUBSCRIBE"))
				}
				same(t, "filters", strings.Join(subs, " "), x.subs)
				for _, m := range x.sent {
					p.publish(m)
				}
				synctest.Wait()
				for range len(s.messages) {
					got = append(got, string((<-s.messages).Payload.Data()))
				}
				same(t, "messages", strings.Join(got, " "), x.want)
			})
		})
	}
}

func TestMQTTSubscriptionsOfOneClientShareFilters(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, c := startPeer(t, packet.V5, plain(packet.V5))
		a := subscribe(t, c, "x/#")
		<-a.ready
		b := subscribe(t, c, "+/y", "x/#")
		<-b.ready
		p.wants(t, "SUBSCRIBE x/# qos 2 id 1", "SUBSCRIBE +/y qos 2 id 2", "SUBSCRIBE x/# qos 2 id 3")
		p.publish(message("x/y", "1", 3))
		p.publish(message("x/y", "1", 2))
		p.publish(message("z/y", "2", 2))
		same(t, "first", describe(t, <-a.messages), "x/y json 1")
		same(t, "second", describe(t, <-b.messages), "x/y json 1")
		same(t, "second", describe(t, <-b.messages), "z/y json 2")
		a.stop()
		noError(t, <-a.ended)
		p.publish(message("x/y", "3", 2, 3))
		same(t, "second", describe(t, <-b.messages), "x/y json 3")
		b.stop()
		noError(t, <-b.ended)
		p.wants(t, "UNSUBSCRIBE +/y", "UNSUBSCRIBE x/#")
		if len(a.messages)+len(b.messages) > 0 {
			t.Error("there were more messages")
		}
	})
}

func TestMQTTSubscriptionIdentifiersThatTheServerHasNot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := packet.Connack{}
		a.Properties.SubscriptionIDsUnavailable = true
		p, c := startPeer(t, packet.V5, connack(packet.V5, a))
		s := subscribe(t, c, "a/#", "+/b")
		<-s.ready
		p.wants(t, "SUBSCRIBE a/# qos 2", "SUBSCRIBE +/b qos 2")
		p.publish(message("a/b", "1"))
		same(t, "message", describe(t, <-s.messages), "a/b json 1")
	})
}

func TestMQTTPatternsThatCannotBeWritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, c := startPeer(t, packet.V5, plain(packet.V5))
		for pattern, words := range map[string]string{
			"a/**":              "no space patterns",
			"regex:a.*":         "no regex patterns",
			"exact:a/+":         "no names with + or #",
			"filter:$share/a":   "$share/NAME/FILTER",
			"filter:$share/+/a": "$share/NAME/FILTER",
		} {
			isError(t, c.Subscribe(t.Context(), patterns(t, "a", pattern), nil, nil), bus.Invalid, words)
		}
		if len(p.packets) > 0 {
			t.Errorf("%s was sent", <-p.packets)
		}
	})
}

func TestMQTTSubscriptionsThatAreRefused(t *testing.T) {
	for _, x := range []struct {
		version packet.Version
		reason  packet.ReasonCode
		text    string
		kind    bus.Kind
		want    string
	}{
		{packet.V5, packet.NotAuthorized, "not you", bus.Refused, `"b": the broker refuses the subscription: not authorized (not you)`},
		{packet.V5, packet.QuotaExceeded, "", bus.Full, `"b": the broker refuses the subscription: quota exceeded`},
		{packet.V5, packet.TopicFilterInvalid, "", bus.Invalid, `"b": the broker refuses the subscription: topic filter invalid`},
		{packet.V311, packet.UnspecifiedError, "", bus.Refused, `"b": the broker refuses the subscription`},
	} {
		synctest.Test(t, func(t *testing.T) {
			p, c := startPeer(t, x.version, plain(x.version), packet.SUBSCRIBE)
			s := subscribe(t, c, "a", "b")
			p.topicOf(t, "SUBSCRIBE")
			p.ack(packet.SUBACK, packet.GrantedQoS2, "")
			p.topicOf(t, "SUBSCRIBE")
			p.ack(packet.SUBACK, x.reason, x.text)
			err := <-s.ended
			isError(t, err, x.kind)
			same(t, "error", err.Error(), x.want)
			p.wants(t, "UNSUBSCRIBE a", "UNSUBSCRIBE b")
			select {
			case <-s.ready:
				t.Error("it was ready")
			default:
			}
		})
	}
}

func TestMQTTSubscriptionThatIsNotConfirmed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, c := startPeer(t, packet.V5, plain(packet.V5), packet.SUBSCRIBE)
		s := subscribe(t, c, "a")
		isError(t, <-s.ended, bus.TimedOut, "not confirmed the subscription")
		s = subscribe(t, c, "a")
		p.wants(t, "SUBSCRIBE a qos 2 id 1", "UNSUBSCRIBE a", "SUBSCRIBE a qos 2 id 2")
		s.stop()
		noError(t, <-s.ended)
		s = subscribe(t, c, "a")
		p.wants(t, "UNSUBSCRIBE a", "SUBSCRIBE a qos 2 id 3")
		p.send([]byte{0x90, 5, 0, 5, 0, 0, 0})
		mentions(t, <-s.ended, "2 reason codes for one filter")
	})
}

func TestMQTTMessagesOfACallbackAreItsOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, c := startPeer(t, packet.V5, plain(packet.V5))
		s := subscribe(t, c, "a/+")
		<-s.ready
		var all []*bus.Message
		for _, name := range []string{"a/1", "a/2", "a/3"} {
			m := message(name, `"`+name+`"`)
			m.Properties.User = m.Properties.User.Append("name", name)
			p.publish(m)
			all = append(all, <-s.messages)
		}
		for i, want := range []string{`a/1 json "a/1" name=a/1`, `a/2 json "a/2" name=a/2`, `a/3 json "a/3" name=a/3`} {
			same(t, "message", describe(t, all[i]), want)
		}
	})
}

func TestMQTTPacketsInOneWrite(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first := message("a", "1")
		p := newPeer(t, map[packet.Version][]byte{packet.V5: concat(plain(packet.V5), packet.AppendPingresp(nil))})
		c := dial(t, p.network, mqttURL)
		s := subscribe(t, c, "a")
		<-s.ready
		large := message("a", strings.Repeat("x", 300_000))
		p.send(concat(first.Append(nil, packet.V5), first.Append(nil, packet.V5), large.Append(nil, packet.V5), first.Append(nil, packet.V5)))
		for _, want := range []int{1, 1, 300_000, 1} {
			if m := <-s.messages; len(m.Payload.Data()) != want {
				t.Errorf("got %d bytes, want %d", len(m.Payload.Data()), want)
			}
		}
		noError(t, c.Publish(t.Context(), "a", payload.Of(strings.Repeat("x", 300_000)), remote.PublishOptions{}))
		noError(t, c.Close())
	})
}
