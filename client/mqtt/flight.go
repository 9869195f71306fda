package mqtt

import (
	"sync"

	"omnibus/dialect/mqtt/packet"
)

// stage is how far a packet with an identifier has come.
type stage uint8

const (
	free      stage = iota
	queued          // a PUBLISH that is to be sent on this connection
	sent            // a PUBLISH; PUBACK or PUBREC is waited for
	releasing       // a PUBREL that is to be sent on this connection
	released        // a PUBREL; PUBCOMP is waited for
	asked           // SUBSCRIBE or UNSUBSCRIBE; it ends with the connection
)

// maxIDs is how many packet identifiers there are.
const maxIDs = 65_535

// entry is a packet whose acknowledgement is waited for.
type entry struct {
	stage   stage
	qos     byte
	version Version // of data
	counted bool    // it is one of those the broker limits with its receive maximum
	tried   bool    // it may have been sent on a connection before
	data    *[]byte // the PUBLISH, until it is acknowledged or PUBREC has come
	token   *Token  // who waits; may be nil
	sub     *subscription
}

// flight holds what waits for an acknowledgement, by packet identifier. Identifiers are given in turn, so that those in
// use are a window on a ring, with holes where an acknowledgement came early.
type flight struct {
	ring     []entry // its length is a power of two
	head     int     // where the oldest is
	span     int     // from the oldest to the newest, holes included
	next     int     // the identifier that is given next, minus one
	unsent   int     // entries before it, counted from the oldest, are not queued
	messages int     // of QoS 1 and 2
	bytes    int     // their data
	wire     int     // those counted
}

const (
	firstRing = 8
	// keptRing is how long the ring of an idle client may be.
	keptRing = 16
)

func (f *flight) at(i int) *entry { return &f.ring[(f.head+i)&(len(f.ring)-1)] }

func (f *flight) full() bool { return f.span == maxIDs }

// add gives the next identifier to an entry; the flight must not be full.
func (f *flight) add() (id uint16, e *entry) {
	if f.span == len(f.ring) {
		ring := make([]entry, max(firstRing, 2*len(f.ring)))
		for i := range f.span {
			ring[i] = *f.at(i)
		}
		f.ring, f.head = ring, 0
	}
	e = f.at(f.span)
	f.span++
	id = uint16(f.next + 1)
	f.next = (f.next + 1) % maxIDs
	return id, e
}

// restore gives an entry the identifier it had; those before it have been restored, in the order in which they were
// given.
func (f *flight) restore(id uint16) (e *entry, ok bool) {
	if f.span == 0 {
		f.next = int(id) - 1
	}
	gap := (int(id) - 1 - f.next + maxIDs) % maxIDs
	if id == 0 || f.span+gap >= maxIDs {
		return nil, false
	}
	for range gap {
		f.add()
	}
	_, e = f.add()
	return e, true
}

// find returns the entry of an identifier and its place; nil if the identifier is free.
func (f *flight) find(id uint16) (e *entry, i int) {
	oldest := (f.next - f.span + maxIDs) % maxIDs
	i = (int(id) - 1 - oldest + maxIDs) % maxIDs
	if id == 0 || i >= f.span {
		return nil, 0
	}
	if e = f.at(i); e.stage == free {
		return nil, 0
	}
	return e, i
}

// id is the identifier at a place.
func (f *flight) id(i int) uint16 {
	return uint16((f.next-f.span+i+maxIDs)%maxIDs + 1)
}

// all calls each for every entry, oldest first. It may settle entries.
func (f *flight) all(each func(id uint16, e *entry)) {
	oldest, span := f.next-f.span+maxIDs, f.span
	for i := range span {
		id := uint16((oldest+i)%maxIDs + 1)
		if e, _ := f.find(id); e != nil {
			each(id, e)
		}
	}
}

// settle frees an entry and gives what it waited for.
func (f *flight) settle(e *entry) (t *Token) {
	t = e.token
	f.forget(e)
	f.uncount(e)
	if e.stage != asked {
		f.messages--
	}
	*e = entry{}
	for f.span > 0 && f.ring[f.head].stage == free {
		f.head = (f.head + 1) & (len(f.ring) - 1)
		f.span--
		f.unsent = max(f.unsent-1, 0)
	}
	if f.span == 0 && len(f.ring) > keptRing {
		f.ring, f.head = nil, 0
	}
	return t
}

// takeBack undoes the last add.
func (f *flight) takeBack() {
	f.span--
	f.next = (f.next - 1 + maxIDs) % maxIDs
	*f.at(f.span) = entry{}
	f.unsent = min(f.unsent, f.span)
}

// keep gives an entry its PUBLISH.
func (f *flight) keep(e *entry, data *[]byte) {
	e.data = data
	f.bytes += len(*data)
}

// forget gives the PUBLISH of an entry back.
func (f *flight) forget(e *entry) {
	if e.data != nil {
		f.bytes -= len(*e.data)
		giveBack(e.data)
		e.data = nil
	}
}

func (f *flight) uncount(e *entry) {
	if e.counted {
		e.counted = false
		f.wire--
	}
}

// largestKept is the largest buffer that is used again.
const largestKept = 4 << 10

// buffers hold PUBLISH packets in flight. Their content means nothing.
var buffers sync.Pool

func borrow() *[]byte {
	if b, ok := buffers.Get().(*[]byte); ok {
		return b
	}
	return new([]byte)
}

func giveBack(b *[]byte) {
	if cap(*b) <= largestKept {
		*b = (*b)[:0]
		buffers.Put(b)
	}
}

// recode writes a PUBLISH in the form of another version; not ok if that cannot be.
func recode(data *[]byte, from, to Version) (ok bool) {
	h, body, n, err := packet.Frame(*data, 0)
	if err != nil || n != len(*data) {
		return false
	}
	var p packet.Publish
	if err := p.Decode(h, body, from); err != nil {
		return false
	}
	b := p.Append(nil, to)
	*data = b
	return len(b) > 0
}
