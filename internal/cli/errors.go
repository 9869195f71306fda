package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"omnibus/bus"
	"omnibus/config"
)

// The exit codes.
const (
	exitFailure = 1
	exitUsage   = 2
	exitTimeout = 3
)

// usageError is an error of whoever typed the command.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

func usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// codeError is a failure with an exit code of its own.
type codeError struct {
	code int
	text string
}

func (e *codeError) Error() string { return e.text }

// between checks how many arguments there are; most is -1 for any number.
func between(least, most int, what string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		if len(args) < least || most >= 0 && len(args) > most {
			return usagef("expecting %s, not %d arguments", what, len(args))
		}
		return nil
	}
}

// report tells an error and returns the exit code for it.
func (s *stdio) report(ctx context.Context, cmd *cobra.Command, err error) int {
	if err == nil {
		return 0
	}
	if _, ok := errors.AsType[usageError](err); ok {
		s.notice("omnibus: %s", oneLine(err.Error()))
		s.notice("usage: %s", cmd.UseLine())
		s.notice("%q tells more", cmd.CommandPath()+" --help")
		return exitUsage
	}
	if e, ok := errors.AsType[*codeError](err); ok {
		s.notice("omnibus: %s", oneLine(e.text))
		return e.code
	}
	if all, ok := errors.AsType[config.Problems](err); ok {
		for _, p := range all {
			if p.File == "" { // of a flag
				s.notice("omnibus: %s", p)
				continue
			}
			s.notice("%s", p)
		}
		return exitFailure
	}
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		s.notice("omnibus: interrupted")
		return exitFailure
	}
	if e, ok := errors.AsType[*bus.Error](err); ok {
		s.notice("omnibus: %s: %s", e.Kind, oneLine(err.Error()))
		return exitFailure
	}
	// Several problems of one file, say, are a line each.
	for i, line := range strings.Split(strings.TrimSpace(err.Error()), "\n") {
		prefix := "omnibus: "
		if i > 0 {
			prefix = "  "
		}
		s.notice("%s%s", prefix, visible(line))
	}
	return exitFailure
}

// oneLine puts a text on one line, without anything that would steer a
// terminal.
func oneLine(text string) string {
	return visible(strings.ReplaceAll(strings.TrimSpace(text), "\n", "; "))
}
