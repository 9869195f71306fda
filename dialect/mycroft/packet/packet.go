// Package packet is the codec of the Mycroft message bus: one JSON object in
// one WebSocket text frame, with type, data and context. It is shared by the
// hub and the client, and knows nothing of the rest of the bus.
//
// Parse finds the three fields without decoding their values; the Message is a
// view of the frame. Receivers accept both generations of senders (Mycroft:
// escaped ASCII; OVOS: compact UTF-8); Append writes the compact form with the
// keys in the order type, data, context.
package packet

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"unicode/utf8"
)

// The reasons for which a frame is not a message.
var (
	ErrSyntax    = errors.New("not JSON")
	ErrNotObject = errors.New("not a JSON object")
)

// Message is one frame, with its values still in JSON text.
type Message struct {
	// Type is the message type; empty when the frame has none, a falsy one,
	// or one that is no string.
	Type string
	// Data and Context are the JSON texts of the two fields; {} when absent
	// or falsy. They are objects in all frames of well-behaved senders.
	Data, Context json.RawMessage
}

var emptyObject = json.RawMessage("{}")

// Parse reads a frame. Unknown top-level keys are ignored; of a key that
// repeats the last counts. The message is a view of frame.
func Parse(frame []byte) (Message, error) {
	m := Message{Data: emptyObject, Context: emptyObject}
	if !utf8.Valid(frame) {
		return m, fmt.Errorf("%w: not UTF-8", ErrSyntax)
	}
	if !json.Valid(frame) {
		var x json.RawMessage
		return m, fmt.Errorf("%w: %w", ErrSyntax, json.Unmarshal(frame, &x))
	}
	if (&scanner{rest: frame}).next() != '{' {
		return m, ErrNotObject
	}
	for key, value := range members(frame) {
		switch string(content(key)) {
		case "type":
			m.Type = stringOf(value)
		case "data":
			m.Data = orEmpty(value)
		case "context":
			m.Context = orEmpty(value)
		}
	}
	return m, nil
}

// Members ranges over the members of a JSON object that is known to be valid.
// Anything else has none.
func Members(object json.RawMessage) iter.Seq2[string, json.RawMessage] {
	return func(yield func(string, json.RawMessage) bool) {
		for key, value := range members(object) {
			if !yield(stringOf(key), value) {
				return
			}
		}
	}
}

// OnlyMember returns the member of a valid JSON object that has just one.
func OnlyMember(object json.RawMessage) (key string, value json.RawMessage, ok bool) {
	n := 0
	for k, v := range members(object) {
		if n++; n > 1 {
			return "", nil, false
		}
		key, value = stringOf(k), v
	}
	return key, value, n == 1
}

// Text is the content of a valid JSON string, and the JSON text of any other
// value.
func Text(value json.RawMessage) string {
	if len(value) > 0 && value[0] == '"' {
		return stringOf(value)
	}
	return string(value)
}

// Texts are the contents of a valid JSON string or of the strings in a valid JSON
// array, and none of any other value.
func Texts(value json.RawMessage) []string {
	s := scanner{rest: value}
	switch s.next() {
	case '"':
		return []string{stringOf(s.value())}
	case '[':
		s.skip()
	default:
		return nil
	}
	var all []string
	for c := s.next(); c != ']'; c = s.next() {
		switch element := s.value(); {
		case c == '"':
			all = append(all, stringOf(element))
		case len(element) == 0:
			return all // not valid after all
		}
		if s.next() == ',' {
			s.skip()
		}
	}
	return all
}

// members ranges over the JSON texts of an object's keys and values.
func members(object []byte) iter.Seq2[[]byte, []byte] {
	return func(yield func(key, value []byte) bool) {
		s := scanner{rest: object}
		if s.next() != '{' {
			return
		}
		s.skip()
		for s.next() != '}' {
			key := s.value()
			s.skip() // the colon
			s.next()
			if !yield(key, s.value()) {
				return
			}
			if s.next() == ',' {
				s.skip()
			}
		}
	}
}

// scanner walks over JSON text that is known to be valid.
type scanner struct{ rest []byte }

// next skips white space and returns the first byte of what follows.
func (s *scanner) next() byte {
	for i, c := range s.rest {
		if c != ' ' && c != '\t' && c != '\n' && c != '\r' {
			s.rest = s.rest[i:]
			return c
		}
	}
	s.rest = nil
	return 0
}

