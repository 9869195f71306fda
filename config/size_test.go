package config_test

import (
	"encoding/json"
	"math"
	"strings"
	"testing"
	"testing/quick"

	"omnibus/config"
)

func TestSizeForms(t *testing.T) {
	for _, tt := range []struct {
		text string
		size config.Size
		form string
	}{
		{"0", 0, "0"},
		{"0MiB", 0, "0"},
		{"1500", 1500, "1500"},
		{"1024", 1024, "1KiB"},
		{"64KiB", 64 << 10, "64KiB"},
		{"25MiB", 25 << 20, "25MiB"},
		{"1536MiB", 1536 << 20, "1536MiB"},
		{"1048576", 1 << 20, "1MiB"},
		{"2048GiB", 2 << 40, "2TiB"},
		{"007", 7, "7"},
		{"9223372036854775807", math.MaxInt64, "9223372036854775807"},
	} {
		got, err := config.ParseSize(tt.text)
		if err != nil || got != tt.size || got.String() != tt.form {
			t.Errorf("%q: got %d (%v), %v, want %d (%s)", tt.text, got, got, err, tt.size, tt.form)
		}
	}
}

func TestSizeRefuses(t *testing.T) {
	for text, want := range map[string]string{
		"":                     "expected a size like 25MiB",
		"MiB":                  "expected a size like 25MiB",
		"-1":                   "expected a size like 25MiB",
		"+1":                   "expected a size like 25MiB",
		"1.5MiB":               "expected a size like 25MiB",
		"25MB":                 "units: KiB, MiB, GiB, TiB",
		"25 MiB":               "expected a size like 25MiB",
		"25mib":                "expected a size like 25MiB",
		"1KiBKiB":              "expected a size like 25MiB",
		"9223372036854775808":  "at most 9223372036854775807",
		"8388608TiB":           "at most",
		"99999999999999999KiB": "at most",
	} {
		s := config.Size(42)
		contains(t, s.UnmarshalText([]byte(text)), want)
		if s != 42 {
			t.Errorf("%q changed the size to %v", text, s)
		}
	}
}

func TestSizeComesBackInNoMoreLettersThanPlainBytes(t *testing.T) {
	if err := quick.Check(func(n int64, shift uint8) bool {
		s := max(0, config.Size((n&math.MaxInt64)>>(shift%64)<<(shift%41)))
		plain := strings.TrimSuffix(mustJSON(t, int64(s)), "\n")
		back, err := config.ParseSize(s.String())
		return err == nil && back == s && len(s.String()) <= len(plain)
	}, nil); err != nil {
		t.Error(err)
	}
	if got := mustJSON(t, config.Size(-2048)); got != `"-2KiB"` {
		t.Errorf("negative: got %s", got)
	}
}

func mustJSON(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func contains(t *testing.T, err error, want string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("got error %v, want one with %q", err, want)
	}
}
