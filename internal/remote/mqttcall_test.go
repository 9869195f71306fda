package remote_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"omnibus/bus"
	"omnibus/dialect/mqtt/packet"
	"omnibus/internal/remote"
	"omnibus/payload"
)

// calling calls in the background; the answer is in words.
func calling(ctx context.Context, t *testing.T, c remote.Client, name string, args *payload.Value) (<-chan string, <-chan error) {
	answers, failures := make(chan string, 1), make(chan error, 1)
	go func() {
		v, err := c.Call(ctx, name, args)
		if err != nil {
			failures <- err
			return
		}
		answers <- describeValue(t, v)
	}()
	return answers, failures
}

func TestMQTTCalls(t *testing.T) {
	for _, x := range []struct {
		contentType, data, kind string
		want                    string
	}{
		{"", "3", "", "json 3"},
		{"application/json", "[[1,2]]", "", "args [1,2]"},
		{"text/plain", "3", "", `text "3"`},
		{"application/octet-stream", "3", "", `bytes "Mw=="`},
		{"", "", "", "empty null"},
		{"text/plain", "no numbers", "invalid", "invalid: no numbers"},
		{"", "what", "unheard of", "failed: what"},
		{"", "", "timed out", "timed out: timed out"},
	} {
		synctest.Test(t, func(t *testing.T) {
			p, c := startPeer(t, packet.V5, plain(packet.V5))
			answers, failures := calling(t.Context(), t, c, "add", payload.OfArgs(1, 2))
			reply := p.topicOf(t, "SUBSCRIBE")
			p.wants(t, `PUBLISH add "[1,2]" qos 1 application/json`)
			to, m := p.replyTo()
			same(t, "response topic", to, reply)
			p.ack(packet.PUBACK, packet.Success, "")
			right := m.CorrelationData
			m.CorrelationData = []byte("another")
			p.publish(packet.Publish{Topic: to, Payload: []byte("wrong"), Properties: m})
			m.CorrelationData = right
			m.ContentType = x.contentType
			if x.kind != "" {
				m.User = m.User.Append("omnibus-error", x.kind)
			}
			p.publish(packet.Publish{Topic: to, Payload: []byte(x.data), Properties: m, QoS: 1, PacketID: 9})
			select {
			case got := <-answers:
				same(t, "answer", got, x.want)
			case err := <-failures:
				same(t, "error", bus.KindOf(err).String()+": "+err.Error(), x.want)
			}
			// The answer is acknowledged when it has been handled, while the caller goes on.
			p.wantsBoth(t, "PUBACK 9 success", "UNSUBSCRIBE "+reply)
		})
	}
}

func TestMQTTCallsThatAreNotTaken(t *testing.T) {
	for _, x := range []struct {
		reason packet.ReasonCode
		kind   bus.Kind
		want   string
	}{
		{packet.NoMatchingSubscribers, bus.Unknown, `"add": no such service: nobody exposes it`},
		{packet.NotAuthorized, bus.Refused, `"add": the broker refuses the message: not authorized`},
	} {
		synctest.Test(t, func(t *testing.T) {
			p, c := startPeer(t, packet.V5, plain(packet.V5))
			_, failures := calling(t.Context(), t, c, "add", new(payload.Value))
			p.topicOf(t, "SUBSCRIBE")
			p.wants(t, `PUBLISH add "" qos 1`)
			p.ack(packet.PUBACK, x.reason, "")
			err := <-failures
			isError(t, err, x.kind)
			same(t, "error", err.Error(), x.want)
		})
	}
}

func TestMQTTAnswersMayComeBeforeTheAcknowledgement(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, c := startPeer(t, packet.V5, plain(packet.V5))
		answers, _ := calling(t.Context(), t, c, "add", new(payload.Value))
		p.topicOf(t, "SUBSCRIBE")
		p.topicOf(t, "PUBLISH")
		to, m := p.replyTo()
		p.publish(packet.Publish{Topic: to, Payload: []byte("1"), Properties: m})
		same(t, "answer", <-answers, "json 1")
		p.send(packet.AppendAck(nil, packet.PUBACK, 2, packet.Success, packet.V5)) // nobody waits for it
		noError(t, c.Publish(t.Context(), "a", payload.Of(1), remote.PublishOptions{}))
	})
}

func TestMQTTCallTimesOut(t *testing.T) {
	for _, silent := range []packet.Type{packet.SUBSCRIBE, packet.PUBLISH} {
		synctest.Test(t, func(t *testing.T) {
			_, c := startPeer(t, packet.V5, plain(packet.V5), silent)
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
			defer cancel()
			_, err := c.Call(ctx, "add", new(payload.Value))
			isError(t, err, bus.TimedOut, `"add": no answer within 5s`)
		})
	}
}

