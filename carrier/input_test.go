package carrier_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/iotest"
	"unsafe"

	"omnibus/carrier"
)

// nextPacket reads one packet: four bytes of length and as many bytes. need is asked for in full at once, as a peer's
// claim.
func nextPacket(in *carrier.Input) ([]byte, error) {
	need := 4
	for {
		b := in.Bytes()
		if len(b) >= 4 {
			need = 4 + int(binary.BigEndian.Uint32(b))
		}
		if len(b) >= need {
			in.Discard(need)
			return b[4:need], nil
		}
		if err := in.Fill(need); err != nil {
			return nil, err
		}
	}
}

// chunks delivers in random pieces, from one byte to all that fits.
type chunks struct {
	r    *rand.Rand
	rest []byte
}

func (c *chunks) Read(p []byte) (int, error) {
	if len(c.rest) == 0 {
		return 0, io.EOF
	}
	n := min(len(p), 1<<c.r.IntN(18))
	if c.r.IntN(5) == 0 {
		n = min(n, c.r.IntN(10)) // sometimes nothing at all
	}
	n = copy(p[:n], c.rest)
	c.rest = c.rest[n:]
	return n, nil
}

// TestInputAgreesWithTheSource reads packets of all sizes from sources that deliver in odd pieces.
func TestInputAgreesWithTheSource(t *testing.T) {
	r := rand.New(rand.NewPCG(11, 12))
	var want [][]byte
	var wire []byte
	for range 2000 {
		size := r.IntN(1 << r.IntN(13))
		if r.IntN(100) == 0 {
			size = r.IntN(300 << 10)
		}
		p := make([]byte, size)
		for i := range p {
			p[i] = byte(r.Uint32())
		}
		want = append(want, p)
		wire = append(binary.BigEndian.AppendUint32(wire, uint32(size)), p...)
	}
	sources := map[string]func([]byte) io.Reader{
		"whole":    func(b []byte) io.Reader { return bytes.NewReader(b) },
		"bytes":    func(b []byte) io.Reader { return iotest.OneByteReader(bytes.NewReader(b)) },
		"halves":   func(b []byte) io.Reader { return iotest.HalfReader(bytes.NewReader(b)) },
		"data+EOF": func(b []byte) io.Reader { return iotest.DataErrReader(bytes.NewReader(b)) },
		"timeouts": func(b []byte) io.Reader { return &timeouts{r: bytes.NewReader(b)} },
		"random":   func(b []byte) io.Reader { return &chunks{r, b} },
		"random 2": func(b []byte) io.Reader { return &chunks{r, b} },
		"random 3": func(b []byte) io.Reader { return iotest.DataErrReader(&chunks{r, b}) },
	}
	for name, source := range sources {
		t.Run(name, func(t *testing.T) {
			in := carrier.NewInput(source(wire))
			for i, w := range want {
				got, err := nextPacket(in)
				for errors.Is(err, iotest.ErrTimeout) {
					got, err = nextPacket(in)
				}
				noError(t, err)
				if !bytes.Equal(got, w) {
					t.Fatalf("packet %d of %d bytes is not the one sent", i, len(w))
				}
			}
			for {
				_, err := nextPacket(in)
				if errors.Is(err, iotest.ErrTimeout) {
					continue
				}
				if err != io.EOF || in.Buffered() != 0 { //nolint:errorlint // it must be bare
					t.Errorf("at the end: %v, %d bytes unread", err, in.Buffered())
				}
				return
			}
		})
	}
}

// timeouts times out every other time.
type timeouts struct {
	r     io.Reader
	later bool
}

func (s *timeouts) Read(p []byte) (int, error) {
	if s.later = !s.later; s.later {
		return 0, iotest.ErrTimeout
	}
	return s.r.Read(p)
}

func TestInputKeepsACutPacket(t *testing.T) {
	in := carrier.NewInput(iotest.DataErrReader(bytes.NewReader([]byte{0, 0, 0, 9, 'a'})))
	_, err := nextPacket(in)
	errIs(t, err, io.EOF)
	if got := string(in.Bytes()); got != "\x00\x00\x00\x09a" || in.Buffered() != 5 {
		t.Errorf("%q unread, %d bytes", got, in.Buffered())
	}
	in.Discard(4)
	if got := string(in.Bytes()); got != "a" {
		t.Errorf("%q unread after Discard", got)
	}
	in.Reset(bytes.NewReader([]byte{0, 0, 0, 1, 'b'}))
	p, err := nextPacket(in)
	noError(t, err)
	if string(p) != "b" {
		t.Errorf("got %q after Reset", p)
	}
	errIs(t, carrier.NewInput(stuck{}).Fill(1), io.ErrNoProgress)
}

func TestInputDiscardsNoMoreThanThereIs(t *testing.T) {
	for _, n := range []int{-1, 1} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("Discard(%d) of nothing does not panic", n)
				}
			}()
			carrier.NewInput(stuck{}).Discard(n)
		}()
	}
}

// offers counts the room that reads were given, and delivers what it is told to.
type offers struct {
	deliver []int // bytes of each read; more than fit means as many as do
	rooms   []int
}

func (s *offers) Read(p []byte) (int, error) {
	s.rooms = append(s.rooms, len(p))
	if len(s.deliver) == 0 {
		return 0, io.EOF
	}
	n := min(s.deliver[0], len(p))
	s.deliver = s.deliver[1:]
	return n, nil
}

