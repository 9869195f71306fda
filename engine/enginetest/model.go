package enginetest

import (
	"bytes"
	"context"
	"maps"
	"slices"
	"sync"

	"omnibus/bus"
	"omnibus/engine"
)

// Model returns engines that do what the contract says in the plainest way. An
// engine that is opened in the same folder as another one before it remembers
// what that one kept. Positions have gaps wherever the contract allows it, so
// that nobody comes to rely on there being none.
func Model() Factory {
	var mu sync.Mutex
	kept := make(map[string]*state)
	return Factory{Open: func(dir string) (engine.Engine, error) {
		mu.Lock()
		defer mu.Unlock()
		if kept[dir] == nil {
			kept[dir] = &state{tables: make(map[engine.Table]map[string][]byte)}
		}
		return &model{state: kept[dir], grown: make(chan struct{})}, nil
	}}
}

// state is what outlives a model.
type state struct {
	entries []*engine.Entry
	end     bus.Position // the newest position ever
	gone    bus.Position // the newest position given up
	tables  map[engine.Table]map[string][]byte
}

// gap is what lies between the positions of two calls of Append.
const gap = 10

// model is engine, journal and records in one.
type model struct {
	mu    sync.Mutex
	state *state       // nil when closed
	end   bus.Position // where the journal ended when it was closed
	grown chan struct{}
}

func (m *model) Promise() engine.Promise {
	return engine.Promise{Name: "model", Durability: engine.Crash}
}
func (m *model) Journal() engine.Journal { return m }
func (m *model) Records() engine.Records { return m }

func (m *model) Close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.state != nil {
		m.end, m.state = m.state.end, nil
		close(m.grown)
	}
	return nil
}

func (m *model) Append(entries ...*engine.Entry) (bus.Position, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.state == nil {
		return 0, engine.ErrClosed
	}
	if len(entries) == 0 {
		return 0, nil
	}
	m.state.end += gap
	for _, e := range entries {
		k := *e
		k.Payload, k.Step, k.Headers = bytes.Clone(e.Payload), bytes.Clone(e.Step), slices.Clone(e.Headers)
		m.state.end++
		k.Position = m.state.end
		m.state.entries = append(m.state.entries, &k)
	}
	close(m.grown)
	m.grown = make(chan struct{})
	return m.state.end, nil
}

func (m *model) Flushed() (upto bus.Position, changed <-chan struct{}, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.state == nil {
		return m.end, m.grown, engine.ErrClosed
	}
	return m.state.end, m.grown, nil
}

func (m *model) Read(ctx context.Context, from bus.Position, max int) ([]*engine.Entry, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.state == nil {
		return nil, engine.ErrClosed
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if m.state.gone > 0 && from <= m.state.gone {
		return nil, engine.ErrTrimmed
	}
	var out []*engine.Entry
	for _, e := range m.state.entries {
		if e.Position >= from && (len(out) == 0 || len(out) < max) {
			out = append(out, e)
		}
	}
	return out, nil
}

func (m *model) Bounds() (first, last bus.Position) {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case m.state == nil:
		return m.end + 1, m.end
	case len(m.state.entries) == 0:
		return m.state.end + 1, m.state.end
	default:
		return m.state.entries[0].Position, m.state.end
	}
}

func (m *model) Trim(before bus.Position) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.state == nil {
		return engine.ErrClosed
	}
	for len(m.state.entries) > 0 && m.state.entries[0].Position < before {
		m.state.gone = m.state.entries[0].Position
		m.state.entries = m.state.entries[1:]
	}
	return nil
}

func (m *model) Put(t engine.Table, key string, value []byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.state == nil {
		return engine.ErrClosed
	}
	if m.state.tables[t] == nil {
		m.state.tables[t] = make(map[string][]byte)
	}
	m.state.tables[t][key] = bytes.Clone(value)
	return nil
}

func (m *model) Delete(t engine.Table, key string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.state == nil {
		return engine.ErrClosed
	}
	delete(m.state.tables[t], key)
	return nil
}

func (m *model) Load(t engine.Table, each func(key string, value []byte) error) error {
	all, err := m.list(t)
	if err != nil {
		return err
	}
	for k, v := range all {
		if err := each(k, v); err != nil {
			return err
		}
	}
	return nil
}

func (m *model) list(t engine.Table) (map[string][]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.state == nil {
		return nil, engine.ErrClosed
	}
	return maps.Clone(m.state.tables[t]), nil
}

func (m *model) Sync(context.Context) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.state == nil {
		return engine.ErrClosed
	}
	return nil
}
