package archtest_test

import (
	"maps"
	"path"
	"slices"
	"strings"
	"testing"
)

// graph is every package of ours and exactly what it imports of ours:
//
//	package < what its code imports; tests < what only its tests import besides
//
// Where a line is not obvious, the reason stands above it.
const graph = `
topic <
payload <
carrier <
auth <
config <

bus < payload topic
bus/sysbus < bus topic; tests < payload

engine < bus payload
engine/memory < bus engine; tests < engine/enginetest
engine/jetstream < bus engine payload; tests < engine/enginetest engine/memory
engine/enginetest < bus engine payload; tests < engine/memory

# Hello embeds auth.Credentials, so that a login is told once and in one form.
dialect < auth bus carrier payload topic
dialect/echo < auth bus carrier dialect payload topic; tests < broker dialect/dialecttest
# Of config, settings use the type Size and nothing else.
dialect/mycroft < auth bus carrier config dialect dialect/mycroft/catalogue dialect/mycroft/mapping dialect/mycroft/packet payload topic; tests < broker dialect/dialecttest
dialect/mqtt < auth bus carrier config dialect dialect/mqtt/mapping dialect/mqtt/packet payload topic; tests < broker dialect/dialecttest dialect/mqtt/mqtttest
dialect/mqtt/packet <
# What a message is on the bus, and how services are called, for the broker and for clients.
dialect/mqtt/mapping < bus dialect/mqtt/packet payload
# It plays transcripts against any broker, over sockets and WebSockets.
dialect/mqtt/mqtttest < carrier dialect/mqtt/packet
dialect/mycroft/packet <
# The documented types as data, for the hub's export rule and for people.
dialect/mycroft/catalogue <
# What a payload is in a frame, for the hub and for clients.
dialect/mycroft/mapping < bus dialect/mycroft/packet payload
dialect/web < auth bus carrier config dialect payload topic; tests < broker dialect/dialecttest
dialect/std < dialect dialect/echo dialect/mqtt dialect/mycroft dialect/web; tests < dialect/dialecttest

# A broker without an engine is given the one that keeps nothing.
broker < auth bus dialect engine engine/memory payload topic

# The conformance suite runs a dialect against a real broker, with real clients.
dialect/dialecttest < broker bus dialect internal/remote payload topic

internal/app < auth bridge broker bus config dialect; tests < carrier dialect/echo dialect/std
# A client knows what the wire knows: the codecs of two dialects, the documents of the third.
internal/remote < bus carrier client/mqtt dialect/mqtt/mapping dialect/mqtt/packet dialect/mycroft/mapping dialect/mycroft/packet dialect/web payload topic
# Clients share the codecs of the dialects and import no server.
client/mycroft < carrier dialect/mycroft/packet
client/mqtt < carrier dialect/mqtt/packet
# The interface of another library on top of it.
client/mqtt/lwmqtt < client/mqtt; tests < carrier dialect/mqtt/packet
# A bridge is a peer of the broker and a client of another one.
bridge < auth bus client/mqtt config dialect dialect/mqtt/mapping dialect/mqtt/packet topic; tests < broker carrier dialect/mqtt payload
# The load generator speaks to brokers of any make, and knows the codec alone.
bench < dialect/mqtt/packet
cmd/omnibus < internal/cli
internal/cli < bench bus client/mycroft config dialect/mycroft/catalogue dialect/mycroft/mapping dialect/std dialect/web internal/app internal/buildinfo internal/remote payload topic
e2e <; tests < bus client/mqtt client/mqtt/lwmqtt client/mycroft dialect/std internal/app
internal/archtest <
internal/buildinfo <
`