// skip passes over the next byte that is not white space.
func (s *scanner) skip() {
	s.next()
	s.rest = s.rest[1:]
}

// value takes the text of the value that begins here.
func (s *scanner) value() []byte {
	depth := 0
	for i := 0; i < len(s.rest); i++ {
		switch s.rest[i] {
		case '"':
			i = endOfString(s.rest, i)
		case '{', '[':
			depth++
			continue
		case '}', ']':
			if depth == 0 { // the end of what holds a bare value
				return s.take(i)
			}
			depth--
		case ',', ' ', '\t', '\n', '\r':
			if depth == 0 {
				return s.take(i)
			}
			continue
		default:
			continue
		}
		if depth == 0 {
			return s.take(i + 1)
		}
	}
	return s.take(len(s.rest))
}

// endOfString returns where the string that begins at i has its other quote.
func endOfString(text []byte, i int) int {
	for {
		i += 1 + bytes.IndexByte(text[i+1:], '"')
		before := i
		for text[before-1] == '\\' {
			before--
		}
		if (i-before)%2 == 0 { // not escaped
			return i
		}
	}
}

func (s *scanner) take(n int) []byte {
	v := s.rest[:n]
	s.rest = s.rest[n:]
	return v
}

// stringOf is the content of a JSON string, "" for any other value.
func stringOf(value []byte) string { return string(content(value)) }

// content is stringOf as a view of value where that is possible.
func content(value []byte) []byte {
	if len(value) < 2 || value[0] != '"' {
		return nil
	}
	if inner := value[1 : len(value)-1]; bytes.IndexByte(inner, '\\') < 0 {
		return inner
	}
	var s string
	_ = json.Unmarshal(value, &s) // valid: the whole frame is
	return []byte(s)
}

// orEmpty is value, or {} where Python finds it false.
func orEmpty(value []byte) json.RawMessage {
	switch string(value) {
	case "null", "false", `""`:
		return emptyObject
	}
	if isZero(value) || value[0] == '[' && len(bytes.TrimSpace(value[1:len(value)-1])) == 0 {
		return emptyObject
	}
	return value
}

// isZero reports whether a JSON value is the number zero.
func isZero(value []byte) bool {
	for _, c := range value {
		switch c {
		case 'e', 'E':
			return true // of whatever times zero
		case '0', '-', '.':
		default:
			return false
		}
	}
	return true
}

// Append appends the frame of a message to dst. Data and context are JSON
// texts; empty ones are written as {}.
func Append(dst []byte, typ string, data, context []byte) []byte {
	dst = append(dst, `{"type":`...)
	dst = AppendString(dst, typ)
	dst = append(dst, `,"data":`...)
	dst = appendObject(dst, data)
	dst = append(dst, `,"context":`...)
	dst = appendObject(dst, context)
	return append(dst, '}')
}

func appendObject(dst, text []byte) []byte {
	if len(text) == 0 {
		text = emptyObject
	}
	return append(dst, text...)
}

// AppendString appends a JSON string, leaving <, > and & as they are.
func AppendString(dst []byte, s string) []byte {
	if plain(s) {
		dst = append(dst, '"')
		dst = append(dst, s...)
		return append(dst, '"')
	}
	var buf bytes.Buffer
	e := json.NewEncoder(&buf)
	e.SetEscapeHTML(false)
	_ = e.Encode(s) // a string can always be encoded
	return append(dst, bytes.TrimSuffix(buf.Bytes(), []byte("\n"))...)
}

// plain reports whether s needs no escaping.
func plain(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c == '"' || c == '\\' || c >= 0x7f {
			return false
		}
	}
	return true
}

// Response is the context of an answer to a message with the given valid
// context: the same in which source and destination are exchanged when both
// are present. It may be the context itself; of one that is no object it is {}.
func Response(context json.RawMessage) json.RawMessage {
	var from, to []byte
	for key, value := range members(context) {
		switch string(content(key)) {
		case "source":
			from = value
		case "destination":
			to = value
		}
	}
	switch {
	case (&scanner{rest: context}).next() != '{':
		return emptyObject
	case from == nil || to == nil:
		return context
	}
	out := make([]byte, 0, len(context))
	before := byte('{')
	for key, value := range members(context) {
		switch string(content(key)) {
		case "source":
			value = to
		case "destination":
			value = from
		}
		out = append(append(out, before), key...)
		out = append(append(out, ':'), value...)
		before = ','
	}
	return append(out, '}')
}
