package cli

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"omnibus/client/mycroft"
	"omnibus/dialect/mycroft/catalogue"
)

// mycroftHub is the hub that the commands below "omnibus mycroft" talk to:
// omnibus or any other of its kind.
type mycroftHub struct{ url string }

func newMycroftCommand(s *stdio) *cobra.Command {
	h := &mycroftHub{}
	cmd := &cobra.Command{
		Use:   "mycroft",
		Short: "Talk to a Mycroft or OVOS message bus",
		Long: `Talk to a Mycroft or OVOS message bus, be it omnibus or an original one, and
look up what its messages are called.`,
		Example: `  omnibus mycroft speak 'Hello World'
  omnibus mycroft send --wait mycroft.volume.get
  omnibus mycroft listen`,
		Args: knownCommand,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },

		SuggestionsMinimumDistance: 2,
	}
	byDefault := mycroft.DefaultURL
	if u := os.Getenv("OMNIBUS_BROKER"); isMycroftURL(u) {
		byDefault = u
	}
	cmd.PersistentFlags().StringVarP(&h.url, "broker", "b", byDefault, "`URL` of the hub: ws(s)://HOST:PORT/ROUTE; also $OMNIBUS_BROKER if it is one")
	cmd.AddCommand(
		newMycroftSendCommand(s, h),
		newMycroftListenCommand(s, h),
		newMycroftSpeakCommand(s, h),
		newMycroftSayToCommand(s, h),
		newMycroftTypesCommand(s),
		newMycroftLintCommand(s),
	)
	return cmd
}

// isMycroftURL reports whether a broker's URL is one of a hub.
func isMycroftURL(text string) bool {
	u, err := url.Parse(text)
	return err == nil && (u.Scheme == "ws" || u.Scheme == "wss") && !strings.HasSuffix(u.Path, "/mqtt")
}

// client returns a client that is not connected yet.
func (h *mycroftHub) client(o mycroft.Options) (*mycroft.Client, error) {
	o.URL = h.url
	c, err := mycroft.New(o)
	if errors.Is(err, mycroft.ErrURL) {
		return nil, usageError{err}
	}
	return c, err
}

// with connects, calls fn and closes the connection.
func (h *mycroftHub) with(ctx context.Context, fn func(c *mycroft.Client) error) error {
	c, err := h.client(mycroft.Options{NoReconnect: true})
	if err != nil {
		return err
	}
	if err := c.Start(ctx); err != nil {
		return errors.Join(unreachable(c, err), c.Close(context.WithoutCancel(ctx)))
	}
	err = fn(c)
	if closing := c.Close(context.WithoutCancel(ctx)); err == nil {
		err = closing
	}
	return err
}

// unreachable says more about a connection that could not be made.
func unreachable(c *mycroft.Client, err error) error {
	if op, ok := errors.AsType[*net.OpError](err); ok && op.Op == "dial" {
		return fmt.Errorf("connecting to %s: %w; is omnibus serve, or another hub, running?", c.URL(), op.Err)
	}
	return err
}

// completeTypes completes the names of message types.
func completeTypes(_ *cobra.Command, _ []string, begin string) ([]string, cobra.ShellCompDirective) {
	var names []string
	for _, t := range catalogue.Types() {
		if strings.HasPrefix(t.Name, begin) && t.Direction != catalogue.Local && t.Direction != catalogue.Family {
			names = append(names, t.Name)
		}
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}
