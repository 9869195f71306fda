package carrier_test

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"testing"
	"testing/iotest"

	"omnibus/carrier"
)

// TestReaderAgreesWithTheSource reads in random ways from sources that deliver in odd pieces.
func TestReaderAgreesWithTheSource(t *testing.T) {
	r := rand.New(rand.NewPCG(9, 10))
	want := make([]byte, 200<<10)
	for i := range want {
		want[i] = byte(r.Uint32())
	}
	sources := map[string]func(io.Reader) io.Reader{
		"whole":    func(r io.Reader) io.Reader { return r },
		"bytes":    iotest.OneByteReader,
		"halves":   iotest.HalfReader,
		"data+EOF": iotest.DataErrReader,
	}
	for name, source := range sources {
		t.Run(name, func(t *testing.T) {
			reader := carrier.NewReader(source(bytes.NewReader(want)))
			var got []byte
			for len(got) < len(want) {
				left := len(want) - len(got)
				switch r.IntN(3) {
				case 0:
					b, err := reader.ReadByte()
					noError(t, err)
					got = append(got, b)
				case 1:
					p, err := reader.Peek(min(left, r.IntN(4097)))
					noError(t, err)
					got = append(got, p...)
					reader.Discard(len(p))
				default:
					p := make([]byte, r.IntN(6000))
					n, err := reader.Read(p)
					got = append(got, p[:n]...)
					if len(got) < len(want) || !errors.Is(err, io.EOF) { // the last bytes may come with it
						noError(t, err)
					}
				}
			}
			if !bytes.Equal(got, want) {
				t.Error("what was read is not what the source holds")
			}
			if _, err := reader.ReadByte(); err != io.EOF { //nolint:errorlint // it must be bare
				t.Errorf("at the end: %v", err)
			}
		})
	}
}

func TestReaderPeekBounds(t *testing.T) {
	r := carrier.NewReader(bytes.NewReader([]byte("abc")))
	_, err := r.Peek(4097)
	errIs(t, err, bufio.ErrBufferFull)
	_, err = r.Peek(4)
	errIs(t, err, io.ErrUnexpectedEOF)
	if p, err := r.Peek(3); err != nil || string(p) != "abc" || r.Buffered() != 3 {
		t.Errorf("peeked %q, %v, %d buffered", p, err, r.Buffered())
	}
	r.Discard(3)
	if _, err := r.Peek(1); err != io.EOF { //nolint:errorlint // it must be bare
		t.Errorf("at the end: %v", err)
	}
}

func TestReaderGoesOnAfterAnError(t *testing.T) {
	timeout := errors.New("timeout")
	source := &interrupted{parts: []any{"ab", timeout, "c", timeout, "def"}}
	r := carrier.NewReader(source)
	for _, want := range []error{timeout, timeout, nil} {
		p, err := r.Peek(6)
		if !errors.Is(err, want) {
			t.Fatalf("got %v, want %v", err, want)
		}
		if err == nil && string(p) != "abcdef" {
			t.Errorf("got %q", p)
		}
	}
}

// interrupted returns its parts, strings and errors, one by one.
type interrupted struct{ parts []any }

func (s *interrupted) Read(p []byte) (int, error) {
	if len(s.parts) == 0 {
		return 0, io.EOF
	}
	part := s.parts[0]
	s.parts = s.parts[1:]
	if err, ok := part.(error); ok {
		return 0, err
	}
	text, _ := part.(string)
	return copy(p, text), nil
}

func TestReaderGivesUpOnASourceWithoutProgress(t *testing.T) {
	r := carrier.NewReader(stuck{})
	_, err := r.ReadByte()
	errIs(t, err, io.ErrNoProgress)
}

type stuck struct{}

func (stuck) Read([]byte) (int, error) { return 0, nil }
