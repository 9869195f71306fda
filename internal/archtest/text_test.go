package archtest_test

import (
	"bytes"
	"os"
	"path"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"
)

// mostLines is where a file should have become two.
const mostLines = 700

func TestGoFilesAreShort(t *testing.T) {
	s := readTree(t)
	for _, f := range s.files {
		if n := strings.Count(s.text(t, f.name), "\n"); n > mostLines {
			t.Errorf("%s has %d lines, the most is %d: split it by concept", f.name, n, mostLines)
		}
	}
}

// machinePath finds absolute paths of one developer's machine. It is put
// together so that this file does not find itself.
var machinePath = regexp.MustCompile(`(?:^|[^\w.~/-])(/(?:` + strings.Join([]string{"work", "root", "tmp", "Users"}, "|") + `)/[\w.-]+)`)

func TestNothingNamesSomebodysMachine(t *testing.T) {
	s := readTree(t)
	for _, name := range s.all {
		data, err := os.ReadFile(s.path(name))
		if err != nil {
			t.Fatal(err)
		}
		if bytes.IndexByte(data, 0) >= 0 || !utf8.Valid(data) || strings.Contains(name, "testdata/fuzz/") {
			continue // no text of ours
		}
		for i, line := range strings.Split(string(data), "\n") {
			if m := machinePath.FindStringSubmatch(line); m != nil {
				t.Errorf("%s:%d names %s: use t.TempDir in tests, mktemp in scripts, a relative path elsewhere", name, i+1, m[1])
			}
		}
	}
}

func TestMachinePathsAreRecognised(t *testing.T) {
	slash := "/"
	for text, want := range map[string]bool{
		"see " + slash + "work/main":                true,
		`"` + slash + "tmp/x.sock":                  true,
		"(" + slash + "root/go)":                    true,
		"http://host" + slash + "work/main":         false,
		"the topic " + slash + "robot/pose":         false,
		"a relative" + slash + "tmp/file":           false,
		"the level " + slash + "work alone":         false,
		"cd " + slash + "Users/somebody && make":    true,
		"build." + slash + "tmp/x is no such thing": false,
	} {
		if got := machinePath.MatchString(text); got != want {
			t.Errorf("%q: %v, want %v", text, got, want)
		}
	}
}

var (
	// link is a Markdown link; images too.
	link = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	// makeCommand is "make target target" in code.
	makeCommand = regexp.MustCompile("(?m)(?:^|`|\\$ |&& |: )make((?: [a-zA-Z0-9_=.-]+)+)")
	makeTarget  = regexp.MustCompile(`(?m)^([a-z0-9-]+):`)
	// runCommand is a call of the program, with its subcommands.
	runCommand = regexp.MustCompile(`go run \./cmd/omnibus((?: [a-z]+)+)`)
	// subcommand is where cobra is told the name of one.
	subcommand = regexp.MustCompile(`Use:\s*"([a-z]+)`)
)

func TestLinksBetweenPagesLeadSomewhere(t *testing.T) {
	s := readTree(t)
	for _, name := range pages(s) {
		for _, m := range link.FindAllStringSubmatch(outsideFences(s.text(t, name)), -1) {
			target, _, _ := strings.Cut(m[1], "#")
			if target == "" || strings.Contains(target, ":") {
				continue // within the page, or to the world
			}
			if _, err := os.Stat(s.path(path.Dir(name), target)); err != nil {
				t.Errorf("%s links to %s, which is not there", name, m[1])
			}
		}
	}
}

func TestMakeCommandsInPagesExist(t *testing.T) {
	s := readTree(t)
	targets := make(map[string]bool)
	for _, m := range makeTarget.FindAllStringSubmatch(s.text(t, "Makefile"), -1) {
		targets[m[1]] = true
	}
	if !targets["check"] {
		t.Fatal("the Makefile has no target check: has its form changed?")
	}
	seen := 0
	for _, name := range append(pages(s), ".ci/run", "Makefile") {
		for _, m := range makeCommand.FindAllStringSubmatch(s.text(t, name), -1) {
			for target := range strings.FieldsSeq(m[1]) {
				if strings.Contains(target, "=") || strings.HasPrefix(target, "-") {
					continue // a variable, a flag
				}
				seen++
				if !targets[strings.TrimRight(target, ".")] {
					t.Errorf("%s says make %s, which the Makefile does not have", name, target)
				}
			}
		}
	}
	if seen == 0 {
		t.Error("no page shows a make command: has the form of pages changed?")
	}
}

func TestSubcommandsInPagesExist(t *testing.T) {
	s := readTree(t)
	known := make(map[string]bool)
	for _, f := range s.files {
		if f.dir == "internal/cli" && !f.test {
			for _, m := range subcommand.FindAllStringSubmatch(s.text(t, f.name), -1) {
				known[m[1]] = true
			}
		}
	}
	seen := 0
	for _, name := range append(pages(s), "Makefile") {
		for _, m := range runCommand.FindAllStringSubmatch(s.text(t, name), -1) {
			seen++
			words := strings.Fields(m[1])
			if !known[words[0]] {
				t.Errorf("%s runs omnibus %s, which internal/cli does not have", name, words[0])
			}
			if words[0] == "config" && len(words) > 1 && !known[words[1]] {
				t.Errorf("%s runs omnibus config %s, which internal/cli does not have", name, words[1])
			}
		}
	}
	if seen == 0 {
		t.Error("no page runs the program: has the form of pages changed?")
	}
}

func pages(s *source) []string {
	var all []string
	for _, name := range s.all {
		if path.Ext(name) == ".md" && !strings.Contains(name, "testdata/") {
			all = append(all, name)
		}
	}
	return all
}

// outsideFences is a page without its blocks of code.
func outsideFences(text string) string {
	var out strings.Builder
	fenced := false
	for line := range strings.Lines(text) {
		if strings.HasPrefix(strings.TrimSpace(line), "```") {
			fenced = !fenced
			continue
		}
		if !fenced {
			out.WriteString(line)
		}
	}
	return out.String()
}
