//go:build linux

package jetstream_test

import (
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"omnibus/engine/jetstream"
)

// shutdownExt4 is the request that makes an ext4 filesystem drop all that it
// has not written, as when the power fails; noLogFlush, that its log goes too.
const (
	shutdownExt4 = 0x8004587d // _IOR('X', 125, __u32)
	noLogFlush   = 2
)

// disk is a filesystem of its own, on a file.
type disk struct{ file, dir string }

// makeDisk makes a disk, or skips the test with the reason.
func makeDisk(t *testing.T, size string) *disk {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("only root can mount a disk that loses its power")
	}
	d := &disk{file: filepath.Join(t.TempDir(), "disk"), dir: filepath.Join(t.TempDir(), "mnt")}
	if err := os.Mkdir(d.dir, 0o700); err != nil {
		t.Fatal(err)
	}
	d.command(t, "truncate", "-s", size, d.file)
	d.command(t, "mkfs.ext4", "-q", "-F", d.file)
	d.mount(t)
	t.Cleanup(func() { _ = exec.Command("umount", d.dir).Run() })
	return d
}

func (d *disk) mount(t *testing.T) {
	t.Helper()
	d.command(t, "mount", "-o", "loop", d.file, d.dir)
}

func (d *disk) unmount(t *testing.T) {
	t.Helper()
	d.command(t, "umount", d.dir)
}

// command runs what is needed for a disk, and skips the test when this machine
// does not have it.
func (d *disk) command(t *testing.T, name string, args ...string) {
	t.Helper()
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		t.Skipf("no disk can be made here: %s %s: %v: %s", name, strings.Join(args, " "), err, out)
	}
}

// losePower drops what is not on the disk.
func (d *disk) losePower(t *testing.T) {
	t.Helper()
	f, err := os.Open(d.dir)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	if err := unix.IoctlSetPointerInt(int(f.Fd()), shutdownExt4, noLogFlush); err != nil {
		t.Skipf("this kernel cannot make a disk lose its power: %v", err)
	}
}

func TestNothingFlushedIsLostWithThePower(t *testing.T) {
	rounds := 3
	if testing.Short() {
		rounds = 1
	}
	d := makeDisk(t, "512M")
	for range rounds {
		c := startChild(t, filepath.Join(d.dir, "data"), "")
		c.read(t, 5+rand.IntN(60))
		d.losePower(t)
		c.kill()
		d.unmount(t)
		d.mount(t)
		checkKept(t, filepath.Join(d.dir, "data"), c)
		t.Logf("power lost when up to %d was flushed and %d records were synced", c.flushed, c.synced)
	}
}

// Without a flush the same loss of power loses what was stored: the tests
// above can fail.
func TestWhatIsNotFlushedIsLostWithThePower(t *testing.T) {
	d := makeDisk(t, "512M")
	c := startChild(t, filepath.Join(d.dir, "data"), "never")
	for c.flushed == 0 {
		c.read(t, 1)
	}
	d.losePower(t)
	c.kill()
	d.unmount(t)
	d.mount(t)
	e := open(t, jetstream.Options{Dir: filepath.Join(d.dir, "data")})
	if _, last := e.Journal().Bounds(); last >= c.flushed {
		t.Errorf("the journal ends at %d, and up to %d was stored; the loss of power is none", last, c.flushed)
	}
	if err := e.Close(); err != nil { // before the disk goes
		t.Error(err)
	}
}
