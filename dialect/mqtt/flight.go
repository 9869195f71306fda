package mqtt

import (
	"omnibus/bus"
	"omnibus/dialect/mqtt/packet"
)

// delivery is a message on its way to one client.
type delivery struct {
	m      *bus.Message      // kept
	shared *bus.Subscription // the member of a group that it came by, or nil
	ids    packet.SubscriptionIDs
	qos    uint8
	retain bool
}

// weight is about how many bytes of what clients have sent a message keeps in
// memory, nil none.
func weight(m *bus.Message) int {
	const header = 64 // two strings, in a list
	if m == nil {
		return 0
	}
	n := len(m.Topic) + len(m.Payload.Data())
	for key, value := range m.Headers.All() {
		n += header + len(key) + len(value)
	}
	return n
}

// stage is how far a message of QoS 1 or 2 has come.
type stage uint8

const (
	done     stage = iota // its identifier is free
	sent                  // PUBLISH was sent; PUBACK or PUBREC is waited for
	released              // PUBREL was sent; PUBCOMP is waited for
)

// The client was away since it was sent, so it is sent again.
const again stage = 1 << 7

// under is a message that has been sent and is not acknowledged. Of sessions that
// end with their connection, only what is shared has a message.
type under struct {
	delivery
	stage stage
}

// maxIDs is how many packet identifiers there are.
const maxIDs = 65535

// flight holds the messages under way to one client by packet identifier.
// Identifiers are given in turn, so they are a window of a ring, in which those
// acknowledged out of order leave holes. The zero value is empty.
type flight struct {
	ring []under // its length is a power of two
	head int     // where the oldest is
	span int     // from the oldest to the newest, holes included
	open int     // not acknowledged
	old  int     // of those, to be sent again
	next uint16  // the identifier that is given next, minus one

	bytes int // what the messages weigh that are kept
}

// add gives an identifier. There must be one: see full.
func (f *flight) add(d delivery) (id uint16) {
	if f.span == len(f.ring) {
		f.grow()
	}
	f.ring[(f.head+f.span)&(len(f.ring)-1)] = under{d, sent}
	f.span++
	f.open++
	f.bytes += weight(d.m)
	id = f.next + 1
	f.next = uint16((int(f.next) + 1) % maxIDs)
	return id
}

// full tells that there is no identifier, because the oldest message is as old as
// there are identifiers.
func (f *flight) full() bool { return f.span == maxIDs }

// takeBack undoes the last add.
func (f *flight) takeBack() {
	f.span--
	f.open--
	u := &f.ring[(f.head+f.span)&(len(f.ring)-1)]
	f.bytes -= weight(u.m)
	*u = under{}
	f.next = uint16((int(f.next) + maxIDs - 1) % maxIDs)
}

// find returns the message of an identifier, nil if it is free.
func (f *flight) find(id uint16) *under {
	if id == 0 || f.span == 0 {
		return nil
	}
	oldest := (int(f.next) + maxIDs - f.span) % maxIDs
	at := (int(id) - 1 + maxIDs - oldest) % maxIDs
	if at >= f.span {
		return nil
	}
	u := &f.ring[(f.head+at)&(len(f.ring)-1)]
	if u.stage == done {
		return nil
	}
	return u
}

// end frees the identifier of a message that find has returned.
func (f *flight) end(u *under) {
	f.renew(u)
	f.bytes -= weight(u.m)
	*u = under{}
	f.open--
	for f.span > 0 && f.ring[f.head].stage == done {
		f.head = (f.head + 1) & (len(f.ring) - 1)
		f.span--
	}
	if f.span == 0 && len(f.ring) > keptFlight {
		f.ring, f.head = nil, 0
	}
}

// release notes that the client has a message of QoS 2, which is let go of.
func (f *flight) release(u *under) {
	f.renew(u)
	f.bytes -= weight(u.m)
	u.stage, u.m = released, nil
}

// age marks all messages as to be sent again.
func (f *flight) age() {
	for i := range f.span {
		if u := &f.ring[(f.head+i)&(len(f.ring)-1)]; u.stage != done {
			u.stage |= again
		}
	}
	f.old = f.open
}

// renew takes the mark of age away.
func (f *flight) renew(u *under) {
	if u.stage&again != 0 {
		u.stage &^= again
		f.old--
	}
}

// keptFlight is how long the ring of an idle client may be.
const keptFlight = 64

// all calls each for every message, oldest first.
func (f *flight) all(each func(id uint16, u *under)) {
	for at, span := 0, f.span; at < span; at++ {
		oldest := int(f.next) + 2*maxIDs - span
		u := &f.ring[(f.head+at)&(len(f.ring)-1)]
		if u.stage != done {
			each(uint16((oldest+at)%maxIDs)+1, u)
		}
	}
}

func (f *flight) grow() {
	ring := make([]under, max(8, 2*len(f.ring)))
	for i := range f.span {
		ring[i] = f.ring[(f.head+i)&(len(f.ring)-1)]
	}
	f.ring, f.head = ring, 0
}

// backlog holds the messages that wait until they may be sent, first to last.
type backlog struct {
	ring  []delivery // its length is a power of two
	head  int
	n     int
	bytes int
}

func (b *backlog) push(d delivery) {
	if b.n == len(b.ring) {
		ring := make([]delivery, max(8, 2*len(b.ring)))
		for i := range b.n {
			ring[i] = b.ring[(b.head+i)&(len(b.ring)-1)]
		}
		b.ring, b.head = ring, 0
	}
	b.ring[(b.head+b.n)&(len(b.ring)-1)] = d
	b.n++
	b.bytes += weight(d.m)
}

// first is the message that has waited longest; there must be one.
func (b *backlog) first() *delivery { return &b.ring[b.head] }

// at is the i-th message, which must be there.
func (b *backlog) at(i int) *delivery { return &b.ring[(b.head+i)&(len(b.ring)-1)] }

// drop takes out the messages that gone says so of.
func (b *backlog) drop(gone func(d *delivery) bool) {
	left := 0
	for i := range b.n {
		d := b.at(i)
		if gone(d) {
			b.bytes -= weight(d.m)
			continue
		}
		*b.at(left) = *d
		left++
	}
	for i := left; i < b.n; i++ {
		*b.at(i) = delivery{}
	}
	b.n = left
}

// pop takes it out.
func (b *backlog) pop() {
	d := &b.ring[b.head]
	b.bytes -= weight(d.m)
	*d = delivery{}
	b.head = (b.head + 1) & (len(b.ring) - 1)
	if b.n--; b.n == 0 && len(b.ring) > keptFlight {
		b.ring, b.head = nil, 0
	}
}
