package topic

import (
	"fmt"
	"strings"
)

// isFilter tells whether text has a level that is "+" or "#". For a valid filter
// it tells whether there is a wildcard.
func isFilter(text string) bool {
	for {
		level, rest, more := strings.Cut(text, "/")
		if level == "+" || level == "#" {
			return true
		}
		if !more {
			return false
		}
		text = rest
	}
}

// filterFault says which rule of MQTT 5.0 section 4.7 the filter breaks, and
// where; it is empty when it breaks none.
func filterFault(text string) string {
	at := strings.IndexAny(text, "+#")
	for at >= 0 {
		alone := (at == 0 || text[at-1] == '/') && (at == len(text)-1 || text[at+1] == '/')
		switch {
		case !alone: // [MQTT-4.7.1-1], [MQTT-4.7.1-2]
			return fmt.Sprintf("byte %d: '%c' must be a whole level", at, text[at])
		case text[at] == '#' && at != len(text)-1: // [MQTT-4.7.1-1]
			return fmt.Sprintf("byte %d: '#' must be the last level", at)
		}
		next := strings.IndexAny(text[at+1:], "+#")
		if next < 0 {
			break
		}
		at += 1 + next
	}
	return ""
}

// matchFilter tells whether a valid filter matches name.
func matchFilter(filter, name string) bool {
	if name != "" && name[0] == '$' && (filter[0] == '+' || filter[0] == '#') {
		return false // [MQTT-4.7.2-1]
	}
	at := 0
	for i := range len(filter) {
		switch c := filter[i]; {
		case c == '+': // a whole level, as is '#', because the filter is valid
			for at < len(name) && name[at] != '/' {
				at++
			}
		case c == '#':
			return true
		case at == len(name):
			return filter[i:] == "/#" // '#' includes the parent
		case c != name[at]:
			return false
		default:
			at++
		}
	}
	return at == len(name)
}
