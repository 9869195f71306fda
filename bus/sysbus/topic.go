package sysbus

import (
	"crypto/sha256"
	"encoding/hex"
	"strconv"

	"omnibus/topic"
)

// Topic is a text or an integer. Equal topics are ==, so that it can be the key
// of a map. The zero Topic is the empty text.
type Topic struct {
	text string
	n    int
	kind kind
}

type kind uint8

const (
	private kind = iota // a text that is no name of a topic
	shared              // a text that is
	integer
)

// Text returns the topic of a text. Any text will do.
func Text(s string) Topic {
	if topic.CheckName(s) != nil {
		return Topic{text: s}
	}
	return Topic{text: s, kind: shared}
}

// Int returns the topic of an integer.
func Int(n int) Topic { return Topic{n: n, kind: integer} }

// Value returns the text as a string or the integer as an int.
func (t Topic) Value() any {
	if t.kind == integer {
		return t.n
	}
	return t.text
}

// String returns the text as it is and the integer in decimal.
func (t Topic) String() string {
	if t.kind == integer {
		return strconv.Itoa(t.n)
	}
	return t.text
}

// name returns the topic's name on the bus where it is published: its own on the
// shared one, on the private one a name that no other topic has.
func (t Topic) name() string {
	switch t.kind {
	case shared:
		return t.text
	case integer:
		return "int " + strconv.Itoa(t.n)
	}
	if len(t.text) > topic.MaxNameBytes/8 { // quoted it may be too long
		sum := sha256.Sum256([]byte(t.text))
		return "sha256 " + hex.EncodeToString(sum[:])
	}
	return strconv.Quote(t.text)
}
