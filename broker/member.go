package broker

import (
	"omnibus/auth"
	"omnibus/bus"
	"omnibus/dialect"
)

var (
	_ bus.Member    = (*peer)(nil)
	_ bus.Selective = (*peer)(nil)
)

// Load tells the groups of the peer's subscriptions how busy its session is; see
// bus.Member. A session that panics over the question is expelled.
func (p *peer) Load() (waiting int, present bool) {
	if p.gone.Load() {
		return 0, false
	}
	s, ok := p.hello.Subscriber.(dialect.Member)
	if !ok {
		return 0, true
	}
	defer p.recovered("")
	return s.Load()
}

// Admits keeps messages that the peer may not have, or is no longer there for,
// from being lost when another member of a group can have them.
func (p *peer) Admits(name string) bool {
	if p.gone.Load() {
		return false
	}
	if p.broker.open || p.broker.opts.Access.Allow(p.principal.Load(), auth.Receive, name) {
		return true
	}
	p.broker.count.denied.Add(1)
	return false
}
