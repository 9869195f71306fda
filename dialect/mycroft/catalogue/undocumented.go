package catalogue

import "slices"

// undocumented are the types of the original programs that their documentation
// leaves out.
func undocumented() []Type {
	event := []Field{{"event", "text", "name of the scheduled event"}}
	return slices.Concat(
		one("connected", Event, "The hub has accepted the connection; the newcomer alone gets it."),
		one("mycroft.stop.handled", Event, "A skill has reacted to mycroft.stop."),
		one("mycroft.speech.recognition.unknown", Event, "Something was said that could not be recognised."),
		one("mycroft.skills.trained", Event, "The intents of all skills can be recognised."),
		one("mycroft.scheduler.schedule_event", Request, "Send a message at a later time.", event...),
		one("mycroft.scheduler.remove_event", Request, "Forget a scheduled message.", event...),
		one("mycroft.scheduler.update_event", Request, "Change the data of a scheduled message.", event...),
		one("mycroft.scheduler.get_event", Query, "When is a scheduled message due?", Field{"name", "text", "name of the scheduled event"}),
		alike(Request, "Teach the intent service, or let it forget.", nil,
			"register_vocab", "register_intent", "detach_intent", "detach_skill",
			"padatious:register_intent", "padatious:register_entity"),
		one("intent.service.*.get", Family, "What does the intent service know?"),
		alike(Request, "Add to what the conversation is about, or take it away.", nil, "add_context", "remove_context"),
		one("active_skill_request", Request, "Make a skill the one that is talked to.", skillID),
		one("skillmanager.keep", Request, "End all skills but one.", Field{"skill", "text", "its directory"}),
		one("skillmanager.activate", Request, "Load a skill that was deactivated.", Field{"skill", "text", "its directory, or all"}),
		alike(Request, "Change what the screen shows.", nil,
			"gui.page.show", "gui.page.delete", "gui.value.set", "gui.clear.namespace", "gui.event.send"),
		one("gui.status.request", Query, "Is a screen connected?"),
		one("gui.status.request.response", Answer, "Whether a screen is connected.", Field{"connected", "bool", ""}),
		one("mycroft.gui.connected", Request, "A screen wants to know where the bus for screens is.", Field{"gui_id", "text", ""}),
		one("mycroft.gui.port", Answer, "Where the bus for screens is.", Field{"port", "number", ""}, Field{"gui_id", "text", ""}),
		one("mycroft.gui.screen.close", Request, "Close the page of a skill."),
		one("mycroft.device.show.idle", Request, "Show what is shown when nothing happens."),
		one("mycroft.audio.service.queue", Request, "Add tracks to the list that is played.", Field{"tracks", "list", "addresses of the tracks"}),
		alike(Request, "Go forward or back in the track.", []Field{{"seconds", "number", ""}},
			"mycroft.audio.service.seek_forward", "mycroft.audio.service.seek_backward"),
		one("mycroft.audio.playing_track", Event, "A track has begun.", Field{"track", "text", ""}),
		one("mycroft.audio.queue_end", Event, "The list of tracks has come to its end."),
		one("enclosure.weather.display", Request, "Show the weather on the display."),
		alike(Family, "Control of the device: its eyes, its mouth, its system.", nil,
			"enclosure.eyes.*", "enclosure.mouth.*", "enclosure.system.*"),
		one("backend.down", Event, "The server behind the device cannot be reached."),
	)
}
