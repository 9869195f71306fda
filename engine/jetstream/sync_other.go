//go:build !linux

package jetstream

import (
	"math"
	"os"
)

// groupSync is false: the server flushes every write by itself instead.
const groupSync = false

// syncStore flushes the files of a store, and their names.
func syncStore(dir *os.File) error { return syncTree(dir.Name()) }

// space does not know: what does not fit the server finds out.
func space(*os.File) (size, free int64, err error) { return math.MaxInt64, math.MaxInt64, nil }