func TestMQTTCallsAtServersWithoutQoS(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := packet.Connack{}
		a.Properties.SetQoSLimit(0)
		p, c := startPeer(t, packet.V5, connack(packet.V5, a))
		answers, _ := calling(t.Context(), t, c, "add", payload.Of("x"))
		p.topicOf(t, "SUBSCRIBE")
		p.wants(t, `PUBLISH add "x" qos 0 text/plain utf-8`)
		to, m := p.replyTo()
		p.publish(packet.Publish{Topic: to, Payload: []byte("1"), Properties: m})
		same(t, "answer", <-answers, "json 1")
	})
}

func TestMQTTCallsBeforeVersion5(t *testing.T) {
	for _, x := range []struct {
		topic, data, want string
	}{
		{"$response/", "3", "json 3"},
		{"$response/", "", "empty null"},
		{"$error/", `{"kind":"invalid","error":"numbers, please"}`, "invalid: numbers, please"},
		{"$error/", `{"kind":"unheard of","error":"x"}`, "failed: x"},
		{"$error/", `out of order`, "failed: out of order"},
		{"$error/", `{}`, "failed: {}"},
	} {
		synctest.Test(t, func(t *testing.T) {
			p, c := startPeer(t, packet.V311, plain(packet.V311))
			answers, failures := calling(t.Context(), t, c, "a/add", payload.OfArgs("5", 2))
			response, failure := p.topicOf(t, "SUBSCRIBE"), p.topicOf(t, "SUBSCRIBE")
			id := strings.TrimPrefix(response, "$response/")
			same(t, "error topic", failure, "$error/"+id)
			p.wants(t, `PUBLISH $request/`+id+`/a/add "[\"5\",2]" qos 1`)
			p.ack(packet.PUBACK, packet.Success, "")
			p.publish(packet.Publish{Topic: x.topic + "another", Payload: []byte("wrong")})
			p.publish(packet.Publish{Topic: x.topic + id, Payload: []byte(x.data)})
			select {
			case got := <-answers:
				same(t, "answer", got, x.want)
			case err := <-failures:
				same(t, "error", bus.KindOf(err).String()+": "+err.Error(), x.want)
			}
			p.wants(t, "UNSUBSCRIBE "+response, "UNSUBSCRIBE "+failure)
		})
	}
}

// serving answers by the name of the only argument.
func serving(_ context.Context, r *bus.Request) (*payload.Value, error) {
	args, err := r.Args.As(payload.Args)
	if err != nil {
		return nil, err
	}
	switch string(args) {
	case `["fail"]`:
		return nil, bus.Errorf(bus.Unavailable, "", "asleep")
	case `["panic"]`:
		panic("oops")
	case `["large"]`:
		return payload.Of(strings.Repeat("x", 1000)), nil
	case `["bytes"]`:
		return payload.Of([]byte{1, 255}), nil
	case `["nothing"]`:
		return nil, nil //nolint:nilnil // what a service may do
	case `["headers"]`:
		return payload.Of(len(r.Headers.List())), nil
	}
	return payload.New(payload.JSON, args), nil
}

