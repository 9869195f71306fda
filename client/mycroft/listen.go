package mycroft

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"omnibus/dialect/mycroft/packet"
)

// Handler is called with a message, which it must not change. Its context ends
// when the client is closed.
type Handler func(ctx context.Context, m *Message)

// Listener is a handler that was registered for a type.
type Listener struct {
	msgType string
	every   bool // it is one of all types
	once    bool
	inside  bool // it is a wait of the client's own

	// take is called by the goroutine that reads, in the order of the messages,
	// and must not block. It returns what is to be run in the lane of the type,
	// nil for nothing.
	take func(m *Message) func(ctx context.Context)

	removed bool // guarded by the client's lock
}

// On has a handler called with every message of a type.
func (c *Client) On(msgType string, fn Handler) *Listener {
	return c.listen(&Listener{msgType: msgType, take: handing(fn)})
}

// Once is On for one message: the next.
func (c *Client) Once(msgType string, fn Handler) *Listener {
	return c.listen(&Listener{msgType: msgType, once: true, take: handing(fn)})
}

// OnAny has a handler called with every message, whatever its type, in the order
// in which the hub sent them all.
func (c *Client) OnAny(fn Handler) *Listener {
	return c.listen(&Listener{every: true, take: handing(fn)})
}

func handing(fn Handler) func(m *Message) func(ctx context.Context) {
	return func(m *Message) func(ctx context.Context) {
		return func(ctx context.Context) { fn(ctx, m) }
	}
}

func (c *Client) listen(l *Listener) *Listener {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.register(l)
	return l
}

// register is listen for who holds the lock.
func (c *Client) register(l *Listener) {
	if l.every {
		c.all = append(slices.Clip(c.all), l)
		return
	}
	c.listeners[l.msgType] = append(slices.Clip(c.listeners[l.msgType]), l)
}

// Remove takes a handler away: no call of it begins any more. It is false when
// the handler was removed already, as that of Once is by its message.
func (c *Client) Remove(l *Listener) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	was := l.removed
	l.removed = true
	c.forget(l)
	return !was
}

// RemoveAll takes all handlers of a type away, but not those of OnAny, and
// returns how many there were.
func (c *Client) RemoveAll(msgType string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := 0
	for _, l := range slices.Clone(c.listeners[msgType]) {
		if !l.inside {
			l.removed = true
			c.forget(l)
			n++
		}
	}
	return n
}

// forget takes a listener off the list. Lists are replaced, never changed: the
// goroutine that reads walks over them without the lock.
func (c *Client) forget(l *Listener) {
	without := func(list []*Listener) []*Listener {
		return slices.DeleteFunc(slices.Clone(list), func(x *Listener) bool { return x == l })
	}
	if l.every {
		c.all = without(c.all)
		return
	}
	left := without(c.listeners[l.msgType])
	if len(left) == 0 {
		delete(c.listeners, l.msgType)
		return
	}
	c.listeners[l.msgType] = left
}

// dispatch hands a message to all who listen. The message is a view of frame.
func (c *Client) dispatch(frame []byte, p packet.Message) {
	id := idOf(p.Context)
	c.mu.Lock()
	if !slices.ContainsFunc(c.waits, func(w *wait) bool { return id != "" && w.id == id }) {
		c.asked.note(p.Type)
	}
	typed, all := c.listeners[p.Type], c.all
	for _, l := range typed {
		if l.once {
			c.forget(l)
		}
	}
	c.mu.Unlock()
	if len(typed)+len(all) == 0 {
		return
	}
	m := messageOf(frame, p)
	c.hand(m, typed, func() *lane { return c.lane(m.Type) })
	c.hand(m, all, func() *lane { return &c.every })
}

// hand gives a message to listeners that share a lane.
func (c *Client) hand(m *Message, hear []*Listener, in func() *lane) {
	t := task{name: m.Type, size: len(m.Data) + len(m.Context) + len(m.Fields)}
	var l *lane
	room := true
	var runs []func(ctx context.Context)
	for _, x := range hear {
		if l == nil && !x.inside {
			l = in()
			room = l.room(t)
		}
		if !room && !x.inside {
			continue
		}
		if run := x.take(m); run != nil {
			runs = append(runs, c.unlessRemoved(x, run))
		}
	}
	if !room {
		c.counters.dropped.Add(1)
		c.report(fmt.Errorf("%w: type %q", ErrSlow, m.Type))
	}
	if len(runs) == 0 {
		return
	}
	t.run = func(ctx context.Context) {
		for _, run := range runs {
			c.contain(m.Type, run, c.report)
		}
	}
	l.add(t)
}

// unlessRemoved runs what a listener wants unless it was removed meanwhile.
func (c *Client) unlessRemoved(l *Listener, run func(ctx context.Context)) func(ctx context.Context) {
	return func(ctx context.Context) {
		c.mu.Lock()
		gone := l.removed
		l.removed = l.removed || l.once
		c.mu.Unlock()
		if !gone && ctx.Err() == nil {
			run(ctx)
		}
	}
}

// mostLanes is how many lanes there may be before those that nobody needs are
// looked for.
const mostLanes = 64

// lane returns the lane of a type. The goroutine that reads owns the lanes.
func (c *Client) lane(msgType string) *lane {
	l := c.lanes[msgType]
	if l != nil {
		return l
	}
	if len(c.lanes) >= mostLanes {
		maps.DeleteFunc(c.lanes, func(_ string, l *lane) bool { return l.idle() })
	}
	l = &lane{client: c, workers: c.o.Workers}
	c.lanes[msgType] = l
	return l
}
