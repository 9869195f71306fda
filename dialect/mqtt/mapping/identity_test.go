package mapping_test

import (
	"bytes"
	"strings"
	"testing"

	"omnibus/bus"
	"omnibus/dialect/mqtt/mapping"
	"omnibus/dialect/mqtt/packet"
)

func TestTheIdentityIsTakenOutOfTheUserProperties(t *testing.T) {
	const name = mapping.PropertyIdentity
	long := strings.Repeat("x", 129)
	for _, c := range []struct {
		pairs, rest []string
		id          string
	}{
		{nil, nil, ""},
		{[]string{"a", "b"}, []string{"a", "b"}, ""},
		{[]string{name, "x"}, nil, "x"},
		{[]string{"a", "b", name, "x", "a", "c", name, "y"}, []string{"a", "b", "a", "c"}, "x"},
		{[]string{name, long, "a", "b"}, []string{"a", "b"}, ""},
	} {
		id, rest := mapping.Identity(pairs(c.pairs))
		if id != c.id || !bytes.Equal(rest, pairs(c.rest)) {
			t.Errorf("%.40q: identity %q and %q", c.pairs, id, rest)
		}
	}
}

func TestTheIdentityIsNoHeader(t *testing.T) {
	p := packet.MessageProperties{User: pairs([]string{mapping.PropertyIdentity, "x", "a", "b"})}
	if got := mapping.Headers(&p); len(got) != 1 || got[0].Key != "a" {
		t.Errorf("headers %v", got)
	}
	mapping.SetProperties(&p, []bus.Header{{Key: mapping.PropertyIdentity, Value: "x"}, {Key: "a", Value: "b"}}, nil)
	if !bytes.Equal(p.User, pairs([]string{"a", "b"})) {
		t.Errorf("user properties %q", p.User)
	}
}

func pairs(list []string) (u packet.UserProperties) {
	for i := 0; i < len(list); i += 2 {
		u = u.Append(list[i], list[i+1])
	}
	return u
}
