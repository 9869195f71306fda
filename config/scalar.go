package config

import (
	"encoding"
	"errors"
	"fmt"
	"math"
	"reflect"
	"strconv"
	"strings"
	"time"
)

// expected says what a value of that type looks like.
func expected(t reflect.Type) string {
	switch shapeOf(t) {
	case optional:
		return expected(t.Elem())
	case group:
		return "settings below it (" + enumerate(namesOf(fieldsOf(t)), 6) + ")"
	case list:
		if shapeOf(deref(t.Elem())) == scalar {
			return "a list like [a, b]"
		}
		return "a list"
	case table:
		return "names with values below it"
	case unsupported:
		return "nothing: settings of type " + t.String() + " are not supported"
	}
	switch {
	case t == durationType:
		return "a duration like 10s"
	case t == reflect.TypeFor[Size]():
		return "a size like 25MiB"
	case reflect.PointerTo(t).Implements(textReaderType):
		return "a single value"
	}
	switch k := t.Kind(); k {
	case reflect.Bool:
		return "true or false"
	case reflect.String:
		return "text"
	case reflect.Float32, reflect.Float64:
		return "a number"
	case reflect.Int, reflect.Int64:
		return "a whole number"
	case reflect.Uint, reflect.Uint64:
		return "a whole number, not negative"
	case reflect.Int8, reflect.Int16, reflect.Int32:
		top := int64(1) << (t.Bits() - 1)
		return fmt.Sprintf("a whole number from %d to %d", -top, top-1)
	default:
		return fmt.Sprintf("a whole number from 0 to %d", uint64(1)<<t.Bits()-1)
	}
}

// setScalar reads text into v, which it leaves alone when it fails. A quoted
// text is no number and no boolean.
func setScalar(v reflect.Value, text string, quoted bool) error {
	t := v.Type()
	got := fmt.Errorf("expected %s, found %s", expected(t), quote(text))
	if t == durationType {
		d, err := parseDuration(text)
		if err == nil {
			v.SetInt(int64(d))
		}
		return err
	}
	fresh := reflect.New(t)
	if r, ok := reflect.TypeAssert[encoding.TextUnmarshaler](fresh); ok {
		if err := r.UnmarshalText([]byte(text)); err != nil {
			return fmt.Errorf("%s, found %s", printable(err.Error()), quote(text))
		}
		v.Set(fresh.Elem())
		return nil
	}
	if t.Kind() == reflect.String {
		v.SetString(text)
		return nil
	}
	if quoted {
		return fmt.Errorf("expected %s without quotes, found %s", expected(t), quote(text))
	}
	switch {
	case t.Kind() == reflect.Bool:
		b := strings.ToLower(text) == "true"
		if !b && strings.ToLower(text) != "false" {
			return got
		}
		v.SetBool(b)
	case v.CanInt():
		n, err := strconv.ParseInt(text, base(text), t.Bits())
		if err != nil {
			return got
		}
		v.SetInt(n)
	case v.CanUint():
		n, err := strconv.ParseUint(text, base(text), t.Bits())
		if err != nil {
			return got
		}
		v.SetUint(n)
	default:
		f, err := strconv.ParseFloat(text, t.Bits())
		if err != nil || math.IsNaN(f) || math.IsInf(f, 0) {
			return got
		}
		v.SetFloat(f)
	}
	return nil
}

// base returns the base to read a whole number in: the one its prefix (0x, 0o,
// 0b) names, else ten, also after a leading zero.
func base(text string) int {
	digits := strings.TrimLeft(text, "+-")
	if len(digits) > 1 && digits[0] == '0' && (digits[1] < '0' || digits[1] > '9') {
		return 0
	}
	return 10
}

var errDuration = errors.New("expected a duration like 10s (units: h, m, s, ms, us, ns)")

// parseDuration reads "1m30s". Of the numbers without a unit it takes only 0.
func parseDuration(text string) (time.Duration, error) {
	d, err := time.ParseDuration(text)
	if err == nil {
		return d, nil
	}
	if _, numErr := strconv.ParseFloat(text, 64); numErr == nil {
		s := shorten(text, 20)
		return 0, fmt.Errorf("expected a duration like 10s, found %q: add a unit, %ss or %sms", s, s, s)
	}
	return 0, fmt.Errorf("%w, found %s", errDuration, quote(text))
}

// formatDuration returns a duration without the zeros time.Duration adds: 1h,
// not 1h0m0s.
func formatDuration(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// formatScalar returns the YAML that setScalar reads back as v.
func formatScalar(v reflect.Value) (string, error) {
	t := v.Type()
	if t == durationType {
		return formatDuration(time.Duration(v.Int())), nil
	}
	if reflect.PointerTo(t).Implements(textReaderType) {
		text, err := formatText(v)
		return yamlText(text, false), err
	}
	switch {
	case t.Kind() == reflect.String:
		return yamlText(v.String(), true), nil
	case t.Kind() == reflect.Bool:
		return strconv.FormatBool(v.Bool()), nil
	case v.CanInt():
		return strconv.FormatInt(v.Int(), 10), nil
	case v.CanUint():
		return strconv.FormatUint(v.Uint(), 10), nil
	}
	f := v.Float()
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return "", fmt.Errorf("the number %v cannot be written", f)
	}
	form := byte('f')
	if a := math.Abs(f); a != 0 && (a < 1e-4 || a >= 1e15) {
		form = 'g'
	}
	return strconv.FormatFloat(f, form, -1, t.Bits()), nil
}

// formatText returns the text form of a value that reads itself.
func formatText(v reflect.Value) (string, error) {
	p := reflect.New(v.Type())
	p.Elem().Set(v)
	switch x := p.Interface().(type) {
	case encoding.TextMarshaler:
		b, err := x.MarshalText()
		return string(b), err
	case fmt.Stringer:
		return x.String(), nil
	}
	return "", fmt.Errorf("%v has neither MarshalText nor String", v.Type())
}
