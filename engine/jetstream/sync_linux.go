package jetstream

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// groupSync says that the whole store can be flushed by one call, whoever
// wrote to it.
const groupSync = true

// syncStore flushes the filesystem that holds dir, contents and names alike.
// It reports errors that came up since dir was opened.
func syncStore(dir *os.File) error {
	if err := unix.Syncfs(int(dir.Fd())); err != nil {
		return fmt.Errorf("flushing the filesystem of %s: %w", dir.Name(), err)
	}
	return nil
}

// space is the size of the filesystem that holds dir, and what of it is free.
func space(dir *os.File) (size, free int64, err error) {
	var s unix.Statfs_t
	if err := unix.Fstatfs(int(dir.Fd()), &s); err != nil {
		return 0, 0, fmt.Errorf("asking for free space: %w", err)
	}
	return int64(s.Blocks) * s.Bsize, int64(s.Bavail) * s.Bsize, nil
}
