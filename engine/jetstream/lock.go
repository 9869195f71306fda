package jetstream

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// lockDir makes a data directory and locks it. Closing the file unlocks it.
func lockDir(dir string) (*os.File, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("making the data directory: %w", err)
	}
	name := filepath.Join(dir, "lock")
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("locking the data directory: %w", err)
	}
	held, err := tryLock(f)
	switch {
	case err != nil:
		_ = f.Close() // it was not locked
		return nil, fmt.Errorf("locking %s: %w", name, err)
	case held:
		text, _ := io.ReadAll(io.LimitReader(f, 200)) // it only helps to find who it is
		_ = f.Close()
		holder := strings.TrimSpace(string(text))
		if holder == "" {
			holder = "another process"
		}
		return nil, fmt.Errorf("data directory %s is in use by %s: stop it, or choose another directory", dir, holder)
	}
	// Who holds it is for people; a disk that is full must not keep a broker
	// from starting.
	host, _ := os.Hostname()
	if err := f.Truncate(0); err == nil {
		_, _ = fmt.Fprintf(f, "process %d on %s\n", os.Getpid(), host)
	}
	return f, nil
}
