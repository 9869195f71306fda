package mqtt_test

import (
	"flag"
	"os"
	"strings"
	"testing"

	"omnibus/dialect/mqtt/mqtttest"
)

var update = flag.Bool("update", false, "write the statements into docs/dialects/mqtt.md instead of comparing with it")

// The page, and what stands around the table of statements in it.
const (
	page       = "../../docs/dialects/mqtt.md"
	tableBegin = "<!-- Written by the test of dialect/mqtt (make docs); do not edit. -->\n\n"
	tableEnd   = "\n<!-- The end of what the test writes. -->\n"
)

func TestStatementsAreAsDocumented(t *testing.T) {
	statements, err := mqtttest.ReadStatements(os.DirFS("."))
	if err != nil {
		t.Fatal(err)
	}
	want := mqtttest.Table(statements)
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, begins := strings.Cut(string(text), tableBegin)
	got, after, ends := strings.Cut(rest, tableEnd)
	if !begins || !ends {
		t.Fatalf("%s has no place for the table, which is between %q and %q", page, tableBegin, tableEnd)
	}
	if *update {
		text := before + tableBegin + want + tableEnd + after
		if err := os.WriteFile(page, []byte(text), 0o644); err != nil { //nolint:gosec // a page for all to read
			t.Fatal(err)
		}
		return
	}
	if got != want {
		t.Errorf("%s does not list the statements as testdata/statements.txt does; run make docs and read the difference", page)
	}
}
