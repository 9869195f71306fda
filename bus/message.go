package bus

import (
	"iter"
	"strings"

	"omnibus/payload"
)

// Position is a place in the journal of what is kept. Zero is before
// everything: nothing to wait for.
type Position uint64

// Origin identifies the link that a message came in by, by pointer: a
// connection, or all the connections that a dialect treats as one (the Mycroft
// hub, a multicast group). Nil is this process.
type Origin struct {
	Dialect string
	Name    string // for people: a client id, an address
}

// Message is one published message, on its way. Who makes it may use it again
// for the next message as soon as Publish has returned.
type Message struct {
	// Topic is the name it was published to. It may be a view of a buffer
	// that changes after Publish returns: clone it to keep it.
	Topic string
	// Payload is the value, converted lazily and shared by all receivers.
	Payload payload.Value
	// Headers is metadata that travels where the target has a place for it.
	Headers Headers
	// Origin is where it came in; nil for this process.
	Origin *Origin
	// ID is the identity a message keeps through bridges, empty until it
	// crosses one.
	ID string
	// QoS is 0, 1 or 2: what the publisher asked for.
	QoS uint8
	// Retain asks that this be the value new subscribers get.
	Retain bool
	// Stored tells a receiver that this is such a value and not news.
	Stored bool
	// Expires is when it ceases to be worth delivering, in Unix nanoseconds;
	// zero is never.
	Expires int64
	// Batch, when its publisher has one, takes what is to be flushed once the
	// publisher has handled all that it has read.
	Batch *Batch

	codecs *payload.Codecs // those of the payload
	kept   *Message        // the copy for all who keep; itself, if it is one
	route  *routing        // for the one goroutine that routes it; nil at other times
	own    *routing        // the memory of route, used again
}

// use hands in the converters. A message that many read has them already and is
// not written to.
func (m *Message) use(c *payload.Codecs) {
	if m.codecs != c {
		m.codecs = c
		m.Payload.Use(c)
	}
}

// Keep returns a copy that stays valid and can be read by many goroutines. All
// who keep one message during its delivery share one copy.
func (m *Message) Keep() *Message {
	if m.kept == nil {
		m.kept = m.Clone()
	}
	return m.kept
}

// Clone returns a copy that stays valid, as Keep does, but is nobody else's: it
// may be changed until it is published, delivered or handed on.
func (m *Message) Clone() *Message {
	k := &Message{
		Topic:   strings.Clone(m.Topic),
		Headers: m.Headers.keep(),
		Origin:  m.Origin,
		ID:      strings.Clone(m.ID),
		QoS:     m.QoS,
		Retain:  m.Retain,
		Stored:  m.Stored,
		Expires: m.Expires,
	}
	m.Payload.KeepIn(&k.Payload)
	k.codecs, k.kept = m.codecs, k
	return k
}

// Reset makes m as new, for use again.
func (m *Message) Reset() {
	m.Topic, m.ID, m.Origin, m.Headers = "", "", nil, Headers{}
	m.QoS, m.Retain, m.Stored, m.Expires, m.kept, m.Batch = 0, false, false, 0, nil, nil
	m.Payload.Set(payload.Empty, nil)
	if m.own != nil {
		m.own.outdate() // what was prepared, if it was then not published
	}
}

// Header is one item of metadata. Keys may repeat. A value that is not text
// where it came from (an object in a Mycroft context, say) is its JSON text.
type Header struct {
	Key, Value string
}

// Headers is an ordered list of metadata, read from the wire only when
// somebody asks. The zero value has none.
type Headers struct {
	// src is a []Header or a func() []Header. It is no larger than this so
	// that an Event is passed to its handler in registers.
	src any
}

// MakeHeaders returns headers with the given items.
func MakeHeaders(list ...Header) Headers {
	if len(list) == 0 {
		return Headers{}
	}
	return Headers{src: list}
}

// LazyHeaders returns headers that load produces when somebody asks. It is
// called at most once for each receiver that asks, while the message is valid.
func LazyHeaders(load func() []Header) Headers {
	if load == nil {
		return Headers{}
	}
	return Headers{src: load}
}

// IsEmpty reports whether there are none. Headers not yet read count as some.
func (h Headers) IsEmpty() bool { return h.src == nil }

// List returns all items, which must not be changed.
func (h Headers) List() []Header {
	switch src := h.src.(type) {
	case []Header:
		return src
	case func() []Header:
		return src()
	default:
		return nil
	}
}

// All ranges over the items in order.
func (h Headers) All() iter.Seq2[string, string] {
	return func(yield func(string, string) bool) {
		for _, x := range h.List() {
			if !yield(x.Key, x.Value) {
				return
			}
		}
	}
}

// Get returns the first value of a key.
func (h Headers) Get(key string) (string, bool) {
	for k, v := range h.All() {
		if k == key {
			return v, true
		}
	}
	return "", false
}

// keep returns headers that do not depend on the message's buffers.
func (h Headers) keep() Headers {
	if h.IsEmpty() {
		return Headers{}
	}
	src := h.List()
	out := make([]Header, len(src))
	for i, x := range src {
		out[i] = Header{strings.Clone(x.Key), strings.Clone(x.Value)}
	}
	return MakeHeaders(out...)
}
