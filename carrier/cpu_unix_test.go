//go:build unix

package carrier_test

import (
	"syscall"
	"testing"
	"time"
)

// cpuTime is what this process has used, kernel included.
func cpuTime(t testing.TB) time.Duration {
	t.Helper()
	var u syscall.Rusage
	noError(t, syscall.Getrusage(syscall.RUSAGE_SELF, &u))
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
