package memory

import (
	"bytes"
	"strings"

	"omnibus/bus"
	"omnibus/engine"
)

// overhead is about what an entry costs beside the bytes it carries.
const overhead = 256

// size is what an entry counts towards MaxBytes.
func size(e *engine.Entry) int64 {
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
	var text strings.Builder
	text.Grow(textLen(e))
	for _, s := range []string{e.Tenant, e.Topic, e.ID, e.From, e.Session} {
		text.WriteString(s)
	}
	for _, h := range e.Headers {
		text.WriteString(h.Key)
		text.WriteString(h.Value)
	}
	rest := text.String()
	cut := func(n int) (s string) {
		s, rest = rest[:n], rest[n:]
		return s
	}
	k.Tenant, k.Topic = cut(len(e.Tenant)), cut(len(e.Topic))
	k.ID, k.From, k.Session = cut(len(e.ID)), cut(len(e.From)), cut(len(e.Session))
	k.Headers = nil
	if len(e.Headers) > 0 {
		k.Headers = make([]bus.Header, len(e.Headers))
		for i, h := range e.Headers {
			k.Headers[i] = bus.Header{Key: cut(len(h.Key)), Value: cut(len(h.Value))}
		}
	}
	return &k
}
