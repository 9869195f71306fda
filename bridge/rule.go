package bridge

import (
	"strings"

	"omnibus/client/mqtt"
)

// rename puts one prefix in the place of another. Not ok: the name does not begin
// with it, or nothing is left.
func rename(name, from, to string) (string, bool) {
	rest, ok := strings.CutPrefix(name, from)
	if !ok || to+rest == "" {
		return "", false
	}
	if from == to {
		return name, true
	}
	return to + rest, true
}

// rule returns the rule for a topic of the other broker.
func (c *Config) rule(topic string) *In {
	for i := range c.In {
		if mqtt.Match(c.In[i].Filter, topic) {
			return &c.In[i]
		}
	}
	return nil
}

// overlap tells whether a topic may match both filters.
func overlap(a, b string) bool {
	for {
		if a == "#" || b == "#" {
			return true
		}
		x, restA, moreA := strings.Cut(a, "/")
		y, restB, moreB := strings.Cut(b, "/")
		if x != y && x != "+" && y != "+" {
			return false
		}
		switch {
		case !moreA && !moreB:
			return true
		case !moreA:
			return restB == "#" // a/# matches a, too
		case !moreB:
			return restA == "#"
		}
		a, b = restA, restB
	}
}
