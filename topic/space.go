package topic

import "strings"

// space is a Rembus space made ready to match. Its text is cut at each "**" into
// chunks, and each chunk at each '*' into literals:
//
//	a/*/x**b*c   →   [a/ /x] [b c]
//
// The first chunk stands at the start of a name, the last one at its end, and
// each one between is taken at the first place where it fits, because "**" can
// take up what is left out. Within a chunk the same holds for each '*' up to the
// next slash. Hence nothing is ever tried twice, and matching costs at most the
// product of the lengths.
type space struct {
	chunks [][]string
	ats    int  // number of '@' in the literals
	all    bool // the space "**", the only one that matches a name without '/'
}

// compileSpace makes a text that contains '*' ready to match.
func compileSpace(text string) space {
	var s space
	for chunk := range strings.SplitSeq(text, "**") {
		s.chunks = append(s.chunks, strings.Split(chunk, "*"))
	}
	s.ats = strings.Count(text, "@")
	s.all = text == "**"
	return s
}

// match tells whether the whole name fits the space.
func (s *space) match(name string) bool {
	// Captures contain no '@'. When the counts agree, all of them are in
	// literals, whatever the captures are.
	if strings.Count(name, "@") != s.ats {
		return false
	}
	if s.all {
		return true
	}
	if strings.IndexByte(name, '/') < 0 {
		return false
	}
	first, last := s.chunks[0], s.chunks[len(s.chunks)-1]
	if !strings.HasPrefix(name, first[0]) {
		return false
	}
	if len(s.chunks) == 1 {
		return fitsWhole(first, name)
	}
	end, ok := stars(first, name, len(first[0]))
	if !ok {
		return false
	}
	begin, ok := starsBack(last, name)
	if !ok || begin < end {
		return false
	}
	name = name[end:begin]
	for _, chunk := range s.chunks[1 : len(s.chunks)-1] {
		if end, ok = fitsFirst(chunk, name); !ok {
			return false
		}
		name = name[end:]
	}
	return true
}

// fitsWhole tells whether name, which begins with the chunk's first literal, is
// the chunk and nothing else.
func fitsWhole(chunk []string, name string) bool {
	last := len(chunk) - 1
	if last == 0 {
		return name == chunk[0]
	}
	at, ok := stars(chunk[:last], name, len(chunk[0]))
	if !ok || !strings.HasSuffix(name, chunk[last]) {
		return false
	}
	begin := len(name) - len(chunk[last])
	return begin > at && strings.IndexByte(name[at:begin], '/') < 0
}

// fitsFirst finds the chunk at the first place in name where it fits, and
// returns the position after it.
func fitsFirst(chunk []string, name string) (end int, ok bool) {
	from := 0
	for {
		at := strings.Index(name[from:], chunk[0])
		if at < 0 {
			return 0, false
		}
		at += from
		if end, ok = stars(chunk, name, at+len(chunk[0])); ok {
			return end, true
		}
		// A later place in the same level would meet the same slash too early.
		slash := strings.IndexByte(name[at:], '/')
		if slash < 0 {
			return 0, false
		}
		from = at + slash + 1
	}
}

// stars matches each '*' of the chunk and the literal after it, from position
// at, and returns the first position where the chunk can end.
func stars(chunk []string, name string, at int) (end int, ok bool) {
	for _, literal := range chunk[1:] {
		stop := strings.IndexByte(name[at:], '/') // the capture cannot pass it
		if stop < 0 {
			stop = len(name)
		} else {
			stop += at
		}
		if stop == at {
			return 0, false // '*' takes at least one character
		}
		window := name[at+1 : min(len(name), stop+len(literal))]
		found := strings.Index(window, literal)
		if found < 0 {
			return 0, false
		}
		at += 1 + found + len(literal)
	}
	return at, true
}

// starsBack matches the chunk against the end of name, from right to left, and
// returns the last position where it can begin.
func starsBack(chunk []string, name string) (begin int, ok bool) {
	last := len(chunk) - 1
	if !strings.HasSuffix(name, chunk[last]) {
		return 0, false
	}
	at := len(name) - len(chunk[last])
	for i := last - 1; i >= 0; i-- {
		literal := chunk[i]
		stop := strings.LastIndexByte(name[:at], '/') + 1 // the capture cannot pass it
		if stop == at {
			return 0, false
		}
		from := max(0, stop-len(literal))
		found := strings.LastIndex(name[from:at-1], literal)
		if found < 0 {
			return 0, false
		}
		at = from + found
	}
	return at, true
}
