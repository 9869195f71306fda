package config

import (
	"strings"
)

// unknown says that a key is not among the known ones, and which was probably
// meant.
func unknown(key string, known []string) string {
	if s := nearest(key, known); s != "" {
		return "unknown key, did you mean " + s + "?"
	}
	if len(known) == 0 {
		return "unknown key, there are no settings here"
	}
	return "unknown key, expected one of: " + enumerate(known, 24)
}

// enumerate returns the first names of a list.
func enumerate(names []string, most int) string {
	if len(names) > most {
		return strings.Join(names[:most], ", ") + ", …"
	}
	return strings.Join(names, ", ")
}

// nearest returns the known name that is a slip of the pen away from key, or
// "".
func nearest(key string, known []string) string {
	if len(key) > 64 {
		return ""
	}
	key = plainName(key)
	best, least := "", max(1, len(key)/3)+1
	for _, k := range known {
		if d := distance(key, plainName(k)); d < least {
			best, least = k, d
		}
	}
	return best
}

// plainName takes out what people remember differently.
func plainName(s string) string {
	return strings.NewReplacer("-", "", "_", "", " ", "").Replace(strings.ToLower(s))
}

// distance counts the letters to insert, remove, replace or swap with their
// neighbour to turn a into b.
func distance(a, b string) int {
	before, prev, cur := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range prev {
		prev[j] = j
	}
	for i := 1; i <= len(a); i++ {
		cur[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			cur[j] = min(prev[j]+1, cur[j-1]+1, prev[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				cur[j] = min(cur[j], before[j-2]+1)
			}
		}
		before, prev, cur = prev, cur, before
	}
	return prev[len(b)]
}
