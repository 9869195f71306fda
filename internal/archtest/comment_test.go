package archtest_test

import (
	"maps"
	"slices"
	"strings"
	"testing"
)

// leastWords is how many words a package comment has at least, behind the
// name: fewer only repeat it.
const leastWords = 8

func TestEveryPackageSaysWhatItIs(t *testing.T) {
	type pkg struct {
		name     string
		comments []file
		files    int
	}
	packages := make(map[string]*pkg)
	for _, f := range readTree(t).files {
		if strings.HasSuffix(f.pkg, "_test") {
			if f.doc != "" {
				t.Errorf("%s: a test package has no package comment; put it on the package itself", f.name)
			}
			continue
		}
		p := packages[f.dir]
		if p == nil {
			p = &pkg{name: f.pkg}
			packages[f.dir] = p
		}
		p.files++
		if f.doc != "" {
			p.comments = append(p.comments, f)
		}
	}
	for _, dir := range slices.Sorted(maps.Keys(packages)) {
		p := packages[dir]
		switch len(p.comments) {
		case 1:
			checkComment(t, p.name, p.comments[0])
		case 0:
			t.Errorf("package %s has no package comment: say in doc.go what it promises (ordering, ownership, shutdown, limits)", dir)
		default:
			var names []string
			for _, f := range p.comments {
				names = append(names, f.name)
			}
			t.Errorf("package %s has %d package comments (%s): leave one", dir, len(names), strings.Join(names, ", "))
		}
	}
}

func checkComment(t *testing.T, name string, f file) {
	t.Helper()
	begin := "Package " + name + " "
	if name == "main" {
		begin = "Command "
	}
	rest, ok := strings.CutPrefix(f.doc, begin)
	if !ok {
		first, _, _ := strings.Cut(f.doc, "\n")
		t.Errorf("%s: the package comment must begin with %q, not %q", f.name, begin, first)
		return
	}
	if n := len(strings.Fields(rest)); n < leastWords {
		t.Errorf("%s: the package comment says little in %d words: tell what the package is for and what it promises", f.name, n)
	}
}
