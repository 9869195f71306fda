package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"omnibus/bench"
	"omnibus/internal/buildinfo"
)

const defaultMQTT = "mqtt://127.0.0.1:1883"

type benchCommand struct {
	*stdio
	options           bench.Options
	url               string
	pid               int
	others            []bench.Broker
	list, json, quiet bool
}

func newBenchCommand(s *stdio) *cobra.Command {
	c := &benchCommand{stdio: s, options: bench.Defaults()}
	cmd := &cobra.Command{
		Use:   "bench [SCENARIO...]",
		Short: "Measure MQTT brokers under load",
		Long: `Measure any MQTT broker under load, or several side by side: messages a second,
the CPU time that the broker spends on each, its memory, round trips and losses.

Without scenarios all of them run; --list tells what they are. The broker of
--broker is measured, or those of --start and --against, of which the first is
the one that the others are compared with. A COMMAND is run without a shell,
anew for each measurement; {port} in it is replaced by a free port.`,
		Example: `  omnibus bench one-to-one fan-out
  omnibus bench --start mosquitto='mosquitto -p {port}' --against omnibus=mqtt://127.0.0.1:1883
  omnibus bench --json --rounds 5 --duration 5s >figures.json`,
		ValidArgs: benchNames(),
		RunE:      func(cmd *cobra.Command, args []string) error { return c.run(cmd, args) },
	}
	o, f := &c.options, cmd.Flags()
	f.StringVarP(&c.url, "broker", "b", defaultMQTT, "`URL` of the broker")
	f.IntVar(&c.pid, "pid", 0, "process of the broker; else the one that listens on its port")
	f.Var(&brokerFlag{c, brokerByCommand}, "start", "start a broker with `[NAME=]COMMAND` and measure it; repeatable")
	f.Var(&brokerFlag{c, brokerByURL}, "against", "measure the broker at `[NAME=]URL`; repeatable")
	f.IntVar(&o.Rounds, "rounds", o.Rounds, "how often each broker is measured, in turn")
	f.DurationVar(&o.Duration, "duration", o.Duration, "how long each measurement takes")
	f.IntVar(&o.Window, "window", o.Window, "how many messages may be underway to a subscriber")
	f.IntVar(&o.Unacknowledged, "unacknowledged", o.Unacknowledged, "how many a publisher of QoS 1 or 2 may have")
	f.IntVar(&o.Connections, "connections", o.Connections, "how many are opened by the scenario idle")
	f.IntVar(&o.Filters, "filters", o.Filters, "how many the scenario of that name subscribes to")
	f.IntVar(&o.Retained, "retained", o.Retained, "how many messages the scenario of that name leaves")
	f.BoolVar(&c.list, "list", false, "tell what the scenarios are, and end")
	f.BoolVar(&c.json, "json", false, "print everything as a JSON object, with each round")
	f.BoolVarP(&c.quiet, "quiet", "q", false, "do not tell what has been measured so far")
	return cmd
}

func benchNames() (names []string) {
	for _, s := range bench.Scenarios() {
		names = append(names, s.Name)
	}
	return names
}

func (c *benchCommand) run(cmd *cobra.Command, args []string) error {
	if c.list {
		return c.tell()
	}
	c.options.Scenarios = args
	c.options.Brokers = c.brokers(cmd.Flags().Changed("broker"))
	if c.pid != 0 && c.options.Brokers[0].PID == 0 {
		return usagef("--pid is of the broker of --broker, which is not measured here")
	}
	if err := c.options.Check(); err != nil {
		return usageError{err}
	}
	if !c.quiet {
		c.options.Progress = func(line string) { c.notice("%s", oneLine(line)) }
	}
	return c.measure(cmd.Context())
}

// brokers are those to be measured, in their order.
func (c *benchCommand) brokers(chosen bool) []bench.Broker {
	var all []bench.Broker
	for _, b := range c.others {
		if b.URL == "" { // if the command does not say where it listens
			b.URL = c.url
			chosen = chosen && strings.Contains(strings.Join(b.Command, " "), "{port}")
		}
		all = append(all, b)
	}
	if len(all) > 0 && !chosen {
		return all
	}
	return append([]bench.Broker{{Name: nameOfURL(c.url), URL: c.url, PID: c.pid}}, all...)
}

func (c *benchCommand) measure(ctx context.Context) error {
	report, err := bench.Run(ctx, c.options)
	if report != nil { // of an interrupted run, what was finished
		if err := c.print(report); err != nil {
			return fmt.Errorf("writing to standard output: %w", err)
		}
	}
	if err != nil {
		return err
	}
	if report.Failed() {
		return errors.New("not everything could be measured")
	}
	return nil
}

func (c *benchCommand) print(report *bench.Report) error {
	if !c.json {
		return report.WriteText(c.out)
	}
	e := json.NewEncoder(c.out)
	e.SetIndent("", "  ")
	return e.Encode(struct {
		Version string `json:"version"`
		*bench.Report
	}{buildinfo.Version(), report})
}

// tell writes what the scenarios are.
func (c *benchCommand) tell() error {
	for _, s := range bench.Scenarios() {
		if _, err := fmt.Fprintf(c.out, "%-16s  %s\n", s.Name, s.About); err != nil {
			return fmt.Errorf("writing to standard output: %w", err)
		}
	}
	return nil
}

// brokerFlag is a flag that adds a broker. Both kinds make one list, so that the
// brokers have the order in which they are typed.
type brokerFlag struct {
	command *benchCommand
	parse   func(name, text string) (bench.Broker, error)
}

func (f *brokerFlag) String() string { return "" }

// Type is what help calls the value; pflag asks for it.
func (f *brokerFlag) Type() string { return "broker" }

func (f *brokerFlag) Set(text string) error {
	name, rest, named := strings.Cut(text, "=")
	if !named || strings.ContainsAny(name, " /:'\"") {
		name, rest = "", text
	}
	b, err := f.parse(name, rest)
	if err != nil {
		return err
	}
	f.command.others = append(f.command.others, b)
	return nil
}

func brokerByURL(name, text string) (bench.Broker, error) {
	_, err := bench.Address(text)
	if name == "" {
		name = nameOfURL(text)
	}
	return bench.Broker{Name: name, URL: text}, err
}

func nameOfURL(text string) string {
	if u, err := url.Parse(text); err == nil && u.Host != "" {
		return u.Host
	}
	return text
}

func brokerByCommand(name, text string) (bench.Broker, error) {
	words, err := split(text)
	if err != nil {
		return bench.Broker{}, err
	}
	if name == "" {
		name = filepath.Base(words[0])
	}
	return bench.Broker{Name: name, Command: words}, nil
}

// split takes a command line apart at blanks that are not within quotes.
func split(text string) (words []string, err error) {
	var word strings.Builder
	quote, inWord := rune(0), false
	for _, r := range text {
		switch {
		case quote != 0 && r == quote:
			quote = 0
		case quote != 0:
			word.WriteRune(r)
		case r == '\'' || r == '"':
			quote, inWord = r, true
		case r == ' ' || r == '\t' || r == '\n':
			if inWord {
				words = append(words, word.String())
				word.Reset()
			}
			inWord = false
		default:
			word.WriteRune(r)
			inWord = true
		}
	}
	if quote != 0 {
		return nil, fmt.Errorf("the quote %c is not closed", quote)
	}
	if inWord {
		words = append(words, word.String())
	}
	if len(words) == 0 || words[0] == "" {
		return nil, errors.New("the command is empty")
	}
	return words, nil
}
