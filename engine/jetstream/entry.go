package jetstream

import (
	"bytes"
	"encoding/binary"
	"strings"

	"omnibus/bus"
	"omnibus/engine"
)

// overhead is about what an entry costs in memory beside the bytes it carries.
const overhead = 256

// memory is what an entry counts towards the bounds of memory.
func memory(e *engine.Entry) int64 {
	return int64(overhead + len(e.Payload) + len(e.Step) + textLen(e))
}

func textLen(e *engine.Entry) int {
	n := len(e.Tenant) + len(e.Topic) + len(e.ID) + len(e.From) + len(e.Session)
	for _, h := range e.Headers {
		n += len(h.Key) + len(h.Value)
	}
	return n
}

// keep returns a copy of e that shares nothing with it. All its text is one
// string.
func keep(e *engine.Entry) *engine.Entry {
	k := *e
	k.Payload = bytes.Clone(e.Payload)
	k.Step = bytes.Clone(e.Step)
	k.Headers = nil
	var text strings.Builder
	text.Grow(textLen(e))
	add := func(s string) string {
		at := text.Len()
		text.WriteString(s)
		return text.String()[at:]
	}
	k.Tenant, k.Topic = add(e.Tenant), add(e.Topic)
	k.ID, k.From, k.Session = add(e.ID), add(e.From), add(e.Session)
	if len(e.Headers) > 0 {
		k.Headers = make([]bus.Header, len(e.Headers))
		for i, h := range e.Headers {
			k.Headers[i] = bus.Header{Key: add(h.Key), Value: add(h.Value)}
		}
	}
	return &k
}

// reader takes fields off the front and remembers that one was cut short.
// What it returns are views.
type reader struct {
	rest []byte
	bad  bool
}

func (r *reader) uvarint() uint64 {
	x, n := binary.Uvarint(r.rest)
	return r.took(x, n)
}

func (r *reader) varint() int64 {
	x, n := binary.Varint(r.rest)
	return int64(r.took(uint64(x), n))
}

func (r *reader) took(x uint64, n int) uint64 {
	if n <= 0 {
		r.bad, r.rest = true, nil
		return 0
	}
	r.rest = r.rest[n:]
	return x
}

func (r *reader) bytes() []byte {
	n := r.uvarint()
	if n > uint64(len(r.rest)) {
		r.bad, r.rest = true, nil
		return nil
	}
	b := r.rest[:n:n]
	r.rest = r.rest[n:]
	return b
}
