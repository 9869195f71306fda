package lwmqtt

import (
	"fmt"
	"runtime/debug"
	"time"

	"omnibus/client/mqtt"
)

// loop is the goroutine that calls functions.
type loop struct {
	stop   chan struct{} // closed when it is to end
	ended  chan struct{}
	asked  bool // stop is closed; guarded by the client's mu
	inside bool // a function runs; guarded by the client's mu
}

// work is a message for its functions.
type work struct {
	m    *mqtt.Message
	done chan struct{}
}

// Loop starts the loop, unless it runs.
func (c *Client) Loop() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.loop != nil && !c.loop.asked {
		return
	}
	l := &loop{stop: make(chan struct{}), ended: make(chan struct{})}
	before := c.loop
	c.loop = l
	go c.run(l, before)
}

// run is the loop, which begins when the one before it has ended.
func (c *Client) run(l, before *loop) {
	defer c.leave(l)
	if before != nil {
		<-before.ended
	}
	for {
		c.mu.Lock()
		x := c.current
		c.mu.Unlock()
		if x == nil {
			return
		}
		select {
		case <-l.stop:
			return
		case w := <-c.work:
			c.inside(l, true)
			c.serve(w)
			c.inside(l, false)
		case <-x.c.Done():
			if !c.failed(l, x) {
				return
			}
		}
	}
}

func (c *Client) leave(l *loop) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.loop == l {
		c.loop = nil
	}
	close(l.ended)
}

func (c *Client) inside(l *loop, now bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	l.inside = now
}

// failed is told the loss of a connection. It tells whether the loop goes on.
func (c *Client) failed(l *loop, x *connection) (goOn bool) {
	c.mu.Lock()
	failure, asked, replaced := c.p.failure, l.asked, c.current != x
	c.mu.Unlock()
	if replaced {
		return true
	}
	if asked || failure == nil {
		return false
	}
	verdict := BreakLoop
	c.inside(l, true)
	c.protect(func() { verdict = failure(c) })
	c.inside(l, false)
	if verdict == BreakLoop {
		return false
	}
	c.mu.Lock()
	replaced = c.current != x
	c.mu.Unlock()
	if replaced {
		return true
	}
	t := time.NewTimer(c.cycle)
	defer t.Stop()
	select {
	case <-t.C:
	case <-l.stop:
	}
	return true
}

// hand hands a message of a connection to the loop and waits until its functions have run.
func (c *Client) hand(x *connection, m *mqtt.Message) {
	w := &work{m, make(chan struct{})}
	select {
	case c.work <- w:
		<-w.done
	case <-x.gone:
	}
}

// serve calls the functions of a message, in the order of the table.
func (c *Client) serve(w *work) {
	defer close(w.done)
	var functions []Function
	c.mu.Lock()
	for _, s := range c.table {
		if mqtt.Match(s.filter, w.m.Topic) {
			functions = append(functions, s.function)
		}
	}
	c.mu.Unlock()
	for _, f := range functions {
		c.protect(func() { f(c, w.m.Payload, w.m.Topic) })
	}
}

// protect calls a function of the user and contains its panic.
func (c *Client) protect(f func()) {
	defer func() {
		if v := recover(); v != nil && c.panicked != nil {
			c.panicked(v, debug.Stack())
		}
	}()
	f()
}

// Disconnect ends the connection and waits for the loop to end, as long as timeout says, in milliseconds; without one it
// waits for as long as it takes. A function that runs is not waited for: it may be the one that calls.
func (c *Client) Disconnect(timeout ...int) error {
	c.mu.Lock()
	x, l := c.current, c.loop
	wait := l != nil && !l.inside
	if l != nil && !l.asked {
		l.asked = true
		close(l.stop)
	}
	c.mu.Unlock()
	var late <-chan time.Time
	limit := c.command
	for _, ms := range timeout {
		d := time.Duration(ms) * time.Millisecond
		t := time.NewTimer(d)
		defer t.Stop()
		late, limit = t.C, min(limit, d)
	}
	var err error
	if x != nil && x.c.Connected() {
		err = x.end(limit)
	} else if x != nil {
		_ = x.end(limit) // it is gone already
	}
	if wait {
		select {
		case <-l.ended:
		case <-late:
			return fmt.Errorf("%w: the loop has not ended", ErrTimeout)
		}
	}
	if err != nil {
		return fmt.Errorf("%w: %w", ErrIO, err)
	}
	return nil
}
