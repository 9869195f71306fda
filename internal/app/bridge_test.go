package app_test

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"testing"

	"omnibus/dialect/std"
	"omnibus/internal/app"
)

func TestProblemsOfBridgesHaveTheirLines(t *testing.T) {
	s := app.Defaults(nil)
	err := s.Load(file(t, `bridges:
  - name: one
    url: mqtt://there
    in:
      - filter: a/#
      - filter: a/#/b
  - name: one
    url: http://there
    out:
      - patern: x
      - pattern: y
        qos: 3
`))
	if err == nil {
		t.Fatal("accepted")
	}
	for _, want := range []string{
		":6: bridges[0].in[1].filter: want a topic filter",
		":7: bridges[1].name: another bridge is called \"one\"",
		":8: bridges[1].url: the scheme \"http\" is not known",
		":10: bridges[1].out[0].patern: unknown key, did you mean pattern?",
		":12: bridges[1].out[1].qos: must be 0, 1 or 2",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the error does not say %q:\n%v", want, err)
		}
	}
	if len(s.Bridges) > 0 {
		t.Errorf("the settings have changed: %+v", s.Bridges)
	}
}

func TestABridgeThatCannotBeOpenedIsNamed(t *testing.T) {
	s := app.Defaults(nil)
	set(t, s, "bridges", "[{name: site, url: 'mqtts://there', tls: {ca: absent.pem}, in: [{filter: a}]}]")
	if err := s.Check(); err != nil {
		t.Fatal(err)
	}
	_, err := app.New(s, slog.New(slog.DiscardHandler), "")
	if err == nil || !strings.Contains(err.Error(), "bridge site") || !strings.Contains(err.Error(), "absent.pem") {
		t.Errorf("got %v, want bridge and file named", err)
	}
	set(t, s, "bridges[0].enabled", "false")
	a, err := app.New(s, slog.New(slog.DiscardHandler), "")
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Close(); err != nil {
		t.Error(err)
	}
}

func TestABridgeWithoutAnotherSideEndsNothing(t *testing.T) {
	s := app.Defaults(std.All())
	for _, x := range s.Dialects {
		set(t, s, x.Spec.Name+".enabled", map[bool]string{true: "true", false: "false"}[x.Spec.Name == "web"])
	}
	set(t, s, "web.listen", "127.0.0.1:0")
	set(t, s, "bridges", "[{name: site, url: 'unix:"+t.TempDir()+"/nobody', in: [{filter: a}]}]")
	var log bytes.Buffer
	a, err := app.New(s, slog.New(slog.NewTextHandler(&log, nil)), "")
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Bind(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- a.Run(ctx) }()
	for a.Broker().Status().Counters["bridge.site"]["connections_failed"] == 0 {
		select {
		case err := <-ended:
			t.Fatalf("it ended with %v", err)
		default:
		}
	}
	cancel()
	if err := <-ended; err != nil {
		t.Errorf("it ended with %v", err)
	}
	if !strings.Contains(log.String(), "cannot connect") || !strings.Contains(log.String(), "bridge=site") {
		t.Errorf("logged %s", log.String())
	}
}
