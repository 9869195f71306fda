package cli

import (
	"fmt"
	"path"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"omnibus/dialect/mycroft/catalogue"
	"omnibus/payload"
)

func newMycroftTypesCommand(s *stdio) *cobra.Command {
	all, asJSON := false, false
	cmd := &cobra.Command{
		Use:   "types [PATTERN]",
		Short: "Explain the documented message types",
		Long: `List the message types that Mycroft documented, with the fields of their data.

PATTERN is part of a name, or a name in which * stands for anything.`,
		Example: `  omnibus mycroft types volume
  omnibus mycroft types 'mycroft.mic.*'
  omnibus mycroft types --json speak`,
		Args:              between(0, 1, "at most one pattern"),
		ValidArgsFunction: completeTypes,
		RunE: func(_ *cobra.Command, args []string) error {
			list := catalogue.Types()
			if all {
				list = append(list, catalogue.Undocumented()...)
			}
			pattern := ""
			if len(args) > 0 {
				pattern = args[0]
			}
			list, err := matching(list, pattern)
			if err != nil {
				return err
			}
			if asJSON {
				return s.printJSON(list)
			}
			return s.printTypes(list)
		},
	}
	cmd.Flags().BoolVar(&all, "all", false, "also those that the original programs send without documenting them")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print a JSON array")
	return cmd
}

// matching keeps the types whose names match.
func matching(list []catalogue.Type, pattern string) ([]catalogue.Type, error) {
	if _, err := path.Match(pattern, ""); err != nil {
		return nil, usagef("%q is no pattern: %v", pattern, err)
	}
	list = slices.DeleteFunc(list, func(t catalogue.Type) bool {
		if strings.ContainsAny(pattern, "*?[") {
			ok, _ := path.Match(pattern, t.Name) // it is a pattern
			return !ok
		}
		return !strings.Contains(t.Name, pattern)
	})
	if len(list) == 0 {
		return nil, fmt.Errorf("no documented type matches %q; --all knows some more", pattern)
	}
	return list, nil
}

func (s *stdio) printTypes(list []catalogue.Type) error {
	w := tabwriter.NewWriter(s.out, 0, 0, 2, ' ', 0)
	for _, t := range list {
		fmt.Fprintf(w, "%s (%s): %s\n", t.Name, t.Direction, t.Description)
		for _, f := range t.Fields {
			line := "    " + f.Name + "\t" + f.Kind
			if f.Description != "" {
				line += "\t" + f.Description
			}
			fmt.Fprintln(w, line)
		}
		if err := w.Flush(); err != nil { // so that each type has its own columns
			return fmt.Errorf("writing to standard output: %w", err)
		}
	}
	return nil
}

func (s *stdio) printJSON(v any) error {
	data, err := payload.Marshal(v)
	if err != nil {
		return err
	}
	if _, err := fmt.Fprintf(s.out, "%s\n", data); err != nil {
		return fmt.Errorf("writing to standard output: %w", err)
	}
	return nil
}

func newMycroftLintCommand(s *stdio) *cobra.Command {
	asJSON := false
	cmd := &cobra.Command{
		Use:   "lint NAME...",
		Short: "Check names of message types against the naming rules",
		Long: `Check names of message types against the rules of the Mycroft documentation, and
say what each name means by them or which it breaks. The exit code is 1 when one
breaks a rule.

Names are subsystem.message or skill.NAME.message. A request is a verb
(mic.mute), what is about to happen ends in -ing (mic.muting), what has happened
is in the past tense (mic.muted).`,
		Example: `  omnibus mycroft lint mic.mute mic.muting mic.muted
  omnibus mycroft lint skill.timer.will_expire`,
		Args:              between(1, -1, "at least one name"),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(_ *cobra.Command, args []string) error {
			var verdicts []catalogue.Verdict
			bad := 0
			for _, name := range args {
				v := catalogue.Lint(name)
				verdicts = append(verdicts, v)
				if !v.OK {
					bad++
				}
			}
			if err := s.printVerdicts(verdicts, asJSON); err != nil {
				return err
			}
			if bad > 0 {
				return &codeError{exitFailure, fmt.Sprintf("%d of %d names break the naming rules", bad, len(args))}
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print a JSON array")
	return cmd
}

func (s *stdio) printVerdicts(list []catalogue.Verdict, asJSON bool) error {
	if asJSON {
		return s.printJSON(list)
	}
	for _, v := range list {
		name, is, hint := v.Name, "ok", ""
		if name == "" || visible(name) != name {
			name = quoted(name)
		}
		if !v.OK {
			is = "bad"
		}
		if v.Hint != "" {
			hint = "; better " + v.Hint
		}
		if _, err := fmt.Fprintf(s.out, "%s: %s: %s%s\n", name, is, visible(v.Reason), visible(hint)); err != nil {
			return fmt.Errorf("writing to standard output: %w", err)
		}
	}
	return nil
}