func TestMQTTExposes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := packet.Connack{}
		a.Properties.MaximumPacketSize = 900
		p, c := startPeer(t, packet.V5, connack(packet.V5, a))
		e := expose(t, c, "a/add", serving)
		p.wants(t, "SUBSCRIBE $service/a/add qos 1 id 1")
		<-e.ready
		for _, x := range []struct{ args, want string }{
			{`[1,2]`, `"[[1,2]]" qos 1 application/json`},
			{`5`, `"[[5]]" qos 1 application/json`},
			{`[[1]]`, `"[[[1]]]" qos 1 application/json`},
			{``, `"[[]]" qos 1 application/json`},
			{`fail`, `"asleep" qos 1 text/plain utf-8 omnibus-error=unavailable`},
			{`bytes`, `"\x01\xff" qos 1 application/octet-stream`},
			{`nothing`, `"" qos 1`},
			{`headers`, `"1" qos 1 application/json`},
		} {
			m := message("$service/a/add", x.args)
			m.Properties.ResponseTopic = "r/1"
			m.Properties.CorrelationData = []byte(x.args)
			m.Properties.User = m.Properties.User.Append("k", "v")
			p.publish(m)
			p.wants(t, "PUBLISH r/1 "+x.want)
			if _, got := p.replyTo(); string(got.CorrelationData) != x.args {
				t.Errorf("the correlation data are %q, want %q", got.CorrelationData, x.args)
			}
			p.ack(packet.PUBACK, packet.NoMatchingSubscribers, "")
		}
		for args, word := range map[string]string{"panic": `omnibus-error=failed`, "large": "omnibus-error=too"} {
			m := message("$service/a/add", args)
			m.Properties.ResponseTopic = "r/1"
			p.publish(m)
			if got := <-p.packets; !strings.Contains(got, word) {
				t.Errorf("%s is answered with %s", args, got)
			}
			p.ack(packet.PUBACK, packet.Success, "")
		}
		synctest.Wait()
		if got := p.network.noticed(); !strings.Contains(got, "answering a call of a/add") || !strings.Contains(got, "at most 900") {
			t.Errorf("it is noticed: %s", got)
		}
		nobody := message("$service/a/add", "1") // where should the answer go?
		p.publish(nobody)
		old := message("$service/a/add", "1")
		old.Properties.ResponseTopic, old.Retain = "r", true
		p.publish(old)
		e.stop()
		noError(t, <-e.ended)
		p.wants(t, "UNSUBSCRIBE $service/a/add")
	})
}

func TestMQTTExposesBeforeVersion5(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, c := startPeer(t, packet.V311, plain(packet.V311))
		e := expose(t, c, "a/add", serving)
		p.wants(t, "SUBSCRIBE $request/+/a/add qos 1")
		<-e.ready
		for _, x := range []struct{ args, want string }{
			{`[1,2]`, `$response/x "[[1,2]]" qos 1`},
			{`fail`, `$error/x "{\"kind\":\"unavailable\",\"error\":\"asleep\"}" qos 1`},
			{`bytes`, `$response/x "\x01\xff" qos 1`},
		} {
			p.publish(packet.Publish{Topic: "$request/x/a/add", Payload: []byte(x.args)})
			p.wants(t, "PUBLISH "+x.want)
			p.ack(packet.PUBACK, packet.Success, "")
		}
		e.stop()
		noError(t, <-e.ended)
	})
}

func TestMQTTAnswersThatAreNotTaken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, c := startPeer(t, packet.V5, plain(packet.V5))
		e := expose(t, c, "s", serving)
		<-e.ready
		p.topicOf(t, "SUBSCRIBE")
		m := message("$service/s", "1")
		m.Properties.ResponseTopic = "r"
		p.publish(m)
		p.topicOf(t, "PUBLISH")
		p.ack(packet.PUBACK, packet.NotAuthorized, "no answers")
		synctest.Wait()
		same(t, "notice", p.network.noticed(), `answering a call of s: "r": the broker refuses the message: not authorized (no answers)`)
		e.stop()
		noError(t, <-e.ended)
	})
}

func TestMQTTServicesThatAreRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, c := startPeer(t, packet.V5, plain(packet.V5), packet.SUBSCRIBE)
		e := expose(t, c, "s", serving)
		p.topicOf(t, "SUBSCRIBE")
		p.ack(packet.SUBACK, packet.NotAuthorized, "not you")
		isError(t, <-e.ended, bus.Refused, "$service/s", "not you")
	})
}

func TestMQTTRequestsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, c := startPeer(t, packet.V5, plain(packet.V5))
		e := expose(t, c, "s", func(ctx context.Context, _ *bus.Request) (*payload.Value, error) {
			<-ctx.Done()
			return nil, errors.New("too late")
		})
		<-e.ready
		p.topicOf(t, "SUBSCRIBE")
		m := message("$service/s", "1")
		m.Properties.ResponseTopic = "r"
		for range 1025 { // one more than it takes
			p.publish(m)
		}
		got := <-p.packets
		if !strings.Contains(got, "qos 0") || !strings.Contains(got, "omnibus-error=full") || !strings.Contains(got, "1024 requests") {
			t.Errorf("the answer is %s", got)
		}
		e.stop()
		noError(t, <-e.ended)
		synctest.Wait()
		count := make(map[string]int)
		for range len(p.packets) {
			count[<-p.packets]++
		}
		// Nobody is left without an answer, and nobody waits.
		if count[`PUBLISH r "too late" qos 0 text/plain utf-8 omnibus-error=failed`] != 1024 || count["UNSUBSCRIBE $service/s"] != 1 || len(count) != 2 {
			t.Errorf("at the end came %v", count)
		}
	})
}
