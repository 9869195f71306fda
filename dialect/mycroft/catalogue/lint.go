package catalogue

import (
	"fmt"
	"slices"
	"strings"
	"unicode"
)

// Verdict is what the naming rules say of one name.
type Verdict struct {
	Name string `json:"name"`
	// OK is whether the name keeps the rules.
	OK bool `json:"ok"`
	// Reason says what the name means by the rules, or which it breaks.
	Reason string `json:"reason"`
	// Hint is a better name, or how to find one; it may be empty.
	Hint string `json:"hint,omitempty"`
}

// Lint checks a name against the rules of the Mycroft documentation: private
// types are called subsystem.message or skill.NAME.message, and the message is a
// verb for a request (mic.mute), its -ing form for what is about to happen
// (mic.muting), and its past tense for what has happened (mic.muted). Documented
// types pass whatever their form.
//
// Which words are verbs is decided by a list of common ones and by their
// endings; a word that neither knows is reported as such.
func Lint(name string) Verdict {
	v := Verdict{Name: name}
	if v.Reason, v.Hint = malformed(name); v.Reason != "" {
		return v
	}
	if t, ok := Find(name); ok && t.Direction != Family {
		v.OK, v.Reason = true, "a type of Mycroft's own: "+strings.ToLower(t.Description[:1])+t.Description[1:]
		return v
	}
	if skill, intent, ok := strings.Cut(name, ":"); ok && !strings.Contains(intent, ":") {
		v.OK, v.Reason = true, fmt.Sprintf("the intent %s of the skill %s; intents have no tense", intent, skill)
		return v
	}
	v.OK, v.Reason, v.Hint = judge(name)
	return v
}

// malformed finds what is wrong with a name before its words are looked at.
func malformed(name string) (reason, hint string) {
	switch {
	case name == "":
		return "the name is empty", ""
	case slices.Contains([]string{"open", "close", "error", "message", "reconnecting"}, name):
		return "clients take it for an event of their own connection; error makes old ones reconnect", ""
	case strings.ContainsFunc(name, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }):
		return "it contains white space or control characters", strings.Join(strings.Fields(name), ".")
	case slices.Contains(strings.Split(strings.ReplaceAll(name, ":", "."), "."), ""):
		return "a level of it is empty", ""
	case strings.ContainsAny(name, "*+#?"):
		return "it contains a character that stands for others in patterns", ""
	}
	return "", ""
}

// levels are the parts of a name that say what happens, and the prefix before
// them.
func levels(name string) (prefix string, message []string, reason string) {
	parts := strings.Split(name, ".")
	n := 1
	if parts[0] == "skill" || parts[0] == "private" {
		n = 2
	}
	switch {
	case len(parts) == 1:
		return "", nil, "there is no subsystem before it: want subsystem.message or skill.NAME.message"
	case len(parts) <= n:
		return "", nil, fmt.Sprintf("want %s.NAME.message: either the name or the message is missing", parts[0])
	}
	return strings.Join(parts[:n], "."), parts[n:], ""
}

// judge looks for a verb.
func judge(name string) (ok bool, reason, hint string) {
	asked, suffix := name, ""
	for _, s := range []string{".response", ".handling"} {
		if base, found := strings.CutSuffix(name, s); found {
			asked, suffix = base, s
		}
	}
	prefix, message, reason := levels(asked)
	if reason != "" {
		return false, reason, ""
	}
	var words []string
	for _, level := range message {
		words = append(words, strings.FieldsFunc(strings.ToLower(level), func(r rune) bool { return r == '_' || r == '-' })...)
	}
	for i, w := range words {
		if w != "will" && w != "going" && w != "gonna" {
			continue
		}
		hint := prefix + ".…ing"
		if base, _, ok := verbOf(words[len(words)-1]); ok && i < len(words)-1 {
			hint = prefix + "." + gerund(base)
		}
		return false, fmt.Sprintf("%q: what is about to happen is told in the -ing form", w), hint
	}
	form, base, word := strongest(words)
	switch {
	case form == noVerb:
		return false, fmt.Sprintf("there is no verb in %q (that this list knows): a request is a verb (mic.mute), what is about to happen ends in -ing (mic.muting), what has happened is in the past tense (mic.muted)",
			strings.Join(message, ".")), ""
	case suffix != "" && form != request:
		return false, fmt.Sprintf("%s follows a request, and %q is none", suffix, word), prefix + "." + base + suffix
	case suffix == ".response":
		return true, fmt.Sprintf("the answer to the request %s", asked), ""
	case suffix == ".handling":
		return true, fmt.Sprintf("tells who works on the request %s", asked), ""
	case form == request:
		return true, fmt.Sprintf("a request: %s; %s tells that it is about to happen, %s that it has", word, gerund(base), past(base)), ""
	case form == announcing:
		return true, fmt.Sprintf("tells that something is about to happen: %s", word), ""
	default:
		return true, fmt.Sprintf("tells that something has happened: %s", word), ""
	}
}
