package e2e_test

import (
	"context"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// pahoSuites are the scripts of Eclipse Paho's interoperability suite, with how
// many tests each has at least.
var pahoSuites = map[string]int{"client_test": 10, "client_test5": 25}

// pahoKnown are tests that fail with the broker as it should be, and why.
var pahoKnown = map[string]string{
	"client_test5/test_subscribe_failure": "it takes no reason but 0x80 in SUBACK, and the broker says 0x87, not authorized",
}

var (
	pahoRan    = regexp.MustCompile(`(?m)^(test\w+) \(client_test5?\.`)
	pahoFailed = regexp.MustCompile(`(?m)^(?:FAIL|ERROR): (\w+) \(client_test5?\.`)
	pahoSum    = regexp.MustCompile(`(?m)^Ran \d+ tests? in `)
)

// TestPahoInteroperabilitySuite runs the tests as they are. They have races of
// their own: some tests wait on the callbacks of one client for what another one
// asked for, so that a message may overtake a subscription. What failed is
// therefore run once more, alone.
func TestPahoInteroperabilitySuite(t *testing.T) {
	dir := os.Getenv("OMNIBUS_PAHO_TESTING")
	if dir == "" {
		t.Skip("OMNIBUS_PAHO_TESTING does not name a checkout of eclipse/paho.mqtt.testing")
	}
	dir = filepath.Join(dir, "interoperability")
	interpreter := python(t, "unittest")
	runner, err := filepath.Abs("testdata/paho_suite.py")
	if err != nil {
		t.Fatal(err)
	}
	for script, least := range pahoSuites {
		t.Run(script, func(t *testing.T) {
			t.Parallel()
			// Two tests expect these. Another one sends as much as is allowed without
			// listening, then answers what it is told after the server has gone: the
			// less that is, the surer it comes to the end before.
			b, _ := serveMQTT(t, "--set", "mqtt.max_keep_alive=60s", "--set", "broker.deny=[subscribe test/nosubscribe]",
				"--set", "mqtt.receive_maximum=20")
			suite := func(args ...string) (string, error) {
				t.Helper()
				u, err := url.Parse(b.urls["mqtt"])
				if err != nil {
					t.Fatal(err)
				}
				ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
				defer cancel()
				cmd := exec.CommandContext(ctx, interpreter, append([]string{runner, script, u.Port()}, args...)...)
				cmd.Dir = dir
				cmd.WaitDelay = patience
				out, err := cmd.CombinedOutput()
				return string(out), err
			}
			out, err := suite()
			ran := pahoRan.FindAllStringSubmatch(out, -1)
			if !pahoSum.MatchString(out) || len(ran) < least {
				t.Fatalf("it ran %d tests, at least %d are known (%v):\n%s", len(ran), least, err, out)
			}
			failed := map[string]bool{}
			for _, m := range pahoFailed.FindAllStringSubmatch(out, -1) {
				failed[m[1]] = true
			}
			for _, m := range ran {
				t.Run(m[1], func(t *testing.T) {
					if !failed[m[1]] {
						return
					}
					if why := pahoKnown[script+"/"+m[1]]; why != "" {
						t.Skip("known to fail: " + why)
					}
					again, err := suite("Test." + m[1])
					if err != nil {
						t.Fatalf("it failed, and alone again (%v):\n%s", err, again)
					}
					_, first, _ := strings.Cut(out, ": "+m[1]+" (")
					first, _, _ = strings.Cut(first, "=====")
					t.Logf("it failed at first, and passed when it was run alone; at first:\n%s", first)
				})
			}
		})
	}
}
