package memory

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"sync"

	"omnibus/engine"
)

// records are maps. A stored value is never changed, only replaced.
type records struct {
	maxBytes int64

	mu     sync.RWMutex
	closed bool
	tables map[engine.Table]map[string][]byte
}

// Put stores a copy of value.
func (r *records) Put(t engine.Table, key string, value []byte) error {
	size := int64(len(key) + len(value))
	if size <= r.maxBytes {
		value = bytes.Clone(value)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.closed:
		return engine.ErrClosed
	case size > r.maxBytes:
		return fmt.Errorf("putting a record of %d bytes: the bound is %d: %w", size, r.maxBytes, engine.ErrTooLarge)
	}
	table := r.tables[t]
	if table == nil {
		table = make(map[string][]byte)
		r.tables[engine.Table(strings.Clone(string(t)))] = table
	}
	if _, ok := table[key]; !ok {
		key = strings.Clone(key) // otherwise the map keeps the one it has
	}
	table[key] = value
	return nil
}

// Delete removes a record.
func (r *records) Delete(t engine.Table, key string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return engine.ErrClosed
	}
	delete(r.tables[t], key)
	return nil
}

// Load tells the records as they are when it begins.
func (r *records) Load(t engine.Table, each func(key string, value []byte) error) error {
	list, err := r.list(t)
	if err != nil {
		return err
	}
	for _, x := range list {
		if err := each(x.key, x.value); err != nil {
			return err
		}
	}
	return nil
}

type record struct {
	key   string
	value []byte
}

func (r *records) list(t engine.Table) ([]record, error) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	if r.closed {
		return nil, engine.ErrClosed
	}
	out := make([]record, 0, len(r.tables[t]))
	for k, v := range r.tables[t] {
		out = append(out, record{k, v})
	}
	return out, nil
}

// Sync has nothing to wait for.
func (r *records) Sync(context.Context) error {
	r.mu.RLock()
	defer r.mu.RUnlock()
	if r.closed {
		return engine.ErrClosed
	}
	return nil
}

func (r *records) close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed, r.tables = true, nil
}
