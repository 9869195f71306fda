package cli

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"omnibus/bus"
	"omnibus/topic"
)

type subCommand struct {
	*stdio
	broker      *broker
	json, quiet bool
	count       int
	timeout     time.Duration
}

func newSubCommand(s *stdio, b *broker) *cobra.Command {
	c := &subCommand{stdio: s, broker: b}
	cmd := &cobra.Command{
		Use:   "sub PATTERN...",
		Short: "Print messages as they come",
		Long: `Print what is published on topics that match any of the patterns, one line a
message, until interrupted or until --count or --timeout ends it.

A pattern is a topic, an MQTT filter (robot/+/pose, robot/#), a Rembus space
(robot/*/pose, robot/**, or ** for everything), or regex: and an expression
(regex:skill\.[a-z]+). Over MQTT there are topics and filters only. The exit code
is 3 when the time ran out before --count messages came.`,
		Example: `  omnibus sub 'robot/#' speak
  omnibus sub -b mqtt://127.0.0.1 'robot/+/pose'
  omnibus sub --json --count 1 --timeout 5s home/temperature`,
		Args:              between(1, -1, "at least one pattern"),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE:              func(cmd *cobra.Command, args []string) error { return c.run(cmd.Context(), args) },
	}
	f := cmd.Flags()
	f.BoolVar(&c.json, "json", false, "print each message as a JSON object")
	f.IntVarP(&c.count, "count", "n", 0, "end after this many messages")
	f.DurationVar(&c.timeout, "timeout", 0, "end after this long")
	f.BoolVarP(&c.quiet, "quiet", "q", false, "do not tell when the subscription is in place")
	return cmd
}

func (c *subCommand) run(ctx context.Context, args []string) error {
	if c.count < 0 || c.timeout < 0 {
		return usagef("--count and --timeout cannot be less than zero")
	}
	patterns := make([]topic.Pattern, len(args))
	for i, text := range args {
		var err error
		if patterns[i], err = topic.Parse(text); err != nil {
			return usageError{err}
		}
	}
	if err := c.broker.check(); err != nil {
		return err
	}
	n, err := c.listen(ctx, patterns)
	switch {
	case err != nil:
		return err
	case c.count == 0 || n == c.count:
		return nil
	case ctx.Err() != nil:
		return fmt.Errorf("interrupted after %d of %d messages", n, c.count)
	default:
		return &codeError{exitTimeout, fmt.Sprintf("timed out: %d of %d messages came within %s", n, c.count, c.timeout)}
	}
}

// listen prints messages until there were enough or the time has run out, and
// returns their number.
func (c *subCommand) listen(ctx context.Context, patterns []topic.Pattern) (n int, err error) {
	client, err := c.broker.dial(ctx, c.stdio)
	if err != nil {
		return 0, err
	}
	defer func() { _ = client.Close() }() // nothing is left to lose
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if c.timeout > 0 {
		ctx, cancel = context.WithTimeout(ctx, c.timeout)
		defer cancel()
	}
	var failed error
	done := func() bool { return failed != nil || c.count > 0 && n == c.count }
	err = client.Subscribe(ctx, patterns, c.ready, func(m *bus.Message) {
		if done() {
			return
		}
		if failed = c.print(m); failed == nil {
			n++
		}
		if done() {
			cancel()
		}
	})
	if failed != nil {
		return n, failed
	}
	return n, err
}

func (c *subCommand) ready() {
	if !c.quiet {
		c.notice("subscribed at %s", c.broker.name())
	}
}

// print writes one message.
func (c *subCommand) print(m *bus.Message) error {
	write := humanLine
	if c.json {
		write = jsonLine
	}
	line, err := write(m)
	if err != nil {
		return err
	}
	if _, err := c.out.Write(line); err != nil {
		return fmt.Errorf("writing to standard output: %w", err)
	}
	return nil
}
