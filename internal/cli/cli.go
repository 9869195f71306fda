package cli

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"omnibus/internal/buildinfo"
)

// stdio is where a command reads and writes.
type stdio struct {
	in       io.Reader
	out, err io.Writer
}

// notice writes a line about what the command does to standard error.
func (s *stdio) notice(format string, args ...any) {
	_, _ = fmt.Fprintf(s.err, format+"\n", args...)
}

// Run runs the program with the arguments after its name and returns its exit
// code. The command ends when ctx does, in order.
func Run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	s := &stdio{in: stdin, out: stdout, err: &syncWriter{w: stderr}}
	root := newRootCommand(s)
	if args == nil {
		args = []string{} // cobra takes nil for the arguments of the process
	}
	root.SetArgs(args)
	cmd, err := root.ExecuteContextC(ctx)
	return s.report(ctx, cmd, err)
}

func newRootCommand(s *stdio) *cobra.Command {
	b := &broker{}
	root := &cobra.Command{
		Use:   "omnibus",
		Short: "One message bus for MQTT, Rembus, Mycroft, MiniBus and the web",
		Long: `Omnibus is a message bus that speaks the protocols of several others, so that
their programs can talk to each other. "omnibus serve" runs the broker; the
other commands talk to one that runs.`,
		Example: `  omnibus sub 'robot/#'
  omnibus pub robot/pose '{"x": 1, "y": 2}'`,
		Version:       buildinfo.Version(),
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          knownCommand,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },

		SuggestionsMinimumDistance: 2,
	}
	root.SetIn(s.in)
	root.SetOut(s.out)
	root.SetErr(s.err)
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error {
		if strings.HasPrefix(err.Error(), "unknown shorthand flag") {
			err = fmt.Errorf("%w; put -- before arguments that begin with -", err)
		}
		return usageError{err}
	})
	b.addTo(root, os.Getenv("OMNIBUS_BROKER"))
	root.AddCommand(
		newServeCommand(s),
		newConfigCommand(s),
		newPubCommand(s, b),
		newSubCommand(s, b),
		newCallCommand(s, b),
		newExposeCommand(s, b),
		newMycroftCommand(s),
		newBenchCommand(s),
		newVersionCommand(s),
	)
	return root
}

// knownCommand is asked about the words after "omnibus" that name no command.
func knownCommand(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	hint := ""
	if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
		hint = "; did you mean " + strings.Join(near, " or ") + "?"
	}
	return usagef("there is no command %q%s", args[0], hint)
}
