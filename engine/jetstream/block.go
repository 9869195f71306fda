package jetstream

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"omnibus/bus"
	"omnibus/engine"
	"omnibus/payload"
)

// A block is what one message of the journal's stream holds: whole calls of
// Append, one after the other.
//
//	version  1 byte, blockVersion
//	first    8 bytes, big endian: the position of the first entry
//	count    4 bytes, big endian: how many entries, at least one
//	entries  each with its length before it
//
// Lengths are uvarints, numbers varints. An entry is
//
//	kind, form, QoS, flags (1: retain)   1 byte each
//	Time, Expires                        varint
//	Tenant, Topic, ID, From, Session     length and bytes
//	headers                              their number; key and value of each
//	Step                                 length and bytes
//	Payload                              the rest
//
// A checksum is not part of it: the store keeps one for every message.
const (
	blockVersion = 1
	headerLen    = 1 + 8 + 4
)

// errBlock is wrapped by errors about a block that cannot be read.
var errBlock = errors.New("not a block of the journal")

// header is the beginning of a block.
type header struct {
	first bus.Position
	count uint32
}

func (h header) last() bus.Position { return h.first + bus.Position(h.count) - 1 }

func appendHeader(dst []byte, h header) []byte {
	dst = append(dst, blockVersion)
	dst = binary.BigEndian.AppendUint64(dst, uint64(h.first))
	return binary.BigEndian.AppendUint32(dst, h.count)
}

// parseHeader returns the header of a block and its entries.
func parseHeader(data []byte) (h header, entries []byte, err error) {
	if len(data) < headerLen || data[0] != blockVersion {
		return h, nil, fmt.Errorf("%w: no version %d header in %d bytes", errBlock, blockVersion, len(data))
	}
	h.first = bus.Position(binary.BigEndian.Uint64(data[1:]))
	h.count = binary.BigEndian.Uint32(data[9:])
	entries = data[headerLen:]
	switch {
	case h.first == 0 || h.count == 0 || uint64(h.first) > math.MaxUint64-uint64(h.count):
		return h, nil, fmt.Errorf("%w: %d entries from position %d", errBlock, h.count, h.first)
	case uint64(h.count)*minEntry > uint64(len(entries)):
		return h, nil, fmt.Errorf("%w: %d entries in %d bytes", errBlock, h.count, len(entries))
	}
	return h, entries, nil
}

// minEntry is the size of the smallest entry: its length, four bytes, two
// numbers, and seven counts.
const minEntry = 1 + 4 + 2 + 7

const flagRetain = 1

// entrySize bounds from above what appendEntry appends.
func entrySize(e *engine.Entry) int {
	const lengths = binary.MaxVarintLen32
	n := lengths + 4 + 2*binary.MaxVarintLen64 + 7*lengths + len(e.Payload) + len(e.Step) + textLen(e)
	return n + 2*lengths*len(e.Headers)
}

// appendEntry appends an entry with its length before it.
func appendEntry(dst []byte, e *engine.Entry) []byte {
	// The length comes first but is known last: room for it is left, as much
	// as it will take in nearly every case.
	start := len(dst)
	dst = append(dst, 0, 0)
	flags := byte(0)
	if e.Retain {
		flags |= flagRetain
	}
	dst = append(dst, byte(e.Kind), byte(e.Form), e.QoS, flags)
	dst = binary.AppendVarint(dst, e.Time)
	dst = binary.AppendVarint(dst, e.Expires)
	dst = appendText(dst, e.Tenant)
	dst = appendText(dst, e.Topic)
	dst = appendText(dst, e.ID)
	dst = appendText(dst, e.From)
	dst = appendText(dst, e.Session)
	dst = binary.AppendUvarint(dst, uint64(len(e.Headers)))
	for _, h := range e.Headers {
		dst = appendText(dst, h.Key)
		dst = appendText(dst, h.Value)
	}
	dst = appendText(dst, e.Step)
	dst = append(dst, e.Payload...)

	var length [binary.MaxVarintLen64]byte
	body := len(dst) - start - 2
	n := binary.PutUvarint(length[:], uint64(body))
	if n != 2 {
		dst = append(dst, length[:max(0, n-2)]...)
		copy(dst[start+n:start+n+body], dst[start+2:start+2+body])
		dst = dst[:start+n+body]
	}
	copy(dst[start:], length[:n])
	return dst
}

func appendText[T string | []byte](dst []byte, s T) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(s))), s...)
}

// decodeEntries appends to dst up to max of the entries of a block, from
// position from on. They share nothing with entries.
func decodeEntries(dst []*engine.Entry, h header, entries []byte, from bus.Position, max int) ([]*engine.Entry, error) {
	r := reader{rest: entries}
	for at := h.first; at <= h.last() && len(dst) < max; at++ {
		body := r.bytes()
		if r.bad {
			return nil, fmt.Errorf("%w: it ends in the midst of the entry at %d", errBlock, at)
		}
		if at < from {
			continue
		}
		e, err := decodeEntry(body)
		if err != nil {
			return nil, fmt.Errorf("decoding the entry at %d: %w", at, err)
		}
		e.Position = at
		dst = append(dst, e)
	}
	return dst, nil
}

func decodeEntry(body []byte) (*engine.Entry, error) {
	if len(body) < minEntry-1 {
		return nil, fmt.Errorf("%w: an entry of %d bytes", errBlock, len(body))
	}
	r := reader{rest: body[4:]}
	e := &engine.Entry{
		Kind: engine.EntryKind(body[0]), Form: payload.Form(body[1]), QoS: body[2], Retain: body[3]&flagRetain != 0,
		Time: r.varint(), Expires: r.varint(),
	}
	// All text of an entry becomes one string: where it ends is found first.
	end := r
	for range 5 {
		end.bytes()
	}
	n := end.uvarint()
	if n > uint64(len(end.rest))/2 {
		return nil, fmt.Errorf("%w: %d headers in %d bytes", errBlock, n, len(end.rest))
	}
	for range 2 * n {
		end.bytes()
	}
	texts := cutter{reader: r, all: string(r.rest[:len(r.rest)-len(end.rest)]), until: len(end.rest)}
	e.Tenant, e.Topic, e.ID, e.From, e.Session = texts.next(), texts.next(), texts.next(), texts.next(), texts.next()
	if texts.uvarint(); n > 0 && !end.bad {
		e.Headers = make([]bus.Header, n)
		for i := range e.Headers {
			e.Headers[i] = bus.Header{Key: texts.next(), Value: texts.next()}
		}
	}
	e.Step = bytes.Clone(end.bytes())
	if end.bad {
		return nil, fmt.Errorf("%w: an entry ends in the midst of a field", errBlock)
	}
	e.Payload = bytes.Clone(end.rest)
	return e, nil
}

// cutter reads fields as parts of one string, which has a copy of all.
type cutter struct {
	reader

	all   string
	until int // how much of rest is not in all
}

func (c *cutter) next() string {
	n := len(c.bytes())
	end := len(c.all) - (len(c.rest) - c.until)
	if c.bad {
		return ""
	}
	return c.all[end-n : end]
}
