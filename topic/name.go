package topic

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// MaxNameBytes is the longest name, and the longest text of a pattern.
const MaxNameBytes = 65535

// ErrName is wrapped by every error about a name.
var ErrName = errors.New("invalid topic name")

// CheckName tells whether name may be a topic: not empty, valid UTF-8, without
// NUL, at most MaxNameBytes long. The error wraps ErrName and says what is wrong
// and at which byte.
func CheckName(name string) error {
	if fault := textFault(name); fault != "" {
		return fmt.Errorf("%w %s: %s", ErrName, quote(name), fault)
	}
	return nil
}

// textFault says what keeps text from being a name or a pattern of any kind;
// it is empty when nothing does.
func textFault(text string) string {
	if text == "" {
		return "it is empty"
	}
	if len(text) > MaxNameBytes {
		return fmt.Sprintf("it has %d bytes, at most %d are allowed", len(text), MaxNameBytes)
	}
	if at := strings.IndexByte(text, 0); at >= 0 {
		return fmt.Sprintf("byte %d is NUL, which is not allowed", at)
	}
	if !utf8.ValidString(text) {
		return fmt.Sprintf("byte %d does not begin a valid UTF-8 character", invalidAt(text))
	}
	return ""
}

// invalidAt returns the position of the first byte that is not valid UTF-8.
func invalidAt(text string) int {
	at := 0
	for at < len(text) {
		r, size := utf8.DecodeRuneInString(text[at:])
		if r == utf8.RuneError && size == 1 {
			break
		}
		at += size
	}
	return at
}

// quote returns text as it may stand in an error: quoted, and shortened.
func quote(text string) string {
	const most = 80
	if len(text) <= most {
		return strconv.Quote(text)
	}
	cut := most
	for cut > most-utf8.UTFMax && !utf8.RuneStart(text[cut]) {
		cut--
	}
	return strconv.Quote(text[:cut]) + "…"
}
