package mqtt

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"

	"omnibus/dialect/mqtt/packet"
)

// incoming is a message of QoS 2 that was received and is not released.
type incoming struct {
	handled bool
	// link is the connection on which it came last: only there its PUBREC is waited for.
	link *link
}

// delivery is a message that waits for its handlers, or an event that does.
type delivery struct {
	next  *delivery
	event func()
	m     Message
	ids   packet.SubscriptionIDs
	link  *link // it came by
	id    uint16
	in    *incoming // if the QoS is 2
	size  int
}

// queue holds deliveries, first to last.
type queue struct {
	first, last *delivery
	messages    int
	bytes       int
	running     bool // somebody calls handlers
}

func (q *queue) push(d *delivery) {
	if q.last == nil {
		q.first = d
	} else {
		q.last.next = d
	}
	q.last = d
	if d.event == nil {
		q.messages++
		q.bytes += d.size
	}
}

func (q *queue) pop() *delivery {
	d := q.first
	if d == nil {
		return nil
	}
	if q.first = d.next; q.first == nil {
		q.last = nil
	}
	d.next = nil
	if d.event == nil {
		q.messages--
		q.bytes -= d.size
	}
	return d
}

func (q *queue) clear() {
	for q.pop() != nil {
		continue
	}
}

// takePublish acts on a PUBLISH. The reader calls it; it waits while too much waits for handlers.
func (c *Client) takePublish(l *link, h packet.Header, body []byte) error {
	d := &delivery{link: l, size: len(body)}
	var p packet.Publish
	if err := p.Decode(h, bytes.Clone(body), l.server.Version); err != nil {
		return fmt.Errorf("%w: %w", ErrProtocol, err)
	}
	if err := l.resolve(&p, c.o.TopicAliases); err != nil {
		return err
	}
	d.m, d.ids, d.id = received(&p), p.Properties.SubscriptionIDs, p.PacketID
	c.mu.Lock()
	defer c.mu.Unlock()
	if p.QoS == 2 {
		if again, err := c.again(l, p.PacketID); again {
			return err
		}
		d.in = c.incoming[p.PacketID]
	}
	if p.QoS > 0 {
		if l.taken++; l.server.Version >= V5 && l.taken > int(c.o.ReceiveMaximum) { // MQTT-3.3.4-7
			return broken(packet.ReceiveMaximumExceeded, "more than %d messages that are not acknowledged", c.o.ReceiveMaximum)
		}
	}
	c.makeRoom(l)
	switch {
	case c.over != nil:
	case p.QoS == 0 && c.overfull(1):
		c.counts.dropped.Add(1)
	case p.QoS > 0 && (l.behind || c.overfull(2)):
		c.counts.deferred.Add(1)
		l.behind = true // those that follow too, for the sake of their order
		if d.in != nil {
			delete(c.incoming, d.id)
		}
	default:
		c.enqueue(d)
	}
	return nil
}

// resolve replaces the topic alias of a message by its topic.
func (l *link) resolve(p *packet.Publish, limit uint16) error {
	a := p.Properties.TopicAlias
	switch {
	case a == 0:
		return nil
	case a > limit:
		return broken(packet.TopicAliasInvalid, "topic alias %d, at most %d are allowed (MQTT-3.1.2-26)", a, limit)
	case p.Topic != "":
		if l.topics == nil {
			l.topics = make(map[uint16]string)
		}
		l.topics[a] = strings.Clone(p.Topic)
		return nil
	}
	topic, ok := l.topics[a]
	if !ok {
		return broken(packet.ProtocolError, "topic alias %d, which has no topic", a)
	}
	p.Topic = topic
	return nil
}

// again notes a message of QoS 2. If it is one that was received before, it is not to be delivered.
func (c *Client) again(l *link, id uint16) (again bool, err error) {
	before := c.incoming[id]
	if before == nil {
		if c.incoming == nil {
			c.incoming = make(map[uint16]*incoming)
		}
		c.incoming[id] = &incoming{link: l}
		return false, nil
	}
	if before.link != l {
		before.link = l
		l.taken++
	}
	if before.handled {
		return true, c.owe(l, packet.PUBREC, id, packet.Success)
	}
	return true, nil // its handler is still to end
}

// release acts on a PUBREL. mu is held.
func (c *Client) release(l *link, id uint16) error {
	reason := packet.PacketIdentifierNotFound
	if in := c.incoming[id]; in != nil {
		if !in.handled {
			return broken(packet.ProtocolError, "PUBREL for packet identifier %d before its PUBREC", id)
		}
		reason = packet.Success
		delete(c.incoming, id)
		c.unkeep(Incoming, id)
		l.taken--
	}
	return c.owe(l, packet.PUBCOMP, id, reason) // MQTT-4.3.3-11
}

