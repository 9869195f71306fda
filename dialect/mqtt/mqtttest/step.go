package mqtttest

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"omnibus/dialect/mqtt/packet"
)

var clientName = regexp.MustCompile(`^[a-z][a-z0-9-]*$`)

var versions = map[string]packet.Version{"v5": packet.V5, "v311": packet.V311, "v31": packet.V31}

// step reads a line that is no comment, title, need or part of a group.
func (p *parser) step(words []string) (step, error) {
	s := step{line: p.line}
	var err error
	switch {
	case words[0] == "wait":
		s.verb = waits
		if len(words) != 2 {
			return s, errors.New("how long to wait is missing")
		}
		s.wait, err = time.ParseDuration(words[1])
		return s, err
	case words[0] == "repeat":
		return p.repeat(s, words[1:])
	case len(words) < 2:
		return s, fmt.Errorf("%q is no step", words[0])
	}
	who, sending := strings.CutSuffix(words[0], ">")
	who, receiving := strings.CutSuffix(who, "<")
	for name := range strings.SplitSeq(who, "|") {
		if !clientName.MatchString(name) {
			return s, fmt.Errorf("%q is no name of a client", name)
		}
		s.who = append(s.who, name)
	}
	if len(s.who) > 1 && !receiving {
		return s, errors.New("only a packet is received by one client or another")
	}
	rest := words[1:]
	switch {
	case sending && (rest[0] == "hex" || rest[0] == "text-frame"):
		s.verb, s.text = sendsBytes, rest[0] == "text-frame"
		s.bytes, err = parseRaw(rest[1:])
		return s, err
	case sending:
		s.verb = sends
		s.packet, err = p.notation(rest, false)
		return s, err
	case receiving:
		s.verb = receives
		s.packet, err = p.notation(rest, true)
		return s, err
	}
	return p.act(s, rest)
}

// act reads what a client does other than sending and receiving.
func (p *parser) act(s step, words []string) (step, error) {
	s.version = packet.V5
	simple := map[string]verb{"silent": isSilent, "closed": isClosed, "close": closes}
	var err error
	switch words[0] {
	case "silent", "closed", "close":
		s.verb = simple[words[0]]
		if len(words) > 1 {
			err = fmt.Errorf("%q has nothing behind it", words[0])
		}
	case "dropped":
		s.verb = isDropped
		if len(words) != 2 {
			return s, errors.New("the reason is missing")
		}
		s.written = words[1]
		s.reason, err = p.value(words[1], true)
	case "open":
		s.verb = opens
		for _, w := range words[1:] {
			if v, ok := versions[w]; ok {
				s.version = v
			} else if w == "websocket" {
				s.websocket = true
			} else {
				return s, fmt.Errorf("a connection has no option %q", w)
			}
		}
	case "connect", "resume":
		s.verb = connects
		fields := []string{"CONNECT"}
		if words[0] == "resume" {
			s.verb = resumes
		} else {
			fields = append(fields, "clean")
		}
		id := true
		for _, w := range words[1:] {
			if v, ok := versions[w]; ok {
				s.version = v
			}
			id = id && !strings.HasPrefix(w, "id=")
		}
		if id {
			fields = append(fields, "id="+s.who[0])
		}
		s.packet, err = p.notation(append(fields, words[1:]...), false)
	default:
		err = fmt.Errorf("%q is nothing a client does", words[0])
	}
	return s, err
}

// repeat reads "1..20 step".
func (p *parser) repeat(s step, words []string) (step, error) {
	s.verb = repeats
	if len(words) < 3 {
		return s, errors.New("what is to be repeated, or how often, is missing")
	}
	from, to, ok := strings.Cut(words[0], "..")
	if !ok {
		return s, fmt.Errorf("%q is no range like 1..20", words[0])
	}
	var err error
	if s.from, err = p.value(from, false); err != nil {
		return s, err
	}
	if s.to, err = p.value(to, false); err != nil {
		return s, err
	}
	p.vars["i"] = true
	inner, err := p.step(words[1:])
	if err == nil && inner.verb == repeats {
		err = errors.New("a repetition in a repetition")
	}
	s.steps = []step{inner}
	return s, err
}