// TestInputGrowsAndShrinks holds the size of the buffer, seen in the room that each read is given.
func TestInputGrowsAndShrinks(t *testing.T) {
	const much = 1 << 30
	tests := []struct {
		name    string
		deliver []int
		keep    bool // the bytes belong to one packet, of which nothing is discarded
		need    int
		rooms   []int
	}{
		{"small packets", []int{10, 511, 2}, false, 1, []int{512, 512, 512, 512}},
		{
			"a burst",
			[]int{much, much, much, much, much, much, much, 40000, 3000, 10},
			false, 1,
			[]int{512, 4096, 8192, 16384, 32768, 65536, 65536, 65536, 4096, 4096, 512},
		},
		{
			"a large packet, claimed at once",
			[]int{10, much, 1, much, much, much, much, much},
			true, 150000,
			[]int{512, 502, 3584, 3583, 4096, 8192, 16384, 32768, 65536},
		},
		{"a claim and nothing more", []int{4, 0}, true, 1 << 28, []int{512, 508, 508}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			src := &offers{deliver: tt.deliver}
			in := carrier.NewInput(src)
			for {
				if err := in.Fill(tt.need); err != nil {
					errIs(t, err, io.EOF)
					break
				}
				if !tt.keep {
					in.Discard(in.Buffered())
				}
			}
			if len(src.rooms) != len(tt.rooms) {
				t.Fatalf("rooms %d, want %d", src.rooms, tt.rooms)
			}
			for i, room := range tt.rooms {
				if src.rooms[i] != room {
					t.Fatalf("rooms %d, want %d", src.rooms, tt.rooms)
				}
			}
		})
	}
}

// TestInputLargePacketGetsItsSize holds that a packet above 64 KiB is read into a buffer that ends with it, which is
// given up afterwards.
func TestInputLargePacketGetsItsSize(t *testing.T) {
	const size, much = 150000, 1 << 30
	src := &offers{deliver: []int{much, much, much, much, much, much, much, much, much}}
	in := carrier.NewInput(src)
	for in.Buffered() < size {
		noError(t, in.Fill(size))
	}
	if in.Buffered() != size {
		t.Errorf("%d bytes read for a packet of %d", in.Buffered(), size)
	}
	in.Discard(size)
	noError(t, in.Fill(1))
	if room := src.rooms[len(src.rooms)-1]; room > 4096 {
		t.Errorf("the buffer still has %d bytes after a large packet", room)
	}
}

func TestInputIsSmall(t *testing.T) {
	if n := unsafe.Sizeof(carrier.Input{}); n > 576 {
		t.Errorf("an Input is %d bytes, more than its size class of 576", n)
	}
}

// endless delivers the same bytes again and again, a chunk at a time.
type endless struct {
	wire  []byte
	at    int
	chunk int
}

func (s *endless) Read(p []byte) (int, error) {
	n := copy(p[:min(len(p), s.chunk)], s.wire[s.at:])
	s.at = (s.at + n) % len(s.wire)
	return n, nil
}

// packetsOf is a wire of packets of about 64 KiB together.
func packetsOf(size int) []byte {
	var wire []byte
	for len(wire) < 64<<10 {
		wire = append(binary.BigEndian.AppendUint32(wire, uint32(size)), make([]byte, size)...)
	}
	return wire
}

func TestInputReadsWithoutAllocating(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector makes pools forget")
	}
	for _, size := range []int{10, 700, 5000, 60000} {
		for _, chunk := range []int{100, 3000, 1 << 20} {
			in := carrier.NewInput(&endless{wire: packetsOf(size), chunk: chunk})
			n := testing.AllocsPerRun(500, func() {
				_, err := nextPacket(in)
				noError(t, err)
			})
			if n != 0 {
				t.Errorf("packets of %d bytes, %d at a time: %v allocations for each", size, chunk, n)
			}
		}
	}
}

// FuzzInput compares with a plain copy: the fuzzer chooses what arrives at a time, what is wanted and what is taken.
func FuzzInput(f *testing.F) {
	f.Add([]byte{1, 2, 3, 200, 255, 0, 17}, uint64(1))
	f.Fuzz(func(t *testing.T, steps []byte, seed uint64) {
		if len(steps) > 200 {
			return
		}
		r := rand.New(rand.NewPCG(seed, 13))
		wire := make([]byte, 256<<10)
		for i := range wire {
			wire[i] = byte(i ^ i>>8)
		}
		in := carrier.NewInput(&chunks{r, wire})
		at, end := 0, 0 // wire[at:end] is unread
		for _, s := range steps {
			if s&1 == 0 {
				n := in.Buffered() * int(s) / 254
				in.Discard(n)
				at += n
			} else {
				before := in.Buffered()
				err := in.Fill(int(s) << r.IntN(12))
				if n := in.Buffered() - before; n > 0 == (err != nil) {
					t.Fatalf("%d bytes and error %v", n, err)
				} else {
					end += n
				}
			}
			if !bytes.Equal(in.Bytes(), wire[at:end]) || in.Buffered() != end-at {
				t.Fatal("what is unread is not what the source holds")
			}
		}
	})
}

func BenchmarkInput(b *testing.B) {
	for name, size := range map[string]int{"80": 80, "1000": 1000} {
		b.Run(name, func(b *testing.B) {
			server, client := tcpPair(b, false)
			var writer sync.WaitGroup
			writer.Go(func() {
				wire := packetsOf(size)
				for {
					if _, err := client.Write(wire); err != nil {
						return
					}
				}
			})
			in := carrier.NewInput(server)
			b.ReportAllocs()
			b.SetBytes(int64(size + 4))
			for b.Loop() {
				_, err := nextPacket(in)
				noError(b, err)
			}
			_ = server.Close()
			writer.Wait()
		})
	}
}
