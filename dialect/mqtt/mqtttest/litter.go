package mqtttest

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"omnibus/dialect/mqtt/packet"
)

// litter is what a script may leave behind in a broker.
type litter struct {
	sessions map[string]bool // by client identifier
	retained map[string]bool // by topic
}

func newLitter() *litter {
	return &litter{make(map[string]bool), make(map[string]bool)}
}

// sent takes note of a packet.
func (l *litter) sent(raw []byte, v packet.Version) {
	h, body, n, err := packet.Frame(raw, 0)
	if err != nil || n == 0 {
		return
	}
	switch h.Type {
	case packet.CONNECT:
		var c packet.Connect
		if c.Decode(h, body) != nil {
			return
		}
		if c.ClientID != "" && (c.Properties.SessionExpiryInterval > 0 || c.Version < packet.V5 && !c.CleanStart) {
			l.sessions[string([]byte(c.ClientID))] = true
		}
		if c.HasWill && c.Will.Retain {
			l.retained[string([]byte(c.Will.Topic))] = true
		}
	case packet.PUBLISH:
		var p packet.Publish
		if p.Decode(h, body, v) == nil && p.Retain && p.Topic != "" {
			l.retained[string([]byte(p.Topic))] = true
		}
	}
}

// remove removes it from the broker: every session by a clean start, every
// retained message by an empty one.
func (l *litter) remove(ctx context.Context, p *Player) error {
	for _, id := range slices.Sorted(maps.Keys(l.sessions)) {
		if err := l.visit(ctx, p, &packet.Connect{Version: packet.V5, CleanStart: true, ClientID: id}, nil); err != nil {
			return fmt.Errorf("removing the session of %s: %w", id, err)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(l.retained)) {
		c := &packet.Connect{Version: packet.V5, CleanStart: true, ClientID: "cleaner"}
		if err := l.visit(ctx, p, c, &packet.Publish{Topic: name, Retain: true}); err != nil {
			return fmt.Errorf("removing the retained message of %s: %w", name, err)
		}
	}
	return nil
}

// visit connects, publishes what it is given, and leaves when the broker has
// ended the connection in turn.
func (l *litter) visit(ctx context.Context, p *Player, connect *packet.Connect, message *packet.Publish) error {
	g := &game{player: p, clients: make(map[string]*client), changed: make(chan struct{}, 1), left: newLitter()}
	defer g.end()
	c, err := g.open(ctx, &step{who: []string{"cleaner"}, version: packet.V5})
	if err != nil {
		return err
	}
	if err := c.send(connect.Append(nil), false, g.by()); err != nil {
		return err
	}
	if err := g.receive(&step{who: []string{"cleaner"}, packet: &notation{typ: packet.CONNACK, more: true}}); err != nil {
		return err
	}
	if message != nil {
		if err := c.send(message.Append(nil, packet.V5), false, g.by()); err != nil {
			return err
		}
	}
	if err := c.send((&packet.Disconnect{}).Append(nil, packet.V5), false, g.by()); err != nil {
		return err
	}
	return g.closed(c)
}
