package mycroft

import (
	"context"
	"errors"
	"fmt"
	"time"
)

var (
	// ErrClosed is returned by everything after Close.
	ErrClosed = errors.New("the client is closed")
	// ErrNotStarted is returned by what needs a connection before Start or Run.
	ErrNotStarted = errors.New("the client is not started: call Start or Run first")
	// ErrStarted is returned by a second Start or Run.
	ErrStarted = errors.New("the client was started already")
	// ErrOfflineFull is returned by Emit when there is no connection and
	// Options.Offline or OfflineBytes is reached.
	ErrOfflineFull = errors.New("no connection, and the offline queue is full")
	// ErrTooLarge is wrapped by the refusal of a message above
	// Options.MaxMessage; the hub would end the connection.
	ErrTooLarge = errors.New("the message is too large")
	// ErrSlow is wrapped by reports of messages that were dropped because their
	// handlers are too slow.
	ErrSlow = errors.New("handlers are too slow, a message was dropped")
)

// PanicError is what is reported of a handler that panicked.
type PanicError struct {
	Type  string // of the message
	Value any
	Stack []byte
}

func (e *PanicError) Error() string {
	return fmt.Sprintf("a handler of %q panicked: %v", e.Type, e.Value)
}

// TimeoutError says that nothing came in time. It is a
// context.DeadlineExceeded.
type TimeoutError struct {
	// What was waited for, and how long.
	What  string
	After time.Duration
	// Skipped is the number of answers that did not say whom they were for and
	// could have been somebody else's.
	Skipped int
}

func (e *TimeoutError) Error() string {
	text := fmt.Sprintf("no %s within %s", e.What, e.After.Round(time.Millisecond))
	if e.Skipped > 0 {
		text += fmt.Sprintf("; %d came that do not say whom they are for, while others asked the same", e.Skipped)
	}
	return text
}

// Unwrap makes it a deadline that was exceeded.
func (e *TimeoutError) Unwrap() error { return context.DeadlineExceeded }

// Timeout makes it a timeout as package net knows them.
func (e *TimeoutError) Timeout() bool { return true }
