package e2e_test

import (
	"net"
	"os/exec"
	"strings"
	"testing"
)

func TestCurlCallsGoFunction(t *testing.T) {
	curl := need(t, "curl")
	b := serveHere(t)
	exposeAdd(t, b)
	if out, err := run(t, curl, "-sS", "-d", "[1,2]", b.web+"/rpc/add"); err != nil || out != "3\n" {
		t.Errorf("got %q, %v", out, err)
	}
}

func TestCurlCallsExposedCommand(t *testing.T) {
	curl := need(t, "curl")
	interpreter := need(t, "python3")
	sum := "import json,sys; print(sum(json.load(sys.stdin)))"
	b, _ := serveProcess(t)
	for _, url := range []string{b.web, b.mycroft} {
		provider := start(t, omnibus(t), "expose", "-b", url, "add", "--", interpreter, "-c", sum)
		provider.expect(t, "exposing add")
		if out, err := run(t, curl, "-sS", "-d", "[1,2]", b.web+"/rpc/add"); err != nil || out != "3\n" {
			t.Errorf("exposed at %s: got %q, %v", url, out, err)
		}
		if status := provider.terminate(t); status != 0 {
			t.Errorf("expose ended with %d after SIGTERM", status)
		}
		out, _ := run(t, curl, "-sS", "-d", "[1,2]", b.web+"/rpc/add")
		if !strings.Contains(out, `"kind":"unknown"`) {
			t.Errorf("after the provider left: %s", out)
		}
	}
}

func TestTakenPortIsNamed(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	taken := l.Addr().String()
	out, err := run(t, omnibus(t), "serve", "--web", "127.0.0.1:0", "--mqtt", "off", "--mycroft", taken)
	exit, ok := err.(*exec.ExitError) //nolint:errorlint // as exec returns it
	if !ok || exit.ExitCode() == 0 {
		t.Fatalf("it ended with %v: %s", err, out)
	}
	for _, want := range []string{"mycroft", taken, "mycroft.listen", "in use"} {
		if !strings.Contains(out, want) {
			t.Errorf("the error does not say %q: %s", want, out)
		}
	}
}

func TestSigtermTellsClientsAndExitsZero(t *testing.T) {
	curl := need(t, "curl")
	b, p := serveProcess(t)
	listener := start(t, curl, "-sN", b.web+"/events?topics=**")
	listener.expect(t, ": omnibus")
	if out, err := run(t, curl, "-sS", "-d", "last words", b.web+"/topics/a.b"); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	status := p.terminate(t)
	listener.expect(t, "last words")
	listener.expect(t, "omnibus.bye")
	if status != 0 {
		t.Errorf("it ended with %d", status)
	}
}
