package std_test

import (
	"flag"
	"os"
	"testing"

	"omnibus/dialect"
	"omnibus/dialect/dialecttest"
	"omnibus/dialect/mqtt"
	"omnibus/dialect/mycroft"
	"omnibus/dialect/std"
	"omnibus/dialect/web"
)

var update = flag.Bool("update", false, "write docs/dialects/matrix.md instead of comparing with it")

const page = "../../docs/dialects/matrix.md"

func TestMatrixIsAsDocumented(t *testing.T) {
	if testing.Short() {
		t.Skip("the matrix takes a few seconds; it runs without -short")
	}
	got := dialecttest.Matrix(t,
		dialecttest.Driver{
			Spec: mqtt.Spec(),
			Configure: func(c dialect.Config) {
				m := c.(*mqtt.Config)
				m.Listen, m.WebSocket.Listen = "127.0.0.1:0", ""
			},
			Dial: dialecttest.DialRemote,
		},
		dialecttest.Driver{
			Spec:      mycroft.Spec(),
			Configure: func(c dialect.Config) { c.(*mycroft.Config).Listen = "127.0.0.1:0" },
			Dial:      dialecttest.DialRemote,
		},
		dialecttest.Driver{
			Spec:      web.Spec(),
			Configure: func(c dialect.Config) { c.(*web.Config).Listen = "127.0.0.1:0" },
			Dial:      dialecttest.DialRemote,
		},
	)
	if *update {
		if err := os.WriteFile(page, []byte(got), 0o644); err != nil { //nolint:gosec // a page for all to read
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s does not say what arrives; run make docs and read the difference. Now it is:\n%s", page, got)
	}
}

func TestDefaultsOfEveryDialectAreValidAndLocal(t *testing.T) {
	seen := make(map[string]bool)
	for _, s := range std.All() {
		if seen[s.Name] {
			t.Errorf("two dialects are named %s", s.Name)
		}
		seen[s.Name] = true
		if p := s.Defaults().Validate(); len(p) > 0 {
			t.Errorf("the defaults of %s are refused: %v", s.Name, p)
		}
		if s.Title == "" {
			t.Errorf("%s has no title", s.Name)
		}
	}
}
