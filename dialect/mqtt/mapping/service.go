package mapping

import (
	"encoding/json"
	"strings"

	"omnibus/bus"
	"omnibus/dialect/mqtt/packet"
)

// The topics of services.
const (
	ServicePrefix  = "$service/"
	RequestPrefix  = "$request/"
	ResponsePrefix = "$response/"
	ErrorPrefix    = "$error/"
)

// ErrorProperty is the user property that makes an answer an error; its value is
// the text of a bus.Kind.
const ErrorProperty = "omnibus-error"

// ServiceTopic is what a client subscribes to that provides a service, and where
// it gets requests.
func ServiceTopic(name string) string { return ServicePrefix + name }

// ParseService is the service of a ServiceTopic, be it of a message or a filter.
func ParseService(topic string) (name string, ok bool) {
	name, ok = strings.CutPrefix(topic, ServicePrefix)
	return name, ok && isName(name)
}

// RequestTopic is where a request goes; an id must not be empty nor have a slash.
func RequestTopic(id, name string) string { return RequestPrefix + id + "/" + name }

// ParseRequest takes a RequestTopic apart.
func ParseRequest(topic string) (id, name string, ok bool) {
	rest, ok := strings.CutPrefix(topic, RequestPrefix)
	if !ok {
		return "", "", false
	}
	id, name, ok = strings.Cut(rest, "/")
	if !ok || !isName(id) || !isName(name) {
		return "", "", false
	}
	return id, name, true
}

// RequestFilter is the topic filter for all requests to a service.
func RequestFilter(name string) string { return RequestTopic("+", name) }

// ParseRequestFilter is the service of a RequestFilter.
func ParseRequestFilter(filter string) (name string, ok bool) {
	name, ok = strings.CutPrefix(filter, RequestPrefix+"+/")
	return name, ok && isName(name)
}

// ResponseTopic is where the result of a request goes.
func ResponseTopic(id string) string { return ResponsePrefix + id }

// ErrorTopic is where the error of a request goes.
func ErrorTopic(id string) string { return ErrorPrefix + id }

// ParseAnswer is the id of a ResponseTopic or, then it has failed, ErrorTopic.
func ParseAnswer(topic string) (id string, failed, ok bool) {
	if id, ok = strings.CutPrefix(topic, ResponsePrefix); !ok {
		if id, failed = strings.CutPrefix(topic, ErrorPrefix); !failed {
			return "", false, false
		}
	}
	if !isName(id) || strings.Contains(id, "/") {
		return "", false, false
	}
	return id, failed, true
}

func isName(s string) bool { return s != "" && !strings.ContainsAny(s, "+#") }

// SetError makes the answer with the properties p one that tells an error, and
// returns its payload.
func SetError(p *packet.MessageProperties, err error) []byte {
	p.User = p.User.Append(ErrorProperty, bus.KindOf(err).String())
	label(p, TypeText, 1)
	return []byte(strings.ToValidUTF8(err.Error(), "\uFFFD"))
}

// ErrorIn is the error that an answer tells, nil if it is a result. An error of a
// kind nobody has heard of has failed.
func ErrorIn(p *packet.MessageProperties, data []byte) error {
	name, ok := p.User.Get(ErrorProperty)
	if !ok {
		return nil
	}
	kind, _ := bus.ParseKind(name)
	return &bus.Error{Kind: kind, Text: strings.ToValidUTF8(string(data), "\uFFFD")}
}

type errorData struct {
	Kind  string `json:"kind"`
	Error string `json:"error"`
}

// ErrorData is the payload of an answer on an ErrorTopic.
func ErrorData(err error) []byte {
	data, marshalErr := json.Marshal(errorData{bus.KindOf(err).String(), err.Error()})
	if marshalErr != nil { // two strings can always be written
		return nil
	}
	return data
}

// ErrorOf is the error in the payload of an answer on an ErrorTopic. One that is
// not ErrorData is the text of a failure.
func ErrorOf(data []byte) error {
	var e errorData
	if json.Unmarshal(data, &e) != nil || e.Kind == "" && e.Error == "" {
		return &bus.Error{Kind: bus.Failed, Text: strings.ToValidUTF8(string(data), "\uFFFD")}
	}
	kind, _ := bus.ParseKind(e.Kind)
	return &bus.Error{Kind: kind, Text: e.Error}
}
