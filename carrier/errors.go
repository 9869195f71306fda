package carrier

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"syscall"
)

// ErrFull is returned by an append that would pass a bound of an Outbox. Nothing was queued.
var ErrFull = errors.New("outbox full: the peer reads too slowly")

// ErrClosed is returned by operations on an Outbox or WebSocket that was closed or has failed; an error after a failed
// write wraps the cause too. It counts as net.ErrClosed.
var ErrClosed error = closedError{}

type closedError struct{}

func (closedError) Error() string        { return "connection closed" }
func (closedError) Is(target error) bool { return target == net.ErrClosed }

// writeError is the failed write that ended an outbox.
type writeError struct{ cause error }

func (e *writeError) Error() string   { return "writing to the peer: " + e.cause.Error() }
func (e *writeError) Unwrap() []error { return []error{ErrClosed, e.cause} }

// ErrTooLarge is returned by WebSocket.Read for a message above WebSocketOptions.MaxMessage.
var ErrTooLarge = errors.New("message too large")

// ErrProtocol is wrapped by the error of WebSocket.Read for a peer that broke the protocol or sent a text that is not
// UTF-8.
var ErrProtocol = errors.New("the peer broke the protocol")

// CloseError is how WebSocket.Read reports that the peer ended the connection. It wraps io.EOF.
type CloseError struct {
	// Code is the peer's close code; 1005 when its close frame had none, 1006 when it left without a close frame.
	Code int
	// Reason is the peer's text, often empty.
	Reason string
}

// Error names the code and the reason.
func (e *CloseError) Error() string {
	if e.Code == codeAbnormal {
		return "peer left without a close frame"
	}
	if e.Reason == "" {
		return fmt.Sprintf("closed by peer (code %d)", e.Code)
	}
	return fmt.Sprintf("closed by peer (code %d): %s", e.Code, e.Reason)
}

// Unwrap returns io.EOF.
func (e *CloseError) Unwrap() error { return io.EOF }

// endpointError is a failure to open an endpoint, told in words; the cause stays reachable.
type endpointError struct {
	doing string
	at    Endpoint
	why   string
	cause error
}

func (e *endpointError) Error() string {
	return e.doing + " " + e.at.String() + ": " + e.why
}

func (e *endpointError) Unwrap() error { return e.cause }

// explain puts the cause of a failed listen or dial into words a user understands.
func explain(e Endpoint, err error) string {
	dns, isDNS := errors.AsType[*net.DNSError](err)
	address, isAddress := errors.AsType[*net.AddrError](err)
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return "address already in use (another program listens there: stop it or choose another address)"
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return "this machine has no such address"
	case errors.Is(err, fs.ErrPermission) && e.Network == networkTCP:
		return "permission denied (ports below 1024 usually need privileges)"
	case errors.Is(err, fs.ErrPermission):
		return "permission denied"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "connection refused (nothing listens there)"
	case errors.Is(err, fs.ErrNotExist) && e.Network == networkUnix:
		return "no such file or directory"
	case isDNS && dns.IsNotFound:
		return "no such host " + dns.Name
	case isAddress:
		return address.Err + " (expecting host:port)"
	case errors.Is(err, context.Canceled):
		return "cancelled"
	case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, context.DeadlineExceeded), isTimeout(err):
		return "timed out"
	}
	if op, ok := errors.AsType[*net.OpError](err); ok {
		return op.Err.Error()
	}
	return err.Error()
}

// isTimeout tells an operation that passed its deadline from one that failed.
func isTimeout(err error) bool {
	if err == nil {
		return false
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return true
	}
	t, ok := errors.AsType[net.Error](err)
	return ok && t.Timeout()
}
