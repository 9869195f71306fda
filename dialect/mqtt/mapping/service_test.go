package mapping_test

import (
	"errors"
	"strings"
	"testing"

	"omnibus/bus"
	"omnibus/dialect/mqtt/mapping"
	"omnibus/dialect/mqtt/packet"
)

func TestTopicsOfServices(t *testing.T) {
	for _, name := range []string{"add", "a/b", "/", "größe", "$x"} {
		if got, ok := mapping.ParseService(mapping.ServiceTopic(name)); !ok || got != name {
			t.Errorf("the service %q is read as %q, %v", name, got, ok)
		}
		if id, got, ok := mapping.ParseRequest(mapping.RequestTopic("x1", name)); !ok || id != "x1" || got != name {
			t.Errorf("the request to %q is read as %q, %q, %v", name, id, got, ok)
		}
		if got, ok := mapping.ParseRequestFilter(mapping.RequestFilter(name)); !ok || got != name {
			t.Errorf("the filter for %q is read as %q, %v", name, got, ok)
		}
		if !packet.ValidTopicFilter(mapping.RequestFilter(name)) || !packet.ValidTopicName(mapping.RequestTopic("x", name)) {
			t.Errorf("%q: MQTT does not take it", name)
		}
	}
	if id, failed, ok := mapping.ParseAnswer(mapping.ResponseTopic("x")); id != "x" || failed || !ok {
		t.Errorf("an answer is read as %q, %v, %v", id, failed, ok)
	}
	if id, failed, ok := mapping.ParseAnswer(mapping.ErrorTopic("x")); id != "x" || !failed || !ok {
		t.Errorf("a failure is read as %q, %v, %v", id, failed, ok)
	}
}

func TestOtherTopicsAreNoneOfServices(t *testing.T) {
	for _, topic := range []string{
		"", "add", "$service", "$service/", "service/add", "$service/+", "$service/a/#", "$request/", "$request/x", "$request/x/", "$request//add",
		"$request/x/+", "$request/x/a#", "$response/", "$error/", "$response/x/y", "$error/x/", "$response/+", "$error/#",
	} {
		if got, ok := mapping.ParseService(topic); ok {
			t.Errorf("%q is the service %q", topic, got)
		}
		if id, got, ok := mapping.ParseRequest(topic); ok {
			t.Errorf("%q is a request to %q with id %q", topic, got, id)
		}
		if got, ok := mapping.ParseRequestFilter(topic); ok {
			t.Errorf("%q is the filter for %q", topic, got)
		}
		if id, _, ok := mapping.ParseAnswer(topic); ok {
			t.Errorf("%q is an answer to %q", topic, id)
		}
	}
	if _, _, ok := mapping.ParseRequest(mapping.RequestFilter("add")); ok {
		t.Error("a filter is a request")
	}
}

func TestErrorsAreWrittenAndReadAgain(t *testing.T) {
	const text = "the \"oven\" is <cold>"
	for kind := range bus.Kinds {
		var p packet.MessageProperties
		p.User = p.User.Append("k", "v")
		data := mapping.SetError(&p, bus.Errorf(kind, "", text))
		err := mapping.ErrorIn(&p, data)
		if bus.KindOf(err) != kind || err.Error() != text || p.ContentType != mapping.TypeText || p.PayloadFormat != 1 {
			t.Errorf("%s came back as %v with %+v", kind, err, p)
		}
		if v, ok := p.User.Get("k"); !ok || v != "v" {
			t.Error("another user property is lost")
		}
		err = mapping.ErrorOf(mapping.ErrorData(bus.Errorf(kind, "", text)))
		if bus.KindOf(err) != kind || err.Error() != text {
			t.Errorf("%s came back as %v", kind, err)
		}
	}
	if err := mapping.ErrorIn(&packet.MessageProperties{}, []byte("x")); err != nil {
		t.Errorf("a result is the error %v", err)
	}
	var p packet.MessageProperties
	p.User = p.User.Append(mapping.ErrorProperty, "unheard of")
	for _, err := range []error{
		mapping.ErrorIn(&p, []byte("x\xff")), mapping.ErrorOf([]byte(`{"kind":"unheard of","error":"x"}`)),
		mapping.ErrorOf([]byte("x\xff")), mapping.ErrorOf([]byte(`["x"]`)), mapping.ErrorOf([]byte(`{"error":"x"}`)),
	} {
		if bus.KindOf(err) != bus.Failed || !strings.Contains(err.Error(), "x") {
			t.Errorf("it is read as %v", err)
		}
	}
	if data := mapping.SetError(&p, errors.New("a\xff")); string(data) != "a\uFFFD" {
		t.Errorf("it is written %q", data)
	}
}
