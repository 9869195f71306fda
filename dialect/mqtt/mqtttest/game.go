package mqtttest

import (
	"context"
	"errors"
	"fmt"
	"time"

	"omnibus/carrier"
	"omnibus/dialect/mqtt/packet"
)

// game is a script being played.
type game struct {
	player  *Player
	line    int
	vars    variables
	clients map[string]*client
	all     []*client // those that were replaced, too
	changed chan struct{}
	left    *litter
}

// end closes every connection.
func (g *game) end() {
	for _, c := range g.all {
		c.close()
	}
	g.all = nil
}

// play plays all steps, and then looks whether anybody has received more.
func (g *game) play(ctx context.Context, s *Script) error {
	for i := range s.steps {
		if err := g.step(ctx, &s.steps[i]); err != nil {
			return fmt.Errorf("%s.txt:%d: %w", s.File, g.line, err)
		}
	}
	for _, c := range g.all {
		if c.closed {
			continue
		}
		if err := g.silent(c); err != nil {
			return fmt.Errorf("%s.txt:%d, after the last step: %w", s.File, g.line, err)
		}
	}
	return nil
}

func (g *game) step(ctx context.Context, s *step) error {
	g.line = s.line
	switch s.verb {
	case waits:
		return g.pause(ctx, s.wait)
	case repeats:
		return g.repeat(ctx, s)
	case groups:
		return g.receiveAll(s.steps)
	case opens:
		_, err := g.open(ctx, s)
		return err
	case connects, resumes:
		return g.connect(ctx, s)
	case receives:
		return g.receive(s)
	}
	c := g.clients[s.who[0]]
	if c == nil {
		return fmt.Errorf("client %s has not been opened", s.who[0])
	}
	switch s.verb {
	case sends:
		return g.send(c, s.packet)
	case sendsBytes:
		return c.send(appendRaw(nil, s.bytes), s.text, g.by())
	case isSilent:
		return g.silent(c)
	case isClosed:
		return g.closed(c)
	case isDropped:
		return g.dropped(c, s)
	case closes:
		c.close()
		delete(g.clients, c.name)
		return nil
	}
	return fmt.Errorf("a step of kind %d cannot be played", s.verb)
}

func (g *game) by() time.Time { return time.Now().Add(g.player.timeout()) }

func (g *game) pause(ctx context.Context, d time.Duration) error {
	if g.player.Wait != nil {
		g.player.Wait(d)
		return nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (g *game) repeat(ctx context.Context, s *step) error {
	from, err := g.vars.number(s.from)
	if err != nil {
		return err
	}
	to, err := g.vars.number(s.to)
	if err != nil {
		return err
	}
	for i := from; i <= to; i++ {
		g.vars["i"] = fmt.Sprint(i)
		if err := g.step(ctx, &s.steps[0]); err != nil {
			return fmt.Errorf("the time with $i=%d: %w", i, err)
		}
	}
	return nil
}

func (g *game) open(ctx context.Context, s *step) (*client, error) {
	name := s.who[0]
	ctx, cancel := context.WithTimeout(ctx, g.player.timeout())
	defer cancel()
	l, err := g.dial(ctx, s.websocket)
	if err != nil {
		return nil, fmt.Errorf("client %s: %w", name, err)
	}
	c := start(name, l, s.version, g.changed)
	g.clients[name] = c
	g.all = append(g.all, c)
	return c, nil
}

func (g *game) dial(ctx context.Context, websocket bool) (link, error) {
	if !websocket {
		conn, err := g.player.Dial(ctx)
		if err != nil {
			return nil, err
		}
		return &stream{conn, make([]byte, 4096)}, nil
	}
	if g.player.DialWebSocket == nil {
		return nil, errors.New("no way to dial a WebSocket is given; the script must say that it needs one")
	}
	conn, err := g.player.DialWebSocket(ctx)
	if err != nil {
		return nil, err
	}
	url := g.player.WebSocketURL
	if url == "" {
		url = "ws://localhost/mqtt"
	}
	w, err := carrier.ConnectWebSocket(ctx, conn, url, carrier.WebSocketOptions{Subprotocols: []string{"mqtt"}})
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	if w.Subprotocol != "mqtt" {
		return nil, errors.Join(fmt.Errorf("the broker agreed on the subprotocol %q (MQTT-6.0.0-4)", w.Subprotocol), w.Drop())
	}
	return socket{w}, nil
}

// connect opens a client that the broker accepts.
func (g *game) connect(ctx context.Context, s *step) error {
	c, err := g.open(ctx, s)
	if err != nil {
		return err
	}
	if err := g.send(c, s.packet); err != nil {
		return err
	}
	want := &notation{typ: packet.CONNACK, more: true}
	if s.verb == resumes && s.version != packet.V31 {
		want.fields = []field{{name: "session-present", op: "=", value: value{any: true}}}
		want.words = []string{"CONNACK", "session-present", "*"}
	}
	return g.receive(&step{who: s.who, packet: want})
}

func (g *game) send(c *client, n *notation) error {
	raw, err := n.bytes(g.vars, c.version())
	if err != nil {
		return err
	}
	if len(raw) == 0 {
		return fmt.Errorf("package packet writes no such %v; use hex", n.typ)
	}
	g.left.sent(raw, c.version())
	return c.send(raw, false, g.by())
}
