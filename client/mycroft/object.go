package mycroft

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"

	"omnibus/dialect/mycroft/packet"
)

var emptyObject = json.RawMessage("{}")

// object is a JSON object whose members keep their order and their text.
type object []member

type member struct {
	key   string
	value json.RawMessage
}

// objectOf reads valid JSON; anything but an object has no members. Of a key
// that repeats the last counts.
func objectOf(text json.RawMessage) object {
	var o object
	for key, value := range packet.Members(text) {
		o.set(key, value)
	}
	return o
}

func (o object) get(key string) json.RawMessage {
	if i := o.index(key); i >= 0 {
		return o[i].value
	}
	return nil
}

func (o object) index(key string) int {
	return slices.IndexFunc(o, func(m member) bool { return m.key == key })
}

func (o *object) set(key string, value json.RawMessage) {
	if i := o.index(key); i >= 0 {
		(*o)[i].value = value
		return
	}
	*o = append(*o, member{key, value})
}

func (o *object) remove(key string) {
	*o = slices.DeleteFunc(*o, func(m member) bool { return m.key == key })
}

// overlay sets all members of another object.
func (o *object) overlay(other object) {
	for _, m := range other {
		o.set(m.key, m.value)
	}
}

func (o object) text() json.RawMessage { return append(o.appendMembers([]byte{'{'}), '}') }

func (o object) appendMembers(dst []byte) []byte {
	for i, m := range o {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(packet.AppendString(dst, m.key), ':')
		dst = append(dst, m.value...)
	}
	return dst
}

// encode returns v as JSON, nil and null as {}.
func encode(v any) (json.RawMessage, error) {
	if x, ok := v.(object); ok {
		return x.text(), nil
	}
	text, err := encodeValue(v)
	if string(text) == "null" {
		text = emptyObject
	}
	return text, err
}

// encodeValue returns v as JSON, with <, > and & as they are.
func encodeValue(v any) (json.RawMessage, error) {
	var buf bytes.Buffer
	e := json.NewEncoder(&buf)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, fmt.Errorf("%w: encoding %T: %w", ErrMessage, v, err)
	}
	return bytes.TrimSuffix(buf.Bytes(), []byte("\n")), nil
}

// isObject reports whether valid JSON text is an object.
func isObject(text json.RawMessage) bool {
	text = bytes.TrimLeft(text, " \t\r\n")
	return len(text) > 0 && text[0] == '{'
}
