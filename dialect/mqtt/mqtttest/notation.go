package mqtttest

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"omnibus/dialect/mqtt/packet"
)

// kind is what the value of a key is.
type kind byte

const (
	text   kind = iota
	number      // in decimal
	reason      // in hexadecimal, two digits
	codes       // reasons with commas between
	flag        // there or not
)

// key is a field that packets of a type can have.
type key struct {
	kind     kind
	property bool // of version 5
}

var (
	header = func(k kind) key { return key{k, false} }
	prop   = func(k kind) key { return key{k, true} }
)

// message are the keys of the properties that tell of a message.
var message = map[string]key{
	"format": prop(number), "expiry": prop(number), "content-type": prop(text), "response-topic": prop(text),
	"correlation": prop(text), "user": prop(text),
}

// explained are the keys of packets that have a reason and nothing else.
var explained = map[string]key{"reason-string": prop(text), "user": prop(text)}

// keys are those of each packet.
var keys = map[packet.Type]map[string]key{
	packet.CONNECT: with(prefixed("will-", message), map[string]key{
		"id": header(text), "clean": header(flag), "keepalive": header(number), "username": header(text), "password": header(text),
		"will-topic": header(text), "will-payload": header(text), "will-qos": header(number), "will-retain": header(flag), "will-delay": prop(number),
		"session-expiry": prop(number), "receive-max": prop(number), "max-packet-size": prop(number), "alias-max": prop(number),
		"request-response-info": prop(number), "request-problem-info": prop(number), "method": prop(text), "data": prop(text), "user": prop(text),
	}),
	packet.CONNACK: with(explained, map[string]key{
		"reason": header(reason), "code": header(number), "session-present": header(flag),
		"session-expiry": prop(number), "receive-max": prop(number), "max-qos": prop(number), "retain-available": prop(number),
		"max-packet-size": prop(number), "assigned-id": prop(text), "alias-max": prop(number), "wildcards": prop(number),
		"sub-ids": prop(number), "shared": prop(number), "server-keepalive": prop(number), "response-info": prop(text),
		"server-reference": prop(text), "method": prop(text), "data": prop(text),
	}),
	packet.PUBLISH: with(message, map[string]key{
		"topic": header(text), "payload": header(text), "id": header(number), "qos": header(number), "dup": header(flag), "retain": header(flag),
		"alias": prop(number), "sub-id": prop(number),
	}),
	packet.PUBACK:  acknowledged,
	packet.PUBREC:  acknowledged,
	packet.PUBREL:  acknowledged,
	packet.PUBCOMP: acknowledged,
	packet.SUBSCRIBE: {
		"id": header(number), "filter": header(text), "qos": header(number), "no-local": header(flag), "rap": header(flag), "rh": header(number),
		"sub-id": prop(number), "user": prop(text),
	},
	packet.SUBACK:      with(explained, map[string]key{"id": header(number), "codes": header(codes)}),
	packet.UNSUBSCRIBE: {"id": header(number), "filter": header(text), "user": prop(text)},
	packet.UNSUBACK:    with(explained, map[string]key{"id": header(number), "codes": header(codes)}),
	packet.PINGREQ:     {},
	packet.PINGRESP:    {},
	packet.DISCONNECT: with(explained, map[string]key{
		"reason": header(reason), "session-expiry": prop(number), "server-reference": prop(text),
	}),
	packet.AUTH: with(explained, map[string]key{"reason": header(reason), "method": prop(text), "data": prop(text)}),
}

var acknowledged = with(explained, map[string]key{"id": header(number), "reason": header(reason)})

func with(a, b map[string]key) map[string]key {
	all := maps.Clone(a)
	maps.Copy(all, b)
	return all
}

func prefixed(prefix string, m map[string]key) map[string]key {
	all := make(map[string]key, len(m))
	for name, k := range m {
		all[prefix+name] = k
	}
	return all
}

// Keys are the fields that packets of a type can have, in alphabetical order. In
// SUBSCRIBE, the options of a filter stand behind it. A user property is
// user=name:value, and subscription identifiers that are received stand in
// ascending order.
func Keys(t packet.Type) []string {
	return slices.Sorted(maps.Keys(keys[t]))
}

// notation is a packet as it is written in a script.
type notation struct {
	typ    packet.Type
	fields []field
	more   bool     // "*": further properties may be there
	words  []string // as it is written
}

// field is one word of a packet to be sent, or a condition on one received.
type field struct {
	name  string
	op    string // "=", "<=", ">=" or "!"
	value value
}

func (p *parser) notation(words []string, receiving bool) (*notation, error) {
	n := &notation{words: words}
	for t := packet.CONNECT; t <= packet.AUTH; t++ {
		if words[0] == t.String() {
			n.typ = t
		}
	}
	allowed, ok := keys[n.typ]
	if !ok {
		return nil, fmt.Errorf("%q is no packet", words[0])
	}
	for _, w := range words[1:] {
		if _, ok := versions[w]; ok && n.typ == packet.CONNECT {
			n.fields = append(n.fields, field{name: w})
			continue
		}
		if w == "*" && receiving {
			n.more = true
			continue
		}
		f, err := p.field(w, receiving, allowed)
		if err != nil {
			return nil, fmt.Errorf("%v: %w", n.typ, err)
		}
		n.fields = append(n.fields, f)
	}
	return n, nil
}

func (p *parser) field(word string, receiving bool, allowed map[string]key) (field, error) {
	if name, ok := strings.CutPrefix(word, "!"); ok && receiving {
		if _, ok := allowed[name]; !ok {
			return field{}, fmt.Errorf("there is no field %q", name)
		}
		return field{name: name, op: "!"}, nil
	}
	name, rest, valued := strings.Cut(word, "=")
	f := field{name: name, op: "="}
	for _, op := range []string{"<", ">"} {
		if bound, ok := strings.CutSuffix(name, op); ok && receiving {
			f.name, f.op = bound, op+"="
		}
	}
	k, ok := allowed[f.name]
	if f.name == "size" && receiving {
		k, ok = header(number), true
	}
	if !ok {
		return f, fmt.Errorf("there is no field %q", f.name)
	}
	if valued == (k.kind == flag) {
		return f, fmt.Errorf("the field %q has a value, or lacks one", f.name)
	}
	if !valued {
		f.value = value{alts: [][]part{{{text: set}}}}
		return f, nil
	}
	var err error
	f.value, err = p.value(rest, receiving)
	if err == nil && f.op != "=" && k.kind != number {
		err = errors.New("only numbers have bounds")
	}
	return f, err
}

// set is the value of a flag that is there.
const set = "set"

// String is the packet as it was written.
func (n *notation) String() string {
	if len(n.words) == 0 {
		return n.typ.String() + " *"
	}
	return strings.Join(n.words, " ")
}
