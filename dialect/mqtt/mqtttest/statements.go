package mqtttest

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"
)

// Statement is one of the normative statements of MQTT 5.0.
type Statement struct {
	ID string
	// Side is whom it binds: server, client or both.
	Side string
	// ShownBy are the transcripts, "rule: NAME" and "test: PACKAGE.NAME" that
	// show it.
	ShownBy []string
	// NotShown is the reason if nothing does.
	NotShown string
	// About says in a few words what it wants.
	About string
}

// statementCount is how many there are in the specification.
const statementCount = 251

// Where things stand below the directory of the dialect.
const (
	statementsFile = "testdata/statements.txt"
	transcriptsDir = "testdata/transcripts"
)

// ReadStatements reads testdata/statements.txt below the directory of the
// dialect.
func ReadStatements(dir fs.FS) ([]Statement, error) {
	text, err := fs.ReadFile(dir, statementsFile)
	if err != nil {
		return nil, err
	}
	var all []Statement
	n := 0
	for line := range strings.Lines(string(text)) {
		n++
		line = strings.TrimSuffix(line, "\n")
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		s, err := parseStatement(line)
		if err != nil {
			return nil, fmt.Errorf("%s:%d: %w", statementsFile, n, err)
		}
		all = append(all, s)
	}
	return all, nil
}

func parseStatement(line string) (Statement, error) {
	columns := strings.Split(line, "\t")
	if len(columns) != 4 {
		return Statement{}, fmt.Errorf("%d columns instead of four", len(columns))
	}
	s := Statement{ID: columns[0], Side: columns[1], About: columns[3]}
	switch s.Side {
	case "server", "client", "both":
	default:
		return s, fmt.Errorf("%q is no side", s.Side)
	}
	if reason, ok := strings.CutPrefix(columns[2], "not shown: "); ok && reason != "" {
		s.NotShown = reason
	} else if list, ok := strings.CutPrefix(columns[2], "shown by "); ok {
		s.ShownBy = strings.Split(list, "; ")
	} else {
		return s, fmt.Errorf("%q says neither what shows it nor why nothing does", columns[2])
	}
	if s.About == "" || statementID.FindString(s.ID) != s.ID {
		return s, errors.New("the id is none, or what it is about is missing")
	}
	return s, nil
}

// CheckStatements tells what is wrong with testdata/statements.txt below the
// directory of the dialect: statements that are missing or there twice, places
// that do not exist or do not name the statement, and transcripts and rules that
// name one where it is not listed.
func CheckStatements(dir fs.FS) error {
	statements, err := ReadStatements(dir)
	if err != nil {
		return err
	}
	places, tests, err := shown(dir)
	if err != nil {
		return err
	}
	var wrong []error
	seen := make(map[string]bool)
	before := Statement{}
	for _, s := range statements {
		if seen[s.ID] {
			wrong = append(wrong, fmt.Errorf("%s is there twice", s.ID))
		}
		if !s.follows(before) {
			wrong = append(wrong, fmt.Errorf("%s is not what follows %s", s.ID, before.ID))
		}
		before = s
		seen[s.ID] = true
		for _, place := range s.ShownBy {
			if test, ok := strings.CutPrefix(place, "test: "); ok {
				if !tests[test] {
					wrong = append(wrong, fmt.Errorf("%s: there is no test %s", s.ID, test))
				}
			} else if ids, ok := places[place]; !ok {
				wrong = append(wrong, fmt.Errorf("%s: there is no %s", s.ID, place))
			} else if !slices.Contains(ids, s.ID) {
				wrong = append(wrong, fmt.Errorf("%s: %s does not name it", s.ID, place))
			}
		}
		for _, place := range slices.Sorted(maps.Keys(places)) {
			if slices.Contains(places[place], s.ID) && !slices.Contains(s.ShownBy, place) {
				wrong = append(wrong, fmt.Errorf("%s: %s names it and is not listed", s.ID, place))
			}
		}
	}
	if len(seen) != statementCount {
		wrong = append(wrong, fmt.Errorf("%d statements are listed, the specification has %d", len(seen), statementCount))
	}
	for place, ids := range places {
		for _, id := range ids {
			if !seen[id] {
				wrong = append(wrong, fmt.Errorf("%s names %s, which does not exist", place, id))
			}
		}
	}
	return errors.Join(wrong...)
}

// follows tells whether a statement is numbered like the next one of its section,
// or the first of another.
func (s Statement) follows(before Statement) bool {
	at := strings.LastIndex(s.ID, "-")
	section, number := s.ID[:at], s.ID[at+1:]
	if last, ok := strings.CutPrefix(before.ID, section+"-"); ok {
		n, err := strconv.Atoi(last)
		return err == nil && number == strconv.Itoa(n+1)
	}
	if section == "MQTT-2.2.1" { // its first statement is no longer one
		return number == "2"
	}
	return number == "1"
}

// shown are the statements that each transcript and rule names, and all tests.
func shown(dir fs.FS) (places map[string][]string, tests map[string]bool, err error) {
	places, tests = make(map[string][]string), make(map[string]bool)
	scripts, err := fs.Sub(dir, transcriptsDir)
	if err != nil {
		return nil, nil, err
	}
	loaded, err := Load(scripts)
	if err != nil {
		return nil, nil, err
	}
	for _, s := range loaded {
		places[s.File+".txt"] = addNew(places[s.File+".txt"], s.Shows...)
	}
	for _, r := range Rules() {
		places["rule: "+r.Name] = r.Shows
	}
	for _, pattern := range []string{"*_test.go", "*/*_test.go"} {
		files, err := fs.Glob(dir, pattern)
		if err != nil {
			return nil, nil, err
		}
		for _, name := range files {
			text, err := fs.ReadFile(dir, name)
			if err != nil {
				return nil, nil, err
			}
			pkg := path.Dir(name)
			if pkg == "." {
				pkg = "mqtt"
			}
			for line := range strings.Lines(string(text)) {
				if f, ok := strings.CutPrefix(line, "func Test"); ok {
					f, _, _ = strings.Cut(f, "(")
					tests[pkg+".Test"+f] = true
				}
			}
		}
	}
	return places, tests, nil
}

// Table is the list of statements as a table in Markdown, with the number of
// those shown in front.
func Table(statements []Statement) string {
	var out strings.Builder
	count := 0
	for _, s := range statements {
		if s.NotShown == "" {
			count++
		}
	}
	fmt.Fprintf(&out, "%d of %d statements are shown.\n\n", count, len(statements))
	out.WriteString("| statement | binds | about | shown by |\n| --- | --- | --- | --- |\n")
	for _, s := range statements {
		how := "not shown: " + s.NotShown
		if s.NotShown == "" {
			how = strings.Join(s.ShownBy, "<br>")
		}
		fmt.Fprintf(&out, "| %s | %s | %s | %s |\n", s.ID, s.Side, cell(s.About), cell(how))
	}
	return out.String()
}

// cell is a text that does not end the cell it stands in.
func cell(text string) string { return strings.ReplaceAll(text, "|", `\|`) }
