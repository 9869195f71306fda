package packet

import (
	"bytes"
	"encoding/binary"
	"strings"
	"unicode/utf8"
	"unsafe"
)

// view is b as a string, without a copy: it changes when b does.
func view(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

// bytesOf is s as bytes, without a copy: they must not be written to.
func bytesOf(s string) []byte { return unsafe.Slice(unsafe.StringData(s), len(s)) }

// Eight bytes at a time: ones times c is c in each of them.
const (
	ones  = 0x0101010101010101
	highs = 0x80 * ones
)

// hasZero has high bits set if one of the eight bytes of x is 0. Bytes that have
// their high bit set themselves do not count.
func hasZero(x uint64) uint64 { return (x - ones) &^ x }

// plainText tells that all bytes are ASCII, and none of them U+0000. It is what
// nearly all strings are; the others are looked at closely.
func plainText(b []byte) bool {
	if len(b) < 8 {
		for _, c := range b {
			if c >= utf8.RuneSelf || c == 0 {
				return false
			}
		}
		return true
	}
	w := binary.LittleEndian.Uint64(b[len(b)-8:]) // what is left over, and some before it
	found := w | hasZero(w)
	for ; len(b) > 8; b = b[8:] {
		w = binary.LittleEndian.Uint64(b)
		found |= w | hasZero(w)
	}
	return found&highs == 0
}

// plainName is plainText for topic names: no control characters, + and # either.
func plainName(b []byte) bool {
	if len(b) < 8 {
		for _, c := range b {
			if c >= del || c < ' ' || c == '+' || c == '#' {
				return false
			}
		}
		return true
	}
	found := notInName(binary.LittleEndian.Uint64(b[len(b)-8:]))
	for ; len(b) > 8; b = b[8:] {
		found |= notInName(binary.LittleEndian.Uint64(b))
	}
	return found&highs == 0
}

const del = 0x7f

// notInName has high bits set if one of the eight bytes of w is none of plainName.
func notInName(w uint64) uint64 {
	below := (w - ' '*ones) &^ w
	return w | below | hasZero(w^del*ones) | hasZero(w^'+'*ones) | hasZero(w^'#'*ones)
}

// hasControl tells whether valid UTF-8 has a control character. A receiver may
// refuse those anywhere (1.5.4); in names they are more trouble than use.
func hasControl(b []byte) bool {
	for i, c := range b {
		if c < ' ' || c == del || c == 0xC2 && b[i+1] < 0xA0 {
			return true
		}
	}
	return false
}

// What is wrong with a string. Kept as text, so that no error is built for what
// is right.
const (
	notUTF8  = "is not valid UTF-8 (MQTT-1.5.4-1)"
	hasNull  = "has the character U+0000 (MQTT-1.5.4-2)"
	controls = "has a control character (1.5.4)"
	wildcard = "has a wildcard (MQTT-4.7.0-1)"
	noTopic  = "is empty (MQTT-4.7.3-1)"
)

// textFault is what is wrong with a UTF-8 string (1.5.4), empty if nothing.
func textFault(b []byte) string {
	switch {
	case plainText(b):
		return ""
	case !utf8.Valid(b): // surrogates too
		return notUTF8
	case bytes.IndexByte(b, 0) >= 0:
		return hasNull
	}
	return "" // MQTT-1.5.4-3: U+FEFF is a character like others
}

// nameFault is textFault for topic names (4.7), which may be empty here.
func nameFault(b []byte) (fault string, reason ReasonCode) {
	if plainName(b) {
		return "", Success
	}
	if fault := textFault(b); fault != "" {
		return fault, MalformedPacket
	}
	switch {
	case hasControl(b):
		return controls, MalformedPacket
	case bytes.IndexByte(b, '+') >= 0 || bytes.IndexByte(b, '#') >= 0:
		return wildcard, TopicNameInvalid
	}
	return "", Success
}

// filterFault says what is wrong with a topic filter that is valid UTF-8 (4.7).
func filterFault(s string) string {
	if s == "" {
		return noTopic
	}
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '#':
			if i != len(s)-1 || i > 0 && s[i-1] != '/' {
				return "has a # that is not the whole last level (MQTT-4.7.1-1)"
			}
		case '+':
			if i > 0 && s[i-1] != '/' || i < len(s)-1 && s[i+1] != '/' {
				return "has a + that is not a whole level (MQTT-4.7.1-2)"
			}
		}
	}
	return ""
}

// sharedFault says what is wrong with the share of a filter (4.8.2).
func sharedFault(s string) string {
	if !strings.HasPrefix(s, sharePrefix) {
		return ""
	}
	if _, _, ok := SplitShared(s); !ok {
		return "is a shared subscription without a name and a filter (MQTT-4.8.2-1, MQTT-4.8.2-2)"
	}
	return ""
}

const sharePrefix = "$share/"

// SplitShared splits the filter of a shared subscription, $share/name/filter, into
// the name of the share and the filter (4.8.2). For other filters, and those
// whose name or filter is missing or not allowed, it is not ok.
func SplitShared(filter string) (name, rest string, ok bool) {
	after, ok := strings.CutPrefix(filter, sharePrefix) // MQTT-4.8.2-1
	if !ok {
		return "", "", false
	}
	name, rest, ok = strings.Cut(after, "/")
	if !ok || name == "" || strings.ContainsAny(name, "+#") || filterFault(rest) != "" { // MQTT-4.8.2-2
		return "", "", false
	}
	return name, rest, true
}

// ValidString tells whether s can be a UTF-8 string of a packet (1.5.4).
func ValidString(s string) bool {
	return len(s) <= maxString && textFault(bytesOf(s)) == ""
}

// ValidTopicName tells whether s can be the topic name of a message (4.7).
func ValidTopicName(s string) bool {
	if s == "" || len(s) > maxString { // MQTT-4.7.3-1, MQTT-4.7.3-3
		return false
	}
	fault, _ := nameFault(bytesOf(s))
	return fault == ""
}

// ValidTopicFilter tells whether s can be a topic filter, shared or not (4.7, 4.8.2).
func ValidTopicFilter(s string) bool {
	return ValidString(s) && !hasControl(bytesOf(s)) && filterFault(s) == "" && sharedFault(s) == ""
}
