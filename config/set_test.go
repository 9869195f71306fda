package config_test

import (
	"reflect"
	"testing"
	"time"

	"omnibus/config"
)

func TestSetChangesOneSetting(t *testing.T) {
	five := 5
	for _, tt := range []struct {
		path, value string
		change      func(*sample)
	}{
		{"sample.listen", "127.0.0.1:0", func(s *sample) { s.Listen = "127.0.0.1:0" }},
		{"sample.listen", "", func(s *sample) { s.Listen = "" }},
		{"sample.listen", "null", func(s *sample) { s.Listen = "null" }},
		{"sample.listen", `"a": [`, func(s *sample) { s.Listen = `"a": [` }},
		{"sample.enabled", "false", func(s *sample) { s.Enabled = false }},
		{"sample.idle", "2m", func(s *sample) { s.Idle = 2 * time.Minute }},
		{"sample.limit", "1KiB", func(s *sample) { s.Limit = 1024 }},
		{"sample.tls.cert", "c.pem", func(s *sample) { s.TLS.Cert = "c.pem" }},
		{"sample.backup.cert", "c.pem", func(s *sample) { s.Backup = &tls{Cert: "c.pem"} }},
		{"sample.proxy.cert", "c.pem", func(s *sample) { s.Proxy.Cert = "c.pem" }},
		{"sample.burst", "5", func(s *sample) { s.Burst = &five }},
		{"sample.export", "[a, 'b']", func(s *sample) { s.Export = []string{"a", "b"} }},
		{"sample.export[1]", "b", func(s *sample) { s.Export[1] = "b" }},
		{"sample.users[1].tls.key", "k", func(s *sample) { s.Users[1].TLS.Key = "k" }},
		{"sample.users", "- name: bob", func(s *sample) { s.Users = []user{{Name: "bob"}} }},
		{"sample.tls", "{key: k}", func(s *sample) { s.TLS.Key = "k" }},
		{"sample.matrix[0][1]", "9", func(s *sample) { s.Matrix[0][1] = 9 }},
		{"sample.labels.new.name", "x", func(s *sample) { s.Labels["new.name"] = "x" }},
		{"sample.labels", "{}", func(s *sample) { s.Labels = map[string]string{} }},
		{"sample.routes.x/#.to", "q", func(s *sample) { r := s.Routes["x/#"]; r.To = "q"; s.Routes["x/#"] = r }},
		{"sample.routes.n.next.to", "q", func(s *sample) { s.Routes["n"] = route{Next: &route{To: "q"}} }},
		{"sample.queue", "3", func(s *sample) { s.Queue = 3 }},
		{"sample", "{queue: 3, port: 2}", func(s *sample) { s.Queue, s.Port = 3, 2 }},
	} {
		t.Run(tt.path+"="+tt.value, func(t *testing.T) {
			sections, want := newSections(), newSample()
			tt.change(want)
			if err := config.Set(sections, tt.path, tt.value); err != nil {
				t.Fatal(err)
			}
			if got := sampleOf(sections); !reflect.DeepEqual(got, want) {
				t.Errorf("got  %+v\nwant %+v", got, want)
			}
		})
	}
}

func TestSetRefuses(t *testing.T) {
	for _, tt := range []struct{ path, value, want string }{
		{"", "x", "unknown key, expected one of: sample, small, empty"},
		{"smaple.listen", "x", "smaple.listen: unknown key, did you mean sample?"},
		{"sample.lisen", "x", "sample.lisen: unknown key, did you mean listen?"},
		{"sample.tls.crt", "x", "sample.tls.crt: unknown key, did you mean cert?"},
		{"empty.x", "x", "empty.x: unknown key, there are no settings here"},
		{"sample.enabled", "on", `sample.enabled: expected true or false, found "on"`},
		{"sample.idle", "10", `sample.idle: expected a duration like 10s, found "10": add a unit, 10s or 10ms`},
		{"sample.burst", "", `sample.burst: expected a whole number, found ""`},
		{"sample.listen.host", "x", "sample.listen: has no settings below it, expected text"},
		{"sample.export", "a", `sample.export: expected a list like [a, b], found "a"`},
		{"sample.export", "", "sample.export: expected a list like [a, b], found nothing"},
		{"sample.export", "[a", "sample.export: no valid YAML: "},
		{"sample.export", "[a, [b]]", "sample.export[1]: expected text, found a list"},
		{"sample.export[4]", "x", "sample.export: has 4 entries, expected the number of one of them in brackets like [0]"},
		{"sample.export[-1]", "x", "sample.export: has 4 entries"},
		{"sample.export.0", "x", "sample.export: has 4 entries"},
		{"sample.tls", "{crt: x}", "sample.tls.crt: unknown key, did you mean cert?"},
	} {
		t.Run(tt.path+"="+tt.value, func(t *testing.T) {
			sections := newSections()
			contains(t, config.Set(sections, tt.path, tt.value), tt.want)
			if !reflect.DeepEqual(sections, newSections()) {
				t.Error("the values have changed")
			}
		})
	}
	contains(t, config.Set([]config.Section{{Name: "s"}}, "s.x", "1"), "Value is <nil>, want a pointer to a struct")
}
