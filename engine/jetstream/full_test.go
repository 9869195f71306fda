//go:build linux

package jetstream_test

import (
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"omnibus/engine"
	"omnibus/engine/jetstream"
)

// TestADiskThatIsFull fills a real one: where the engine keeps a part free, and
// where it does not and the server itself finds no room.
func TestADiskThatIsFull(t *testing.T) {
	for name, free := range map[string]int64{"with a part kept free": 2 << 20, "to the last byte": -1} {
		t.Run(name, func(t *testing.T) {
			if os.Getuid() != 0 {
				t.Skip("only root can mount a small disk")
			}
			mnt := filepath.Join(t.TempDir(), "mnt")
			if err := os.Mkdir(mnt, 0o700); err != nil {
				t.Fatal(err)
			}
			if err := unix.Mount("tmpfs", mnt, "tmpfs", 0, "size=24m"); err != nil {
				t.Skipf("no small disk can be made here: %v", err)
			}
			t.Cleanup(func() { _ = unix.Unmount(mnt, 0) })
			ballast := filepath.Join(mnt, "ballast")
			if err := os.WriteFile(ballast, make([]byte, 12<<20), 0o600); err != nil {
				t.Fatal(err)
			}
			dir := filepath.Join(mnt, "data")
			e, err := jetstream.Open(jetstream.Options{Dir: dir, MinFree: free, Tail: -1, Log: slog.New(slog.NewTextHandler(t.Output(), nil))})
			if err != nil {
				t.Fatal(err)
			}
			last, err := appendUntilRefused(t, e.Journal(), 10_000)
			if !errors.Is(err, engine.ErrFull) {
				t.Errorf("refused with %v, want ErrFull", err)
			}
			if err := os.Remove(ballast); err != nil {
				t.Fatal(err)
			}
			if after := appendUntilAccepted(t, e.Journal()); after != last+1 {
				t.Errorf("the first entry after it is at %d, want %d", after, last+1)
			}
			if n := readAll(t, e.Journal()); n != int(last+1) {
				t.Errorf("%d entries, want %d", n, last+1)
			}
			if err := e.Close(); err != nil {
				t.Error(err)
			}
			again, err := jetstream.Open(jetstream.Options{Dir: dir, MinFree: free})
			if err != nil {
				t.Fatal(err)
			}
			if n := readAll(t, again.Journal()); n != int(last+1) {
				t.Errorf("opened again there are %d entries, want %d", n, last+1)
			}
			if err := again.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}
