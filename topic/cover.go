package topic

import "strings"

// maxDepth bounds the trees of levels: what is deeper is not told apart by
// branches, but by matching one pattern or name after the other.
const maxDepth = 64

// edge says how a covering filter goes on.
type edge uint8

const (
	edgeLiteral edge = iota // one level with a given text
	edgePlus                // one level with any text
	edgeEnd                 // no more levels
	edgeRest                // any number of levels, also none
)

// cover walks the covering filter of a pattern: the closest filter made of
// literal levels, '+' and a final '#' that matches every name the pattern
// matches. Where the cover matches more than the pattern does, verify is set
// once the walk has ended, and Pattern.Match decides.
type cover struct {
	text   string // levels to come
	kind   Kind
	end    edge // how the cover ends
	done   bool // no levels to come
	verify bool
	depth  uint8
}

// coverOf begins the walk.
func coverOf(p Pattern) cover {
	c := cover{text: p.text, kind: p.kind, end: edgeEnd}
	switch p.kind {
	case Space:
		c.verify = true
	case Regex:
		c.text = p.comp.regex.prefix
		if p.comp.regex.literal {
			break
		}
		c.verify, c.end = true, edgeRest
		slash := strings.LastIndexByte(c.text, '/')
		if c.done = slash < 0; !c.done {
			c.text = c.text[:slash]
		}
	}
	return c
}

// next returns the next edge and, if it is a literal one, its level. After
// edgeEnd or edgeRest the walk is over.
func (c *cover) next() (string, edge) {
	if c.done {
		return "", c.end
	}
	if c.depth == maxDepth-1 {
		c.verify = true
		return "", c.over(edgeRest)
	}
	level, rest, more := strings.Cut(c.text, "/")
	c.depth++
	c.text, c.done = rest, !more
	switch c.kind {
	case Filter:
		if level == "#" {
			return "", c.over(edgeRest)
		}
		if level == "+" {
			return "", edgePlus
		}
	case Space:
		if strings.Contains(level, "**") {
			return "", c.over(edgeRest)
		}
		if strings.Contains(level, "*") {
			return "", edgePlus
		}
	}
	return level, edgeLiteral
}

func (c *cover) over(e edge) edge {
	c.done, c.end = true, e
	return e
}

// ownLevel returns level, a part of whole, as a node of a tree may keep it: a
// copy when keeping it would hold on to a much longer text.
func ownLevel(level, whole string) string {
	if len(whole) > 256 && len(whole) > 4*len(level) {
		return strings.Clone(level)
	}
	return level
}
