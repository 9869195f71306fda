package payload

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"unicode/utf8"
)

// as is As with the lock held: what was made before, else what convert makes.
func (v *Value) as(to Form) ([]byte, error) {
	for _, c := range v.made {
		if c.form == to {
			return c.data, c.err
		}
	}
	data, err := v.convert(to)
	v.made = append(v.made, conversion{to, data, err})
	return data, err
}

// convert goes by one step where there is one, else by way of JSON, of Args,
// or of both. What it makes on the way is remembered too.
func (v *Value) convert(to Form) ([]byte, error) {
	from, data := v.Kind(), v.data
	if v.form == Go {
		if from == to {
			return v.encodeGo()
		}
		var err error
		if data, err = v.as(from); err != nil {
			return nil, err
		}
	}
	step := v.codecs.step(from, to)
	if step == nil {
		via, ok := v.codecs.via(from, to)
		if !ok {
			return nil, fmt.Errorf("%w: no converter is installed", ErrForm)
		}
		var err error
		if data, err = v.as(via); err != nil {
			return nil, err
		}
		step = v.codecs.step(via, to)
	}
	out, err := step(data)
	switch {
	case err == nil:
		return out, nil
	case errors.Is(err, ErrForm):
		return nil, err
	default:
		return nil, fmt.Errorf("%w: %w", ErrForm, err)
	}
}

// builtin returns the converter of the forms that the standard library can
// write, nil when there is none. The rest goes by way of JSON.
func builtin(from, to Form) Converter {
	switch to {
	case JSON:
		return toJSON[from]
	case Args:
		return toArgs[from]
	case Text:
		return toText[from]
	case Bytes:
		return toBytes[from]
	default:
		return nil
	}
}

var (
	toJSON = map[Form]Converter{
		Empty: constant("null"),
		Text:  quote,
		Bytes: func(b []byte) ([]byte, error) { return quote(encode64(b)) },
		Args:  argsToOne,
	}
	toArgs = map[Form]Converter{
		Empty: constant("[]"),
		JSON:  wrap,
	}
	toText = map[Form]Converter{
		Empty: nothing,
		JSON:  unquote,
		Bytes: func(b []byte) ([]byte, error) { return encode64(b), nil },
	}
	toBytes = map[Form]Converter{
		Empty: nothing,
		JSON:  same,
		Args:  same,
		Text:  same,
		Arrow: same,
		CBOR:  same,
	}
)

func constant(s string) Converter {
	return func([]byte) ([]byte, error) { return []byte(s), nil }
}

func nothing([]byte) ([]byte, error) { return nil, nil }

func same(b []byte) ([]byte, error) { return b, nil }

func encode64(b []byte) []byte {
	return base64.StdEncoding.AppendEncode(nil, b)
}

// argsToOne turns a list of arguments into one value: a single argument is
// that value, several are an array, none is null.
func argsToOne(b []byte) ([]byte, error) {
	args, err := splitArgs(b)
	switch {
	case err != nil:
		return nil, err
	case len(args) == 0:
		return []byte("null"), nil
	case len(args) == 1:
		return args[0], nil
	default:
		return b, nil
	}
}

func splitArgs(b []byte) ([]json.RawMessage, error) {
	var args []json.RawMessage
	err := json.Unmarshal(b, &args)
	switch {
	case err != nil:
		return nil, fmt.Errorf("%w: a list of arguments is a JSON array: %w", ErrForm, err)
	case !isArray(b): // null
		return nil, fmt.Errorf("%w: a list of arguments is a JSON array", ErrForm)
	case !utf8.Valid(b):
		return nil, fmt.Errorf("%w: not JSON: not valid UTF-8", ErrForm)
	}
	return args, nil
}

func checkJSON(b []byte) error {
	switch {
	case !utf8.Valid(b):
		return fmt.Errorf("%w: not JSON: not valid UTF-8", ErrForm)
	case !json.Valid(b):
		var x json.RawMessage
		return fmt.Errorf("%w: not JSON: %w", ErrForm, json.Unmarshal(b, &x))
	default:
		return nil
	}
}

// wrap makes one value a list of one argument.
func wrap(b []byte) ([]byte, error) {
	if err := checkJSON(b); err != nil {
		return nil, err
	}
	return enclose('[', b, ']'), nil
}

func enclose(open byte, b []byte, end byte) []byte {
	out := make([]byte, 0, len(b)+2)
	out = append(out, open)
	out = append(out, b...)
	return append(out, end)
}

// quote writes text as a JSON string.
func quote(b []byte) ([]byte, error) {
	if !slices.ContainsFunc(b, special) {
		return enclose('"', b, '"'), nil
	}
	if !utf8.Valid(b) {
		return nil, fmt.Errorf("%w: text is not valid UTF-8", ErrForm)
	}
	return Marshal(string(b))
}

// special reports whether a byte of text may be written otherwise in JSON.
func special(c byte) bool {
	return c < ' ' || c == '"' || c == '\\' || c >= utf8.RuneSelf
}

// unquote writes a JSON string as its text, any other JSON value as it is.
func unquote(b []byte) ([]byte, error) {
	if err := checkJSON(b); err != nil {
		return nil, err
	}
	if firstByte(b) != '"' {
		return b, nil
	}
	var s string
	if err := json.Unmarshal(b, &s); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrForm, err)
	}
	return []byte(s), nil
}

// Marshal is json.Marshal that leaves <, > and & as they are.
func Marshal(x any) ([]byte, error) {
	var buf bytes.Buffer
	e := json.NewEncoder(&buf)
	e.SetEscapeHTML(false)
	if err := e.Encode(x); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(buf.Bytes(), []byte("\n")), nil
}
