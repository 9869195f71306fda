package config_test

import (
	"fmt"
	"os"
	"time"

	"omnibus/config"
)

type listener struct {
	Listen string        `yaml:"listen" help:"Where it listens, as host:port."`
	Idle   time.Duration `yaml:"idle" help:"How long a quiet link is kept."`
	Limit  config.Size   `yaml:"limit" help:"Largest message."`
}

func Example() {
	sections := []config.Section{{
		Name:  "echo",
		Help:  "Sends back what it gets.",
		Value: &listener{Listen: "127.0.0.1:7", Idle: time.Minute, Limit: config.MiB},
	}}
	file := "echo:\n  lisen: :7\n  idle: 10\n  limit: 0\n"
	err := config.Parse("omnibus.yaml", []byte(file), sections, func(s config.Section) []config.Problem {
		if s.Value.(*listener).Limit == 0 {
			return []config.Problem{{Path: "limit", Text: "expected more than 0"}}
		}
		return nil
	})
	fmt.Println(err)
	if err := config.Set(sections, "echo.idle", "10s"); err != nil {
		fmt.Println(err)
	}
	if err := config.Write(os.Stdout, sections); err != nil {
		fmt.Println(err)
	}
	// Output:
	// omnibus.yaml:2: echo.lisen: unknown key, did you mean listen?
	// omnibus.yaml:3: echo.idle: expected a duration like 10s, found "10": add a unit, 10s or 10ms
	// omnibus.yaml:4: echo.limit: expected more than 0
	// # Sends back what it gets.
	// echo:
	//   # Where it listens, as host:port.
	//   listen: 127.0.0.1:7
	//   # How long a quiet link is kept.
	//   idle: 10s
	//   # Largest message.
	//   limit: 1MiB
}
