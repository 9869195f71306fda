package jetstream

import "omnibus/bus"

// gapSize is how far positions jump when the journal was not closed: beyond
// all that may have been given out, read, and lost.
const gapSize = 1 << 32

// gap says that no entry lies between two positions.
type gap struct {
	After bus.Position `json:"after"` // the last entry before it
	Next  bus.Position `json:"next"`  // the first one behind it, when there is one
}

// marks are the positions of a journal.
type marks struct {
	first bus.Position // the oldest entry held; last+1 when none is
	last  bus.Position // the newest ever appended
	gone  bus.Position // the newest one given up
	next  bus.Position // what the next one gets
	gaps  []gap        // in order
}

// appended counts an entry that got position next.
func (m *marks) appended() {
	if m.first > m.last { // none was held
		m.first = m.next
	}
	m.last = m.next
	m.next++
}

// held returns the position of the first entry at p or after it; p is not
// beyond the end.
func (m *marks) held(p bus.Position) bus.Position {
	p = max(p, m.first)
	for _, g := range m.gaps {
		if g.After < p && p < g.Next {
			return g.Next
		}
	}
	return p
}

// before returns the position of the last entry before p.
func (m *marks) before(p bus.Position) bus.Position {
	for _, g := range m.gaps {
		if g.After < p && p <= g.Next {
			return g.After
		}
	}
	return p - 1
}

// count returns how many entries are held.
func (m *marks) count() uint64 {
	n := uint64(m.last + 1 - m.first)
	for _, g := range m.gaps {
		if m.first <= g.After && g.Next <= m.last {
			n -= uint64(g.Next - g.After - 1)
		}
	}
	return n
}

// giveUp moves the beginning to a position and returns how many entries went.
func (m *marks) giveUp(before bus.Position) (n uint64) {
	if m.first > m.last || before <= m.first {
		return 0
	}
	from := m.first
	if before > m.last {
		m.gone, m.first = m.last, m.last+1
	} else {
		m.gone, m.first = m.before(before), m.held(before)
	}
	n = uint64(m.gone - from + 1)
	for len(m.gaps) > 0 && m.gaps[0].Next <= m.gone {
		if m.gaps[0].After >= from {
			n -= uint64(m.gaps[0].Next - m.gaps[0].After - 1)
		}
		m.gaps = m.gaps[1:]
	}
	return n
}

// saved is what an engine notes about its journal: when it opens, which it
// does before anything is appended, and when it closes.
type saved struct {
	Clean bool         `json:"clean"` // everything was flushed
	Last  bus.Position `json:"last"`
	Gone  bus.Position `json:"gone"`
	Next  bus.Position `json:"next"`
	Gaps  []gap        `json:"gaps,omitempty"`
}

// resume finds the marks of a journal whose stream holds entries from
// streamFirst to streamLast, zero if none; purged says that it held more.
func resume(s saved, streamFirst, streamLast bus.Position, purged bool) marks {
	m := marks{last: streamLast, gone: s.Gone, next: s.Next, gaps: s.Gaps}
	switch {
	case s.Clean && (s.Last == streamLast || streamLast == 0):
		m.last = s.Last
	case s.Next == 0 && streamLast == 0: // new
		m.next = 1
	default:
		// Positions after the last may have been given out and seen.
		if n := len(m.gaps); n > 0 && m.gaps[n-1].After >= m.last {
			m.gaps = m.gaps[:n-1] // nothing came to lie behind it
		}
		m.next = max(m.last+1, s.Last+1, s.Next) + gapSize
		m.gaps = append(m.gaps, gap{m.last, m.next})
	}
	m.next = max(m.next, m.last+1)
	if streamFirst > 0 && purged {
		m.gone = max(m.gone, m.before(streamFirst))
	}
	m.gone = min(m.gone, m.last)
	if streamFirst > 0 && m.gone < m.last {
		m.first = m.held(max(streamFirst, m.gone+1))
	} else {
		m.first = m.last + 1
	}
	return m
}
