package mqtttest

import (
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// rawPart is bytes of a packet, or a part whose length stands in front of it.
type rawPart struct {
	bytes []byte
	parts []rawPart
	sized bool // it is a part of parts
}

// parseRaw reads bytes: hexadecimal digits, texts, and [ … ] with its length in
// front.
func parseRaw(words []string) ([]rawPart, error) {
	if len(words) == 0 {
		return nil, errors.New("there are no bytes to send")
	}
	open := [][]rawPart{nil}
	for _, w := range words {
		last := len(open) - 1
		switch {
		case w == "[":
			open = append(open, nil)
		case w == "]":
			if last == 0 {
				return nil, errors.New("a ] without its [")
			}
			inner := open[last]
			open = open[:last]
			open[last-1] = append(open[last-1], rawPart{parts: inner, sized: true})
		default:
			b, err := rawBytes(w)
			if err != nil {
				return nil, err
			}
			open[last] = append(open[last], rawPart{bytes: b})
		}
	}
	if len(open) > 1 {
		return nil, errors.New("a [ without its ]")
	}
	return open[0], nil
}

func rawBytes(word string) ([]byte, error) {
	quoted, sized := strings.CutPrefix(word, "s")
	if !strings.HasPrefix(quoted, `"`) {
		b, err := hex.DecodeString(word)
		if err != nil {
			return nil, fmt.Errorf("%s is neither hexadecimal nor a text: %w", word, err)
		}
		return b, nil
	}
	text, err := strconv.Unquote(quoted)
	if err != nil {
		return nil, fmt.Errorf("%s is no text: %w", word, err)
	}
	if !sized {
		return []byte(text), nil
	}
	return append([]byte{byte(len(text) >> 8), byte(len(text))}, text...), nil
}

func appendRaw(dst []byte, parts []rawPart) []byte {
	for _, p := range parts {
		if !p.sized {
			dst = append(dst, p.bytes...)
			continue
		}
		inner := appendRaw(nil, p.parts)
		n := len(inner)
		for ; n >= 0x80; n >>= 7 {
			dst = append(dst, byte(n)|0x80)
		}
		dst = append(append(dst, byte(n)), inner...)
	}
	return dst
}
