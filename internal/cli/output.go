package cli

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"

	"omnibus/bus"
	"omnibus/dialect/web"
	"omnibus/payload"
)

// humanLine is a message for people: its topic and its payload.
func humanLine(m *bus.Message) ([]byte, error) {
	text, err := humanPayload(&m.Payload)
	if err != nil {
		return nil, fmt.Errorf("message on %q: %w", m.Topic, err)
	}
	name := m.Topic
	if visible(name) != name {
		name = quoted(name)
	}
	if text == "" {
		return []byte(name + "\n"), nil
	}
	return []byte(name + "  " + text + "\n"), nil
}

func humanPayload(v *payload.Value) (string, error) {
	switch v.Kind() {
	case payload.Empty:
		return "", nil
	case payload.Text:
		data, err := v.As(payload.Text)
		text := string(data)
		if visible(text) != text {
			text = quoted(text)
		}
		return text, err
	case payload.Bytes:
		data, err := v.As(payload.Bytes)
		return fmt.Sprintf("<%d bytes> %s", len(data), base64.StdEncoding.EncodeToString(data)), err
	case payload.Args:
		return compact(v, payload.Args)
	default:
		return compact(v, payload.JSON)
	}
}

// compact is v as JSON text on one line.
func compact(v *payload.Value, form payload.Form) (string, error) {
	data, err := v.As(form)
	if err != nil {
		return "", err
	}
	var out bytes.Buffer
	if err := json.Compact(&out, data); err != nil {
		return "", fmt.Errorf("%w: %w", payload.ErrForm, err)
	}
	return visible(out.String()), nil
}

// jsonLine is a message as one JSON object, an event of the web dialect.
func jsonLine(m *bus.Message) ([]byte, error) {
	e, err := web.NewEvent(m)
	if err != nil {
		return nil, fmt.Errorf("message on %q: %w", m.Topic, err)
	}
	line, err := payload.Marshal(e)
	if err != nil {
		return nil, fmt.Errorf("message on %q: %w", m.Topic, err)
	}
	return append(line, '\n'), nil
}

// quoted is a text as a JSON string.
func quoted(text string) string {
	data, err := payload.Marshal(text)
	if err != nil {
		return "" // a string can always be encoded
	}
	return visible(string(data))
}

// visible writes control characters as JSON does in strings, so that no
// message can steer the terminal.
func visible(text string) string {
	if !strings.ContainsFunc(text, steers) {
		return text
	}
	var out strings.Builder
	for _, r := range text {
		switch {
		case !steers(r):
			out.WriteRune(r)
		case r > 0xffff:
			a, b := utf16.EncodeRune(r)
			fmt.Fprintf(&out, `\u%04x\u%04x`, a, b)
		default:
			fmt.Fprintf(&out, `\u%04x`, r)
		}
	}
	return out.String()
}

// steers reports whether a terminal may do something else than print r: control
// characters and those that change the direction of the text around them.
func steers(r rune) bool {
	return r == utf8.RuneError || unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r)
}
