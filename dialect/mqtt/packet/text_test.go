package packet_test

import (
	"math/rand/v2"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"omnibus/dialect/mqtt/packet"
)

func TestTopicFiltersAreJudged(t *testing.T) {
	for filter, want := range map[string]bool{
		"#": true, "+": true, "/": true, "a": true, "a/b": true, "a/#": true, "a/+/b": true, "+/+": true, "/+": true, "+/": true, "+/#": true, "//": true,
		"$SYS/#": true, "a b": true, "größe/+": true, "$share/g/a/#": true, "$share/g/#": true, "$share/g//": true, "$shared/+/x": true,
		"": false, "a#": false, "#/a": false, "##": false, "a+": false, "+a": false, "a/+b/c": false, "a/b+": false, "/#/": false, "++": false,
		"a\x00": false, "\xff": false, "$share": true, "$share/": false, "$share/g": false, "$share/g/": false, "$share//a": false, "$share/+/a": false,
		"$share/a#/b": false, "$share/g/a#": false,
	} {
		if got := packet.ValidTopicFilter(filter); got != want {
			t.Errorf("filter %q: %t, want %t", filter, got, want)
		}
	}
	if !packet.ValidTopicFilter(strings.Repeat("a", 65535)) || packet.ValidTopicFilter(strings.Repeat("a", 65536)) {
		t.Error("a filter has 65,535 bytes at most")
	}
}

func TestSharedSubscriptionsAreSplit(t *testing.T) {
	for filter, want := range map[string][3]string{
		"$share/g/a/#": {"g", "a/#", "ok"}, "$share/my group/+": {"my group", "+", "ok"}, "$share/g//a": {"g", "/a", "ok"},
		"a/b": {}, "$share/g": {}, "$share/g/": {}, "$share//a": {}, "$share/g/#/a": {}, "$Share/g/a": {},
	} {
		name, rest, ok := packet.SplitShared(filter)
		if name != want[0] || rest != want[1] || ok != (want[2] == "ok") {
			t.Errorf("%q: %q %q %t, want %q", filter, name, rest, ok, want)
		}
	}
}

// Names are judged eight bytes at a time; byte by byte gives the same.
func TestNamesAreJudgedLikeByteByByte(t *testing.T) {
	rnd := rand.New(rand.NewPCG(3, 4))
	parts := []string{"a", "b", "/", "ab/cd", "temperature", "$", "*", ",", "\"", "\x01", "\x1f", "\x7f", "\u0085", "ö", "℃", "😀", "\uFEFF"}
	bad := []string{"\x00", "+", "#", "\x80", "\xff", "\xed\xa0\x80", "\xc0\xaf", "\xe2\x84"}
	for range 100_000 {
		var s string
		for range rnd.IntN(8) {
			s += parts[rnd.IntN(len(parts))]
		}
		if rnd.IntN(2) == 0 {
			at := rnd.IntN(len(s) + 1)
			s = s[:at] + bad[rnd.IntN(len(bad))] + s[at:]
		}
		text := utf8.ValidString(s) && !strings.Contains(s, "\x00")
		if got := packet.ValidString(s); got != text {
			t.Fatalf("string %q: %t, want %t", s, got, text)
		}
		name := text && s != "" && !strings.ContainsAny(s, "+#") && !strings.ContainsFunc(s, unicode.IsControl)
		if got := packet.ValidTopicName(s); got != name {
			t.Fatalf("name %q: %t, want %t", s, got, name)
		}
	}
	for n := range 40 { // each byte at each place of each length
		s := []byte(strings.Repeat("x", n))
		for i := range s {
			for c := range 256 {
				s[i] = byte(c)
				if got, want := packet.ValidTopicName(string(s)), c >= ' ' && c < 0x7f && c != '+' && c != '#'; got != want {
					t.Fatalf("name %q: %t, want %t", s, got, want)
				}
			}
			s[i] = 'x'
		}
	}
	if packet.ValidTopicName(strings.Repeat("a", 65536)) || packet.ValidString(strings.Repeat("a", 65536)) {
		t.Error("strings have 65,535 bytes at most")
	}
}
