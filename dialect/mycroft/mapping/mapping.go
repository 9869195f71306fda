// Package mapping says what a Mycroft message means on the bus, and how a
// message of the bus is written as a Mycroft one: data and payload, context and
// headers. The hub and its clients share it; docs/dialects/mycroft.md has the
// rules in words.
package mapping

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"unicode/utf8"

	"omnibus/bus"
	"omnibus/dialect/mycroft/packet"
	"omnibus/payload"
)

// The members that stand for a payload that is no object.
const (
	keyValue  = "value"
	keyArgs   = "args"
	keyBinary = "binary"
)

// SetPayload makes v the payload of a message's data. An object whose only
// member is value, args or binary stands for what that member holds.
func SetPayload(v *payload.Value, data json.RawMessage) {
	if len(data) > 0 && data[0] != '{' {
		v.Set(payload.JSON, data)
		return
	}
	key, inner, ok := packet.OnlyMember(data)
	if ok {
		switch {
		case key == keyValue:
			v.Set(payload.JSON, inner)
			return
		case key == keyArgs && inner[0] == '[':
			v.Set(payload.Args, inner)
			return
		case key == keyBinary && inner[0] == '"':
			if raw, err := hex.DecodeString(string(inner[1 : len(inner)-1])); err == nil {
				v.Set(payload.Bytes, raw)
				return
			}
		}
	}
	v.Set(payload.JSON, data)
}

// Data is the data of a message for a payload: an object as it is, anything
// else as the member that stands for it.
func Data(v *payload.Value) ([]byte, error) {
	switch v.Kind() {
	case payload.Empty:
		return nil, nil
	case payload.Bytes:
		raw, err := v.As(payload.Bytes)
		return Member(keyBinary, packet.AppendString(nil, hex.EncodeToString(raw))), err
	case payload.Args, payload.CBOR:
		args, err := v.Args()
		if err != nil {
			return nil, err
		}
		switch len(args) {
		case 0:
			return nil, nil
		case 1:
			return object(args[0]), nil
		}
		all, err := v.As(payload.Args)
		return Member(keyArgs, all), err
	}
	one, err := v.As(payload.JSON)
	if err != nil {
		return nil, err
	}
	if v.Form() == payload.JSON && !(utf8.Valid(one) && json.Valid(one)) { // As does not look at it
		return nil, fmt.Errorf("%w: not JSON, although its sender says so", payload.ErrForm)
	}
	return object(one), nil
}

// object is a JSON value as the data of a message.
func object(one []byte) []byte {
	if one = bytes.TrimSpace(one); len(one) > 0 && one[0] == '{' {
		return one
	}
	return Member(keyValue, one)
}

// Member is a JSON object with one member.
func Member(key string, value []byte) []byte {
	out := make([]byte, 0, len(key)+len(value)+5)
	out = append(out, `{"`...)
	out = append(out, key...)
	out = append(out, `":`...)
	out = append(out, value...)
	return append(out, '}')
}

// Headers are those of a message's context: text as it is, other values as
// their JSON text.
func Headers(context json.RawMessage) []bus.Header {
	var list []bus.Header
	for key, value := range packet.Members(context) {
		list = append(list, bus.Header{Key: key, Value: packet.Text(value)})
	}
	return list
}

// Context is a message's context for headers: values that are the JSON text of
// an object or array are written as such, others as text. Of a key that
// repeats the last counts.
func Context(h bus.Headers) []byte {
	list := h.List()
	if len(list) == 0 {
		return nil
	}
	last := make(map[string]int, len(list)) // of several with one name the last counts
	for i, x := range list {
		last[x.Key] = i
	}
	out := []byte{'{'}
	for i, x := range list {
		if last[x.Key] != i {
			continue
		}
		if len(out) > 1 {
			out = append(out, ',')
		}
		out = packet.AppendString(out, x.Key)
		out = append(out, ':')
		if structured(x.Value) {
			out = append(out, x.Value...)
		} else {
			out = packet.AppendString(out, x.Value)
		}
	}
	return append(out, '}')
}

func structured(s string) bool {
	return len(s) > 1 && (s[0] == '{' || s[0] == '[') && utf8.ValidString(s) && json.Valid([]byte(s))
}

// ErrorData is the data of a response that says what went wrong.
func ErrorData(err error) []byte {
	d := packet.AppendString([]byte(`{"error":`), err.Error())
	d = packet.AppendString(append(d, `,"kind":`...), bus.KindOf(err).String())
	return append(d, '}')
}

// ErrorOf is the error that the data of a response tells in the form of
// ErrorData; nil for any other data.
func ErrorOf(data json.RawMessage) error {
	var e struct{ Error, Kind *string }
	n := 0
	for range packet.Members(data) {
		n++
	}
	if n != 2 || json.Unmarshal(data, &e) != nil || e.Error == nil || e.Kind == nil {
		return nil
	}
	kind, _ := bus.ParseKind(*e.Kind)
	return &bus.Error{Kind: kind, Text: *e.Error}
}
