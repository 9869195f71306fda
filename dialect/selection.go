package dialect

import (
	"errors"
	"fmt"

	"omnibus/bus"
	"omnibus/topic"
)

// Selection is a list of patterns of which a message that matches several is
// wanted once: what leaves the bus towards a dialect without subscriptions of
// its own, or what one listener asked for.
type Selection struct {
	patterns []topic.Pattern
}

// SelectionOf is a selection by patterns that have been parsed.
func SelectionOf(patterns ...topic.Pattern) *Selection { return &Selection{patterns} }

// NewSelection parses the patterns, in the text form of topic.Parse. The error
// names every one that is wrong.
func NewSelection(patterns []string) (*Selection, error) {
	s := new(Selection)
	var errs []error
	for _, text := range patterns {
		p, err := topic.Parse(text)
		if err != nil {
			errs = append(errs, fmt.Errorf("%q: %w", text, err))
			continue
		}
		s.patterns = append(s.patterns, p)
	}
	return s, errors.Join(errs...)
}

// Subscribe subscribes a peer to every pattern. The terms' Tag is the
// selection's own.
func (s *Selection) Subscribe(p Peer, t Terms) error {
	for i, pattern := range s.patterns {
		t.Tag = i
		if _, err := p.Subscribe(pattern, t); err != nil {
			return fmt.Errorf("subscribing to %s: %w", pattern, err)
		}
	}
	return nil
}

// First reports whether a subscription that was made by Subscribe is the first
// of the selection that matches the name; a receiver ignores the others.
func (s *Selection) First(sub *bus.Subscription, name string) bool {
	rank, _ := sub.Options().Tag.(int)
	for _, p := range s.patterns[:rank] {
		if p.Match(name) {
			return false
		}
	}
	return true
}
