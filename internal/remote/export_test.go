package remote

import (
	"io"

	"omnibus/bus"
	"omnibus/dialect/mqtt/packet"
)

// ReadEvents lets the fuzzer reach the reader of server-sent events.
func ReadEvents(r io.Reader, limit int, comment func(), each func(name string, data []byte) error) error {
	return readEvents(r, limit, comment, func(e event) error { return each(e.name, e.data) })
}

// KindOfReason looks a reason code up in the table, where all must be.
func KindOfReason(r packet.ReasonCode) (bus.Kind, bool) {
	k, ok := reasonKinds[r]
	return k, ok
}