// overfull tells that what waits for handlers has passed its bounds n times.
func (c *Client) overfull(n int) bool {
	return c.queue.messages >= n*c.o.MaxQueued || c.queue.messages > 0 && c.queue.bytes >= n*c.o.MaxQueuedBytes
}

// makeRoom pauses the reader while too much waits for handlers, unless a call waits for the broker: that may be the
// call of the handler which is to make room. mu is held, and not while it waits.
func (c *Client) makeRoom(l *link) {
	for c.overfull(1) && c.over == nil && c.ctx.Err() == nil {
		c.paused.Store(true)
		if c.waiting.Load() > 0 {
			break
		}
		if l.kick {
			l.kick = false
			c.mu.Unlock()
			l.out.Kick()
			c.mu.Lock()
			continue
		}
		c.resumed.Wait()
	}
	c.paused.Store(false)
}

// errBehind ends a connection on which messages were not taken, so that the broker sends them again.
var errBehind = errors.New("messages came faster than they were handled, and are asked for again")

// catchUp ends such a connection when its other messages are handled and acknowledged.
func (c *Client) catchUp(l *link) {
	ctx, cancel := context.WithTimeout(context.Background(), farewell)
	defer cancel()
	_ = l.out.Flush(ctx) // what is not acknowledged comes again
	l.fail(lost(errBehind))
}

// enqueue puts a delivery in the queue. mu is held.
func (c *Client) enqueue(d *delivery) {
	c.queue.push(d)
	if !c.queue.running {
		c.queue.running = true
		c.handlers.Go(c.deliver)
	}
}

// later reports an error from where the client is locked.
func (c *Client) later(err error) {
	if c.o.OnError != nil {
		c.enqueue(&delivery{event: func() { c.report(err) }})
	}
}

// deliver calls handlers until nothing waits.
func (c *Client) deliver() {
	var to []func(*Message)
	for {
		c.mu.Lock()
		d := c.queue.pop()
		if d == nil {
			l := c.link.Load()
			if l != nil && l.behind && !l.caughtUp {
				l.caughtUp = true
				c.mu.Unlock()
				c.catchUp(l)
				continue
			}
			c.queue.running = false
			c.mu.Unlock()
			return
		}
		if c.paused.Load() {
			c.resumed.Broadcast()
		}
		if d.event != nil {
			c.mu.Unlock()
			c.protect("", d.event)
			continue
		}
		to = c.route(d, to[:0])
		c.mu.Unlock()
		for i, handle := range to {
			m := &d.m
			if i < len(to)-1 {
				own := d.m
				m = &own
			}
			c.protect(d.m.Topic, func() { handle(m) })
		}
		clear(to)
		c.handled(d)
	}
}

// protect calls a function of the user and reports its panic.
func (c *Client) protect(topic string, f func()) {
	defer func() {
		if v := recover(); v != nil {
			c.counts.panics.Add(1)
			c.report(panicked(v, topic))
		}
	}()
	f()
}

// route appends the handlers of a message to list. mu is held.
func (c *Client) route(d *delivery, list []func(*Message)) []func(*Message) {
	matched, rest := false, false
	add := func(s *subscription) {
		matched = true
		if s.Handler != nil {
			list = append(list, s.Handler)
		} else {
			rest = true
		}
	}
	for id := range d.ids.All() {
		for _, s := range c.subs {
			if s.id == id {
				add(s)
			}
		}
	}
	if !matched { // without identifiers, or with those of another process
		for _, s := range c.subs {
			if Match(s.Filter, d.m.Topic) {
				add(s)
			}
		}
	}
	if (rest || !matched) && c.o.OnMessage != nil {
		list = append(list, c.o.OnMessage)
	}
	if len(list) == 0 {
		c.counts.unhandled.Add(1)
	}
	return list
}

// handled acknowledges a message whose handlers have returned.
func (c *Client) handled(d *delivery) {
	if d.m.QoS == 0 {
		return
	}
	c.mu.Lock()
	l, kind := d.link, packet.PUBACK
	if d.m.QoS == 2 {
		in := d.in
		if c.incoming[d.id] != in {
			c.mu.Unlock()
			return // the session is another one
		}
		if c.o.Store != nil {
			if err := c.o.Store.Put(Record{Kind: Incoming, ID: d.id}); err != nil {
				c.later(err)
			}
		}
		in.handled = true
		l, kind = in.link, packet.PUBREC
	}
	if l == c.link.Load() {
		if d.m.QoS == 1 {
			l.taken--
		}
		c.acknowledge(l, kind, d.id)
	}
	c.mu.Unlock()
}

// acknowledge is owe for who is not the reader.
func (c *Client) acknowledge(l *link, kind packet.Type, id uint16) {
	if len(l.owed) == 0 {
		if _, err := l.commit(packet.AppendAck(l.out.Begin(), kind, id, packet.Success, l.server.Version), false); err == nil {
			return
		}
	}
	l.owed = append(l.owed, owed{kind: kind, id: id})
}
