package remote

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"time"

	"omnibus/bus"
)

// errClosed is what ends with Close.
var errClosed = errors.New("the client was closed")

// kind is the kind with a name, Failed when there is none.
func kind(name string) bus.Kind {
	k, _ := bus.ParseKind(name)
	return k
}

// unreachable explains why there is no connection to a broker; nil when err is
// about something else.
func unreachable(u *url.URL, err error) error {
	var op *net.OpError
	if !errors.As(err, &op) || op.Op != "dial" {
		return nil
	}
	return fmt.Errorf("connecting to %s: %w; is omnibus serve running?", u.Redacted(), op.Err)
}

// gaveUp is the error of an operation whose context has ended.
func gaveUp(ctx context.Context, name string, start time.Time) error {
	if !errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return fmt.Errorf("waiting for the broker: %w", context.Cause(ctx))
	}
	return &bus.Error{
		Kind: bus.TimedOut, Topic: name, Err: ctx.Err(),
		Text: fmt.Sprintf("no answer within %s", time.Since(start).Round(time.Millisecond)),
	}
}

// answerTimeout is how long an answer to a request may take to be sent.
const answerTimeout = 10 * time.Second
