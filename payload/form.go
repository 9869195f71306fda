package payload

import (
	"encoding/json"
	"unicode/utf8"
)

// Form says how the bytes of a value are to be read.
type Form uint8

// The forms. Empty is the zero value.
const (
	// Empty is no value at all; not the same as a JSON null.
	Empty Form = iota
	// JSON is the JSON text of one value.
	JSON
	// Args is a JSON array whose elements are several arguments.
	Args
	// Text is UTF-8 text, one string value.
	Text
	// Bytes is opaque.
	Bytes
	// Raw is not labelled; see the package comment for how it is decided.
	Raw
	// Go is a Go value of this process that has not been encoded.
	Go
	// CBOR is a CBOR array of arguments.
	CBOR
	// Arrow is an Arrow IPC stream, a table.
	Arrow

	forms
)

var formNames = [forms]string{"empty", "json", "args", "text", "bytes", "raw", "go", "cbor", "arrow"}

// String returns the form's name, as it stands in events and logs.
func (f Form) String() string {
	if f < forms {
		return formNames[f]
	}
	return "unknown"
}

// ParseForm is the inverse of String.
func ParseForm(name string) (Form, bool) {
	for f, n := range formNames {
		if n == name {
			return Form(f), true
		}
	}
	return Empty, false
}

// Sniff decides the form of bytes that carry no label, for senders that write
// one value: valid JSON is JSON, else UTF-8 is Text, else Bytes; no bytes are
// Empty. Senders that split arrays into arguments use Raw instead.
func Sniff(data []byte) Form {
	switch {
	case len(data) == 0:
		return Empty
	case !utf8.Valid(data): // JSON is UTF-8 too
		return Bytes
	case json.Valid(data):
		return JSON
	default:
		return Text
	}
}

// sniffArgs is Sniff for senders that write a top-level array for several
// arguments.
func sniffArgs(data []byte) Form {
	if f := Sniff(data); f != JSON || !isArray(data) {
		return f
	}
	return Args
}

// isArray reports whether valid JSON text is an array.
func isArray(data []byte) bool { return firstByte(data) == '[' }

// firstByte returns what JSON text begins with.
func firstByte(data []byte) byte {
	for _, c := range data {
		switch c {
		case ' ', '\t', '\r', '\n':
		default:
			return c
		}
	}
	return 0
}
