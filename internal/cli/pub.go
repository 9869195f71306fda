package cli

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"omnibus/internal/remote"
	"omnibus/topic"
)

type pubCommand struct {
	*stdio
	broker  *broker
	lines   bool
	timeout time.Duration
	options remote.PublishOptions
}

func newPubCommand(s *stdio, b *broker) *cobra.Command {
	c := &pubCommand{stdio: s, broker: b}
	cmd := &cobra.Command{
		Use:   "pub TOPIC [PAYLOAD | - | --lines]",
		Short: "Publish messages",
		Long: `Publish one message, or one for each line of standard input.

PAYLOAD is JSON if it is valid JSON, else text, else bytes; without it the
message is empty. "-" reads it from standard input. The command returns when
the broker has taken the message.`,
		Example: `  omnibus pub speak '{"utterance": "hello"}'
  sensors | omnibus pub --lines --retain home/temperature`,
		Args:              between(1, 2, "a topic and at most one payload"),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE:              func(cmd *cobra.Command, args []string) error { return c.run(cmd.Context(), args) },
	}
	f := cmd.Flags()
	f.BoolVar(&c.lines, "lines", false, "publish each line of standard input")
	f.BoolVar(&c.options.Retain, "retain", false, "keep the message for those who subscribe later")
	f.Uint8Var(&c.options.QoS, "qos", 0, "quality of service: 0, 1 or 2")
	f.DurationVar(&c.timeout, "timeout", 30*time.Second, "how long the broker may take for a message")
	return cmd
}

func (c *pubCommand) run(ctx context.Context, args []string) error {
	name, data := args[0], []byte(nil)
	if err := topic.CheckName(name); err != nil {
		return usageError{err}
	}
	p, err := topic.Parse(name)
	if err != nil || p.Kind() != topic.Exact {
		return usagef("%q looks like a pattern, and a message goes to one topic; exact:%s is the topic of that name", name, name)
	}
	name = p.Text()
	switch {
	case c.options.QoS > 2:
		return usagef("--qos is 0, 1 or 2, not %d", c.options.QoS)
	case c.timeout <= 0:
		return usagef("--timeout must be more than zero")
	case c.lines && len(args) > 1:
		return usagef("--lines takes the payloads from standard input, so there can be no %q", args[1])
	}
	if err := c.broker.check(); err != nil {
		return err
	}
	if len(args) > 1 {
		data = []byte(args[1])
		if args[1] == "-" {
			if data, err = readAll(ctx, c.in); err != nil {
				return err
			}
		}
	}
	client, err := c.broker.dial(ctx, c.stdio)
	if err != nil {
		return err
	}
	defer func() { _ = client.Close() }() // what was published has been confirmed
	publish := func(data []byte) error {
		ctx, cancel := context.WithTimeout(ctx, c.timeout)
		defer cancel()
		return client.Publish(ctx, name, sniffed(data), c.options)
	}
	if c.lines {
		return eachLine(ctx, c.in, publish)
	}
	return publish(data)
}
