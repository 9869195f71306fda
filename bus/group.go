package bus

import (
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"omnibus/topic"
)

// Member is what a Receiver in a group may be, too: one that tells how busy it
// is. Without it a receiver always counts as ready.
type Member interface {
	// Load returns how many messages wait for the receiver beyond what it can
	// take now, 0 when it takes more at once. It is not present when its client
	// is away and messages are kept for it. It runs on a publisher's goroutine
	// for every message that it may get, and must not block.
	Load() (waiting int, present bool)
}

// Selective is what a Receiver in a group may be, too: one that cannot have
// everything that its pattern matches. It is passed over, where its Deliver
// would have to throw the message away.
type Selective interface {
	// Admits reports whether the receiver takes messages on topic, now. It is
	// called as Load is.
	Admits(topic string) bool
}

// groups are those of one bus. Only who joins or leaves takes the lock.
type groups struct {
	mu      sync.Mutex
	byKey   map[groupKey]*group
	members int // of all groups
}

// groupKey tells one group from another.
type groupKey struct {
	name string
	kind topic.Kind
	text string // of the pattern
}

func (s *Subscription) groupKey() groupKey {
	return groupKey{name: s.opts.Group, kind: s.pattern.Kind(), text: s.pattern.Text()}
}

// group is one entry of the topic index for several subscriptions. Its head is
// what the index holds; the members are not in it.
type group struct {
	head    Subscription
	members atomic.Pointer[[]member] // never changed, replaced
	turn    atomic.Uint32            // the place in members of who is next
}

// member is a subscription with what choose asks of its receiver.
type member struct {
	sub  *Subscription
	load Member    // nil: always ready
	only Selective // nil: takes everything
}

// join adds s to its group, which it makes when s is the first.
func (b *Bus) join(s *Subscription) {
	s.opts.SkipRetained = true
	b.groups.mu.Lock()
	defer b.groups.mu.Unlock()
	g := b.groups.byKey[s.groupKey()]
	isNew := g == nil
	if isNew {
		s.opts.Group = strings.Clone(s.opts.Group)
		g = &group{head: Subscription{bus: b, pattern: s.pattern, opts: AttachOptions{Group: s.opts.Group}}}
		g.head.to = g
		g.members.Store(new([]member))
		if b.groups.byKey == nil {
			b.groups.byKey = make(map[groupKey]*group)
		}
		b.groups.byKey[s.groupKey()] = g
	}
	s.opts.Group = g.head.opts.Group
	m := member{sub: s}
	m.load, _ = s.to.(Member)
	m.only, _ = s.to.(Selective)
	// Readers of the old list do not see what is beyond its length.
	list := append(*g.members.Load(), m)
	g.members.Store(&list)
	b.groups.members++
	if isNew {
		b.index.Insert(s.pattern, &g.head)
	}
}

// leave takes s out of its group, and the group out of the index when s was the
// last. It reports whether s was there.
func (b *Bus) leave(s *Subscription) bool {
	b.groups.mu.Lock()
	defer b.groups.mu.Unlock()
	g := b.groups.byKey[s.groupKey()]
	if g == nil {
		return false
	}
	old := *g.members.Load()
	i := slices.IndexFunc(old, func(m member) bool { return m.sub == s })
	if i < 0 {
		return false
	}
	list := slices.Concat(old[:i], old[i+1:])
	g.members.Store(&list)
	b.groups.members--
	if len(list) == 0 {
		b.index.Remove(s.pattern, &g.head)
		delete(b.groups.byKey, s.groupKey())
	}
	return true
}

// Deliver hands m to one member. The paths of publishing choose for themselves.
func (g *group) Deliver(m *Message, _ *Subscription) {
	if s := g.choose(m.Topic, m.Origin, nil); s != nil {
		s.to.Deliver(m, s)
	}
}

// choose returns the member whose message this is, other than except, or nil
// when none wants it. The next after it begins the search for the following
// message, so that members take turns, also among those that are left when
// others are passed over.
func (g *group) choose(name string, from *Origin, except *Subscription) *Subscription {
	const tries = 4 // beyond them the turns are a little less fair, not slower
	for try := 1; ; try++ {
		list := *g.members.Load()
		turn := g.turn.Load()
		at := pick(list, int(turn), name, from, except)
		if at < 0 {
			return nil
		}
		if g.turn.CompareAndSwap(turn, uint32(at+1)) || try == tries {
			return list[at].sub
		}
	}
}

// pick returns the place of the first member from turn on that takes more at
// once; without one, of the first with the least load; -1 when none may have
// the message.
func pick(list []member, turn int, name string, from *Origin, except *Subscription) int {
	const away = 1 << 40 // more than can wait for one that is present
	best, least := -1, int64(0)
	at := turn
	for range list {
		if at >= len(list) { // it is past the end, or the list has become shorter
			at = 0
		}
		m := &list[at]
		at++
		if m.sub == except || !m.sub.wants(from) {
			continue
		}
		var load int64
		if m.load != nil {
			waiting, present := m.load.Load()
			load = int64(max(waiting, 0))
			if !present {
				load += away
			}
		}
		if best >= 0 && load >= least {
			continue
		}
		if m.only != nil && !m.only.Admits(name) {
			continue
		}
		best, least = at-1, load
		if load == 0 {
			break
		}
	}
	return best
}

// another chooses a member of the group of s that is not s, which may have ended.
func (b *Bus) another(s *Subscription, name string, from *Origin) *Subscription {
	if s.opts.Group == "" || b.closed.Load() {
		return nil
	}
	b.groups.mu.Lock()
	g := b.groups.byKey[s.groupKey()] // not what s joined, if that had ended meanwhile
	b.groups.mu.Unlock()
	if g == nil {
		return nil
	}
	return g.choose(name, from, s)
}

// Redeliver hands a message that the receiver of s got and could not complete
// to another member of the group, chosen as for a new message; it never waits
// for a full queue. s may have ended. It reports whether there was another
// member to hand it to; there is none when s is in no group or the bus is
// closed. A receiver that gives away in Deliver what it can never take must be
// Selective about it, or two of them hand a message to and fro for ever.
func (s *Subscription) Redeliver(m *Message) bool {
	other := s.bus.another(s, m.Topic, m.Origin)
	if other == nil {
		return false
	}
	m.use(s.bus.opts.Codecs)
	_ = deliver(s.bus.ctx, other, m, nil, false)
	return true
}

// SubscriptionCount returns how many subscriptions there are.
func (b *Bus) SubscriptionCount() int {
	b.groups.mu.Lock()
	defer b.groups.mu.Unlock()
	return b.index.Len() - len(b.groups.byKey) + b.groups.members
}

// Subscriptions lists what is subscribed, in no order.
func (b *Bus) Subscriptions() []*Subscription {
	var all []*Subscription
	for _, s := range b.index.All() {
		g, ok := s.to.(*group)
		if !ok {
			all = append(all, s)
			continue
		}
		for _, m := range *g.members.Load() {
			all = append(all, m.sub)
		}
	}
	return all
}
