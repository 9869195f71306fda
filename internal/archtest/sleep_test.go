package archtest_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"slices"
	"strings"
	"testing"
)

// realTime begins the comment that says why somebody sleeps in real time.
const realTime = "real time:"

func TestNobodySleepsInRealTime(t *testing.T) {
	s := readTree(t)
	for _, f := range s.files {
		if f.nested || slices.Contains(f.imports, "testing/synctest") {
			continue // a benchmark's own module, or the clock is not the real one
		}
		for _, line := range sleeps(t, f.name, s.text(t, f.name)) {
			t.Errorf("%s:%d sleeps: wait for what is to happen, in tests use testing/synctest, or say why not in a comment on the line (// %s …)",
				f.name, line, realTime)
		}
	}
}

func TestSleepsAreFound(t *testing.T) {
	const text = `package x
import "time"
func a() {
	time.Sleep(1)
	time.Sleep(2) // real time: it must be
	go func() { time.Sleep(3) }()
}
`
	if got := sleeps(t, "x_test.go", text); !slices.Equal(got, []int{4, 6}) {
		t.Errorf("found in lines %v, want 4 and 6", got)
	}
}

// sleeps are the lines with calls of time.Sleep that do not say why.
func sleeps(t *testing.T, name, text string) []int {
	t.Helper()
	if !strings.Contains(text, "time.Sleep(") {
		return nil
	}
	set := token.NewFileSet()
	tree, err := parser.ParseFile(set, name, text, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	excused := make(map[int]bool)
	for _, group := range tree.Comments {
		if strings.HasPrefix(group.Text(), realTime) {
			excused[set.Position(group.Pos()).Line] = true
		}
	}
	var found []int
	ast.Inspect(tree, func(n ast.Node) bool {
		if call, ok := n.(*ast.CallExpr); ok {
			if sel, ok := call.Fun.(*ast.SelectorExpr); ok && sel.Sel.Name == "Sleep" {
				if x, ok := sel.X.(*ast.Ident); ok && x.Name == "time" {
					if line := set.Position(call.Pos()).Line; !excused[line] {
						found = append(found, line)
					}
				}
			}
		}
		return true
	})
	return found
}
