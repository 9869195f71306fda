package mqtttest

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// split cuts a line into words at spaces, but not at those in quotes, and ends
// it where a comment begins.
func split(line string) ([]string, error) {
	var words []string
	rest := strings.TrimSpace(line)
	for rest != "" {
		n, err := scanTo(rest, " \t")
		if err != nil {
			return nil, err
		}
		word := rest[:n]
		if word == "#" {
			break
		}
		words = append(words, word)
		rest = strings.TrimLeft(rest[n:], " \t")
	}
	return words, nil
}

// scanTo is where the first of the given characters stands that is not in quotes,
// or the end.
func scanTo(s, stop string) (int, error) {
	for i := 0; i < len(s); i++ {
		if s[i] == '"' {
			quoted, err := strconv.QuotedPrefix(s[i:])
			if err != nil {
				return 0, fmt.Errorf("the quote does not end in %s", s[i:])
			}
			i += len(quoted) - 1
		} else if strings.IndexByte(stop, s[i]) >= 0 {
			return i, nil
		}
	}
	return len(s), nil
}

// value is what stands behind the = of a field: alternatives, each of parts to be
// put together.
type value struct {
	any  bool // "_"
	alts [][]part
}

type part struct {
	text string
	name string // of a variable
	add  int    // to the variable
	call string // of a function
	args []value
}

// parseValue also tells the variables in the value.
func (p *parser) value(text string, receiving bool) (value, error) {
	if receiving && text == "_" {
		return value{any: true}, nil
	}
	var v value
	for {
		n, err := scanTo(text, "|")
		if err != nil {
			return v, err
		}
		parts, err := p.parts(text[:n], receiving)
		if err != nil {
			return v, err
		}
		v.alts = append(v.alts, parts)
		if n == len(text) {
			break
		}
		text = text[n+1:]
	}
	if len(v.alts) > 1 && !receiving {
		return v, errors.New("a value to be sent has no alternatives; quote a text with | in it")
	}
	return v, nil
}

var (
	variable = regexp.MustCompile(`^\$([a-z][a-z0-9]*)([+-][0-9]+)?`)
	function = regexp.MustCompile(`^(repeat|hmac)\(([^()]*)\)`)
	hexBytes = regexp.MustCompile(`^hex:([0-9A-Fa-f]*)$`)
)

func (p *parser) parts(text string, receiving bool) ([]part, error) {
	if m := hexBytes.FindStringSubmatch(text); m != nil {
		raw, err := hex.DecodeString(m[1])
		return []part{{text: string(raw)}}, err
	}
	var parts []part
	whole := text
	for text != "" {
		switch m := function.FindStringSubmatch(text); {
		case m != nil:
			call := part{call: m[1]}
			for arg := range strings.SplitSeq(m[2], ",") {
				v, err := p.value(arg, false)
				if err != nil {
					return nil, err
				}
				call.args = append(call.args, v)
			}
			if len(call.args) != 2 {
				return nil, fmt.Errorf("%s has two arguments", m[1])
			}
			parts, text = append(parts, call), text[len(m[0]):]
		case text[0] == '$':
			m := variable.FindStringSubmatch(text)
			if m == nil {
				return nil, fmt.Errorf("%s is no variable; quote a text that begins with $", text)
			}
			if alone := m[0] == whole && m[2] == ""; !p.vars[m[1]] && (!receiving || !alone) {
				return nil, fmt.Errorf("$%s has no value yet; quote a text that begins with $", m[1])
			}
			p.vars[m[1]] = true
			add, _ := strconv.Atoi(m[2]) // it is a number, or empty
			parts, text = append(parts, part{name: m[1], add: add}), text[len(m[0]):]
		case text[0] == '"':
			quoted, err := strconv.QuotedPrefix(text)
			if err != nil {
				return nil, fmt.Errorf("the quote does not end in %s", text)
			}
			plain, err := strconv.Unquote(quoted)
			if err != nil {
				return nil, err
			}
			parts, text = append(parts, part{text: plain}), text[len(quoted):]
		default:
			n := strings.IndexAny(text, `$"`)
			if n < 0 {
				n = len(text)
			}
			parts, text = append(parts, part{text: text[:n]}), text[n:]
		}
	}
	return parts, nil
}

// variables are what has been received so far.
type variables map[string]string

// one is the text of a value to be sent.
func (vars variables) one(v value) (string, error) {
	if len(v.alts) == 0 {
		return "", nil
	}
	return vars.text(v.alts[0])
}

func (vars variables) number(v value) (int, error) {
	text, err := vars.one(v)
	if err != nil {
		return 0, err
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		return 0, fmt.Errorf("%q is no number", text)
	}
	return n, nil
}

func (vars variables) text(parts []part) (string, error) {
	var out strings.Builder
	for _, p := range parts {
		switch {
		case p.call != "":
			text, err := vars.call(p)
			if err != nil {
				return "", err
			}
			out.WriteString(text)
		case p.name != "":
			text, ok := vars[p.name]
			if !ok {
				return "", fmt.Errorf("$%s has no value yet", p.name)
			}
			if p.add != 0 {
				n, err := strconv.Atoi(text)
				if err != nil {
					return "", fmt.Errorf("$%s is %q, which is no number", p.name, text)
				}
				text = strconv.Itoa(n + p.add)
			}
			out.WriteString(text)
		default:
			out.WriteString(p.text)
		}
	}
	return out.String(), nil
}

func (vars variables) call(p part) (string, error) {
	first, err := vars.one(p.args[0])
	if err != nil {
		return "", err
	}
	if p.call == "repeat" {
		n, err := vars.number(p.args[1])
		if err != nil {
			return "", err
		}
		if n < 0 || n > 1<<20 {
			return "", fmt.Errorf("%d times is too often", n)
		}
		return strings.Repeat(first, n), nil
	}
	message, err := vars.one(p.args[1])
	if err != nil {
		return "", err
	}
	mac := hmac.New(sha256.New, []byte(first))
	mac.Write([]byte(message))
	return string(mac.Sum(nil)), nil
}
