package remote

import "io"

// ReadEvents lets the fuzzer reach the reader of server-sent events.
func ReadEvents(r io.Reader, limit int, comment func(), each func(name string, data []byte) error) error {
	return readEvents(r, limit, comment, func(e event) error { return each(e.name, e.data) })
}
