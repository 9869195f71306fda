package mqtttest_test

import (
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"omnibus/dialect/mqtt/mqtttest"
)

func TestScriptsThatCannotBePlayedAreRefused(t *testing.T) {
	for script, says := range map[string]string{
		"":                                   "there is no step",
		"a frobs":                            `"frobs" is nothing a client does`,
		"a":                                  `"a" is no step`,
		"A open":                             `"A" is no name of a client`,
		"a open v4":                          `no option "v4"`,
		"a close now":                        "has nothing behind it",
		"a dropped":                          "the reason is missing",
		"a|b close":                          "received by one client or another",
		"a> FROB":                            `"FROB" is no packet`,
		"a> PUBLISH frob=1":                  `there is no field "frob"`,
		"a> PUBLISH topic":                   "has a value, or lacks one",
		"a> PUBLISH dup=1":                   "has a value, or lacks one",
		"a> PUBLISH topic=t *":               `there is no field "*"`,
		"a> PUBLISH !topic":                  "there is no field",
		"a< PUBLISH !frob":                   `there is no field "frob"`,
		"a> PUBLISH topic=$x":                "$x has no value yet",
		"a> SUBSCRIBE filter=$share/g/t":     "quote a text that begins with $",
		"a< PUBLISH topic=x$p":               "$p has no value yet",
		"a< PUBLISH id=$p+1":                 "$p has no value yet",
		"a> PUBLISH topic=$X":                "is no variable",
		"a> PUBLISH topic=x|y":               "has no alternatives",
		"a> PUBLISH topic=\"x":               "the quote does not end",
		"a> PUBLISH payload=hex:0":           "odd length",
		"a> PUBLISH payload=repeat(x)":       "repeat has two arguments",
		"a< PUBLISH topic<=x":                "only numbers have bounds",
		"a> hex":                             "no bytes",
		"a> hex 1":                           "neither hexadecimal nor a text",
		"a> hex [ 00":                        "a [ without its ]",
		"a> hex 00 ]":                        "a ] without its [",
		"a> hex s\"x":                        "the quote does not end",
		"wait":                               "how long to wait",
		"wait soon":                          "invalid duration",
		"repeat 1..3":                        "how often",
		"repeat 3 a> PINGREQ":                "is no range",
		"repeat 1..2 repeat 1..2 a> PINGREQ": "a repetition in a repetition",
		"{\na< PINGRESP":                     "does not end",
		"{\n}":                               "nothing in it",
		"}":                                  "ends no group",
		"{\n{":                               "a group in a group",
		"{\na> PINGREQ\n}":                   "in a group",
		"== x\n== y\na open":                 `the script "x" has no step`,
		"== x\na open\n== x\na open":         "another script's",
		"a open\n== x\na open":               "belong to no title",
		"needs: magic\na open":               `no ability "magic"`,
		"a open\nneeds: acl":                 "before its first step",
		"== x\na< PUBLISH id=$p\n== y\na> PUBACK id=$p": "$p has no value yet",
	} {
		if _, err := mqtttest.Parse("script", script); err == nil || !strings.Contains(err.Error(), says) || !strings.HasPrefix(err.Error(), "script.txt") {
			t.Errorf("%q: %v, want it to say where, and %q", script, err, says)
		}
	}
}

func TestAnErrorOfAScriptHasItsLine(t *testing.T) {
	_, err := mqtttest.Parse("folder/file", "# about\n\n== x\na open\na frobs\n")
	if err == nil || !strings.HasPrefix(err.Error(), "folder/file.txt:5: ") {
		t.Errorf("%v", err)
	}
}

func TestAFileHasScriptsThatNeedAndShowSomething(t *testing.T) {
	dir := fstest.MapFS{
		"b/two.txt": {Data: []byte(`
# MQTT-1.5.4-1 for all
needs: acl
== the first one
# MQTT-4.2-1, MQTT-3.1.2-24: and a text
a open # MQTT-9.9.9-9 is in the comment of a step
== the second
needs: login, auth
a open
`)},
		"a/one.txt":  {Data: []byte("a open\n# MQTT-3.1.0-1\n")},
		"a/notes.md": {Data: []byte("no script")},
	}
	scripts, err := mqtttest.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	type want struct {
		name, needs, shows string
	}
	var got []want
	for _, s := range scripts {
		var needs []string
		for _, n := range s.Needs {
			needs = append(needs, string(n))
		}
		got = append(got, want{s.Name(), strings.Join(needs, " "), strings.Join(s.Shows, " ")})
	}
	if !slices.Equal(got, []want{
		{"a/one", "", "MQTT-3.1.0-1"},
		{"b/two/the-first-one", "acl", "MQTT-1.5.4-1 MQTT-4.2-1 MQTT-3.1.2-24"},
		{"b/two/the-second", "acl login auth", "MQTT-1.5.4-1"},
	}) {
		t.Errorf("%+v", got)
	}
}

func TestTheTranscriptsCanBeRead(t *testing.T) {
	scripts, err := mqtttest.Load(transcriptsFS())
	if err != nil {
		t.Fatal(err)
	}
	if len(scripts) < 200 {
		t.Errorf("there are %d scripts: has a folder been lost?", len(scripts))
	}
}
