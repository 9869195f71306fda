package catalogue_test

import (
	"strings"
	"testing"

	"omnibus/dialect/mycroft/catalogue"
)

func TestTheDocumentedTypesAreAllThere(t *testing.T) {
	all := catalogue.Types()
	if len(all) != 85 {
		t.Errorf("there are %d documented types, want 85", len(all))
	}
	seen := make(map[string]bool)
	for _, x := range append(all, catalogue.Undocumented()...) {
		if seen[x.Name] {
			t.Errorf("%s is there twice", x.Name)
		}
		seen[x.Name] = true
		if x.Name == "" || x.Direction == "" || len(strings.Fields(x.Description)) < 3 {
			t.Errorf("%+v says too little", x)
		}
		for _, f := range x.Fields {
			if !strings.Contains(" text number bool list object any ", " "+f.Kind+" ") || f.Name == "" {
				t.Errorf("%s: field %+v", x.Name, f)
			}
		}
	}
}

func TestFieldsAreThoseOfTheDocumentation(t *testing.T) {
	for name, want := range map[string]string{
		"speak":                         "utterance lang",
		"mycroft.debug.log":             "level bus",
		"recognizer_loop:utterance":     "utterances lang session",
		"mycroft.volume.decrease":       "play_sound",
		"mycroft.volume.unmute":         "speak_message",
		"mycroft.volume.get.response":   "percent muted",
		"mycroft.skills.loaded":         "id name path modified",
		"mycroft.skills.shutdown":       "id folder",
		"msm.remove.failed":             "skill error",
		"play:query.response":           "phrase skill_id searching callback_data service_name conf",
		"question:query.response":       "phrase skill_id answer conf callback_data searching",
		"private.mycroftai.has_alarm":   "active_alarms",
		"mycroft.mic.listen":            "",
		"enclosure.mouth.viseme_list":   "start visemes",
		"mycroft.skill.disable_intent":  "intent_name",
		"mycroft.audio.service.queue":   "tracks",
		"mycroft.skill.handler.start":   "handler",
		"mycroft.skills.list":           "skills",
		"skillmanager.deactivate":       "skill",
		"recognizer_loop:record_end":    "",
		"private.somebody.something":    "",
		"intent.service.something.get":  "",
		"gui.status.request.response":   "connected",
		"mycroft.volume.set":            "percent",
		"mycroft.skills.initialized":    "",
		"question:action":               "skill_id phrase callback_data",
		"play:start":                    "skill_id phrase callback_data",
		"play:query":                    "phrase",
		"mycroft.internet.connected":    "",
		"recognizer_loop:wakeword":      "utterance session",
		"mycroft.skill.enable_intent":   "intent_name",
		"mycroft.volume.increase":       "play_sound",
		"skill.weather.forecast.loaded": "",
	} {
		x, ok := catalogue.Find(name)
		if !ok {
			t.Errorf("%s is not found", name)
			continue
		}
		var got []string
		for _, f := range x.Fields {
			got = append(got, f.Name)
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%s has the fields %q, want %q", name, got, want)
		}
	}
}

func TestKnownNamesAreTypesOfMessages(t *testing.T) {
	for name, want := range map[string]bool{
		"speak":                    true,
		"complete_intent_failure":  true,
		"register_vocab":           true,
		"active_skill_request":     true,
		"connected":                true,
		"play:query.response":      true,
		"skill.timer.expired":      true,
		"skill.timer.cancel.all":   true,
		"private.me.x":             true,
		"enclosure.eyes.blink":     true,
		"intent.service.adapt.get": true,
		"open":                     false, // local events
		"close":                    false,
		"reconnecting":             false,
		"skill.timer":              false,
		"skill..x":                 false,
		"skill.timer.":             false,
		"skill.namespace.*":        true, // as any other name would be
		"skills.timer.x":           false,
		"speaking":                 false,
		"":                         false,
		"robot/pose":               false,
		"skill.a/b.c":              false,
	} {
		if got := catalogue.Known(name); got != want {
			t.Errorf("Known(%q) is %v", name, got)
		}
	}
}

func TestWhatIsReturnedBelongsToTheCaller(t *testing.T) {
	catalogue.Types()[0].Fields[0].Name = "changed"
	x, _ := catalogue.Find("speak")
	x.Fields[0].Name = "changed"
	if x, _ = catalogue.Find("speak"); catalogue.Types()[0].Fields[0].Name != "utterance" || x.Fields[0].Name != "utterance" {
		t.Error("the catalogue can be changed from outside")
	}
}

func TestNamesAreJudged(t *testing.T) {
	for _, x := range []struct {
		name string
		ok   bool
		says string // in the reason or hint
	}{
		// The names of the document itself.
		{"mic.mute", true, "a request: mute; muting tells that it is about to happen, muted that it has"},
		{"mic.unmute", true, "unmuting tells that it is about to happen, unmuted"},
		{"skill.mycrofttimer.cancel.all", true, "a request: cancel"},
		{"mic.muting", true, "about to happen: muting"},
		{"mic.unmuting", true, "about to happen"},
		{"mic.muted", true, "has happened: muted"},
		{"mic.unmuted", true, "has happened"},
		{"skill.mycrofttimer.expired", true, "has happened: expired"},

		{"lights.turn_on", true, "a request: turn"},
		{"skill.timer.set_alarm", true, "setting tells that it is about to happen, set that it has"},
		{"robot.stop", true, "stopping tells that it is about to happen, stopped"},
		{"file.copy", true, "copying tells that it is about to happen, copied"},
		{"letter.write", true, "writing tells that it is about to happen, written"},
		{"letter.rewrite", true, "rewriting tells that it is about to happen, rewritten"},
		{"letter.written", true, "has happened: written"},
		{"download.failed", true, "has happened: failed"},
		{"robot.frobnicating", true, "about to happen: frobnicating"},
		{"robot.mute.response", true, "the answer to the request robot.mute"},
		{"robot.mute.handling", true, "works on the request robot.mute"},
		{"mycroft.volume.get", true, "Mycroft's own"},
		{"speak", true, "Mycroft's own"},
		{"my-skill.author:HelloIntent", true, "the intent HelloIntent of the skill my-skill.author"},

		{"", false, "empty"},
		{"error", false, "event of their own connection"},
		{"open", false, "event of their own connection"},
		{"mute", false, "there is no subsystem"},
		{"skill.mute", false, "want skill.NAME.message"},
		{"private.me", false, "want private.NAME.message"},
		{"mic..mute", false, "a level of it is empty"},
		{".mic.mute", false, "a level of it is empty"},
		{"mic.mute.", false, "a level of it is empty"},
		{"mic mute", false, "white space"},
		{"mic.*", false, "stands for others"},
		{"mic.will_mute", false, "mic.muting"},
		{"mic.going.to.mute", false, "mic.muting"},
		{"mic.will", false, "-ing form"},
		{"mic.volume", false, `there is no verb in "volume"`},
		{"house.morning", false, "there is no verb"},
		{"car.speed", false, "there is no verb"},
		{"mic.muted.response", false, "mic.mute.response"},
		{"mic.muting.handling", false, "follows a request"},
	} {
		v := catalogue.Lint(x.name)
		if v.Name != x.name || v.OK != x.ok || !strings.Contains(v.Reason+" "+v.Hint, x.says) {
			t.Errorf("%q: %+v, want ok %v and %q", x.name, v, x.ok, x.says)
		}
	}
}
