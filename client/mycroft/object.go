package mycroft

import (
	"bytes"
	"encoding/json"
	"fmt"
	"iter"
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
	o.setAll(packet.Members(text))
	return o
}

// fewMembers are found as quickly by looking at all of them.
const fewMembers = 16

// setAll sets many members, in time that grows with their number alone.
func (o *object) setAll(members iter.Seq2[string, json.RawMessage]) {
	var at map[string]int
	for key, value := range members {
		if at == nil && len(*o) > fewMembers {
			at = make(map[string]int, 2*len(*o))
			for i, m := range *o {
				at[m.key] = i
			}
		}
		if at == nil {
			o.set(key, value)
		} else if i, ok := at[key]; ok {
			(*o)[i].value = value
		} else {
			at[key] = len(*o)
			*o = append(*o, member{key, value})
		}
	}
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
	o.setAll(func(yield func(string, json.RawMessage) bool) {
		for _, m := range other {
			if !yield(m.key, m.value) {
				return
			}
		}
	})
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
