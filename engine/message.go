package engine

import (
	"encoding/binary"
	"errors"
	"fmt"

	"omnibus/bus"
	"omnibus/payload"
)

// recordVersion is the first byte of an encoded message.
const recordVersion = 1

// ErrRecord is wrapped by errors about a record that cannot be read.
var ErrRecord = errors.New("not a message record")

// AppendMessage appends a message as the records and journals of an engine
// hold it: a version byte, then fields with their lengths. The payload must have
// a form that ParseMessage takes: AppendMessage panics on a Go value that has
// not been encoded, rather than lose it.
func AppendMessage(dst []byte, m *bus.Message) []byte {
	if f := m.Payload.Form(); !recordable(f) {
		panic(fmt.Sprintf("engine: a payload in form %s cannot be stored; encode it first", f))
	}
	dst = append(dst, recordVersion, byte(m.Payload.Form()), m.QoS, flags(m))
	dst = binary.AppendVarint(dst, m.Expires)
	dst = appendString(dst, m.Topic)
	dst = appendString(dst, m.ID)
	headers := m.Headers.List()
	dst = binary.AppendUvarint(dst, uint64(len(headers)))
	for _, h := range headers {
		dst = appendString(dst, h.Key)
		dst = appendString(dst, h.Value)
	}
	return append(dst, m.Payload.Data()...)
}

// recordable says whether bytes in this form can be read by another process.
func recordable(f payload.Form) bool { return f <= payload.Arrow && f != payload.Go }

const flagRetain = 1

func flags(m *bus.Message) byte {
	if m.Retain {
		return flagRetain
	}
	return 0
}

func appendString(dst []byte, s string) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(s))), s...)
}

// ParseMessage reads what AppendMessage wrote into m, which must be new. m
// keeps the end of data as its payload. Anything else is an error that wraps
// ErrRecord: another version, a field that is cut short, a form that is not
// known, and Go, which is no form of bytes.
func ParseMessage(data []byte, m *bus.Message) error {
	if len(data) < 4 || data[0] != recordVersion {
		return fmt.Errorf("%w: no version %d header", ErrRecord, recordVersion)
	}
	form := payload.Form(data[1])
	if !recordable(form) {
		return fmt.Errorf("%w: its payload cannot be in form %d (%s)", ErrRecord, data[1], form)
	}
	m.QoS, m.Retain = data[2], data[3]&flagRetain != 0
	r := reader{rest: data[4:]}
	m.Expires = r.varint()
	m.Topic = r.string()
	m.ID = r.string()
	n := r.uvarint()
	if n > uint64(len(r.rest)) {
		return fmt.Errorf("%w: %d headers in %d bytes", ErrRecord, n, len(r.rest))
	}
	headers := make([]bus.Header, 0, n)
	for range n {
		headers = append(headers, bus.Header{Key: r.string(), Value: r.string()})
	}
	if r.bad {
		return fmt.Errorf("%w: it ends in the middle of a field", ErrRecord)
	}
	if len(headers) > 0 {
		m.Headers = bus.MakeHeaders(headers...)
	}
	m.Payload.Set(form, r.rest)
	return nil
}

// reader takes fields off the front and remembers that one was cut short.
type reader struct {
	rest []byte
	bad  bool
}

func (r *reader) uvarint() uint64 {
	x, n := binary.Uvarint(r.rest)
	return r.took(x, n)
}

func (r *reader) varint() int64 {
	x, n := binary.Varint(r.rest)
	return int64(r.took(uint64(x), n))
}

func (r *reader) took(x uint64, n int) uint64 {
	if n <= 0 {
		r.bad, r.rest = true, nil
		return 0
	}
	r.rest = r.rest[n:]
	return x
}

func (r *reader) string() string {
	n := r.uvarint()
	if n > uint64(len(r.rest)) {
		r.bad, r.rest = true, nil
		return ""
	}
	s := string(r.rest[:n])
	r.rest = r.rest[n:]
	return s
}
