package config_test

import (
	"log/slog"
	"net/netip"
	"time"

	"omnibus/config"
)

// sample holds every kind of setting.
type sample struct {
	Enabled bool          `yaml:"enabled" help:"Whether it runs."`
	Listen  string        `yaml:"listen" help:"Where it listens, as host:port; port 0 takes a free one, which is then told in the log and, for whoever asks, by the admin interface."`
	Path    string        `yaml:"path" help:"May be empty."`
	Yes     string        `yaml:"yes" help:"A word that looks like a boolean,\non two lines | with a bar."`
	Idle    time.Duration `yaml:"idle" help:"How long a quiet link is kept."`
	Limit   config.Size   `yaml:"limit" help:"Largest message."`
	Port    uint16        `yaml:"port" help:"A small number."`
	Offset  int           `yaml:"offset"`
	Ratio   float64       `yaml:"ratio" help:"A share."`
	Level   slog.Level    `yaml:"level" help:"A type that reads itself."`
	Net     netip.Prefix  `yaml:"net" help:"Another one."`
	TLS     tls           `yaml:"tls" help:"Encryption."`
	Backup  *tls          `yaml:"backup" help:"Another listener's encryption."`
	Proxy   *tls          `yaml:"proxy" help:"Set from the start."`
	Burst   *int          `yaml:"burst" help:"No limit unless set."`
	Export  []string      `yaml:"export" help:"Patterns that leave the bus."`
	Long    []string      `yaml:"long" help:"A list that is too long for a line."`
	None    []int         `yaml:"none" help:"An empty list."`
	Users   []user        `yaml:"users" help:"Who may log in."`
	Guests  []*user       `yaml:"guests" help:"Nobody yet."`
	Matrix  [][]int       `yaml:"matrix" help:"Lists in a list."`
	Labels  map[string]string
	Routes  map[string]route `yaml:"routes" help:"By topic."`
	shared  `yaml:",inline"`
	Secret  func() `yaml:"-"`
}

type tls struct {
	Cert string   `yaml:"cert" help:"Certificate file."`
	Key  string   `yaml:"key" help:"Key file."`
	ALPN []string `yaml:"alpn" help:"Protocols."`
}

type user struct {
	Name   string        `yaml:"name" help:"What the user types."`
	Topics []string      `yaml:"topics" help:"What the user may see."`
	Wait   time.Duration `yaml:"wait" help:"Delay after a wrong password."`
	TLS    tls           `yaml:"tls"`
}

type route struct {
	To   string `yaml:"to" help:"Where it goes."`
	Next *route `yaml:"next" help:"And then."`
}

type shared struct {
	Queue int `yaml:"queue" help:"Messages that may wait."`
}

func newSample() *sample {
	return &sample{
		Enabled: true,
		Listen:  "127.0.0.1:8181",
		Yes:     "yes",
		Idle:    90 * time.Second,
		Limit:   25 * config.MiB,
		Port:    8181,
		Offset:  -3,
		Ratio:   0.25,
		Level:   slog.LevelWarn,
		Net:     netip.MustParsePrefix("10.0.0.0/8"),
		TLS:     tls{Cert: "cert file.pem"},
		Proxy:   &tls{Key: "k#1", ALPN: []string{"h2"}},
		Export:  []string{"robot/#", "speak", "a: b", "-"},
		Long:    []string{"a pattern of some length/#", "another pattern of some length/#", "12"},
		Users:   []user{{Name: "alice", Topics: []string{"+/x"}, Wait: time.Hour}, {Name: "null"}},
		Matrix:  [][]int{{1, 2}, {}, {3}},
		Labels:  map[string]string{"b c": "2", "a": "", "<<": "x\ny"},
		Routes:  map[string]route{"x/#": {To: "y", Next: &route{To: "z"}}},
		shared:  shared{Queue: 100},
	}
}

type small struct {
	Size config.Size `yaml:"size" help:"How big."`
}

func newSections() []config.Section {
	return []config.Section{
		{Name: "sample", Help: "Every kind of setting.\n\n  An indented line.", Value: newSample()},
		{Name: "small", Value: &small{Size: 1500}},
		{Name: "empty", Help: "Nothing to set.", Value: &struct{}{}},
	}
}

func sampleOf(sections []config.Section) *sample { return sections[0].Value.(*sample) }
