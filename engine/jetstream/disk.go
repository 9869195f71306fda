package jetstream

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// syncTree flushes every file and folder below dir.
func syncTree(dir string) error {
	return filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && (d.IsDir() || d.Type().IsRegular()) {
			err = syncFile(path)
		}
		if errors.Is(err, fs.ErrNotExist) {
			return nil // the server removes files at any time
		}
		return err
	})
}

func syncFile(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }() // nothing was written through it
	if err := f.Sync(); err != nil {
		return fmt.Errorf("flushing %s: %w", path, err)
	}
	return nil
}

// rewrite writes every file below dir that changed since a moment once more,
// in place, with what it reads from it. After a failed flush the kernel takes
// pages for clean that never reached the disk; written again they are dirty
// again, and the next flush says truly whether they got there. Nobody else may
// write meanwhile.
func rewrite(dir string, since time.Time) error {
	return filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		info, err := d.Info()
		if err != nil || info.ModTime().Before(since) {
			return err
		}
		return rewriteFile(path)
	})
}

func rewriteFile(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }() // the flush that follows tells what was not written
	buf := make([]byte, 1<<20)
	for at := int64(0); ; {
		n, err := f.ReadAt(buf, at)
		if _, werr := f.WriteAt(buf[:n], at); werr != nil {
			return fmt.Errorf("writing again: %w", werr)
		}
		at += int64(n)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("reading to write again: %w", err)
		}
	}
}
