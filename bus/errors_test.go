package bus_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"testing"

	"omnibus/bus"
	"omnibus/payload"
	"omnibus/topic"
)

func TestKindOf(t *testing.T) {
	tests := []struct {
		err  error
		want bus.Kind
	}{
		{io.EOF, bus.Failed},
		{nil, bus.Failed},
		{&bus.Error{}, bus.Failed},
		{&bus.Error{Kind: bus.Refused}, bus.Refused},
		{fmt.Errorf("wrapped: %w", &bus.Error{Kind: bus.TooLarge}), bus.TooLarge},
		{errors.Join(io.EOF, bus.ErrClosed), bus.Closed},
		{&bus.Error{Kind: bus.Full, Err: context.DeadlineExceeded}, bus.Full},
		{fmt.Errorf("wrapped: %w", context.DeadlineExceeded), bus.TimedOut},
		{context.Canceled, bus.Failed},
		{fmt.Errorf("wrapped: %w", topic.ErrName), bus.Invalid},
		{topic.ErrPattern, bus.Invalid},
		{payload.ErrForm, bus.Invalid},
	}
	for _, tt := range tests {
		if got := bus.KindOf(tt.err); got != tt.want {
			t.Errorf("KindOf(%v) = %v, want %v", tt.err, got, tt.want)
		}
	}
}

func TestEveryKindHasAName(t *testing.T) {
	seen := map[string]bool{}
	for k := range bus.Kinds {
		name := k.String()
		if name == "" || seen[name] {
			t.Errorf("kind %d is called %q", k, name)
		}
		seen[name] = true
		if got, ok := bus.ParseKind(name); got != k || !ok {
			t.Errorf("%q is read back as %v, %v", name, got, ok)
		}
	}
	if got, ok := bus.ParseKind("unknown kind"); ok {
		t.Errorf("what is no kind is read as %v", got)
	}
	if got := bus.Kinds.String(); seen[got] {
		t.Errorf("what is no kind is called %q", got)
	}
}

func TestErrorText(t *testing.T) {
	tests := []struct {
		err  *bus.Error
		want string
	}{
		{&bus.Error{Kind: bus.TimedOut}, "timed out"},
		{&bus.Error{Kind: bus.TimedOut, Err: io.EOF}, "timed out: EOF"},
		{&bus.Error{Kind: bus.Full, Topic: "a/b"}, `"a/b": full`},
		{&bus.Error{Topic: "a/b", Text: "no room", Err: io.EOF}, `"a/b": no room`},
		{bus.Errorf(bus.Full, "t", "reading: %w", io.EOF), `"t": reading: EOF`},
	}
	for _, tt := range tests {
		if got := tt.err.Error(); got != tt.want {
			t.Errorf("got %q, want %q", got, tt.want)
		}
	}
	if err := bus.Errorf(bus.Full, "t", "reading: %w", io.EOF); !errors.Is(err, io.EOF) || err.Kind != bus.Full || err.Topic != "t" {
		t.Errorf("Errorf returns %+v", err)
	}
	if err := bus.Errorf(bus.Full, "t", "%w and %w", io.EOF, io.ErrNoProgress); !errors.Is(err, io.EOF) || !errors.Is(err, io.ErrNoProgress) {
		t.Errorf("Errorf loses a cause: %+v", err)
	}
}
