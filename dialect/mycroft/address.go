package mycroft

import "slices"

// localEvents are the names under which the clients' own libraries tell of
// their connection. They share one table with message types there, and some
// make old clients reconnect, so no message of that name is sent to them.
var localEvents = []string{"open", "close", "message", "error", "reconnecting"}

func isLocalEvent(name string) bool { return slices.Contains(localEvents, name) }

// defaultExport are the topics that look like message types: without "/" and
// with "." or ":", and the documented types that have neither.
func defaultExport() []string {
	return []string{
		"regex:[^/]*[.:][^/]*",
		"speak", "complete_intent_failure",
		"register_vocab", "register_intent", "detach_intent", "detach_skill",
		"add_context", "remove_context", "active_skill_request",
	}
}
