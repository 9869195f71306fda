package broker

import (
	"sync"
	"sync/atomic"

	"omnibus/dialect"
)

// Counters are the program's event counters by group (a dialect's name, or
// "broker") and name. The zero value is ready to use.
type Counters struct {
	mu     sync.Mutex
	groups map[string]map[string]*counter
}

// counter has a cache line of its own: others are counted on other processors.
type counter struct {
	n atomic.Int64
	_ [56]byte
}

func (c *counter) Add(n int64) { c.n.Add(n) }

// Group returns the function that dialect.Env hands to a dialect.
func (c *Counters) Group(name string) func(string) dialect.Counter {
	get := c.group(name)
	return func(name string) dialect.Counter { return get(name) }
}

func (c *Counters) group(group string) func(string) *counter {
	return func(name string) *counter {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.groups == nil {
			c.groups = make(map[string]map[string]*counter)
		}
		g := c.groups[group]
		if g == nil {
			g = make(map[string]*counter)
			c.groups[group] = g
		}
		if g[name] == nil {
			g[name] = new(counter)
		}
		return g[name]
	}
}

// Snapshot returns the counters as they are now, by group and name.
func (c *Counters) Snapshot() map[string]map[string]int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := make(map[string]map[string]int64, len(c.groups))
	for group, names := range c.groups {
		all[group] = make(map[string]int64, len(names))
		for name, n := range names {
			all[group][name] = n.n.Load()
		}
	}
	return all
}
