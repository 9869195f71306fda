//go:build linux || darwin || freebsd || netbsd || openbsd || dragonfly

package jetstream

import (
	"os"

	"golang.org/x/sys/unix"
)

// tryLock locks a file until it is closed, or the process ends.
func tryLock(f *os.File) (held bool, err error) {
	err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if err == unix.EWOULDBLOCK {
		return true, nil
	}
	return false, err
}