// outside is every module that is not ours and who may import it: packages, or
// "tests" for all test files.
var outside = []outsider{
	{"github.com/gobwas/ws", []string{"carrier"}, "everybody else uses carrier.WebSocket"},
	{"go.yaml.in/yaml/v4", []string{"config"}, "settings are structs with yaml tags"},
	{"github.com/spf13/cobra", []string{"internal/cli"}, "commands and flags stay in one place"},
	{"github.com/nats-io/nats-server/v2", []string{"engine/jetstream"}, "everybody else uses the engine contract"},
	{"github.com/nats-io/nats.go", []string{"engine/jetstream"}, "everybody else uses the engine contract"},
	{"golang.org/x/sys", []string{"engine/jetstream"}, "what one system can do alone stays in one place"},
	{"golang.org/x/sync", []string{"internal/app", "internal/cli"}, "libraries own their goroutines with what the standard library has"},
	{"go.uber.org/goleak", []string{"tests"}, "it watches tests"},
	{"github.com/rogpeppe/go-internal", []string{"tests"}, "it runs script tests"},
}

type outsider struct {
	module string
	users  []string
	why    string
}

func (o outsider) provides(imported string) bool {
	return imported == o.module || strings.HasPrefix(imported, o.module+"/")
}

// pure are the packages that depend on the standard library and on each other
// alone: what a program gets that uses the bus without a server.
var pure = []string{"topic", "payload", "bus", "auth", "engine"}

// node is a line of the graph.
type node struct {
	code, tests []string
}

func parseGraph(t *testing.T) map[string]node {
	t.Helper()
	nodes := make(map[string]node)
	for line := range strings.Lines(graph) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		code, tests, _ := strings.Cut(line, "; tests <")
		name, imports, ok := strings.Cut(code, "<")
		name = strings.TrimSpace(name)
		if _, twice := nodes[name]; !ok || twice {
			t.Fatalf("graph: bad line, or a second one for %s: %s", name, line)
		}
		nodes[name] = node{strings.Fields(imports), strings.Fields(tests)}
	}
	return nodes
}

func TestPackagesImportWhatTheGraphSays(t *testing.T) {
	nodes := parseGraph(t)
	found := imports(readTree(t))
	for _, pkg := range slices.Sorted(maps.Keys(found)) {
		want, ok := nodes[pkg]
		if !ok {
			t.Errorf("package %s is not in the graph: add a line to it in graph_test.go:\n%s <%s", pkg, pkg, join(found[pkg].code))
			continue
		}
		got := found[pkg]
		for _, imported := range got.code {
			if !slices.Contains(want.code, imported) {
				t.Errorf("%s imports %s, which the graph does not allow: do without, or add it to the line of %s in graph_test.go and say why",
					pkg, imported, pkg)
			}
		}
		for _, imported := range got.tests {
			if imported != pkg && !slices.Contains(want.code, imported) && !slices.Contains(want.tests, imported) {
				t.Errorf(`the tests of %s import %s, which the graph does not allow: do without, or add it behind "; tests <" in the line of %s in graph_test.go`,
					pkg, imported, pkg)
			}
		}
		for _, allowed := range want.code {
			if !slices.Contains(got.code, allowed) {
				t.Errorf("the graph allows %s to import %s, which it does not: take it off the line in graph_test.go", pkg, allowed)
			}
		}
		for _, allowed := range want.tests {
			if !slices.Contains(got.tests, allowed) {
				t.Errorf("the graph allows the tests of %s to import %s, which they do not: take it off the line in graph_test.go", pkg, allowed)
			}
		}
	}
	for pkg := range nodes {
		if _, ok := found[pkg]; !ok {
			t.Errorf("the graph has a line for %s, which is no package: remove it from graph_test.go", pkg)
		}
	}
}

// imports is the graph as it is.
func imports(s *source) map[string]node {
	found := make(map[string]node)
	for _, f := range s.files {
		if f.nested {
			continue
		}
		n := found[f.dir]
		for _, imported := range f.imports {
			dir, ok := ours(imported)
			switch {
			case !ok:
			case f.test:
				n.tests = append(n.tests, dir)
			default:
				n.code = append(n.code, dir)
			}
		}
		found[f.dir] = n
	}
	for dir, n := range found {
		found[dir] = node{unique(n.code), unique(n.tests)}
	}
	return found
}

