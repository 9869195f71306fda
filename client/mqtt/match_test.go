package mqtt_test

import (
	"regexp"
	"strings"
	"testing"

	"omnibus/client/mqtt"
	"omnibus/dialect/mqtt/packet"
)

func TestMatch(t *testing.T) {
	for _, test := range []struct {
		filter, name string
		want         bool
	}{
		{"a/b/c", "a/b/c", true},
		{"a/b/#", "a/b/c", true},
		{"a/+/+", "a/b/c", true},
		{"+/b/#", "a/b/c", true},
		{"a/b/#", "a/b", true},
		{"a/+/b", "a//b", true},
		{"+/a", "/a", true},
		{"a/+", "a/", true},
		{"#", "$SYS/x", false},
		{"+/x", "$SYS/x", false},
		{"$SYS/#", "$SYS/x", true},
		{"x/2", "x/1", false},
		{"aab", "aaa", false},
		{"a/+", "a", false},
		{"a", "a/b", false},
		{"a/b/#", "a/bc", false},
		{"$share/g/a/+", "a/b", true},
		{"$share/g/#", "$SYS/x", false},
	} {
		if got := mqtt.Match(test.filter, test.name); got != test.want {
			t.Errorf("Match(%q, %q) is %t", test.filter, test.name, got)
		}
	}
}

// oracle matches as the regular expression that a filter is.
func oracle(filter, name string) bool {
	if _, rest, ok := packet.SplitShared(filter); ok {
		filter = rest
	}
	if strings.HasPrefix(name, "$") && (filter[0] == '+' || filter[0] == '#') {
		return false
	}
	levels := strings.Split(filter, "/")
	for i, level := range levels {
		switch level {
		case "+":
			levels[i] = "[^/]*"
		case "#":
			levels[i] = ".*"
		default:
			levels[i] = regexp.QuoteMeta(level)
		}
	}
	text := strings.Join(levels, "/")
	if text != ".*" && strings.HasSuffix(text, "/.*") {
		text = strings.TrimSuffix(text, "/.*") + "(/.*)?"
	}
	return regexp.MustCompile("(?s)^" + text + "$").MatchString(name)
}

// FuzzMatch compares with the oracle.
func FuzzMatch(f *testing.F) {
	f.Add("a/+/#", "a/b/c")
	f.Add("$share/x/+", "/")
	f.Fuzz(func(t *testing.T, filter, name string) {
		if !packet.ValidTopicFilter(filter) || !packet.ValidTopicName(name) {
			return
		}
		if got, want := mqtt.Match(filter, name), oracle(filter, name); got != want {
			t.Errorf("Match(%q, %q) is %t", filter, name, got)
		}
	})
}
