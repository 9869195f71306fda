package mqtttest

import (
	"fmt"
	"maps"
	"strconv"
	"strings"

	"omnibus/dialect/mqtt/packet"
)

// defaults are values that a packet which arrived is shown without.
var defaults = map[string]string{"reason": "00", "code": "0", "qos": "0", "topic": "", "payload": ""}

// match says why the packet is not the one expected, or returns the variables
// with those that it gives a value.
func (n *notation) match(a *arrived, vars variables) (variables, string) {
	if a.typ != n.typ {
		return nil, "it is another packet"
	}
	got := make(map[string][]string)
	for _, f := range a.fields {
		got[f.name] = append(got[f.name], f.text)
	}
	now := maps.Clone(vars)
	if now == nil {
		now = make(variables)
	}
	for _, f := range n.fields {
		if f.name == "size" {
			if !within(f, a.size, now) {
				return nil, fmt.Sprintf("it is %d bytes long", a.size)
			}
			continue
		}
		values := got[f.name]
		if f.op == "!" {
			if len(values) > 0 {
				return nil, f.name + " must not be there"
			}
			continue
		}
		actual := defaults[f.name]
		if len(values) > 0 {
			actual = values[0]
			got[f.name] = values[1:]
		} else if _, ok := defaults[f.name]; !ok {
			return nil, f.name + " is missing"
		}
		if !f.accepts(actual, n.typ, now) {
			return nil, fmt.Sprintf("%s is %s", f.name, written(actual))
		}
	}
	for _, f := range a.fields {
		if len(got[f.name]) > 0 && !(n.more && f.property) {
			return nil, f.name + " is not expected"
		}
	}
	return now, ""
}

// within tells whether a number respects the bound of a field.
func within(f field, actual int, vars variables) bool {
	want, err := vars.number(f.value)
	switch {
	case err != nil:
		return false
	case f.op == "<=":
		return actual <= want
	case f.op == ">=":
		return actual >= want
	}
	return actual == want
}

func (f *field) accepts(actual string, t packet.Type, vars variables) bool {
	if f.value.any {
		return true
	}
	if f.op != "=" {
		n, err := strconv.Atoi(actual)
		return err == nil && within(*f, n, vars)
	}
	for _, parts := range f.value.alts {
		if len(parts) == 1 && parts[0].name != "" && parts[0].add == 0 {
			if _, known := vars[parts[0].name]; !known {
				vars[parts[0].name] = actual
				return true
			}
		}
		want, err := vars.text(parts)
		if k := keys[t][f.name].kind; k == reason || k == codes {
			want = strings.ToLower(want)
		}
		if err == nil && want == actual {
			return true
		}
	}
	return len(f.value.alts) == 0 && actual == ""
}
