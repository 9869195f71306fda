package mqtt

import (
	"fmt"
	"time"

	"omnibus/dialect/mqtt/packet"
)

// startPings begins keep-alive: a PINGREQ whenever nothing was sent, or nothing has come, for half of the time that may
// pass. A timer does it, so that a client that rests costs no goroutine for it.
func (c *Client) startPings(l *link) {
	if l.server.KeepAlive <= 0 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	l.timer = time.AfterFunc(l.server.KeepAlive/2, func() { c.tick(l) })
}

func (c *Client) stopPings(l *link) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if l.timer != nil {
		l.timer.Stop()
	}
}

// tick runs when the timer of a connection fires. It is not waited for: one that is late finds that the connection is
// over, and who ends a connection waits for who fails it.
func (c *Client) tick(l *link) {
	if c.beat(l, time.Now()) {
		return
	}
	l.fail(lost(fmt.Errorf("%w to PINGREQ within %s", ErrNoAnswer, c.o.PingTimeout)))
}

// beat sends a PINGREQ if one is due. It tells whether the broker is believed to be there.
func (c *Client) beat(l *link, now time.Time) (alive bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.link.Load() != l {
		return true
	}
	sent, heard := l.sent.Swap(false), l.heard.Swap(false)
	if l.pinged.Load() {
		switch {
		case heard, c.paused.Load(): // the PINGRESP is behind what comes, or nothing is read
			l.pingBy = now.Add(c.o.PingTimeout)
		case !now.Before(l.pingBy):
			return false
		}
	}
	if !sent || !heard {
		c.ping(l, now)
	}
	next := l.server.KeepAlive / 2
	if l.pinged.Load() {
		next = min(next, max(l.pingBy.Sub(now), time.Millisecond))
	}
	l.timer.Reset(next)
	return true
}

// ping queues a PINGREQ. If there is no room, what waits to be written has a time limit of its own.
func (c *Client) ping(l *link, now time.Time) {
	waiting := l.pinged.Swap(true) // before it is sent: the answer may come at once
	_, err := l.commit(packet.AppendPingreq(l.out.Begin()), false)
	switch {
	case waiting:
	case err == nil:
		l.pingBy = now.Add(c.o.PingTimeout)
	default:
		l.pinged.Store(false)
	}
}
