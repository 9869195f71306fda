package cli

import (
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"omnibus/config"
	"omnibus/dialect/std"
	"omnibus/internal/app"
)

func newConfigCommand(s *stdio) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "config",
		Short: "Write, check and explain the configuration file",
		Long: `The configuration is one YAML file. It is optional, and so is every setting in
it: what is absent has its default.`,
		Example: `  omnibus config init omnibus.yaml
  omnibus config check omnibus.yaml`,
		Args: between(0, 0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newConfigInitCommand(s), newConfigCheckCommand(s), newConfigReferenceCommand(s))
	return cmd
}

func newConfigInitCommand(s *stdio) *cobra.Command {
	force := false
	cmd := &cobra.Command{
		Use:   "init [FILE]",
		Short: "Write every setting with its default and what it means",
		Long: `Writes a complete configuration file: every setting with its default, and above
it what it means. Without FILE it goes to standard output.`,
		Example: `  omnibus config init
  omnibus config init omnibus.yaml`,
		Args: between(0, 1, "at most one FILE"),
		RunE: func(_ *cobra.Command, args []string) error {
			var text strings.Builder
			if err := config.Write(&text, app.Defaults(std.All()).Sections()); err != nil {
				return err
			}
			if len(args) == 0 {
				_, err := fmt.Fprint(s.out, text.String())
				return err
			}
			return writeNew(args[0], text.String(), force)
		},
	}
	cmd.Flags().BoolVar(&force, "force", false, "replace FILE if it exists")
	return cmd
}

// writeNew writes a file that must not exist, unless it is forced to.
func writeNew(name, text string, force bool) error {
	flags := os.O_WRONLY | os.O_CREATE | os.O_EXCL
	if force {
		flags = os.O_WRONLY | os.O_CREATE | os.O_TRUNC
	}
	f, err := os.OpenFile(name, flags, 0o600)
	if os.IsExist(err) {
		return fmt.Errorf("%s exists already; --force replaces it", name)
	}
	if err != nil {
		return fmt.Errorf("writing the configuration: %w", err)
	}
	_, err = f.WriteString(text)
	if e := f.Close(); err == nil {
		err = e
	}
	return err
}

func newConfigCheckCommand(s *stdio) *cobra.Command {
	return &cobra.Command{
		Use:   "check FILE",
		Short: "Report every problem of a configuration file, with its line",
		Long: `Reads a configuration file as serve would and reports all that is wrong with it,
each with its line. The exit code is 0 when there is nothing.`,
		Example: `  omnibus config check omnibus.yaml
  omnibus config check omnibus.yaml && omnibus serve --config omnibus.yaml`,
		Args: between(1, 1, "one FILE"),
		RunE: func(_ *cobra.Command, args []string) error {
			if err := app.Defaults(std.All()).Load(args[0]); err != nil {
				return err
			}
			_, err := fmt.Fprintf(s.out, "%s is fine\n", args[0])
			return err
		},
	}
}

func newConfigReferenceCommand(s *stdio) *cobra.Command {
	return &cobra.Command{
		Use:   "reference",
		Short: "Print all settings as a Markdown page",
		Long:  `Prints the page that docs/config.md holds: every setting, its default and meaning.`,
		Example: `  omnibus config reference
  omnibus config reference > docs/config.md`,
		Args: between(0, 0, "no arguments"),
		RunE: func(*cobra.Command, []string) error {
			return config.Reference(s.out, app.Defaults(std.All()).Sections())
		},
	}
}
