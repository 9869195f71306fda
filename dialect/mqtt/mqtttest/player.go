package mqtttest

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"strings"
	"testing"
	"time"

	"omnibus/carrier"
	"omnibus/dialect/mqtt/packet"
)

// Player plays scripts against one broker. It is used by one goroutine.
type Player struct {
	// Dial connects to the broker.
	Dial func(ctx context.Context) (net.Conn, error)
	// DialWebSocket connects to where the broker expects the handshake of a
	// WebSocket for WebSocketURL.
	DialWebSocket func(ctx context.Context) (net.Conn, error)
	// WebSocketURL is ws://localhost/mqtt unless it is set.
	WebSocketURL string
	// Lacks says what the broker cannot do, and why.
	Lacks map[Ability]string
	// Timeout bounds each step that has to happen; 5 s unless it is set.
	Timeout time.Duration
	// Wait lets time pass for a step that says so; nil does so by waiting.
	Wait func(time.Duration)
	// Shared says that the broker outlives the script. Sessions and retained
	// messages that a script leaves behind are removed from it.
	Shared bool
}

// Play plays every script below a directory as a subtest. Scripts for what the
// broker lacks are skipped, with the reason.
func Play(t *testing.T, dir fs.FS, p *Player) {
	t.Helper()
	scripts, err := Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(scripts) == 0 {
		t.Fatal("there are no scripts")
	}
	for _, s := range scripts {
		t.Run(s.Name(), func(t *testing.T) {
			if reason := p.Skips(s); reason != "" {
				t.Skip(reason)
			}
			if err := p.Play(t.Context(), s); err != nil {
				t.Error(err)
			}
		})
	}
}

// Skips says why a script is not for the broker, or nothing if it is.
func (p *Player) Skips(s *Script) string {
	for _, a := range s.Needs {
		if why, lacks := p.Lacks[a]; lacks {
			return fmt.Sprintf("the broker lacks %s: %s", a, why)
		}
		if a == WebSocket && p.DialWebSocket == nil {
			return "no way to dial a WebSocket is given"
		}
	}
	return ""
}

// Play plays one script. The error says where it went wrong: what was expected
// and what happened, in the notation of scripts.
func (p *Player) Play(ctx context.Context, s *Script) error {
	g := &game{player: p, vars: make(variables), clients: make(map[string]*client), changed: make(chan struct{}, 1), left: newLitter()}
	err := g.play(ctx, s)
	g.end()
	if !p.Shared {
		return err
	}
	if left := g.left.remove(ctx, p); left != nil {
		err = errors.Join(err, fmt.Errorf("%s.txt: cleaning up: %w", s.File, left))
	}
	return err
}

func (p *Player) timeout() time.Duration {
	if p.Timeout > 0 {
		return p.Timeout
	}
	return 5 * time.Second
}

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

// until waits for what look finds: done, or why it can never be.
func (g *game) until(look func() (done bool, err error)) error {
	timer := time.NewTimer(g.player.timeout())
	defer timer.Stop()
	for {
		if done, err := look(); done || err != nil {
			return err
		}
		select {
		case <-g.changed:
		case <-timer.C:
			if done, err := look(); done || err != nil {
				return err
			}
			return errors.New("nothing arrived in time")
		}
	}
}

// anybody waits for the next packet of one of some clients.
func (g *game) anybody(who []string) (c *client, a *arrived, err error) {
	err = g.until(func() (bool, error) {
		over := 0
		for _, name := range who {
			one := g.clients[name]
			if one == nil {
				return false, fmt.Errorf("client %s has not been opened", name)
			}
			_, _, ended, fault := one.condition()
			if a = one.next(); a != nil {
				c = one
				return true, nil
			}
			if fault != "" {
				return false, fmt.Errorf("client %s: %s", name, fault)
			}
			if ended {
				over++
			}
		}
		if over == len(who) {
			return false, fmt.Errorf("the connection of %s has ended", strings.Join(who, " and "))
		}
		return false, nil
	})
	return c, a, err
}

