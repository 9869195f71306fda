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
	early map[*bus.Message]struct{} // see keepEarly
}

func (r *retained) init(tenant string, e engine.Engine, l Limits, limited *counter) {
	r.tenant, r.limits, r.limited = tenant, l, limited
	r.early = make(map[*bus.Message]struct{})
	if e.Promise().Durability > engine.Process {
		r.records = e.Records()
	}
}

// Keep stores a message that asks for it; an empty one removes the value.
func (r *retained) Keep(m *bus.Message) (bus.Position, error) {
	switch {
	case !m.Retain || r.isEarly(m):
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

// keepEarly is Keep before the bus asks for it, which until done is called does
// nothing more for m.
func (r *retained) keepEarly(m *bus.Message) (done func(), err error) {
	if _, err := r.Keep(m); err != nil {
		return nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.early[m] = struct{}{}
	return func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		delete(r.early, m)
	}, nil
}

func (r *retained) isEarly(m *bus.Message) bool {
	r.mu.RLock()
	defer r.mu.RUnlock()
	_, ok := r.early[m]
	return ok
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
	size := int64(len(k.Payload.Data()))
	old, replaces := r.names.Get(k.Topic)
	if replaces {
		size -= int64(len(old.Payload.Data()))
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
	r.bytes -= int64(len(old.Payload.Data()))
	r.names.Delete(name)
	return nil
}

// Attached delivers the values that match a new subscription.
func (r *retained) Attached(s *bus.Subscription) {
	for _, m := range r.match(s.Pattern()) {
		r.deliver(s, m)
	}
}

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
		s.retained.bytes += int64(len(m.Payload.Data()))
		s.retained.mu.Unlock()
		return nil
	})
}
