package catalogue

import (
	"iter"
	"slices"
	"strings"
	"sync"
)

// form is what a word says about the time of its message.
type form int

const (
	noVerb form = iota
	request
	announcing
	done
)

// regular are verbs that are common in message types and whose other forms
// follow from them.
const regular = `
abort accept acknowledge activate add adjust advance alert align allow analyse analyze announce answer append apply
approve archive arm ask assign attach authenticate authorize backup ban beep blink block boost boot browse brake buffer
cache calculate calibrate call cancel capture change charge check clean clear click clone close collect combine
command compare compile complete compute configure confirm connect contain continue control convert cook cool copy correct count
crash create damage deactivate debug decline decode decrease decrypt define delay delegate delete deliver deny deploy
destroy detach detect dim disable disarm discard discharge disconnect discover dismiss display dock down download drop duck dump
duplicate edit eject elect emit empty enable encode encrypt enroll enter erase error escape evaluate examine execute exit expand expire
explain export expose extend extract fade fail fetch file fill filter finalize finish fire fix flag flash flush focus follow force
format forward free gain generate grab grant greet group guess handle heat hide hold identify ignore import improve include
increase index inform initialize initialise insert inspect install interrupt introduce invalidate invite join jump kick kill
label land launch learn level lift limit link list listen load lock log lower maintain manage mark match measure
merge migrate minimize modify monitor mount move mute name navigate note notify obtain offer open operate order pack pair park
parse pass patch pause perform persist phone pick ping play plot point poll pop post predict prepare present press prevent print
probe process produce program promote prompt propose protect provide prune publish pull purge push query question queue raise
rate reach react receive recharge recognize recognise recommend reconnect record recover redirect reduce refresh refuse
register reject release reload relay remain remember remind remove rename render renew repair repeat replace reply report
request require rescan reserve resize resolve respond restart restore resume retrieve retry return reveal
revert review revoke ring rotate route sample save scale scan schedule scroll search seek select serve share shift show shuffle
sign simulate skip snooze sort spawn specify split start stash step stop stream stretch submit subscribe succeed suggest
summarize summon supply support suspend swap switch sync synchronize tell terminate test time toggle touch trace track train transcribe transfer
transform translate transmit trigger trim try tune turn type uninstall unload unlock unpair unregister unsubscribe update
upgrade upload use validate verify visit vote wait wake walk warm warn watch weigh wipe work wrap zoom
`

// irregular are verbs with their past tense.
const irregular = `
awake awoken begin begun bind bound break broken bring brought build built burn burnt buy bought cast cast catch caught
choose chosen come come cut cut deal dealt do done draw drawn drive driven eat eaten fall fallen feed fed feel felt find found
fly flown forget forgotten freeze frozen get got give given go gone grow grown hang hung hear heard hide hidden hit hit hold held
keep kept know known lead led leave left lend lent let let light lit lose lost make made meet met open opened
overwrite overwritten pay paid put put quit quit read read reset reset rewind rewound ring rung rise risen run run say said see seen
seek sought sell sold send sent set set show shown shut shut sing sung sit sat sleep slept speak spoken spell spelt spend spent spin spun
split split spread spread stand stood steal stolen stick stuck swim swum take taken teach taught tear torn tell told think thought
throw thrown understand understood undo undone wake woken wear worn win won wind wound write written
`

// doubling are the verbs that double their last letter.
const doubling = `
ban begin commit compel control cut dim drop equip flag forget get grab hit hop jog kid let log map permit plan plot plug pop
prefer program put quit reset rip run scan set ship shut sit skip snap spin split stop submit swap swim tag tap trim unpin win wrap zip
`

// nouns look like forms of a verb and are none.
const nouns = `
bed bred ceiling ding evening feed heading king morning need nothing red ring seed setting shed sling speed spring string
thing weed wedding wing led
`

// vocabulary is what is known of words. It is made when it is first needed and
// never changes.
var vocabulary = sync.OnceValue(func() (v struct {
	past, bases map[string]string // base → past; announcing or past form → base
	forms       map[string]form
	doubles     []string
	nouns       []string
},
) {
	v.past, v.bases, v.forms = make(map[string]string), make(map[string]string), make(map[string]form)
	v.doubles = strings.Fields(doubling)
	v.nouns = strings.Fields(nouns)
	for base := range strings.FieldsSeq(regular) {
		v.past[base] = regularPast(base, v.doubles)
	}
	list := strings.Fields(irregular)
	for i := 0; i+1 < len(list); i += 2 {
		v.past[list[i]] = list[i+1]
	}
	for base, past := range v.past {
		v.forms[past], v.bases[past] = done, base
		g := regularGerund(base, v.doubles)
		v.forms[g], v.bases[g] = announcing, base
	}
	for base := range v.past { // last: "set" asks as well as tells
		v.forms[base] = request
		v.bases[base] = base
	}
	return v
})

// verbOf says which form of which verb a word is.
func verbOf(word string) (base string, f form, ok bool) {
	v := vocabulary()
	if f, ok := v.forms[word]; ok {
		return v.bases[word], f, true
	}
	if slices.Contains(v.nouns, word) {
		return "", noVerb, false
	}
	for prefix, rest := range prefixed(word) {
		if f, ok := v.forms[rest]; ok {
			return prefix + v.bases[rest], f, true
		}
	}
	stem, f := "", noVerb
	if s, cut := strings.CutSuffix(word, "ing"); cut {
		stem, f = s, announcing
	} else if s, cut := strings.CutSuffix(word, "ed"); cut {
		stem, f = s, done
	}
	if len(stem) < 2 || !strings.ContainsAny(stem, "aeiouy") {
		return "", noVerb, false
	}
	return stem, f, true
}

// strongest returns the last word that is a form of a verb.
func strongest(words []string) (f form, base, word string) {
	for _, w := range slices.Backward(words) {
		if base, f, ok := verbOf(w); ok {
			return f, base, w
		}
	}
	return noVerb, "", ""
}

// gerund is the -ing form of a verb.
func gerund(base string) string { return regularGerund(base, vocabulary().doubles) }

// past is the past tense of a verb.
func past(base string) string {
	v := vocabulary()
	if p, ok := v.past[base]; ok {
		return p
	}
	for prefix, rest := range prefixed(base) {
		if p, ok := v.past[rest]; ok {
			return prefix + p
		}
	}
	return regularPast(base, v.doubles)
}

// prefixed ranges over the ways to read a word as a verb with a prefix.
func prefixed(word string) iter.Seq2[string, string] {
	return func(yield func(prefix, rest string) bool) {
		for _, prefix := range []string{"un", "re", "de", "dis", "pre", "over", "auto"} {
			if rest, ok := strings.CutPrefix(word, prefix); ok && !yield(prefix, rest) {
				return
			}
		}
	}
}

func regularGerund(base string, doubles []string) string {
	switch {
	case slices.Contains(doubles, base):
		return base + base[len(base)-1:] + "ing"
	case strings.HasSuffix(base, "ee"):
		return base + "ing"
	case strings.HasSuffix(base, "e"):
		return strings.TrimSuffix(base, "e") + "ing"
	}
	return base + "ing"
}

func regularPast(base string, doubles []string) string {
	switch {
	case slices.Contains(doubles, base):
		return base + base[len(base)-1:] + "ed"
	case strings.HasSuffix(base, "e"):
		return base + "d"
	case strings.HasSuffix(base, "y") && !strings.ContainsAny(base[len(base)-2:len(base)-1], "aeiou"):
		return strings.TrimSuffix(base, "y") + "ied"
	}
	return base + "ed"
}
