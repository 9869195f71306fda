package catalogue

import "slices"

// voice are the types of start-up, of listening and of speaking.
func voice() []Type {
	session := Field{"session", "text", "the interaction that this belongs to"}
	return slices.Concat(
		one("speak", Request, "Say a text aloud.", Field{"utterance", "text", "what to say"}, lang),
		one("mycroft.internet.connected", Event, "The network is reachable; told once, while starting."),
		one("mycroft.ready", Event, "Starting is finished, all parts are up."),
		one("mycroft.stop", Request, "Whoever is doing something for the user is to stop it."),
		one("mycroft.not.paired", Event, "The device belongs to no account yet, so pairing has to begin."),
		one("mycroft.paired", Event, "The device has been paired with an account."),
		one("mycroft.awoken", Event, "The device has left its sleep mode."),
		one("mycroft.debug.log", Request, "Change what is logged.",
			Field{"level", "text", "CRITICAL, ERROR, WARNING, INFO or DEBUG"},
			Field{"bus", "bool", "whether the traffic of the bus is logged too"}),
		one("complete_intent_failure", Event, "No skill could do anything with an utterance."),
		one("configuration.updated", Event, "The configuration has changed; read it again."),
		one("recognizer_loop:wakeword", Event, "The wake word was heard.",
			Field{"utterance", "text", "the wake word"}, session),
		alike(Event, "Recording of the user's voice has begun or ended.", nil,
			"recognizer_loop:record_begin", "recognizer_loop:record_end"),
		one("recognizer_loop:utterance", Request, "A text to be understood, spoken by the user or put in by a program.",
			Field{"utterances", "list", "the possible texts, the likeliest first"}, lang, session),
		alike(Event, "Output of speech has begun or ended.", nil,
			"recognizer_loop:audio_output_start", "recognizer_loop:audio_output_end"),
		one("recognizer_loop:sleep", Request, "Enter the sleep mode, in which only a wake-up phrase is listened for."),
		one("recognizer_loop:wake_up", Request, "Leave the sleep mode."),
		one("enclosure.notify.no_internet", Event, "Speech could not be recognised because the network failed."),
		one("enclosure.mouth.viseme_list", Request, "Move the mouth along with speech.",
			Field{"start", "number", "when the speech begins, as Unix time"},
			Field{"visemes", "list", "pairs of a mouth shape (0 to 6) and the second at which it ends"}),
		one("mycroft.eyes.default", Request, "Give the eyes their default colour."),
		one("mycroft.mic.listen", Request, "Record now, as if the wake word had been heard."),
		one("mycroft.mic.mute", Request, "Switch the microphone off."),
		one("mycroft.mic.unmute", Request, "Switch the microphone on again."),
	)
}

// audio are the types of players and of the volume.
func audio() []Type {
	sound := []Field{{"play_sound", "bool", "whether a sound is played with it"}}
	said := []Field{{"speak_message", "bool", "whether it is said aloud too"}}
	return slices.Concat(
		one("mycroft.audio.service.play", Request, "Play a list of tracks. The fields are those that programs send; none are documented.",
			Field{"tracks", "list", "addresses of the tracks"},
			Field{"utterance", "text", "what the user said, which may name a player"},
			Field{"repeat", "bool", ""}),
		one("mycroft.audio.service.stop", Request, "Stop what is playing."),
		one("mycroft.audio.service.pause", Request, "Interrupt what is playing."),
		one("mycroft.audio.service.resume", Request, "Go on with what was playing."),
		one("mycroft.audio.service.next", Request, "Go to the next track."),
		one("mycroft.audio.service.prev", Request, "Go to the track before."),
		one("mycroft.audio.service.track_info", Query, "Which track is playing?"),
		one("mycroft.audio.service.track_info_reply", Answer, "The track that is playing. The name is an exception: it does not end in .response."),
		one("mycroft.audio.service.list_backends", Query, "Which players are there?"),
		alike(Request, "Make it a step louder or quieter.", sound, "mycroft.volume.increase", "mycroft.volume.decrease"),
		alike(Request, "Silence the loudspeaker, or end that.", said, "mycroft.volume.mute", "mycroft.volume.unmute"),
		one("mycroft.volume.set", Request, "Set the volume.", Field{"percent", "number", "0.0 to 1.0"}),
		one("mycroft.volume.get", Query, "How loud is it?"),
		one("mycroft.volume.get.response", Answer, "How loud it is.",
			Field{"percent", "number", "0.0 to 1.0"}, Field{"muted", "bool", ""}),
		one("mycroft.volume.duck", Request, "Lower the volume for a while, as during speech."),
		one("mycroft.volume.unduck", Request, "Put the lowered volume back to what it was."),
	)
}
