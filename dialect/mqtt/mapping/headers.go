package mapping

import (
	"encoding/base64"
	"slices"

	"omnibus/bus"
	"omnibus/dialect/mqtt/packet"
)

// The reserved headers: what MQTT itself says of a message. User properties of
// these names are ignored.
const (
	HeaderContentType     = "mqtt-content-type"
	HeaderResponseTopic   = "mqtt-response-topic"
	HeaderCorrelationData = "mqtt-correlation-data" // in base64
	HeaderPayloadFormat   = "mqtt-payload-format"   // "1" or not there
)

// PropertyIdentity is the user property that holds the identity of a message
// (bus.Message.ID) on its way between brokers. It is no header, and a header of
// that name is no property.
const PropertyIdentity = "omnibus-id"

// PropertyLink is the user property of CONNECT by which a client says that it is a
// bridge to another broker: it knows identities, and is sent them. The value is
// for people.
const PropertyLink = "omnibus-link"

// maxIdentity is how long an identity may be. Longer ones count as none.
const maxIdentity = 128

// Identity returns the identity among the user properties of a message, empty if
// there is none, and the other properties.
func Identity(u packet.UserProperties) (id string, rest packet.UserProperties) {
	id, ok := u.Get(PropertyIdentity)
	if !ok {
		return "", u
	}
	if len(id) > maxIdentity {
		id = ""
	}
	for name, value := range u.All() {
		if name != PropertyIdentity {
			rest = rest.Append(name, value)
		}
	}
	return id, rest
}

// Headers returns the headers for the properties of a message: the reserved ones,
// then the user properties in their order. The texts are views of what p is a
// view of. How long a message is worth delivering is not among them.
func Headers(p *packet.MessageProperties) []bus.Header {
	var list []bus.Header
	if p.ContentType != "" || p.Present.Has(packet.ContentType) {
		list = append(list, bus.Header{Key: HeaderContentType, Value: p.ContentType})
	}
	if p.ResponseTopic != "" {
		list = append(list, bus.Header{Key: HeaderResponseTopic, Value: p.ResponseTopic})
	}
	if len(p.CorrelationData) > 0 || p.Present.Has(packet.CorrelationData) {
		list = append(list, bus.Header{Key: HeaderCorrelationData, Value: base64.StdEncoding.EncodeToString(p.CorrelationData)})
	}
	if p.PayloadFormat == 1 {
		list = append(list, bus.Header{Key: HeaderPayloadFormat, Value: "1"})
	}
	for key, value := range p.User.All() {
		switch key {
		case HeaderContentType, HeaderResponseTopic, HeaderCorrelationData, HeaderPayloadFormat, PropertyIdentity:
		default:
			list = append(list, bus.Header{Key: key, Value: value})
		}
	}
	return list
}

// SetProperties sets the properties of a message that headers stand for: it is
// the inverse of Headers. dst.User is replaced, the rest only where there is a
// header for it. A reserved header that repeats counts once, the first time; what
// MQTT cannot write is left out: texts that are too long or not UTF-8 without
// U+0000, response topics with a wildcard, correlation data that is no base64.
//
// User properties and correlation data are written to the spare capacity of
// scratch, in the manner of append, and dst is a view of the result: it is valid
// until that is used again.
func SetProperties(dst *packet.MessageProperties, headers []bus.Header, scratch []byte) []byte {
	var seen packet.PropertySet
	first := func(id packet.PropertyID) bool {
		again := seen.Has(id)
		seen.Add(id)
		return !again
	}
	for _, h := range headers {
		switch h.Key {
		case HeaderContentType:
			if first(packet.ContentType) && packet.ValidString(h.Value) {
				dst.ContentType = h.Value
				dst.Present.Add(packet.ContentType)
			}
		case HeaderResponseTopic:
			if first(packet.ResponseTopic) && packet.ValidTopicName(h.Value) {
				dst.ResponseTopic = h.Value
				dst.Present.Add(packet.ResponseTopic)
			}
		case HeaderCorrelationData:
			if first(packet.CorrelationData) {
				scratch = setCorrelation(dst, h.Value, scratch)
			}
		case HeaderPayloadFormat:
			if first(packet.PayloadFormatIndicator) && h.Value == "1" {
				dst.PayloadFormat = 1
				dst.Present.Add(packet.PayloadFormatIndicator)
			}
		}
	}
	from := len(scratch)
	users := packet.UserProperties(scratch)
	for _, h := range headers {
		switch h.Key {
		case HeaderContentType, HeaderResponseTopic, HeaderCorrelationData, HeaderPayloadFormat, PropertyIdentity:
		default:
			if packet.ValidString(h.Key) && packet.ValidString(h.Value) {
				users = users.Append(h.Key, h.Value)
			}
		}
	}
	dst.User = nil
	dst.Present &^= 1 << packet.UserProperty
	if len(users) > from {
		dst.User = users[from:len(users):len(users)]
		dst.Present.Add(packet.UserProperty)
	}
	return users
}

// setCorrelation decodes a header into scratch.
func setCorrelation(dst *packet.MessageProperties, value string, scratch []byte) []byte {
	const most = 65_535 // 1.5.6
	if len(value) > base64.StdEncoding.EncodedLen(most) {
		return scratch
	}
	from := len(scratch)
	// AppendDecode wants room for padding, and for line ends that it would skip.
	out, err := base64.StdEncoding.AppendDecode(slices.Grow(scratch, len(value)), []byte(value))
	if err != nil || len(out)-from > most {
		return scratch
	}
	dst.CorrelationData = out[from:len(out):len(out)]
	dst.Present.Add(packet.CorrelationData)
	return out
}
