package e2e_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// clientPage is the page about the Mycroft clients.
const clientPage = "../docs/clients/mycroft.md"

// pageBlocks returns the blocks of a page in a language; "" for none.
func pageBlocks(t *testing.T, file, language string) []string {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var blocks []string
	for _, m := range regexp.MustCompile("(?ms)^```([a-z]*)\n(.*?)^```$").FindAllStringSubmatch(string(data), -1) {
		if m[1] == language {
			blocks = append(blocks, m[2])
		}
	}
	if len(blocks) == 0 {
		t.Fatalf("%s has no %q block", file, language)
	}
	return blocks
}

func TestMycroftClientPageShowsWhatCommandsPrint(t *testing.T) {
	shell := need(t, "sh")
	b := serveHere(t, "mqtt.enabled=false")
	t.Setenv("OMNIBUS_BROKER", b.mycroft)
	ran := 0
	for _, block := range pageBlocks(t, clientPage, "console") {
		for _, example := range strings.Split(block, "$ ")[1:] {
			command, want, _ := strings.Cut(example, "\n")
			out, err := run(t, shell, "-c", strings.Replace(command, "omnibus", omnibus(t), 1))
			if err != nil || out != want {
				t.Errorf("%s: %v\ngot  %s\nwant %s", command, err, out, want)
			}
			ran++
		}
	}
	if ran < 5 {
		t.Errorf("only %d commands were found", ran)
	}
}

func TestMycroftClientPageCommandsWork(t *testing.T) {
	shell := need(t, "sh")
	b := serveHere(t, "mqtt.enabled=false")
	t.Setenv("OMNIBUS_BROKER", b.mycroft)
	c := goClient(t, b)
	c.On("mycroft.volume.get", answering(t, c, map[string]any{"percent": 0.5, "muted": false}))
	lines := strings.Split(strings.TrimSpace(pageBlocks(t, clientPage, "sh")[0]), "\n")
	if len(lines) != 2 {
		t.Fatalf("the page has the commands %q", lines)
	}
	ear := start(t, shell, "-c", "exec "+strings.Replace(lines[0], "omnibus", omnibus(t), 1))
	ear.expect(t, "subscribed at")
	if out, err := run(t, omnibus(t), "mycroft", "speak", "Hello World"); err != nil {
		t.Errorf("%v: %s", err, out)
	}
	ear.expect(t, `speak  {"lang":"en-us","utterance":"Hello World"}`)
	out, err := run(t, shell, "-c", strings.Replace(lines[1], "omnibus", omnibus(t), 1))
	if want := `{"muted":false,"percent":0.5}` + "\n"; err != nil || out != want {
		t.Errorf("got %q (%v), want %q", out, err, want)
	}
}

// TestMycroftClientPageProgramWorks compiles and runs the page's Go program.
func TestMycroftClientPageProgramWorks(t *testing.T) {
	b := serveHere(t, "mqtt.enabled=false")
	dir := t.TempDir()
	source := filepath.Join(dir, "main.go")
	if err := os.WriteFile(source, []byte(pageBlocks(t, clientPage, "go")[0]), 0o600); err != nil {
		t.Fatal(err)
	}
	// An overlay puts the file into a package of this module without writing
	// into the tree.
	here, err := filepath.Abs("clientpage/main.go")
	if err != nil {
		t.Fatal(err)
	}
	overlay, err := json.Marshal(map[string]any{"Replace": map[string]string{here: source}})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(file, overlay, 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "go", "run", "-overlay", file, "omnibus/e2e/clientpage")
	cmd.Env = append(os.Environ(), "OMNIBUS_BROKER="+b.mycroft)
	out, err := cmd.CombinedOutput()
	if want := pageBlocks(t, clientPage, "")[0]; err != nil || string(out) != want {
		t.Errorf("it printed %q (%v), want %q", out, err, want)
	}
}
