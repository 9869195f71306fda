package remote

import (
	"bufio"
	"bytes"
	"errors"
	"io"

	"omnibus/bus"
)

// event is one server-sent event.
type event struct {
	name string
	data []byte // valid until the next one
}

// readEvents hands the events of a stream to each until that fails or the
// stream ends, and returns why: io.EOF for an end in order. Comments go to
// comment. Lines end with LF or CRLF. An event that is longer than limit is an
// error of kind bus.TooLarge; one that the stream's end cuts short is dropped.
func readEvents(r io.Reader, limit int, comment func(), each func(event) error) error {
	in := bufio.NewReader(r)
	var e event
	var line, data []byte
	began := false // there was a data field
	for {
		var err error
		if line, err = readLine(in, line[:0], limit-len(data)); err != nil {
			return err
		}
		if len(line) == 0 {
			if began {
				e.data = data
				if err := each(e); err != nil {
					return err
				}
			}
			e, data, began = event{}, data[:0], false
			continue
		}
		field, value, _ := bytes.Cut(line, []byte(":"))
		value = bytes.TrimPrefix(value, []byte(" "))
		switch string(field) {
		case "":
			comment()
		case "event":
			e.name = string(value)
		case "data":
			if began {
				data = append(data, '\n')
			}
			data, began = append(data, value...), true
		}
	}
}

// readLine appends a line to dst, without its end.
func readLine(in *bufio.Reader, dst []byte, limit int) ([]byte, error) {
	for {
		part, err := in.ReadSlice('\n')
		if len(dst)+len(part) > limit {
			return nil, bus.Errorf(bus.TooLarge, "", "the broker sent an event that is too large")
		}
		dst = append(dst, part...)
		if err == nil {
			return bytes.TrimSuffix(dst[:len(dst)-1], []byte("\r")), nil
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return nil, err
		}
	}
}
