package mqtttest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
	"time"

	"omnibus/carrier"
	"omnibus/dialect/mqtt/packet"
)

// link is a connection to the broker. Each write is one frame where there are
// frames.
type link interface {
	read() ([]byte, error)
	write(b []byte, text bool, by time.Time) error
	close()
}

// stream is a link without frames.
type stream struct {
	net.Conn
	buf []byte
}

func (s *stream) read() ([]byte, error) {
	n, err := s.Read(s.buf)
	return s.buf[:n], err
}

func (s *stream) write(b []byte, text bool, by time.Time) error {
	if text {
		return errors.New("only WebSockets have text frames")
	}
	if err := s.SetWriteDeadline(by); err != nil {
		return err
	}
	_, err := s.Write(b)
	return err
}

func (s *stream) close() { _ = s.Close() } // the other side sees it, whatever went wrong

// socket is a WebSocket.
type socket struct{ *carrier.WebSocket }

func (s socket) read() ([]byte, error) {
	op, b, err := s.Read()
	if err == nil && op != carrier.Binary {
		return nil, errors.New("the broker sent a text frame (MQTT-6.0.0-1)")
	}
	return b, err
}

func (s socket) write(b []byte, text bool, by time.Time) error {
	op := carrier.Binary
	if text {
		op = carrier.Text
	}
	if err := s.Send(op, b); err != nil {
		return err
	}
	ctx, cancel := context.WithDeadline(context.Background(), by)
	defer cancel()
	return s.Flush(ctx)
}

func (s socket) close() { _ = s.Drop() } // the other side sees it, whatever went wrong

// client is one connection of a script, read ahead by a goroutine of its own.
type client struct {
	name    string
	link    link
	changed chan<- struct{} // told when anything below changes
	reader  sync.WaitGroup

	mu     sync.Mutex
	state  *state
	inbox  []*arrived
	pings  []bool // PINGREQs without an answer; true for those of the player
	pongs  int    // how many of the player's have been answered
	ended  bool   // nothing more will come
	fault  string // why what came cannot be
	closed bool   // by the client
}

// start begins to read.
func start(name string, l link, v packet.Version, changed chan<- struct{}) *client {
	c := &client{name: name, link: l, changed: changed, state: newState(v)}
	c.reader.Go(c.run)
	return c
}

func (c *client) run() {
	var buf []byte
	for {
		chunk, err := c.link.read()
		buf = append(buf, chunk...)
		for {
			h, body, n, ferr := packet.Frame(buf, 0)
			if ferr != nil {
				c.fail(fmt.Sprintf("bytes that are no packet arrived: %x: %v", buf[:min(len(buf), 40)], ferr))
				return
			}
			if n == 0 {
				break
			}
			if !c.take(h, bytes.Clone(body), n) {
				return
			}
			buf = buf[n:]
		}
		if err != nil {
			if len(buf) > 0 {
				c.fail(fmt.Sprintf("the connection ended within a packet: %x", buf[:min(len(buf), 40)]))
			}
			c.update(func() { c.ended = true })
			return
		}
	}
}

// take puts a packet into the inbox, unless it answers a ping of the player.
func (c *client) take(h packet.Header, body []byte, size int) bool {
	c.mu.Lock()
	defer c.tell()
	defer c.mu.Unlock()
	a, err := decode(h, body, c.state.version)
	if err != nil {
		c.fault = fmt.Sprintf("a %v arrived that is not as it should be: %v: %x", h.Type, err, body[:min(len(body), 60)])
		return false
	}
	a.size = size
	if c.fault = c.state.received(a); c.fault != "" {
		return false
	}
	if p, ok := a.packet.(*packet.Publish); ok && p.Topic == "" {
		a.fields = append([]found{{"topic", c.state.aliases[p.Properties.TopicAlias], false}}, a.fields...)
	}
	if a.typ == packet.PINGRESP && len(c.pings) > 0 {
		own := c.pings[0]
		c.pings = c.pings[1:]
		if own {
			c.pongs++
			return true
		}
	}
	c.inbox = append(c.inbox, a)
	return true
}

func (c *client) update(change func()) {
	c.mu.Lock()
	change()
	c.mu.Unlock()
	c.tell()
}

func (c *client) fail(text string) { c.update(func() { c.fault = text }) }

func (c *client) tell() {
	select {
	case c.changed <- struct{}{}:
	default: // it has been told and has not looked yet
	}
}

// send writes what a script sends, in one frame.
func (c *client) send(raw []byte, text bool, by time.Time) error {
	c.update(func() {
		c.state.sent(raw)
		if bytes.Equal(raw, packet.AppendPingreq(nil)) {
			c.pings = append(c.pings, false)
		}
	})
	if err := c.link.write(raw, text, by); err != nil {
		return fmt.Errorf("client %s sends, but its connection has ended: %w", c.name, err)
	}
	return nil
}

// ping sends a PINGREQ of the player and returns how many answers there will be
// when it is answered; false if the client is not connected.
func (c *client) ping(by time.Time) (int, bool) {
	want := 0
	c.update(func() {
		if c.state.accepted && !c.state.ended && !c.ended && !c.closed && c.fault == "" {
			c.pings = append(c.pings, true)
			want = c.pongs
			for _, own := range c.pings {
				if own {
					want++
				}
			}
		}
	})
	if want == 0 {
		return 0, false
	}
	return want, c.link.write(packet.AppendPingreq(nil), false, by) == nil
}

// next takes the oldest packet off the inbox.
func (c *client) next() *arrived {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.inbox) == 0 {
		return nil
	}
	a := c.inbox[0]
	c.inbox = slices.Delete(c.inbox, 0, 1)
	return a
}

// condition is what the client has come to, looked at once.
func (c *client) condition() (waiting *arrived, pongs int, ended bool, fault string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.inbox) > 0 {
		waiting = c.inbox[0]
	}
	return waiting, c.pongs, c.ended, c.fault
}

func (c *client) version() packet.Version {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.state.version
}

// refused tells whether the connection has not been accepted and what is to
// come, or has come, is a CONNACK.
func (c *client) refused() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return !c.state.accepted
}

// close ends the connection and waits for the reader.
func (c *client) close() {
	c.update(func() { c.closed = true })
	c.link.close()
	c.reader.Wait()
}
