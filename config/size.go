package config

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Size is a number of bytes. It is written as a whole number, alone or with one
// of the units KiB, MiB, GiB, TiB: "25MiB", "64KiB", "1500".
type Size int64

// Units of a Size.
const (
	KiB Size = 1 << 10
	MiB Size = 1 << 20
	GiB Size = 1 << 30
	TiB Size = 1 << 40
)

// units go from large to small.
var units = [...]struct {
	name string
	size Size
}{{"TiB", TiB}, {"GiB", GiB}, {"MiB", MiB}, {"KiB", KiB}}

var errSize = errors.New("expected a size like 25MiB (units: KiB, MiB, GiB, TiB, or none for bytes)")

// ParseSize reads a size. It refuses negative and fractional ones, and units
// that leave open whether they count by 1000 or by 1024.
func ParseSize(s string) (Size, error) {
	number, unit := s, Size(1)
	for _, u := range units {
		if n, ok := strings.CutSuffix(s, u.name); ok {
			number, unit = n, u.size
			break
		}
	}
	for _, c := range []byte(number) {
		if c < '0' || c > '9' {
			return 0, errSize
		}
	}
	n, err := strconv.ParseInt(number, 10, 64)
	switch {
	case errors.Is(err, strconv.ErrRange), err == nil && n > math.MaxInt64/int64(unit):
		return 0, fmt.Errorf("expected a size of at most %v", Size(math.MaxInt64))
	case err != nil:
		return 0, errSize
	}
	return Size(n) * unit, nil
}

// String returns the shortest exact form, with the largest unit that divides
// the size.
func (s Size) String() string {
	if s != 0 {
		for _, u := range units {
			if s%u.size == 0 {
				return strconv.FormatInt(int64(s/u.size), 10) + u.name
			}
		}
	}
	return strconv.FormatInt(int64(s), 10)
}

// MarshalText returns what String does.
func (s Size) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads what ParseSize does. It leaves the size alone when it
// fails.
func (s *Size) UnmarshalText(text []byte) error {
	n, err := ParseSize(string(text))
	if err == nil {
		*s = n
	}
	return err
}
