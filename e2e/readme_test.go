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

// readme returns the code blocks of README.md in a language.
func readme(t *testing.T, language string) []string {
	t.Helper()
	data, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	var blocks []string
	for _, m := range regexp.MustCompile("(?s)```"+language+"\n(.*?)```").FindAllStringSubmatch(string(data), -1) {
		blocks = append(blocks, m[1])
	}
	if len(blocks) == 0 {
		t.Fatalf("README.md has no %s block", language)
	}
	return blocks
}

// TestReadmeCommandsWork runs every command of the README in its order, on free
// ports in place of the default ones. Commands that go on are ended with the
// test; all others must succeed.
func TestReadmeCommandsWork(t *testing.T) {
	shell := need(t, "sh")
	need(t, "curl")
	need(t, "python3")
	b, _ := serveProcess(t)
	dir := t.TempDir()
	t.Setenv("OMNIBUS_BROKER", b.web)
	replace := strings.NewReplacer(
		"go run ./cmd/omnibus", omnibus(t),
		"http://127.0.0.1:8080", b.web,
		"ws://127.0.0.1:8181/core", b.mycroft,
		"--mycroft 127.0.0.1:8182", "--mycroft 127.0.0.1:0",
		" omnibus.yaml", " "+filepath.Join(dir, "omnibus.yaml"),
	)
	// What commands that go on print when they are in place.
	ready := map[string]string{"curl -N": ": omnibus", "expose add": "exposing add", "serve --config": "is running"}
	listening := map[string]*process{}
	ran := 0
	for line := range strings.SplitSeq(strings.Join(readme(t, "sh"), ""), "\n") {
		line, _, _ = strings.Cut(line, "     #")
		switch line {
		case "", "go run ./cmd/omnibus serve": // it runs already
			continue
		case "go test ./...":
			if ci, err := os.ReadFile("../.ci/run"); err != nil || !strings.Contains(string(ci), line) {
				t.Errorf(".ci/run does not call %q (%v)", line, err)
			}
			continue
		}
		command := replace.Replace(line)
		goesOn := false
		for begin, text := range ready {
			if strings.Contains(line, begin) {
				goesOn = true
				listening[begin] = start(t, shell, "-c", "exec "+strings.TrimPrefix(command, "exec "))
				listening[begin].expect(t, text)
			}
		}
		if !goesOn {
			if !strings.Contains(line, "-b ") && !strings.HasPrefix(line, "curl") && !strings.Contains(line, " config ") {
				t.Fatalf("this test does not know how to run %q", line)
			}
			if out, err := run(t, shell, "-c", command); err != nil {
				t.Errorf("%s: %v\n%s", line, err, out)
			}
		}
		ran++
	}
	if ran < 9 {
		t.Errorf("only %d commands were found in README.md", ran)
	}
	listening["curl -N"].expect(t, "Hello World")
	listening["curl -N"].expect(t, "mic.mute")
}

func TestReadmePythonWorks(t *testing.T) {
	interpreter := python(t, "mycroft_bus_client")
	b := serveHere(t)
	heard := values[map[string]string](t, b.bus, "speak")
	address := b.mycroftAddress()
	script := strings.Replace(readme(t, "python")[0], "MessageBusClient(host='127.0.0.1')",
		"MessageBusClient(host='"+address[0]+"', port="+address[1]+")", 1)
	p := start(t, interpreter, "-c", script+"\nprint('sent')\nclient.emit(Message('mic.mute', {'n': 1}))\nimport time; time.sleep(60)")
	if got := next(t, heard)["utterance"]; got != "Hello World" {
		t.Errorf("heard %q", got)
	}
	p.expect(t, "muted {'n': 1}")
}

// TestReadmeGoWorks compiles and runs the README's Go program.
func TestReadmeGoWorks(t *testing.T) {
	program := "package main\n\nimport (\n\t\"context\"\n\t\"fmt\"\n\n\t\"omnibus/bus\"\n)\n\nfunc main() {\n\tctx := context.Background()\n" +
		readme(t, "go")[0] + "\n\tif err := b.Close(ctx); err != nil {\n\t\tpanic(err)\n\t}\n\tfmt.Println(sum, err)\n}\n"
	dir := t.TempDir()
	source := filepath.Join(dir, "main.go")
	if err := os.WriteFile(source, []byte(program), 0o600); err != nil {
		t.Fatal(err)
	}
	// An overlay puts the file into a package of this module without writing
	// into the tree.
	here, err := filepath.Abs("readme/main.go")
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
	out, err := exec.CommandContext(t.Context(), "go", "run", "-overlay", file, "omnibus/e2e/readme").CombinedOutput()
	if want := "room/kitchen/temperature 21.5\n3 <nil>\n"; err != nil || string(out) != want {
		t.Errorf("it printed %q (%v), want %q", out, err, want)
	}
}
