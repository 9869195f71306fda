package archtest_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// module is the path that all packages of ours begin with.
const module = "omnibus"

// file is one Go file.
type file struct {
	name    string // relative to the root, with slashes
	dir     string // of the package, relative to the root
	test    bool
	nested  bool // belongs to a module of its own below the root
	pkg     string
	doc     string
	imports []string
}

// source is the tree as the tests see it.
type source struct {
	root  string
	all   []string // every file, relative to the root
	files []file   // every Go file
}

// readTree reads the whole tree once per test.
func readTree(t *testing.T) *source {
	t.Helper()
	s := &source{root: root(t)}
	nested := make(map[string]bool)
	err := fs.WalkDir(os.DirFS(s.root), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if name == ".git" || name == "build" { // build is what make makes
				return fs.SkipDir
			}
			nested[name] = nested[path.Dir(name)]
			if _, err := os.Stat(s.path(name, "go.mod")); err == nil && name != "." {
				nested[name] = true
			}
			return nil
		}
		if !d.Type().IsRegular() {
			return nil
		}
		s.all = append(s.all, name)
		if path.Ext(name) != ".go" || slices.Contains(strings.Split(name, "/"), "testdata") {
			return nil
		}
		f, err := readFile(s.path(name), name)
		if err != nil {
			return err
		}
		f.nested = nested[f.dir]
		s.files = append(s.files, f)
		return nil
	})
	if err != nil {
		t.Fatalf("reading the tree: %v", err)
	}
	if len(s.files) < 50 {
		t.Fatalf("only %d Go files below %s: this is not the whole tree", len(s.files), s.root)
	}
	return s
}

func (s *source) path(parts ...string) string {
	return filepath.Join(s.root, filepath.FromSlash(path.Join(parts...)))
}

func (s *source) text(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile(s.path(name))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// root is the directory of our go.mod.
func root(t *testing.T) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for ; ; dir = filepath.Dir(dir) {
		if data, err := os.ReadFile(filepath.Join(dir, "go.mod")); err == nil && strings.HasPrefix(string(data), "module "+module+"\n") {
			return dir
		}
		if dir == filepath.Dir(dir) {
			t.Fatalf("no directory above this one has the go.mod of %s", module)
		}
	}
}

func readFile(full, name string) (file, error) {
	tree, err := parser.ParseFile(token.NewFileSet(), full, nil, parser.ImportsOnly|parser.ParseComments)
	if err != nil {
		return file{}, err
	}
	f := file{name: name, dir: path.Dir(name), test: strings.HasSuffix(name, "_test.go"), pkg: tree.Name.Name, doc: tree.Doc.Text()}
	for _, i := range tree.Imports {
		f.imports = append(f.imports, importPath(i))
	}
	return f, nil
}

func importPath(i *ast.ImportSpec) string {
	p, err := strconv.Unquote(i.Path.Value)
	if err != nil {
		return i.Path.Value
	}
	return p
}

// ours is the path of an import below our module; false for all others.
func ours(imported string) (string, bool) {
	if imported == module {
		return ".", true
	}
	return strings.CutPrefix(imported, module+"/")
}

// standard reports whether an import is of the standard library: the first
// element of every other path has a dot, or is our module.
func standard(imported string) bool {
	first, _, _ := strings.Cut(imported, "/")
	return !strings.Contains(first, ".") && first != module
}
