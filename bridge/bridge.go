package bridge

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"omnibus/auth"
	"omnibus/bus"
	"omnibus/client/mqtt"
	"omnibus/dialect"
	"omnibus/topic"
)

// Bridge joins the broker to another one.
type Bridge struct {
	config    Config
	env       dialect.Env
	log       *slog.Logger
	options   mqtt.Options
	origin    *bus.Origin
	patterns  []topic.Pattern
	selection *dialect.Selection
	count     counters
	store     *store
	echoes    *echoes
	state     state

	up      atomic.Bool   // there is a connection
	version atomic.Uint32 // spoken on it
	renewed chan struct{} // holds one when the other broker knows nothing of us
	gone    chan struct{} // holds one when the broker has expelled us

	// Set by Run before anybody else looks.
	ctx  context.Context
	peer dialect.Peer

	in   incoming  // of the goroutine that calls the client's handlers
	sent []posting // of the goroutine that sends
}

// counters are the bridge's events.
type counters struct {
	connected, lost, failed, subscribed, refusedSubscriptions,
	out, stored, droppedAway, droppedFull, expired, unwritable, rejected, uncertain,
	in, inRejected, unwanted, known, echoes, echoesFull dialect.Counter
	waiting dialect.Counter // how many wait now
}

// Open makes a bridge. It reads the files of its settings, and connects to nothing.
func Open(c Config, env dialect.Env) (*Bridge, error) {
	b := &Bridge{
		config:  c,
		env:     env,
		log:     env.Log,
		origin:  &bus.Origin{Dialect: "bridge", Name: c.Name},
		store:   newStore(c.Store),
		renewed: make(chan struct{}, 1),
		gone:    make(chan struct{}, 1),
		count: counters{
			connected:            env.Counter("connections"),
			lost:                 env.Counter("connections_lost"),
			failed:               env.Counter("connections_failed"),
			subscribed:           env.Counter("subscriptions"),
			refusedSubscriptions: env.Counter("subscriptions_refused"),
			out:                  env.Counter("messages_out"),
			stored:               env.Counter("messages_stored"),
			waiting:              env.Counter("messages_waiting"),
			droppedAway:          env.Counter("messages_dropped_away"),
			droppedFull:          env.Counter("messages_dropped_store_full"),
			expired:              env.Counter("messages_expired"),
			unwritable:           env.Counter("messages_unwritable"),
			rejected:             env.Counter("messages_rejected_there"),
			uncertain:            env.Counter("messages_uncertain"),
			in:                   env.Counter("messages_in"),
			inRejected:           env.Counter("messages_rejected_here"),
			unwanted:             env.Counter("messages_unwanted"),
			known:                env.Counter("messages_known"),
			echoes:               env.Counter("messages_echoed"),
			echoesFull:           env.Counter("echo_window_full"),
		},
	}
	b.echoes = newEchoes(c.EchoWindow, func() { b.count.echoesFull.Add(1) })
	for _, r := range c.Out {
		p, err := topic.Parse(r.Pattern)
		if err != nil {
			return nil, fmt.Errorf("out pattern %q: %w", r.Pattern, err)
		}
		b.patterns = append(b.patterns, p)
	}
	b.selection = dialect.SelectionOf(b.patterns...)
	var err error
	b.options, err = b.clientOptions()
	return b, err
}

// farewell is how long what waits may take to be sent at the end.
const farewell = time.Second

// Run joins the broker, and bridges until ctx ends. Then it sends what waits, if
// that is possible at once, says goodbye to the other broker and leaves. An error
// says that it could not begin, or that the broker has expelled it.
func (b *Bridge) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	b.ctx = ctx
	peer, err := dialect.Join(ctx, b.env.Port, &dialect.Hello{
		Credentials: auth.Credentials{Dialect: "bridge", Name: b.config.Name},
		Origin:      b.origin,
		Subscriber:  b,
		Internal:    true,
		Link:        true,
	})
	if err != nil {
		return fmt.Errorf("joining the broker: %w", err)
	}
	defer peer.Leave()
	b.peer = peer
	subs := make([]*bus.Subscription, len(b.patterns))
	for i, p := range b.patterns {
		// What is retained is sent when there is a connection, see replay.
		if subs[i], err = peer.Subscribe(p, dialect.Terms{NewsOnly: true, Tag: i}); err != nil {
			return fmt.Errorf("subscribing to %s: %w", p, err)
		}
	}
	client, err := mqtt.Start(b.config.URL, b.options)
	if err != nil {
		return err
	}
	sending, stopSending := context.WithCancel(context.Background())
	sender := make(chan struct{})
	go func() {
		defer close(sender)
		b.send(sending, client)
	}()
	expelled := b.attend(ctx, subs)
	for _, s := range subs {
		peer.Unsubscribe(s)
	}
	cancel() // what handlers wait for
	b.part(sending, client)
	stopSending()
	<-sender
	err = client.Close()
	if expelled {
		return errors.New("the broker has expelled the bridge")
	}
	if err != nil {
		b.log.Debug("the other broker was not told goodbye", "err", err)
	}
	return nil
}

// attend sends what is retained to a broker that knows nothing of us, until ctx ends
// or the broker expels the bridge.
func (b *Bridge) attend(ctx context.Context, subs []*bus.Subscription) (expelled bool) {
	for {
		select {
		case <-ctx.Done():
			return false
		case <-b.gone:
			return true
		case <-b.renewed:
			b.replay(ctx, subs)
		}
	}
}

// replay puts retained values in the store, no faster than there is room.
func (b *Bridge) replay(ctx context.Context, subs []*bus.Subscription) {
	for i, s := range subs {
		if !b.config.Out[i].Retain {
			continue
		}
		next := b.peer.Replay(s)
		for more := true; more; more = next() {
			for !b.store.roomy() {
				select {
				case <-ctx.Done():
					return
				case <-b.store.freed:
				}
			}
			if !b.up.Load() {
				return // all come again on the next connection
			}
		}
	}
}

// part waits a little for what is to go out, if there is a connection.
func (b *Bridge) part(ctx context.Context, client *mqtt.Client) {
	late := time.NewTimer(farewell)
	defer late.Stop()
	tick := time.NewTicker(settling)
	defer tick.Stop()
	for client.Connected() {
		if _, some := b.store.first(); !some && client.Stats().InFlight == 0 {
			return
		}
		select {
		case <-late.C:
			return
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// Expelled ends the bridge by the broker's will; see dialect.Subscriber.
func (b *Bridge) Expelled(error) { signal(b.gone) }
