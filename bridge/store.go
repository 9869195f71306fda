package bridge

import (
	"sync"

	"omnibus/bus"
)

// parcel is a message on its way out.
type parcel struct {
	m      *bus.Message // kept
	topic  string       // at the other broker
	qos    byte
	retain bool
	size   int
}

// store holds what waits to go out, first to last. It is bounded.
type store struct {
	messages int
	bytes    int

	mu    sync.Mutex
	list  []parcel // from head on
	head  int
	held  int
	freed chan struct{} // holds one when something was taken out
	ready chan struct{} // holds one when something is there
}

func newStore(s Store) *store {
	return &store{messages: s.Messages, bytes: int(s.Bytes), freed: make(chan struct{}, 1), ready: make(chan struct{}, 1)}
}

// push adds a parcel; false when there is no room. One is always taken.
func (s *store) push(p parcel) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := len(s.list) - s.head
	if n >= s.messages || n > 0 && s.held+p.size > s.bytes {
		return false
	}
	if s.head > 64 && s.head > len(s.list)/2 {
		left := copy(s.list, s.list[s.head:])
		clear(s.list[left:])
		s.list, s.head = s.list[:left], 0
	}
	s.list = append(s.list, p)
	s.held += p.size
	signal(s.ready)
	return true
}

// first returns the one that is to go next, which stays.
func (s *store) first() (p parcel, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.head == len(s.list) {
		return parcel{}, false
	}
	return s.list[s.head], true
}

// drop takes the first out.
func (s *store) drop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.held -= s.list[s.head].size
	s.list[s.head] = parcel{}
	if s.head++; s.head == len(s.list) {
		s.list, s.head = s.list[:0], 0
		if cap(s.list) > 1024 { // it was long once
			s.list = nil
		}
	}
	signal(s.freed)
}

// roomy tells that the store is at most half full.
func (s *store) roomy() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.list)-s.head <= s.messages/2 && s.held <= s.bytes/2
}

// signal puts something in a channel of one place, if there is nothing.
func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
