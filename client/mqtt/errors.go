package mqtt

import (
	"errors"
	"fmt"
	"runtime/debug"

	"omnibus/dialect/mqtt/packet"
)

// What errors of a client wrap.
var (
	// ErrInvalid is about arguments that cannot be sent: nothing was, and the connection goes on.
	ErrInvalid = errors.New("invalid")
	// ErrTooLarge is about a packet larger than the broker takes, or than the format can hold: nothing was sent.
	ErrTooLarge = errors.New("too large")
	// ErrDisconnected tells that there is no connection now, or that it was lost meanwhile.
	ErrDisconnected = errors.New("not connected")
	// ErrClosed tells that the client was closed.
	ErrClosed = errors.New("the client was closed")
	// ErrNoAnswer tells that the broker has not answered in time. It counts as a timeout of package net does.
	ErrNoAnswer error = noAnswer{}
	// ErrUncertain ends a message of QoS 2 that was sent when the broker lost the session: whether it has arrived cannot be
	// found out, and sending it again could deliver it twice.
	ErrUncertain = errors.New("the broker lost the session: whether the message has arrived is unknown")
	// ErrProtocol is wrapped by the error of a connection on which the broker broke the protocol.
	ErrProtocol = errors.New("the broker broke the protocol")
)

type noAnswer struct{}

func (noAnswer) Error() string { return "no answer from the broker" }
func (noAnswer) Timeout() bool { return true }

// RefusedError is a broker's refusal: of a connection, a message, a subscription or its end.
type RefusedError struct {
	// What was refused: "connection", "message", "subscription", "unsubscription" or "authentication".
	What string
	// Topic is the topic or filter; empty for a connection.
	Topic  string
	Reason ReasonCode
	// Text is what the broker says of it, often nothing.
	Text string
	// Server is another broker to use, if this one names it.
	Server string
}

// Error names what was refused, and why.
func (e *RefusedError) Error() string {
	text := "the broker refuses the " + e.What
	if e.Topic != "" {
		text += " of " + e.Topic
	}
	text += ": " + e.Reason.String()
	if e.Text != "" {
		text += " (" + e.Text + ")"
	}
	if e.Server != "" {
		text += "; use " + e.Server
	}
	return text
}

// DisconnectError is a broker's DISCONNECT, which exists in version 5 alone. It counts as ErrDisconnected.
type DisconnectError struct {
	Reason ReasonCode
	// Text is what the broker says of it, often nothing.
	Text string
	// Server is another broker to use, if this one names it.
	Server string
}

// Error names the reason.
func (e *DisconnectError) Error() string {
	text := "the broker ended the connection: " + e.Reason.String()
	if e.Reason == packet.NormalDisconnection {
		text = "the broker ended the connection"
	}
	if e.Text != "" {
		text += " (" + e.Text + ")"
	}
	if e.Server != "" {
		text += "; use " + e.Server
	}
	return text
}

// Is tells that it counts as ErrDisconnected.
func (e *DisconnectError) Is(target error) bool { return target == ErrDisconnected }

// PanicError is a panic of a function that the client called.
type PanicError struct {
	Value any
	Stack []byte
	// Topic is that of the message it handled, if it did.
	Topic string
}

// Error is the value it panicked with.
func (e *PanicError) Error() string {
	if e.Topic == "" {
		return fmt.Sprintf("a callback panicked: %v", e.Value)
	}
	return fmt.Sprintf("the handler of a message to %s panicked: %v", e.Topic, e.Value)
}

func panicked(value any, topic string) *PanicError {
	return &PanicError{Value: value, Stack: debug.Stack(), Topic: topic}
}

// broken is the error of a broker that broke the protocol, and what to tell it.
func broken(reason ReasonCode, format string, args ...any) error {
	return fmt.Errorf("%w: %w", ErrProtocol, &packet.Error{Reason: reason, Text: fmt.Sprintf(format, args...)})
}

// lost is the error of a connection that is no more, or never was.
func lost(cause error) error {
	if cause == nil || errors.Is(cause, ErrDisconnected) || errors.Is(cause, ErrClosed) {
		return cause
	}
	return &lostError{cause}
}

type lostError struct{ cause error }

func (e *lostError) Error() string   { return "the connection was lost: " + e.cause.Error() }
func (e *lostError) Unwrap() []error { return []error{ErrDisconnected, e.cause} }
