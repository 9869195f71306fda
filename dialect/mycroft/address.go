package mycroft

import (
	"slices"
	"strings"

	"omnibus/dialect/mycroft/catalogue"
)

// localEvents are the names under which the clients' own libraries tell of
// their connection. They share one table with message types there, and some
// make old clients reconnect, so no message of that name is sent to them.
var localEvents = []string{"open", "close", "message", "error", "reconnecting"}

func isLocalEvent(name string) bool { return slices.Contains(localEvents, name) }

// greetingType is the type by which a hub greets its clients: it is no news to others.
const greetingType = "connected"

// defaultExport are the topics that look like message types: without "/" and
// with "." or ":", and the types of the catalogue that have neither.
func defaultExport() []string {
	all := []string{"regex:[^/]*[.:][^/]*"}
	for _, t := range slices.Concat(catalogue.Types(), catalogue.Undocumented()) {
		if catalogue.Known(t.Name) && t.Name != greetingType && !strings.ContainsAny(t.Name, ".:/") {
			all = append(all, t.Name)
		}
	}
	return all
}
