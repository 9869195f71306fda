package remote_test

import (
	"errors"
	"net"
	"strings"
	"testing"

	"omnibus/internal/remote"
	"omnibus/payload"
)

func TestURLsThatNameNoBroker(t *testing.T) {
	for url, want := range map[string]string{
		"":                           "no dialect",
		"localhost:8080":             "no dialect",
		"127.0.0.1:8080":             "not a URL",
		"mqtts://":                   "host is missing",
		"wss:///mqtt":                "host is missing",
		"http://":                    "host is missing",
		"ws:///core":                 "host is missing",
		"ws://localhost:8181":        "path is missing",
		"wss://localhost:8181/":      "path is missing",
		"http://user:s3cret@a b":     "not a URL",
		"ftp://user:s3cret@host/x":   "no dialect",
		"http://user:s3cret@/x?y=%z": "host is missing",
	} {
		_, err := remote.Dial(t.Context(), url, remote.Options{})
		if !errors.Is(err, remote.ErrURL) {
			t.Errorf("Dial(%q): %v, want an error of the URL", url, err)
			continue
		}
		mentions(t, err, want, "http://127.0.0.1:8080", "mqtt://127.0.0.1:1883", "ws://127.0.0.1:8181/core")
		if strings.Contains(err.Error(), "s3cret") {
			t.Errorf("Dial(%q) tells the password: %v", url, err)
		}
		if check := remote.Check(url); check == nil || check.Error() != err.Error() {
			t.Errorf("Check(%q) = %v, want %v", url, check, err)
		}
	}
}

func TestMQTTURLsThatAreWrong(t *testing.T) {
	for url, want := range map[string]string{
		"mqtt://u:s3cret@localhost/robot/pose":      "no path",
		"mqtt://u:s3cret@localhost?clientid=x":      `nothing is known of "clientid"`,
		"mqtt://localhost?version=3":                "the version is 5 or 3.1.1",
		"mqtt://localhost?client_id=%00":            "client_id must be UTF-8",
		"ws://localhost:1/mqtt?client_id=%ff":       "client_id must be UTF-8",
		"mqtts://%ff:s3cret@localhost":              "user name must be UTF-8",
		"mqtt://localhost?client_id=%zz":            "query cannot be read",
		"ws://localhost:8083/below/mqtt?version=12": "the version is 5 or 3.1.1",
	} {
		_, err := remote.Dial(t.Context(), url, remote.Options{})
		if !errors.Is(err, remote.ErrURL) {
			t.Errorf("Dial(%q): %v, want an error of the URL", url, err)
			continue
		}
		mentions(t, err, want)
		if strings.Contains(err.Error(), "s3cret") {
			t.Errorf("Dial(%q) tells the password: %v", url, err)
		}
	}
}

func TestURLsOfBrokers(t *testing.T) {
	for _, url := range []string{
		"http://localhost:8080", "https://u:p@host/below/", "ws://h:8181/core", "wss://h/core?x=y", "HTTP://host",
		"mqtt://h", "MQTTS://u:p@h:8884/?client_id=x&version=3.1.1", "ws://h/mqtt?token=x", "wss://h/below/mqtt",
	} {
		noError(t, remote.Check(url))
	}
}

func TestRedactedHidesThePassword(t *testing.T) {
	same(t, "redacted", remote.Redacted("https://u:secret@host/x"), "https://u:xxxxx@host/x")
	same(t, "no URL", remote.Redacted("http://u:secret@a b"), "the broker")
}

// nowhere is an address of this machine where nobody listens.
func nowhere(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	noError(t, err)
	noError(t, l.Close())
	return l.Addr().String()
}

func TestABrokerThatDoesNotRun(t *testing.T) {
	at := nowhere(t)
	_, err := remote.Dial(t.Context(), "ws://"+at+"/core", remote.Options{})
	mentions(t, err, "connecting to ws://"+at+"/core", "refused", "is omnibus serve running?")

	c, err := remote.Dial(t.Context(), "http://"+at, remote.Options{})
	noError(t, err)
	defer func() { noError(t, c.Close()) }()
	for what, err := range map[string]error{
		"publish":   c.Publish(t.Context(), "x", new(payload.Value), remote.PublishOptions{}),
		"subscribe": c.Subscribe(t.Context(), patterns(t, "x"), nil, nil),
		"expose":    c.Expose(t.Context(), "x", nil, nil),
	} {
		t.Run(what, func(t *testing.T) {
			mentions(t, err, "connecting to http://"+at, "refused", "is omnibus serve running?")
		})
	}
}
