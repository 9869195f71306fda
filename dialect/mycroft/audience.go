package mycroft

import (
	"slices"

	"omnibus/topic"
)

// audience knows which clients are to have a message. The hub's lock guards it,
// and what it keeps in the sessions.
type audience struct {
	all   []*session            // those that get everything
	some  topic.Index[*session] // those that have asked for some types
	count int
	turn  uint64                // of the message that is being sent
	names map[string][]*session // under which answers find a client

	scratch [8]*topic.Leaf[*session]
}

// seat is a client's place in the audience.
type seat struct {
	at     int        // in all
	chosen *selection // nil for everything
	turn   uint64     // of the last message that was sent to it
	names  []string   // the oldest first
}

// maxNames bounds the names by which one client is known.
const maxNames = 16

// enter takes a client in.
func (a *audience) enter(s *session) {
	a.count++
	a.place(s)
}

// leave lets a client go, and whatever is known of it.
func (a *audience) leave(s *session) {
	a.count--
	a.displace(s)
	for _, name := range s.seat.names {
		a.forget(name, s)
	}
	s.seat.names = nil
}

// choose changes what a client gets; nil is everything.
func (a *audience) choose(s *session, chosen *selection) {
	a.displace(s)
	s.seat.chosen = chosen
	a.place(s)
}

func (a *audience) place(s *session) {
	if s.seat.chosen == nil {
		s.seat.at = len(a.all)
		a.all = append(a.all, s)
		return
	}
	for _, p := range s.seat.chosen.patterns {
		a.some.Insert(p, s)
	}
}

func (a *audience) displace(s *session) {
	if s.seat.chosen == nil {
		last := len(a.all) - 1
		a.all[s.seat.at] = a.all[last]
		a.all[s.seat.at].seat.at = s.seat.at
		a.all[last] = nil
		a.all = a.all[:last]
		return
	}
	for _, p := range s.seat.chosen.patterns {
		a.some.Remove(p, s)
	}
}

// send hands a message of a type, which may have none, to the clients that are to
// have it, to each of them once.
func (a *audience) send(typ string, to *address, send func(*session)) {
	a.turn++
	once := func(s *session) {
		if s.seat.turn != a.turn {
			s.seat.turn = a.turn
			send(s)
		}
	}
	if to != nil && a.deliver(typ, to, once) {
		return
	}
	for _, s := range a.all {
		send(s)
	}
	if typ == "" || a.count == len(a.all) {
		return // who asks for types does not ask for what has none
	}
	for _, leaf := range a.some.Match(typ, a.scratch[:0]) {
		for _, s := range leaf.Values() {
			once(s)
		}
	}
}

// address is where an answer goes when answers go to their destination.
type address struct {
	names []string // of the destination
	// self gets it too, being its sender or the client that asked.
	self *session
	// enough: nobody else needs it when the destination is not known.
	enough bool
}

// deliver sends an answer to its address. It reports false, and does nothing, when
// that is not known and the answer has to go to all.
func (a *audience) deliver(typ string, to *address, send func(*session)) bool {
	known := len(to.names) > 0
	for _, name := range to.names {
		known = known && len(a.names[name]) > 0
	}
	if !known && !to.enough {
		return false
	}
	willing := func(s *session) {
		if s.seat.chosen == nil || s.seat.chosen.wants(typ) {
			send(s)
		}
	}
	if to.self != nil {
		willing(to.self) // it may have left; its outbox says so
	}
	if !known {
		return true
	}
	for _, name := range to.names {
		for _, s := range a.names[name] {
			willing(s)
		}
	}
	return true
}

// learn remembers a name that a client gives as its own.
func (a *audience) learn(name string, s *session) {
	if len(s.seat.names) == maxNames {
		a.forget(s.seat.names[0], s)
		s.seat.names = s.seat.names[1:]
	}
	s.seat.names = append(slices.Clip(s.seat.names), name)
	if a.names == nil {
		a.names = make(map[string][]*session)
	}
	a.names[name] = append(a.names[name], s)
}

func (a *audience) forget(name string, s *session) {
	rest := slices.DeleteFunc(a.names[name], func(x *session) bool { return x == s })
	if len(rest) == 0 {
		delete(a.names, name)
		return
	}
	a.names[name] = rest
}
