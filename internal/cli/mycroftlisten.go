package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"omnibus/client/mycroft"
	"omnibus/payload"
	"omnibus/topic"
)

type mycroftListenCommand struct {
	*stdio
	hub                    *mycroftHub
	json, withContext, all bool
	quiet                  bool
	count                  int
	timeout                time.Duration
	patterns               []topic.Pattern
}

func newMycroftListenCommand(s *stdio, h *mycroftHub) *cobra.Command {
	c := &mycroftListenCommand{stdio: s, hub: h}
	cmd := &cobra.Command{
		Use:   "listen [TYPE...]",
		Short: "Print messages as they come",
		Long: `Print the messages of some types, or all, one line a message with its type and
data, until interrupted or until --count or --timeout ends it. A connection that
is lost is made again.

A TYPE may be a pattern: regex: and an expression (regex:mycroft\.mic\..*). The
hub's greeting is printed only when its type, connected, is given. The exit code
is 3 when the time ran out before --count messages came.`,
		Example: `  omnibus mycroft listen
  omnibus mycroft listen speak recognizer_loop:utterance
  omnibus mycroft listen --json --count 1 --timeout 5s 'regex:mycroft\.volume\..*'`,
		ValidArgsFunction: completeTypes,
		RunE:              func(cmd *cobra.Command, args []string) error { return c.run(cmd.Context(), args) },
	}
	f := cmd.Flags()
	f.BoolVar(&c.json, "json", false, "print whole messages, as JSON")
	f.BoolVar(&c.withContext, "context", false, "print the context behind the data")
	f.IntVarP(&c.count, "count", "n", 0, "end after this many messages")
	f.DurationVar(&c.timeout, "timeout", 0, "end after this long")
	f.BoolVarP(&c.quiet, "quiet", "q", false, "do not tell about the connection")
	return cmd
}

func (c *mycroftListenCommand) run(ctx context.Context, args []string) error {
	if c.count < 0 || c.timeout < 0 {
		return usagef("--count and --timeout cannot be less than zero")
	}
	c.all = len(args) == 0
	for _, text := range args {
		p, err := topic.Parse(text)
		if err != nil {
			return usageError{err}
		}
		c.patterns = append(c.patterns, p)
	}
	n, err := c.listen(ctx)
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

// greetingPatience is how long a hub may take to greet; some never do.
const greetingPatience = time.Second

// listen prints messages until there were enough or the time has run out, and
// returns their number.
func (c *mycroftListenCommand) listen(ctx context.Context) (n int, err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	if c.timeout > 0 {
		var stop context.CancelFunc
		ctx, stop = context.WithTimeout(ctx, c.timeout)
		defer stop()
	}
	client, err := c.hub.client(mycroft.Options{Events: c.events(cancel)})
	if err != nil {
		return 0, err
	}
	var ready sync.Once
	tell := func() {
		ready.Do(func() {
			if !c.quiet {
				c.notice("subscribed at %s", client.URL())
			}
		})
	}
	client.OnAny(func(_ context.Context, m *mycroft.Message) {
		tell()
		if ctx.Err() != nil || !c.wants(m.Type) {
			return
		}
		if err := c.print(m); err != nil {
			cancel(err)
			return
		}
		if n++; n == c.count {
			cancel(nil)
		}
	})
	if err := client.Start(ctx); err == nil {
		greeted := time.AfterFunc(greetingPatience, tell)
		defer greeted.Stop()
		<-ctx.Done()
	}
	closing := client.Close(context.WithoutCancel(ctx))
	if failed, ok := errors.AsType[*failure](context.Cause(ctx)); ok {
		return n, unreachable(client, failed.error)
	}
	return n, closing
}

// failure is what ends listening before its time.
type failure struct{ error }

// events end the command when it cannot connect in the first place, and tell
// what happens to the connection afterwards.
func (c *mycroftListenCommand) events(end context.CancelCauseFunc) mycroft.Events {
	connected := false
	tell := func(err error) {
		if !c.quiet && err != nil {
			c.notice("omnibus: %s", oneLine(err.Error()))
		}
	}
	return mycroft.Events{
		Open: func() {
			if connected && !c.quiet {
				c.notice("omnibus: connected again")
			}
			connected = true
		},
		Close: tell,
		Error: func(err error) {
			if !connected {
				end(&failure{err})
				return
			}
			tell(err)
		},
	}
}

func (c *mycroftListenCommand) wants(msgType string) bool {
	if c.all {
		return msgType != "connected"
	}
	return slices.ContainsFunc(c.patterns, func(p topic.Pattern) bool {
		return p.Match(msgType) && (msgType != "connected" || p.Text() == msgType)
	})
}

// print writes one message.
func (c *mycroftListenCommand) print(m *mycroft.Message) error {
	line, err := c.line(m)
	if err != nil {
		return &failure{err}
	}
	if _, err := fmt.Fprintln(c.out, line); err != nil {
		return &failure{fmt.Errorf("writing to standard output: %w", err)}
	}
	return nil
}

// line is a message as it is printed.
func (c *mycroftListenCommand) line(m *mycroft.Message) (string, error) {
	if c.json {
		return compact(payload.Of(m), payload.JSON)
	}
	line := m.Type
	if visible(line) != line {
		line = quoted(line)
	}
	parts := [][]byte{m.Fields, m.Data}
	if c.withContext {
		parts = append(parts, m.Context)
	}
	for _, part := range parts {
		if part == nil || string(part) == "{}" && !c.withContext {
			continue
		}
		text, err := compact(payload.New(payload.JSON, part), payload.JSON)
		if err != nil {
			return "", err
		}
		line += "  " + text
	}
	return line, nil
}
