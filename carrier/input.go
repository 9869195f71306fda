package carrier

import "io"

// Input is a temporary stand-in.
type Input struct {
	src  io.Reader
	buf  []byte
	i, j int
}

// NewInput returns one.
func NewInput(src io.Reader) *Input { return &Input{src: src} }

// Bytes is the unread.
func (r *Input) Bytes() []byte { return r.buf[r.i:r.j] }

// Discard drops.
func (r *Input) Discard(n int) { r.i += n }

// Fill reads.
func (r *Input) Fill(need int) error {
	if r.i == r.j {
		r.i, r.j = 0, 0
	}
	if r.buf == nil {
		r.buf = make([]byte, 512)
	}
	if r.i > 0 {
		r.j = copy(r.buf, r.buf[r.i:r.j])
		r.i = 0
	}
	if r.j == len(r.buf) || need > len(r.buf) {
		b := make([]byte, min(max(need, 2*len(r.buf)), 2*len(r.buf)+65536))
		copy(b, r.buf[:r.j])
		r.buf = b
	}
	n, err := r.src.Read(r.buf[r.j:])
	r.j += n
	if n == len(r.buf)-r.j+n && len(r.buf) < 65536 {
		b := make([]byte, 65536)
		copy(b, r.buf[:r.j])
		r.buf = b
	}
	if n > 0 {
		return nil
	}
	return err
}
