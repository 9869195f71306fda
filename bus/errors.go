package bus

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"omnibus/payload"
	"omnibus/topic"
)

// Kind says what went wrong, in the few terms that every dialect can express.
type Kind uint8

// The kinds of error. Each dialect has one table from these to its own codes.
const (
	// Failed: the service or the broker tried and could not. The zero value,
	// and the kind of every error that is not an *Error.
	Failed Kind = iota
	// Invalid: the request itself is wrong (a bad topic, pattern or payload).
	Invalid
	// Refused: access rules or a schema forbid it.
	Refused
	// Unknown: nobody exposes such a service.
	Unknown
	// Unavailable: somebody did, but is gone or cannot answer now.
	Unavailable
	// TimedOut: no answer before the deadline.
	TimedOut
	// TooLarge: beyond a size limit.
	TooLarge
	// Full: beyond a limit on how many.
	Full
	// Closed: this bus, or this peer of it, has ended.
	Closed

	// Kinds is how many kinds there are, for tables that must name them all.
	Kinds
)

var kindNames = [Kinds]string{
	"failed", "invalid", "refused", "unknown", "unavailable", "timed out", "too large", "full", "closed",
}

// String returns the kind in words.
func (k Kind) String() string {
	if k < Kinds {
		return kindNames[k]
	}
	return "unknown kind"
}

// ParseKind is the inverse of String.
func ParseKind(name string) (Kind, bool) {
	i := slices.Index(kindNames[:], name)
	return Kind(max(i, 0)), i >= 0
}

// Error is an error of the bus or of a service on it.
type Error struct {
	Kind  Kind
	Topic string // the topic, pattern or service concerned; may be empty
	Text  string // what happened and what to do about it, for people
	Err   error  // the cause, may be nil
}

// Errorf returns an Error whose text is formatted; a %w in it is its cause.
func Errorf(kind Kind, topic, format string, args ...any) *Error {
	wrapped := fmt.Errorf(format, args...)
	cause := errors.Unwrap(wrapped)
	if _, several := wrapped.(interface{ Unwrap() []error }); several {
		cause = wrapped
	}
	return &Error{Kind: kind, Topic: topic, Text: wrapped.Error(), Err: cause}
}

// Error returns the topic, the text, or the kind where there is no text.
func (e *Error) Error() string {
	text := e.Text
	if text == "" {
		text = e.Kind.String()
		if e.Err != nil {
			text += ": " + e.Err.Error()
		}
	}
	if e.Topic == "" {
		return text
	}
	return fmt.Sprintf("%q: %s", e.Topic, text)
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// ErrClosed is what a closed bus answers.
var ErrClosed error = &Error{Kind: Closed, Text: "the bus is closed"}

// KindOf returns the kind of err: that of the *Error in its chain, Invalid for
// a bad name, pattern or payload, TimedOut for a context's deadline, else
// Failed.
func KindOf(err error) Kind {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Kind
	}
	for _, bad := range []error{topic.ErrName, topic.ErrPattern, payload.ErrForm} {
		if errors.Is(err, bad) {
			return Invalid
		}
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return TimedOut
	}
	return Failed
}

// PanicError is a handler's panic.
type PanicError struct {
	Value any
	Stack []byte
}

// Error says what the panic's value was.
func (e *PanicError) Error() string { return fmt.Sprintf("handler panicked: %v", e.Value) }
