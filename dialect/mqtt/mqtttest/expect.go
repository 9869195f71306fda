package mqtttest

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"omnibus/dialect/mqtt/packet"
)

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