func unique(list []string) []string {
	slices.Sort(list)
	return slices.Compact(list)
}

func join(list []string) string {
	if len(list) == 0 {
		return ""
	}
	return " " + strings.Join(list, " ")
}

// The rules of the graph, whatever its lines say.

func TestDialectsDoNotKnowEachOtherNorTheServer(t *testing.T) {
	for pkg, n := range parseGraph(t) {
		kind, ok := strings.CutPrefix(pkg, "dialect/")
		if !ok || kind == "std" || kind == "dialecttest" {
			continue
		}
		kind, sub, _ := strings.Cut(kind, "/")
		if sub == "packet" && len(n.code)+len(n.tests) > 0 {
			t.Errorf("%s is a codec: it turns bytes into structs and imports nothing of ours, not%s", pkg, join(append(n.code, n.tests...)))
		}
		for _, imported := range n.code {
			other, isDialect := strings.CutPrefix(imported, "dialect/")
			other, _, _ = strings.Cut(other, "/")
			switch {
			case isDialect && other != kind:
				t.Errorf("%s imports %s: what two dialects share belongs in package dialect or below", pkg, imported)
			case imported == "broker", imported == "engine", strings.HasPrefix(imported, "engine/"):
				t.Errorf("%s imports %s: a dialect sees the server through dialect.Port alone", pkg, imported)
			}
		}
	}
}

func TestGraphHasNoCycle(t *testing.T) {
	nodes := parseGraph(t)
	done := make(map[string]bool)
	var visit func(pkg string, above []string)
	visit = func(pkg string, above []string) {
		if slices.Contains(above, pkg) {
			t.Fatalf("a cycle:%s", join(append(above, pkg)))
		}
		if done[pkg] {
			return
		}
		for _, imported := range nodes[pkg].code {
			visit(imported, append(slices.Clone(above), pkg))
		}
		done[pkg] = true
	}
	for pkg := range nodes {
		visit(pkg, nil)
	}
}

func TestTheBusAloneNeedsTheStandardLibraryOnly(t *testing.T) {
	for _, f := range readTree(t).files {
		if f.test || !slices.Contains(pure, f.dir) {
			continue
		}
		for _, imported := range f.imports {
			if dir, ok := ours(imported); ok && !slices.Contains(pure, dir) || !ok && !standard(imported) {
				t.Errorf("%s imports %s: %s must do with the standard library", f.name, imported, f.dir)
			}
		}
	}
}

func TestOutsideModulesStayInTheirPlace(t *testing.T) {
	used := make(map[string]bool)
	for _, f := range readTree(t).files {
		if f.nested {
			continue
		}
		for _, imported := range f.imports {
			if _, ok := ours(imported); ok || standard(imported) {
				continue
			}
			i := slices.IndexFunc(outside, func(o outsider) bool { return o.provides(imported) })
			if i < 0 {
				t.Errorf("%s imports %s, a module that is not in the list: do without, or add a line with a reason to graph_test.go", f.name, imported)
				continue
			}
			m := outside[i]
			used[m.module] = true
			if !slices.Contains(m.users, f.dir) && (!f.test || !slices.Contains(m.users, "tests")) {
				t.Errorf("%s imports %s, which only%s may: %s", f.name, imported, join(m.users), m.why)
			}
		}
	}
	for _, m := range outside {
		if !used[m.module] {
			t.Errorf("nobody imports %s any more: remove its line from graph_test.go", m.module)
		}
	}
}

func TestPackageNamesAreThoseOfTheirFolders(t *testing.T) {
	for _, f := range readTree(t).files {
		name := strings.TrimSuffix(f.pkg, "_test")
		if name != "main" && name != path.Base(f.dir) {
			t.Errorf("%s is of package %s: name it %s, like its folder", f.name, f.pkg, path.Base(f.dir))
		}
		if slices.Contains([]string{"util", "utils", "common", "types", "helpers", "misc"}, name) {
			t.Errorf("%s: package %s says nothing; name it for what it provides", f.name, name)
		}
	}
}
