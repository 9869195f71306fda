package jetstream

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"

	"omnibus/engine"
)

// A record is one message: a version byte, a kind, the key with its length
// before it, and the value. Its subject ends with a digest of the key, since a
// key may have any bytes and any length, and a subject may not. A record that
// was deleted is a message of its own for a while, which replaces it.
const recordVersion = 1

const (
	kindRecord  = 0
	kindDeleted = 1
)

// errRecord is wrapped by errors about a record that cannot be read.
var errRecord = errors.New("not a record")

// digest is the last token of the subject of a key: 192 bits, so that nobody
// finds two keys that share one.
func digest(key string) string {
	sum := sha256.Sum256([]byte(key))
	return base64.RawURLEncoding.EncodeToString(sum[:24])
}

func appendRecord(dst []byte, o *op) []byte {
	kind := byte(kindRecord)
	if o.deleted {
		kind = kindDeleted
	}
	dst = append(dst, recordVersion, kind)
	dst = appendText(dst, o.key)
	return append(dst, o.value...)
}

// parseRecord reads a record. The value is a part of data.
func parseRecord(data []byte) (key string, value []byte, deleted bool, err error) {
	if len(data) < 3 || data[0] != recordVersion || data[1] > kindDeleted {
		return "", nil, false, fmt.Errorf("%w: no version %d header in %d bytes", errRecord, recordVersion, len(data))
	}
	r := reader{rest: data[2:]}
	k := r.bytes()
	if r.bad {
		return "", nil, false, fmt.Errorf("%w: it ends in the midst of its key", errRecord)
	}
	return string(k), r.rest, data[1] == kindDeleted, nil
}

// recordSize bounds from above what appendRecord appends.
func recordSize(key string, value []byte) int64 {
	return int64(2 + binary.MaxVarintLen32 + len(key) + len(value))
}

// op is a change of a record on its way to the stream.
type op struct {
	table   engine.Table
	key     string
	value   []byte
	deleted bool
	since   uint64 // the first change that this one stands for
}

func (o *op) size() int64 { return opCost + int64(len(o.key)+len(o.value)) }

// opCost is about what a change costs beside its bytes.
const opCost = 200
