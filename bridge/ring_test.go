package bridge_test

import (
	"fmt"
	"testing"

	"omnibus/bridge"
)

// topologies are brokers joined in some way, and the versions for which a message
// comes everywhere once.
var topologies = []struct {
	name     string
	nodes    int
	bridges  [][2]int
	versions []string
}{
	{"a bridge", 2, [][2]int{{0, 1}}, []string{"5", "3.1.1", "auto"}},
	{"a bridge each way", 2, [][2]int{{0, 1}, {1, 0}}, []string{"5"}},
	{"two bridges", 2, [][2]int{{0, 1}, {0, 1}}, []string{"5"}},
	{"a chain", 3, [][2]int{{0, 1}, {1, 2}}, []string{"5", "3.1.1"}},
	{"a chain from its middle", 3, [][2]int{{1, 0}, {1, 2}}, []string{"5", "3.1.1"}},
	{"a star", 4, [][2]int{{1, 0}, {2, 0}, {3, 0}}, []string{"5", "3.1.1"}},
	{"a ring", 3, [][2]int{{0, 1}, {1, 2}, {2, 0}}, []string{"5"}},
	{"a ring whose first has no bridge", 3, [][2]int{{1, 0}, {1, 2}, {2, 0}}, []string{"5"}},
	{"everybody with everybody", 3, [][2]int{{0, 1}, {1, 0}, {1, 2}, {2, 1}, {2, 0}, {0, 2}}, []string{"5"}},
}

func TestEachMessageComesEverywhereOnce(t *testing.T) {
	for _, top := range topologies {
		for _, v := range top.versions {
			t.Run(top.name+" in "+v, func(t *testing.T) {
				nodes := make([]*node, top.nodes)
				for i := range nodes {
					nodes[i] = start(t, string(rune('a'+i)), "127.0.0.1:0")
				}
				for i, b := range top.bridges {
					n, o := nodes[b[0]], nodes[b[1]]
					n.bridgeTo(o, everything, version(v), func(c *bridge.Config) { c.Name = fmt.Sprintf("%s%d", o.name, i) })
				}
				var want []string
				for k := range 20 {
					for i, n := range nodes {
						n.publish(fmt.Sprintf("topic/%d", i), fmt.Sprint(k/2)) // every value comes twice
						want = append(want, fmt.Sprintf("topic/%d=%d", i, k/2))
					}
				}
				all(nodes, want)
			})
		}
	}
}
