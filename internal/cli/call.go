package cli

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"omnibus/bus"
	"omnibus/payload"
	"omnibus/topic"
)

type callCommand struct {
	*stdio
	broker  *broker
	timeout time.Duration
}

func newCallCommand(s *stdio, b *broker) *cobra.Command {
	c := &callCommand{stdio: s, broker: b}
	cmd := &cobra.Command{
		Use:   "call NAME [ARG...]",
		Short: "Call a service and print its answer",
		Long: `Call a service and print its answer as JSON.

Each ARG is an argument: JSON if it is valid JSON, else text. A single one that
is a JSON array is the list of all arguments. An error of the service goes to
standard error, with its kind. At an MQTT broker that is not omnibus, add
?version=3.1.1 to its URL, here and where the service is exposed.`,
		Example: `  omnibus call add 1 2
  omnibus call --timeout 5s omnibus.status`,
		Args:              between(1, -1, "a name and its arguments"),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE:              func(cmd *cobra.Command, args []string) error { return c.run(cmd.Context(), args) },
	}
	cmd.Flags().DurationVar(&c.timeout, "timeout", bus.DefaultCallTimeout, "how long the answer may take")
	return cmd
}

func (c *callCommand) run(ctx context.Context, args []string) error {
	if err := topic.CheckName(args[0]); err != nil {
		return usageError{err}
	}
	if c.timeout <= 0 {
		return usagef("--timeout must be more than zero")
	}
	if err := c.broker.check(); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	client, err := c.broker.dial(ctx, c.stdio)
	if err != nil {
		return err
	}
	defer func() { _ = client.Close() }() // the answer is there
	answer, err := client.Call(ctx, args[0], arguments(args[1:]))
	if err != nil {
		return err
	}
	text, err := compact(answer, payload.JSON)
	if err != nil {
		return err
	}
	if _, err := fmt.Fprintln(c.out, text); err != nil {
		return fmt.Errorf("writing to standard output: %w", err)
	}
	return nil
}
