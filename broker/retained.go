package broker

import (
	"bytes"
	"fmt"
	"strings"
	"sync"
	"time"

	"omnibus/bus"
	"omnibus/engine"
	"omnibus/payload"
	"omnibus/topic"
)

// retained is the set of retained values of one tenant, and what its bus asks
// before it routes.
type retained struct {
	tenant  string
	limits  Limits
	limited *counter       // limits that were reached
	records engine.Records // nil when the engine keeps nothing longer than we do

	mu    sync.RWMutex
	names topic.Names[*bus.Message]
	bytes int64
}

func (r *retained) init(tenant string, e engine.Engine, l Limits, limited *counter) {
	r.tenant, r.limits, r.limited = tenant, l, limited
	if e.Promise().Durability > engine.Process {
		r.records = e.Records()
	}
}

// Keep stores a message that asks for it; an empty one removes the value.
func (r *retained) Keep(m *bus.Message) (bus.Position, error) {
	switch {
	case !m.Retain:
		return 0, nil
	case m.Payload.Kind() == payload.Empty:
		return 0, r.remove(m.Topic)
	}
	k, err := stored(m)
	if err != nil {
		return 0, err
	}
	return 0, r.set(k)
}

// stored is a copy of m that can be kept for ever: a Go value is encoded,
// since its owner may change it.
func stored(m *bus.Message) (*bus.Message, error) {
	k := m.Clone()
	k.Stored, k.Origin = true, nil
	if k.Payload.Form() == payload.Go {
		kind := k.Payload.Kind()
		data, err := m.Payload.As(kind)
		if err != nil {
			return nil, &bus.Error{Kind: bus.Invalid, Topic: m.Topic, Text: err.Error(), Err: err}
		}
		k.Payload.Set(kind, bytes.Clone(data)) // the owner may change it
	}
	return k, nil
}

func (r *retained) set(k *bus.Message) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	size := cost(k)
	old, replaces := r.names.Get(k.Topic)
	if replaces {
		size -= cost(old)
	} else if r.names.Len() >= r.limits.Retained {
		r.limited.Add(1)
		return bus.Errorf(bus.Full, k.Topic, "%d values are retained, which is the limit (broker.limits.retained)", r.names.Len())
	}
	if size > 0 && r.bytes+size > r.limits.RetainedBytes {
		r.limited.Add(1)
		return bus.Errorf(bus.Full, k.Topic, "retained values take %d bytes, the limit is %d (broker.limits.retained_bytes)", r.bytes, r.limits.RetainedBytes)
	}
	if r.records != nil {
		if err := r.records.Put(engine.Retained, r.key(k.Topic), engine.AppendMessage(nil, k)); err != nil {
			return &bus.Error{Kind: bus.Unavailable, Topic: k.Topic, Text: "storing the retained value: " + err.Error(), Err: err}
		}
	}
	r.bytes += size
	r.names.Set(k.Topic, k)
	return nil
}

// cost is what a retained value takes, about: whoever fills the set is bounded by
// it, also with long names and no payload.
func cost(m *bus.Message) int64 {
	const overhead = 512 // the message, its place in the set
	n := overhead + len(m.Topic) + len(m.ID) + len(m.Payload.Data())
	for k, v := range m.Headers.All() {
		n += len(k) + len(v)
	}
	return int64(n)
}

func (r *retained) remove(name string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	old, ok := r.names.Get(name)
	if !ok {
		return nil
	}
	if r.records != nil {
		if err := r.records.Delete(engine.Retained, r.key(name)); err != nil {
			return &bus.Error{Kind: bus.Unavailable, Topic: name, Text: "removing the retained value: " + err.Error(), Err: err}
		}
	}
	r.bytes -= cost(old)
	r.names.Delete(name)
	return nil
}

// Attached delivers the values that match a new subscription.
func (r *retained) Attached(s *bus.Subscription) {
	if s.Options().SkipRetained {
		return
	}
	for _, m := range r.match(s.Pattern()) {
		if s.Room() != nil {
			return // it has ended
		}
		r.deliver(s, m)
	}
}

// replay is Attached for a subscription that asks for it, a message at a time.
func (r *retained) replay(s *bus.Subscription) (next func() bool) {
	all := r.match(s.Pattern())
	return func() bool {
		if len(all) == 0 {
			return false
		}
		m := all[0]
		all = all[1:]
		r.deliver(s, m)
		return len(all) > 0
	}
}

// Detached has nothing to do: nothing is kept for a subscription.
func (r *retained) Detached(*bus.Subscription) {}

// deliver hands a value to a subscription that is in place. One that changes
// meanwhile may have been routed before: the newest must be the last.
func (r *retained) deliver(s *bus.Subscription, m *bus.Message) {
	name := m.Topic
	for r.get(name) == m { // whoever changed it since routes that to s later
		switch {
		case m == nil:
			s.Deliver(&bus.Message{Topic: name, Retain: true}) // it was removed
		case m.Expires == 0 || m.Expires > time.Now().UnixNano():
			s.Deliver(m)
		}
		newer := r.get(name)
		if newer == m {
			return
		}
		m = newer
	}
}

func (r *retained) match(p topic.Pattern) []*bus.Message {
	r.mu.RLock()
	defer r.mu.RUnlock()
	var all []*bus.Message
	for _, m := range r.names.Match(p) {
		all = append(all, m)
	}
	return all
}

func (r *retained) get(name string) *bus.Message {
	r.mu.RLock()
	defer r.mu.RUnlock()
	m, _ := r.names.Get(name)
	return m
}

func (r *retained) len() int {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.names.Len()
}

// key is a record's key: tenants cannot contain NUL, topics neither.
func (r *retained) key(name string) string { return r.tenant + "\x00" + name }

// load reads the retained values of all tenants.
func (b *Broker) load() error {
	return b.opts.Engine.Records().Load(engine.Retained, func(key string, data []byte) error {
		tenant, name, ok := strings.Cut(key, "\x00")
		m := new(bus.Message)
		err := engine.ParseMessage(data, m)
		if err == nil && (!ok || name != m.Topic) {
			err = fmt.Errorf("%w of this name, but of %q", engine.ErrRecord, m.Topic)
		}
		if err != nil {
			return fmt.Errorf("retained value %q: %w", key, err)
		}
		m.Stored = true
		m.Payload.Use(b.opts.Codecs)
		m = m.Clone() // which many can read
		s := b.space(tenant)
		s.retained.mu.Lock()
		s.retained.names.Set(name, m)
		s.retained.bytes += cost(m)
		s.retained.mu.Unlock()
		return nil
	})
}
