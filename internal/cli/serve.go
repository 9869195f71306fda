package cli

import (
	"context"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"omnibus/dialect/std"
	"omnibus/internal/app"
	"omnibus/internal/buildinfo"
)

// serveFlags are what people type.
type serveFlags struct {
	file   string
	set    []string
	level  string
	listen map[string]*string // by dialect
}

func newServeCommand(s *stdio) *cobra.Command {
	f := serveFlags{listen: make(map[string]*string)}
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Run the broker",
		Long: `Runs the broker with every dialect that is enabled, until SIGINT or SIGTERM.
Then clients are told, queues are flushed, and the exit code is 0.

It needs no configuration. "omnibus config init" writes a file with every
setting; any of them can be changed with --set. Everything listens on the
loopback interface unless it is told otherwise.`,
		Example: `  omnibus serve
  omnibus serve --config omnibus.yaml --mycroft 0.0.0.0:8181 --web off
  omnibus serve --set log.level=debug --set broker.limits.peers=100`,
		Args: between(0, 0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error { return f.serve(cmd.Context(), cmd, s) },
	}
	cmd.Flags().StringVarP(&f.file, "config", "c", "", "configuration `FILE`")
	cmd.Flags().StringArrayVar(&f.set, "set", nil, "change a setting: `PATH=VALUE` (repeatable)")
	cmd.Flags().StringVar(&f.level, "log-level", "", "debug, info, warn or error (log.level)")
	for _, spec := range std.All() {
		f.listen[spec.Name] = cmd.Flags().String(spec.Name, "", "where "+spec.Name+" listens: `HOST:PORT`, or off")
	}
	return cmd
}

// settings are the defaults, changed by the file and then by the flags.
func (f *serveFlags) settings(cmd *cobra.Command) (*app.Settings, error) {
	s := app.Defaults(std.All())
	if f.file != "" {
		if err := s.Load(f.file); err != nil {
			return nil, err
		}
	}
	set := slices.Clone(f.set)
	if f.level != "" {
		set = append(set, "log.level="+f.level)
	}
	for name, address := range f.listen {
		if !cmd.Flags().Changed(name) {
			continue
		}
		if *address == "off" {
			set = append(set, name+".enabled=false")
			continue
		}
		set = append(set, name+".enabled=true", name+".listen="+*address)
	}
	for _, kv := range set {
		path, value, ok := strings.Cut(kv, "=")
		if !ok {
			return nil, usagef("--set wants PATH=VALUE, such as mycroft.listen=127.0.0.1:8182, not %q", kv)
		}
		if err := s.Set(path, value); err != nil {
			return nil, usageError{err}
		}
	}
	return s, s.Check()
}

func (f *serveFlags) serve(ctx context.Context, cmd *cobra.Command, s *stdio) error {
	settings, err := f.settings(cmd)
	if err != nil {
		return err
	}
	a, err := app.New(settings, settings.Logger(s.err), buildinfo.Version())
	if err != nil {
		return err
	}
	if err := a.Bind(ctx); err != nil {
		_ = a.Close()
		return err
	}
	welcome(s.out, a.Addresses())
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	return a.Run(ctx)
}

// gcPercent has garbage collected twice as often as by default. What is always
// under way allocates nothing, so that costs little; what is held for clients that
// do nothing is most of the memory, and the slack on top of it is halved.
const gcPercent = 50

// welcome prints where each dialect listens and what to try next.
func welcome(w io.Writer, addresses []app.Address) {
	var text strings.Builder
	fmt.Fprintf(&text, "Omnibus %s is running. It ends with Ctrl-C.\n\n", buildinfo.Version())
	urls := make(map[string]string)
	for _, x := range addresses {
		fmt.Fprintf(&text, "  %-8s %s\n", x.Dialect, x.URL)
		if urls[x.Dialect] == "" {
			urls[x.Dialect] = x.URL
		}
	}
	if len(addresses) == 0 {
		text.WriteString("  No dialect is enabled, so nobody can come in.\n")
	}
	if url := urls["web"]; url != "" {
		fmt.Fprintf(&text, `
Try next, in other terminals:

  curl -N '%[1]s/events?topics=**'
  curl -d '{"utterance":"Hello World"}' %[1]s/topics/speak
  curl -d '[]' %[1]s/rpc/omnibus.status
`, url)
	}
	if url := urls["mqtt"]; url != "" {
		fmt.Fprintf(&text, "\nMQTT clients connect to %s (3.1, 3.1.1 and 5.0).\n", url)
	}
	if url := urls["mycroft"]; url != "" {
		fmt.Fprintf(&text, "\nMycroft and OVOS clients connect to %s as to their own bus.\n", url)
	}
	text.WriteString("\n")
	_, _ = io.WriteString(w, text.String())
}
