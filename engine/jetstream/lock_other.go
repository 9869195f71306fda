//go:build !(linux || darwin || freebsd || netbsd || openbsd || dragonfly || windows)

package jetstream

import (
	"errors"
	"os"
)

// tryLock refuses: without a lock two brokers could ruin each other's data.
func tryLock(*os.File) (held bool, err error) { return false, errors.ErrUnsupported }