func (g *game) receive(s *step) error {
	c, a, err := g.anybody(s.who)
	if err != nil {
		return fmt.Errorf("expected %s< %s\n\tbut %w", strings.Join(s.who, "|"), s.packet, err)
	}
	vars, why := s.packet.match(a, g.vars)
	if why != "" {
		return fmt.Errorf("expected %s< %s\n\tarrived  %s< %s\n\t%s", strings.Join(s.who, "|"), s.packet, c.name, a, why)
	}
	g.vars = vars
	return nil
}

// receiveAll receives what may come in any order.
func (g *game) receiveAll(steps []step) error {
	open := make([]*step, len(steps))
	for i := range steps {
		open[i] = &steps[i]
	}
	for len(open) > 0 {
		g.line = open[0].line
		name := open[0].who[0]
		_, a, err := g.anybody([]string{name})
		if err != nil {
			return fmt.Errorf("expected, in any order, %s< %s\n\tbut %w", name, open[0].packet, err)
		}
		var whys []string
		found := -1
		for i, s := range open {
			if s.who[0] != name {
				continue
			}
			vars, why := s.packet.match(a, g.vars)
			if why == "" {
				found, g.vars = i, vars
				break
			}
			whys = append(whys, fmt.Sprintf("\n\texpected %s< %s, but %s", name, s.packet, why))
		}
		if found < 0 {
			return fmt.Errorf("arrived %s< %s%s", name, a, strings.Join(whys, ""))
		}
		open = append(open[:found], open[found+1:]...)
	}
	return nil
}

// silent proves that c has nothing more to receive.
func (g *game) silent(c *client) error {
	for _, other := range g.all {
		if other != c {
			if err := g.pingPong(other); err != nil {
				return err
			}
		}
	}
	waiting, _, ended, fault := c.condition()
	if waiting == nil {
		if err := g.pingPong(c); err != nil {
			return err
		}
		waiting, _, ended, fault = c.condition()
	}
	if fault != "" {
		return fmt.Errorf("client %s: %s", c.name, fault)
	}
	if waiting == nil && ended {
		return fmt.Errorf("expected %s to be silent, but its connection has ended", c.name)
	}
	if waiting != nil {
		return fmt.Errorf("expected %s to be silent\n\tarrived  %s< %s", c.name, c.name, waiting)
	}
	return nil
}

// pingPong waits until the broker has worked off what c sent; at once if c is not
// connected.
func (g *game) pingPong(c *client) error {
	want, ok := c.ping(g.by())
	if !ok {
		return nil
	}
	err := g.until(func() (bool, error) {
		_, pongs, ended, fault := c.condition()
		if fault != "" {
			return false, errors.New(fault)
		}
		return pongs >= want || ended, nil
	})
	if err != nil {
		return fmt.Errorf("client %s waits for PINGRESP: %w", c.name, err)
	}
	return nil
}

func (g *game) closed(c *client) error {
	err := g.until(func() (bool, error) {
		waiting, _, ended, fault := c.condition()
		switch {
		case fault != "":
			return false, errors.New(fault)
		case waiting != nil:
			return false, fmt.Errorf("arrived %s< %s", c.name, waiting)
		}
		return ended, nil
	})
	if err != nil {
		return fmt.Errorf("expected the end of the connection of %s\n\tbut %w", c.name, err)
	}
	c.close()
	return nil
}

// dropped expects that the broker says why, where it can, and closes.
func (g *game) dropped(c *client, s *step) error {
	if c.version() < packet.V5 {
		return g.closed(c)
	}
	want := &notation{typ: packet.DISCONNECT, more: true, fields: []field{{name: "reason", op: "=", value: s.reason}}}
	if c.refused() {
		want.typ = packet.CONNACK
	}
	want.words = []string{want.typ.String(), "reason=" + s.written, "*"}
	if _, mute := g.player.Lacks[Reasons]; mute {
		if err := g.until(func() (bool, error) {
			waiting, _, ended, fault := c.condition()
			return waiting != nil || ended || fault != "", nil
		}); err == nil {
			if waiting, _, _, _ := c.condition(); waiting == nil {
				return g.closed(c)
			}
		}
	}
	if err := g.receive(&step{who: s.who, packet: want}); err != nil {
		return err
	}
	return g.closed(c)
}
