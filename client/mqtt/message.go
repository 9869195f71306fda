package mqtt

import (
	"fmt"
	"math"
	"time"

	"omnibus/dialect/mqtt/packet"
)

// The vocabulary of the protocol, from the codec.
type (
	// Version is 3.1, 3.1.1 or 5.0.
	Version = packet.Version
	// ReasonCode is a broker's answer; 0x80 and above are failures.
	ReasonCode = packet.ReasonCode
	// UserProperties are pairs of texts, added with Append and read with All and Get.
	UserProperties = packet.UserProperties
)

// The versions a client speaks.
const (
	V31  = packet.V31
	V311 = packet.V311
	V5   = packet.V5
)

// Message is what is published and received.
//
// What follows Retain exists in version 5 alone: older ones leave it out. A received message is the receiver's own: it
// stays valid, and nobody else has it.
type Message struct {
	Topic   string
	Payload []byte
	// QoS is 0 (at most once), 1 (at least once) or 2 (exactly once).
	QoS byte
	// Retain asks the broker to keep the message for new subscribers; in a received message it says that it was kept.
	Retain bool

	ContentType     string
	ResponseTopic   string
	CorrelationData []byte
	// Expiry is how long the message is worth delivering, in whole seconds; 0 is for ever. Of a received message it is
	// what is left.
	Expiry time.Duration
	// UTF8 says that the payload is text.
	UTF8 bool
	User UserProperties

	// Duplicate tells of a received message that the broker has sent it before. A message of QoS 2 reaches its handler
	// once all the same.
	Duplicate bool
}

// Will is the message that the broker publishes when the connection ends without a DISCONNECT.
type Will struct {
	Message
	// Delay is how long the broker waits first, in whole seconds; a reconnection in that time prevents it. Version 5.
	Delay time.Duration
}

// seconds rounds up: what is short is not nothing.
func seconds(d time.Duration) uint32 {
	if d <= 0 {
		return 0
	}
	return uint32(min((d+time.Second-1)/time.Second, math.MaxUint32))
}

// properties are those of a message in the form of the codec.
func (m *Message) properties() packet.MessageProperties {
	p := packet.MessageProperties{
		MessageExpiryInterval: seconds(m.Expiry),
		ContentType:           m.ContentType,
		ResponseTopic:         m.ResponseTopic,
		CorrelationData:       m.CorrelationData,
		User:                  m.User,
	}
	if m.UTF8 {
		p.PayloadFormat = 1
	}
	return p
}

// packet is the PUBLISH of a message, without an identifier.
func (m *Message) packet() packet.Publish {
	return packet.Publish{
		Topic: m.Topic, Payload: m.Payload, QoS: m.QoS, Retain: m.Retain,
		Properties: packet.PublishProperties{MessageProperties: m.properties()},
	}
}

// received is a PUBLISH as a message. Both are views of the same bytes.
func received(p *packet.Publish) Message {
	return Message{
		Topic: p.Topic, Payload: p.Payload, QoS: p.QoS, Retain: p.Retain, Duplicate: p.Dup,
		ContentType:     p.Properties.ContentType,
		ResponseTopic:   p.Properties.ResponseTopic,
		CorrelationData: p.Properties.CorrelationData,
		Expiry:          time.Duration(p.Properties.MessageExpiryInterval) * time.Second,
		UTF8:            p.Properties.PayloadFormat == 1,
		User:            p.Properties.User,
	}
}

// check says what is wrong with a message that is to be published.
func (m *Message) check() error {
	switch {
	case !packet.ValidTopicName(m.Topic):
		return fmt.Errorf("%w: %.100q is no topic name: one has 1 to 65,535 bytes of UTF-8, no wildcard and no control character", ErrInvalid, m.Topic)
	case m.QoS > 2:
		return fmt.Errorf("%w: the QoS of a message to %s is %d, at most 2", ErrInvalid, m.Topic, m.QoS)
	case m.ContentType != "" && !packet.ValidString(m.ContentType):
		return fmt.Errorf("%w: the content type of a message to %s is not UTF-8 of at most 65,535 bytes", ErrInvalid, m.Topic)
	case m.ResponseTopic != "" && !packet.ValidTopicName(m.ResponseTopic):
		return fmt.Errorf("%w: the response topic of a message to %s is no topic name", ErrInvalid, m.Topic)
	case len(m.User) > 0 && !validPairs(m.User):
		return fmt.Errorf("%w: the user properties of a message to %s are not UTF-8", ErrInvalid, m.Topic)
	}
	return nil
}

func validPairs(u UserProperties) bool {
	for name, value := range u.All() {
		if !packet.ValidString(name) || !packet.ValidString(value) {
			return false
		}
	}
	return true
}
