package mqtt

import (
	"fmt"
	"sync/atomic"

	"omnibus/dialect/mqtt/packet"
)

// Store keeps the part of a session that is to outlive the process: the messages of QoS 1 and 2 that the broker has not
// acknowledged, and the identifiers of those of QoS 2 that it may send again. It belongs to one client, which calls it
// from one goroutine at a time, and not after it is over. OpenFile opens one.
type Store interface {
	// Load returns what is kept, in the order in which each was first put.
	Load() ([]Record, error)
	// Put keeps a record in the place of the one of the same kind and identifier. It does not keep its packet's memory.
	Put(r Record) error
	// Delete forgets one; that there is none is no error.
	Delete(k Kind, id uint16) error
}

// Kind says what a record is of.
type Kind byte

// The kinds of records.
const (
	// Outgoing is a message in flight: its PUBLISH, or nothing once the broker's PUBREC has come.
	Outgoing Kind = 'o'
	// Tried tells that the outgoing message of QoS 2 with the identifier was sent once.
	Tried Kind = 't'
	// Incoming is a message of QoS 2 whose handler has returned and that the broker has not released.
	Incoming Kind = 'i'
)

// Record is something that is kept.
type Record struct {
	Kind    Kind
	ID      uint16
	Version Version // of the packet
	Packet  []byte
}

// restore takes over what the store has.
func (c *Client) restore() error {
	if c.o.Store == nil {
		return nil
	}
	records, err := c.o.Store.Load()
	if err != nil {
		return fmt.Errorf("loading what was in flight: %w", err)
	}
	for _, r := range records {
		switch r.Kind {
		case Incoming:
			if c.incoming == nil {
				c.incoming = make(map[uint16]*incoming)
			}
			c.incoming[r.ID] = &incoming{handled: true}
			continue
		case Tried:
			if e, _ := c.flight.find(r.ID); e != nil {
				e.tried = true
			}
			continue
		}
		e := entry{stage: releasing, qos: 2, version: r.Version}
		var data *[]byte
		if len(r.Packet) > 0 {
			h, body, n, err := packet.Frame(r.Packet, 0)
			var p packet.Publish
			if err == nil {
				err = p.Decode(h, body, r.Version)
			}
			if err != nil || n != len(r.Packet) || p.PacketID != r.ID {
				return fmt.Errorf("loading what was in flight: %w: the packet %d is no PUBLISH", ErrInvalid, r.ID)
			}
			e.stage, e.qos, e.tried = queued, p.QoS, p.QoS == 1
			data = borrow()
			*data = append((*data)[:0], r.Packet...)
		}
		place, ok := c.flight.restore(r.ID)
		if !ok {
			return fmt.Errorf("loading what was in flight: %w: the packet identifier %d is out of order", ErrInvalid, r.ID)
		}
		*place = e
		if data != nil {
			c.flight.keep(place, data)
		}
		c.flight.messages++
	}
	return nil
}

// unkeep takes something out of the store.
func (c *Client) unkeep(k Kind, id uint16) {
	if c.o.Store == nil {
		return
	}
	if err := c.o.Store.Delete(k, id); err != nil {
		c.later(err)
	}
}

// counts are what Stats tells.
type counts struct {
	dropped, deferred, unhandled, panics, reconnects atomic.Uint64
}

// Stats count since the client was made.
type Stats struct {
	// Dropped are messages of QoS 0 that found no place in front of their handlers, Deferred those of QoS 1 and 2, which the
	// broker sends again. Unhandled are messages without a handler.
	Dropped, Deferred, Unhandled uint64
	// Panics are those of callbacks.
	Panics uint64
	// Reconnects are the connections made without the first.
	Reconnects uint64
	// InFlight are the messages of QoS 1 and 2 that the broker has not acknowledged, Queued those that wait for handlers.
	InFlight, Queued int
}

// Stats returns counters.
func (c *Client) Stats() Stats {
	c.mu.Lock()
	defer c.mu.Unlock()
	return Stats{
		Dropped: c.counts.dropped.Load(), Deferred: c.counts.deferred.Load(), Unhandled: c.counts.unhandled.Load(), Panics: c.counts.panics.Load(),
		Reconnects: c.counts.reconnects.Load(), InFlight: c.flight.messages, Queued: c.queue.messages,
	}
}
