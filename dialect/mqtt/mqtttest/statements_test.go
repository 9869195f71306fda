package mqtttest_test

import (
	"io/fs"
	"os"
	"strings"
	"testing"
	"testing/fstest"

	"omnibus/dialect/mqtt/mqtttest"
)

func TestEveryStatementIsShownOrSaysWhyNot(t *testing.T) {
	if err := mqtttest.CheckStatements(os.DirFS("..")); err != nil {
		t.Error(err)
	}
}

// altered is the directory of the dialect with a change in the list.
func altered(t *testing.T, change func(string) string) fs.FS {
	t.Helper()
	dir := make(fstest.MapFS)
	err := fs.WalkDir(os.DirFS(".."), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := fs.ReadFile(os.DirFS(".."), name)
		if name == "testdata/statements.txt" {
			data = []byte(change(string(data)))
		}
		dir[name] = &fstest.MapFile{Data: data}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestWhatIsWrongWithTheListOfStatementsIsFound(t *testing.T) {
	swap := func(old, now string) func(string) string {
		return func(s string) string { return strings.Replace(s, old, now, 1) }
	}
	for name, c := range map[string]struct {
		change func(string) string
		says   string
	}{
		"one is missing":       {swap("MQTT-3.1.2-20\tclient", "# MQTT-3.1.2-20\tclient"), "250 statements are listed"},
		"one is there twice":   {swap("MQTT-3.1.2-20\tclient", "MQTT-3.1.2-21\tclient"), "MQTT-3.1.2-21 is there twice"},
		"one is another":       {swap("MQTT-3.1.2-20\tclient", "MQTT-3.1.2-99\tclient"), "MQTT-3.1.2-99 is not what follows MQTT-3.1.2-19"},
		"a file is not there":  {swap("shown by 1-data/strings.txt", "shown by 1-data/nothing.txt"), "there is no 1-data/nothing.txt"},
		"a file does not name": {swap("shown by 1-data/strings.txt", "shown by 1-data/strings.txt; 3.12-ping/ping.txt"), "3.12-ping/ping.txt does not name it"},
		"a file is not listed": {swap("shown by 1-data/strings.txt; ", "shown by "), "1-data/strings.txt names it and is not listed"},
		"a test is not there":  {swap("test: packet.TestLong", "test: packet.TestShort"), "there is no test packet.TestShort"},
		"a rule is not there":  {swap("rule: one CONNACK", "rule: two CONNACKs"), "there is no rule: two CONNACKs"},
		"no side":              {swap("\tclient\t", "\tnobody\t"), `"nobody" is no side`},
		"no reason":            {swap("not shown: binds clients only", "not shown: "), "says neither"},
		"a column too few":     {swap("\tclient\t", "\t"), "3 columns"},
		"an id that is none":   {swap("MQTT-3.1.2-20\t", "MQTT-3.1.2\t"), "the id is none"},
	} {
		if err := mqtttest.CheckStatements(altered(t, c.change)); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, want it to say %q", name, err, c.says)
		}
	}
}

func TestTheTableOfStatements(t *testing.T) {
	got := mqtttest.Table([]mqtttest.Statement{
		{ID: "MQTT-1.5.4-1", Side: "both", ShownBy: []string{"a/b.txt", "test: packet.TestX"}, About: "this | that"},
		{ID: "MQTT-3.1.2-20", Side: "client", NotShown: "binds clients only", About: "pings"},
	})
	const want = `1 of 2 statements are shown.

| statement | binds | about | shown by |
| --- | --- | --- | --- |
| MQTT-1.5.4-1 | both | this \| that | a/b.txt<br>test: packet.TestX |
| MQTT-3.1.2-20 | client | pings | not shown: binds clients only |
`
	if got != want {
		t.Errorf("%s", got)
	}
}
