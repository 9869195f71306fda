package cli

import (
	"context"
	"fmt"
	"os/exec"
	"runtime"
	"time"

	"github.com/spf13/cobra"

	"omnibus/bus"
	"omnibus/topic"
)

type exposeCommand struct {
	*stdio
	broker  *broker
	jobs    int
	timeout time.Duration
	quiet   bool
}

func newExposeCommand(s *stdio, b *broker) *cobra.Command {
	c := &exposeCommand{stdio: s, broker: b}
	cmd := &cobra.Command{
		Use:   "expose NAME -- COMMAND [ARG...]",
		Short: "Provide a service by a command",
		Long: `Provide a service: COMMAND is run for each call, until interrupted.

It gets the arguments as a JSON array on standard input and the service's name in
$OMNIBUS_SERVICE. What it writes to standard output is the answer: JSON if it is
valid JSON, else text without its last line end, else bytes. An exit status other
than 0 is an error, with the last lines of standard error as its text. At an MQTT
broker that is not omnibus, add ?version=3.1.1 to its URL.`,
		Example: `  omnibus expose add -- jq add
  omnibus expose --jobs 1 uptime -- uptime --pretty`,
		Args: func(cmd *cobra.Command, args []string) error {
			if cmd.ArgsLenAtDash() != 1 || len(args) < 2 {
				return usagef("expecting one name, then --, then a command")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error { return c.run(cmd.Context(), args[0], args[1:]) },
	}
	f := cmd.Flags()
	f.IntVarP(&c.jobs, "jobs", "j", runtime.NumCPU(), "how many commands may run at a time; more calls wait")
	f.DurationVar(&c.timeout, "timeout", bus.DefaultCallTimeout, "how long a call may take before its command is killed")
	f.BoolVarP(&c.quiet, "quiet", "q", false, "do not tell when the service is in place")
	return cmd
}

func (c *exposeCommand) run(ctx context.Context, name string, command []string) error {
	switch err := topic.CheckName(name); {
	case err != nil:
		return usageError{err}
	case c.jobs < 1:
		return usagef("--jobs must be at least 1")
	case c.timeout <= 0:
		return usagef("--timeout must be more than zero")
	}
	if err := c.broker.check(); err != nil {
		return err
	}
	path, err := exec.LookPath(command[0])
	if err != nil {
		return fmt.Errorf("finding the command: %w", err)
	}
	client, err := c.broker.dial(ctx, c.stdio)
	if err != nil {
		return err
	}
	defer func() { _ = client.Close() }() // the service has ended
	p := &program{path: path, args: command[1:], timeout: c.timeout, places: make(chan struct{}, c.jobs)}
	return client.Expose(ctx, name, func() {
		if !c.quiet {
			c.notice("exposing %s at %s", visible(name), c.broker.name())
		}
	}, p.serve)
}
