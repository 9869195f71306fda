package cli

import (
	"fmt"
	"runtime"

	"github.com/spf13/cobra"

	"omnibus/internal/buildinfo"
	"omnibus/payload"
)

func newVersionCommand(s *stdio) *cobra.Command {
	asJSON := false
	cmd := &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Long:  `Print the version of this program, of Go, and the system it was built for.`,
		Example: `  omnibus version
  omnibus version --json`,
		Args:              between(0, 0, "nothing more"),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE:              func(*cobra.Command, []string) error { return s.printVersion(asJSON) },
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print a JSON object")
	return cmd
}

func (s *stdio) printVersion(asJSON bool) error {
	v := struct {
		Version string `json:"version"`
		Go      string `json:"go"`
		OS      string `json:"os"`
		Arch    string `json:"arch"`
	}{buildinfo.Version(), runtime.Version(), runtime.GOOS, runtime.GOARCH}
	line := fmt.Sprintf("omnibus %s (%s, %s/%s)", v.Version, v.Go, v.OS, v.Arch)
	if asJSON {
		data, err := payload.Marshal(v)
		if err != nil {
			return err
		}
		line = string(data)
	}
	if _, err := fmt.Fprintln(s.out, line); err != nil {
		return fmt.Errorf("writing to standard output: %w", err)
	}
	return nil
}
