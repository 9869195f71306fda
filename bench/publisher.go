package bench

import (
	"context"
	"encoding/binary"
	"fmt"
	"sync/atomic"
	"time"

	"omnibus/dialect/mqtt/packet"
)

// stall is how long a publisher whose window is full waits for anything to come
// back before it takes all that is underway for lost. It decides when the
// traffic goes on, not what counts as lost.
const stall = 300 * time.Millisecond

// publisher sends messages as fast as its lanes let it.
type publisher struct {
	*client
	qos byte

	// ring has the packets, encoded, all of the same size: they are sent one after
	// the other, again and again. idAt is where in one its packet identifier is.
	ring   []byte
	size   int
	idAt   int
	at     int
	nextID uint16

	batch    int // packets in a write
	lanes    []*lane
	acked    *lane  // one of lanes, nil without acknowledgements
	releases []byte // those of QoS 2, to be written
	wake     chan struct{}
	sent     atomic.Uint64
	gaveUp   bool // some of what was underway; of run alone
}

// message is what a publisher sends: to these topics in turn, all of the same
// length, with payloads that begin with the number of the publisher.
type message struct {
	topics []string
	size   int
	qos    byte
	retain bool
	number int
}

// encode returns the packets and where in the first its packet identifier is.
// They are a multiple of the batch; of many topics the last few are left out.
func (m *message) encode(batch int) (ring []byte, size, idAt int) {
	payload := make([]byte, m.size)
	for i := range payload {
		payload[i] = 'x'
	}
	binary.BigEndian.PutUint16(payload, uint16(m.number))
	total := len(m.topics)
	for total < batch {
		total += len(m.topics)
	}
	total -= total % batch
	for i := range total {
		p := packet.Publish{Topic: m.topics[i%len(m.topics)], Payload: payload, QoS: m.qos, Retain: m.retain, PacketID: 1}
		if i == 0 {
			size = p.Size(packet.V311)
			ring = make([]byte, 0, total*size)
		}
		ring = p.Append(ring, packet.V311)
	}
	return ring, size, size - m.size - 2
}

// newPublisher makes a publisher of a connection. Its lanes are still to come.
func newPublisher(c *client, m message, batch int) *publisher {
	p := &publisher{client: c, qos: m.qos, batch: batch, wake: make(chan struct{}, 1)}
	p.ring, p.size, p.idAt = m.encode(batch)
	return p
}

// lane adds one with a window.
func (p *publisher) lane(window int) *lane {
	l := newLane(window, p.wake)
	p.lanes = append(p.lanes, l)
	return l
}

// run publishes until the context ends.
func (p *publisher) run(ctx context.Context) error {
	timer := time.NewTimer(stall)
	defer timer.Stop()
	batch := uint64(p.batch)
	for ctx.Err() == nil {
		if l := p.full(batch); l != nil {
			p.wait(ctx, timer, l, batch)
			continue
		}
		n, err := p.write(p.next(p.batch))
		p.sent.Add(uint64(n / p.size)) // of a write that fails, too, whole packets may arrive
		if err != nil {
			return fmt.Errorf("publishing: %w", err)
		}
	}
	return nil
}

// full is a lane without room for so many messages.
func (p *publisher) full(batch uint64) *lane {
	sent := p.sent.Load()
	for _, l := range p.lanes {
		if l.room(sent) < batch {
			return l
		}
	}
	return nil
}

// wait returns when half of the lane's window is free, or the messages underway
// have been given up, or the context has ended. (It may return early.)
func (p *publisher) wait(ctx context.Context, timer *time.Timer, l *lane, batch uint64) {
	sent := p.sent.Load()
	before := l.n.Load()
	if !l.await(sent, min(l.window-batch, l.window/2)) {
		return
	}
	const looks = 3
	for quiet := 0; quiet < looks; {
		timer.Reset(stall / looks)
		select {
		case <-p.wake:
			return
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		quiet++
		if now := l.n.Load(); now != before {
			before, quiet = now, 0
		}
	}
	l.forgiven += l.underway(sent)
	p.gaveUp = true
}

// next is the next n packets.
func (p *publisher) next(n int) []byte {
	b := p.ring[p.at : p.at+n*p.size]
	if p.at += len(b); p.at == len(p.ring) {
		p.at = 0
	}
	if p.qos > 0 {
		for i := p.idAt; i < len(b); i += p.size {
			if p.nextID++; p.nextID == 0 {
				p.nextID = 1
			}
			binary.BigEndian.PutUint16(b[i:], p.nextID)
		}
	}
	return b
}

// acknowledgements reads them until the connection fails.
func (p *publisher) acknowledgements() error {
	return fmt.Errorf("a publisher: %w", p.feed(p.acknowledge))
}

// acknowledge takes what has been read.
func (p *publisher) acknowledge() error {
	done := uint64(0)
	for {
		h, body, ok, err := p.client.next()
		if err != nil {
			return err
		}
		if !ok {
			break
		}
		switch {
		case h.Type == packet.PUBACK, h.Type == packet.PUBCOMP:
			done++
		case h.Type == packet.PUBREC && len(body) >= 2:
			p.releases = packet.AppendAck(p.releases, packet.PUBREL, binary.BigEndian.Uint16(body), packet.Success, packet.V311)
		}
	}
	if done > 0 {
		p.acked.add(done)
	}
	if len(p.releases) > 0 {
		if _, err := p.write(p.releases); err != nil {
			return fmt.Errorf("releasing: %w", err)
		}
		p.releases = p.releases[:0]
	}
	return nil
}
