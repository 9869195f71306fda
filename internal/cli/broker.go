package cli

import (
	"cmp"
	"context"
	"errors"
	"io"
	"sync"

	"github.com/spf13/cobra"

	"omnibus/internal/remote"
)

const defaultBroker = "http://127.0.0.1:8080"

// broker is the one that a command talks to.
type broker struct{ url string }

// addTo adds the flag that chooses it, for all commands.
func (b *broker) addTo(root *cobra.Command, fromEnvironment string) {
	root.PersistentFlags().StringVarP(&b.url, "broker", "b", cmp.Or(fromEnvironment, defaultBroker),
		"`URL` of the broker: http(s)://, mqtt(s)://, ws(s)://HOST/mqtt for MQTT, ws(s)://HOST/core for Mycroft; also $OMNIBUS_BROKER")
}

// check makes a bad URL an error before anything else is done.
func (b *broker) check() error {
	if err := remote.Check(b.url); err != nil {
		return usageError{err}
	}
	return nil
}

// dial connects to the broker.
func (b *broker) dial(ctx context.Context, s *stdio) (remote.Client, error) {
	c, err := remote.Dial(ctx, b.url, remote.Options{
		Notice: func(text string) { s.notice("omnibus: %s", oneLine(text)) },
	})
	if errors.Is(err, remote.ErrURL) {
		return nil, usageError{err}
	}
	return c, err
}

// name is the broker for people.
func (b *broker) name() string { return remote.Redacted(b.url) }

// syncWriter lets several goroutines write whole lines.
type syncWriter struct {
	mu sync.Mutex
	w  io.Writer
}

func (s *syncWriter) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.w.Write(p)
}
