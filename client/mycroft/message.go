package mycroft

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"unicode/utf8"

	"omnibus/dialect/mycroft/packet"
)

// ErrMessage is wrapped by errors about a message that cannot be sent.
var ErrMessage = errors.New("not a message")

// Message is one message, with its values in JSON. What handlers and waits get
// may be shared with others and must not be changed; all methods that change
// something return a new message.
type Message struct {
	// Type says what the message means, such as "speak". It is empty when a
	// frame has none, or one that is no text.
	Type string
	// Data and Context are objects; empty ones are written as {}. In a flat
	// frame they may be anything, and nil when the frame has none.
	Data, Context json.RawMessage
	// Fields are the other members of a flat frame, as an object; nil when it
	// has no others. Frames of a GUI bus are flat: what they tell stands beside
	// type.
	Fields json.RawMessage

	err error // why it could not be made; Emit returns it
}

// NewMessage returns a message with the given data: anything that JSON can
// write as an object, nil for {}. If it cannot, sending the message fails and
// says so.
func NewMessage(msgType string, data any) *Message {
	m := &Message{Type: msgType, Context: emptyObject}
	m.Data, m.err = encode(data)
	return m
}

// NewFlat returns a message for a GUI bus, whose fields stand beside its type.
// Fields named type, data and context are taken for those of the message.
func NewFlat(msgType string, fields any) *Message {
	text, err := encode(fields)
	if err == nil && !isObject(text) {
		err = fmt.Errorf("%w: the fields are no object: %.100s", ErrMessage, text)
	}
	m := &Message{Type: msgType, Fields: emptyObject, err: err}
	if err == nil {
		m.split(objectOf(text))
	}
	return m
}

// ParseMessage reads a frame. The message is no view of it.
func ParseMessage(frame []byte) (*Message, error) {
	p, err := packet.Parse(frame)
	if err != nil {
		return nil, err
	}
	return messageOf(frame, p), nil
}

// messageOf returns the message of a frame, as no view of it.
func messageOf(frame []byte, p packet.Message) *Message {
	m := &Message{Type: p.Type}
	for key := range packet.Members(frame) {
		if key != "type" && key != "data" && key != "context" {
			m.split(objectOf(bytes.Clone(frame)))
			return m
		}
	}
	m.Data, m.Context = bytes.Clone(p.Data), bytes.Clone(p.Context)
	return m
}

// split sets data, context and the other fields from the members of a frame.
func (m *Message) split(frame object) {
	var fields object
	for _, x := range frame {
		switch x.key {
		case "type":
		case "data":
			m.Data = x.value
		case "context":
			m.Context = x.value
		default:
			fields = append(fields, x)
		}
	}
	if len(fields) > 0 {
		m.Fields = fields.text()
	}
}

// AppendTo appends the frame of the message to dst: type, data and context; of a
// flat one type, the other fields, and data and context if it has them.
func (m *Message) AppendTo(dst []byte) ([]byte, error) {
	if m.err != nil {
		return dst, m.err
	}
	if m.Type == "" {
		return dst, fmt.Errorf("%w: it has no type", ErrMessage)
	}
	begin := len(dst)
	if m.Fields == nil {
		dst = packet.Append(dst, m.Type, m.Data, m.Context)
	} else {
		var all object
		all.set("type", packet.AppendString(nil, m.Type))
		if json.Valid(m.Fields) {
			all.overlay(objectOf(m.Fields))
		}
		if m.Data != nil {
			all.set("data", m.Data)
		}
		if m.Context != nil {
			all.set("context", m.Context)
		}
		dst = append(dst, all.text()...)
	}
	switch frame := dst[begin:]; {
	case !utf8.Valid(frame):
		return dst[:begin], fmt.Errorf("%w of type %q: not UTF-8", ErrMessage, m.Type)
	case !json.Valid(frame), m.Fields != nil && !json.Valid(m.Fields):
		return dst[:begin], fmt.Errorf("%w of type %q: data, context or fields are not JSON", ErrMessage, m.Type)
	case m.Fields == nil && (len(m.Data) > 0 && !isObject(m.Data) || len(m.Context) > 0 && !isObject(m.Context)):
		return dst[:begin], fmt.Errorf("%w of type %q: data and context must be JSON objects", ErrMessage, m.Type)
	}
	return dst, nil
}

// MarshalJSON returns the frame of the message.
func (m *Message) MarshalJSON() ([]byte, error) { return m.AppendTo(nil) }

// UnmarshalJSON is ParseMessage.
func (m *Message) UnmarshalJSON(frame []byte) error {
	got, err := ParseMessage(frame)
	if err == nil {
		*m = *got
	}
	return err
}

// Decode stores the data in what v points to, as package json does.
func (m *Message) Decode(v any) error { return m.decode("data", m.Data, v) }

// DecodeContext stores the context in what v points to.
func (m *Message) DecodeContext(v any) error { return m.decode("context", m.Context, v) }

// DecodeFields stores the other fields of a flat frame in what v points to.
func (m *Message) DecodeFields(v any) error { return m.decode("fields", m.Fields, v) }

func (m *Message) decode(what string, text json.RawMessage, v any) error {
	if len(text) == 0 {
		text = emptyObject
	}
	if err := json.Unmarshal(text, v); err != nil {
		return fmt.Errorf("decoding the %s of a %q message: %w", what, m.Type, err)
	}
	return nil
}

// Text returns a text that is a member of data, "" when it is none.
func (m *Message) Text(key string) string {
	value := objectOf(m.Data).get(key)
	if len(value) == 0 || value[0] != '"' {
		return ""
	}
	return packet.Text(value)
}

// WithContext returns the message with one more member of its context, or
// another value of it.
func (m *Message) WithContext(key string, value any) *Message {
	out := *m
	text, err := encodeValue(value)
	if err != nil && out.err == nil {
		out.err = fmt.Errorf("context %q: %w", key, err)
	}
	if err == nil {
		c := objectOf(m.Context)
		c.set(key, text)
		out.Context = c.text()
	}
	return &out
}
