package broker

import (
	"context"
	"time"

	"omnibus/bus"
)

// StatusService is the name of the service that tells how the broker is; every
// dialect can call it.
const StatusService = ownPrefix + "status"

// ownPrefix begins the names of services that only the broker provides.
const ownPrefix = "omnibus."

// Status is what StatusService answers.
type Status struct {
	Version       string                      `json:"version"`
	UptimeSeconds int64                       `json:"uptime_seconds"`
	Engine        string                      `json:"engine"`
	Durability    string                      `json:"durability"`
	Peers         map[string]int              `json:"peers"`    // connected, by dialect
	Sessions      map[string]int              `json:"sessions"` // whose connection is gone, by dialect
	Subscriptions int                         `json:"subscriptions"`
	Services      []string                    `json:"services"`
	Retained      int                         `json:"retained"`
	Counters      map[string]map[string]int64 `json:"counters"`
}

// Status returns how the broker is, seen from the default tenant.
func (b *Broker) Status() Status {
	s := b.space("")
	promise := b.opts.Engine.Promise()
	st := Status{
		Version:       b.opts.Version,
		UptimeSeconds: int64(time.Since(b.started).Seconds()),
		Engine:        promise.Name,
		Durability:    promise.Durability.String(),
		Peers:         make(map[string]int),
		Sessions:      make(map[string]int),
		Subscriptions: s.bus.SubscriptionCount(),
		Services:      []string{},
		Retained:      s.retained.len(),
		Counters:      b.counters.Snapshot(),
	}
	for _, x := range s.bus.Services() {
		st.Services = append(st.Services, x.Name)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for p := range b.peers {
		switch {
		case p.space != s || p.hello.Internal:
		case p.isSuspended():
			st.Sessions[p.hello.Dialect]++
		default:
			st.Peers[p.hello.Dialect]++
		}
	}
	return st
}

func (b *Broker) exposeStatus() error {
	_, err := bus.Expose(b.Bus(""), StatusService, func(context.Context, struct{}) (Status, error) {
		return b.Status(), nil
	})
	return err
}
