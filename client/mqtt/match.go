package mqtt

import (
	"strings"

	"omnibus/dialect/mqtt/packet"
)

// Match tells whether a topic filter matches a topic name, by the rules of MQTT: + is one level, # all that follow and
// the level before them, and neither is the first level of a name that begins with $. Of a shared subscription,
// $share/group/filter, the filter counts.
func Match(filter, name string) bool {
	if _, rest, ok := packet.SplitShared(filter); ok {
		filter = rest
	}
	if strings.HasPrefix(name, "$") && (strings.HasPrefix(filter, "+") || strings.HasPrefix(filter, "#")) {
		return false // MQTT-4.7.2-1
	}
	for {
		if filter == "#" {
			return true
		}
		f, moreFilter, deeperFilter := strings.Cut(filter, "/")
		n, moreName, deeperName := strings.Cut(name, "/")
		switch {
		case f != "+" && f != n:
			return false
		case !deeperFilter && !deeperName:
			return true
		case !deeperName:
			return moreFilter == "#" && deeperFilter // the parent level
		case !deeperFilter:
			return false
		}
		filter, name = moreFilter, moreName
	}
}
