package catalogue

import "slices"

// skills are the types of skills and of what installs them.
func skills() []Type {
	intent := []Field{{"intent_name", "text", ""}}
	folder := []Field{{"id", "text", ""}, {"folder", "text", ""}}
	skill := []Field{{"skill", "text", "name of the skill"}}
	failed := []Field{{"skill", "text", "name of the skill"}, {"error", "text", "what went wrong"}}
	return slices.Concat(
		one("mycroft.skill.handler.start", Event, "The handler of an intent has begun.", Field{"handler", "text", "its name"}),
		one("mycroft.skill.handler.complete", Event, "The handler of an intent has ended."),
		one("mycroft.skill.enable_intent", Request, "Let an intent be recognised again.", intent...),
		one("mycroft.skill.disable_intent", Request, "Do not recognise an intent for now.", intent...),
		one("mycroft.skills.loaded", Event, "A skill has been loaded.",
			Field{"id", "text", ""}, Field{"name", "text", ""}, Field{"path", "text", ""},
			Field{"modified", "number", "when its files last changed"}),
		one("mycroft.skills.loading_failure", Event, "A skill could not be loaded.", folder...),
		one("mycroft.skills.shutdown", Event, "A skill has been ended.", folder...),
		one("mycroft.skills.initialized", Event, "All skills have been loaded."),
		one("mycroft.skills.list", Answer, "The skills there are: the answer to skillmanager.list.", Field{"skills", "list", "their ids"}),
		one("mycroft.skills.settings.update", Request, "Fetch new settings of the skills."),
		one("msm.updating", Event, "The skill installer has begun to update. (Its page has exchanged this text with that of msm.installing.)"),
		one("msm.installing", Event, "The skill installer has begun to install."),
		one("msm.install.succeeded", Event, "A skill has been installed.", skill...),
		one("msm.remove.succeeded", Event, "A skill has been removed.", skill...),
		one("msm.install.failed", Event, "A skill could not be installed.", failed...),
		one("msm.remove.failed", Event, "A skill could not be removed.", failed...),
		one("msm.installed", Event, "The skill installer has finished installing."),
		one("msm.updated", Event, "The skill installer has finished updating."),
		one("msm.removing", Event, "The skill installer has begun to remove."),
		one("msm.removed", Event, "The skill installer has finished removing."),
		one("skillmanager.deactivate", Request, "End a skill until it is activated again.", Field{"skill", "text", "its directory"}),
		one("skillmanager.list", Query, "Which skills are there? mycroft.skills.list answers."),
		one("skillmanager.update", Request, "Update all skills now."),
	)
}

// system are the local events and what administers the device.
func system() []Type {
	return slices.Concat(
		one("open", Local, "The client library is connected. (The page has rotated the texts of the three local events.)"),
		one("close", Local, "The connection of the client library has ended."),
		one("reconnecting", Local, "The client library is about to connect again."),
		one("system.wifi.setup", Request, "Begin to set up the wireless network."),
		one("system.wifi.reset", Request, "Forget the settings of the wireless network."),
		one("system.ntp.sync", Request, "Set the clock by a time server."),
		one("system.ssh.enable", Request, "Let people log in by SSH."),
		one("system.ssh.disable", Request, "Let nobody log in by SSH."),
		one("system.reboot", Request, "Start the machine anew."),
		one("system.shutdown", Request, "Switch the machine off."),
		one("system.update", Request, "Update the system of the machine."),
	)
}

// conversations are the types with which skills compete for an answer, and the
// names set aside for everybody's own.
func conversations() []Type {
	return slices.Concat(
		one("play:query", Query, "Who can play what this phrase asks for? Answers are awaited for about a second.", phrase),
		one("play:query.response", Answer, "A player needs time (searching true), has nothing (searching false), or offers something (all other fields).",
			phrase, skillID, Field{"searching", "bool", "whether to wait for this skill"}, callback,
			Field{"service_name", "text", "the service that would play it"},
			Field{"conf", "number", "1.0 for an exact match, above 0.9 when several keys match, 0.8 a title, 0.7 an artist, 0.6 a genre, 0.5 something generic"}),
		one("play:start", Request, "The chosen player is to start.", skillID, phrase, callback),
		one("question:query", Query, "Who can answer this question?", phrase),
		one("question:query.response", Answer, "A skill needs time (searching true), or has an answer.",
			phrase, skillID, Field{"answer", "text", ""}, conf, callback,
			Field{"searching", "bool", "whether to wait for this skill"}),
		one("question:action", Event, "The answer of a skill was chosen; it may do more.", skillID, phrase, callback),
		one("private.mycroftai.has_alarm", Event, "How many alarms are set.", Field{"active_alarms", "number", ""}),
		one("skill.namespace.*", Family, "Messages of one skill: skill, its name, the message."),
		one("private.github_username.*", Family, "Messages nobody else is to use: private, the author's name at GitHub, the message."),
	)
}
