package jetstream_test

import (
	"math/rand/v2"
	"testing"
)

func TestNothingFlushedIsLostWhenTheProcessIsKilled(t *testing.T) {
	rounds := 8
	if testing.Short() {
		rounds = 2
	}
	dir := t.TempDir()
	for range rounds {
		c := startChild(t, dir, "")
		c.read(t, 5+rand.IntN(60))
		c.kill()
		checkKept(t, dir, c)
		t.Logf("killed when up to %d was flushed and %d records were synced", c.flushed, c.synced)
	}
}
