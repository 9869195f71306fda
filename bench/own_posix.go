//go:build linux || darwin

package bench

import (
	"os/exec"
	"syscall"
	"time"
)

// ownTime is what this process has used of the processors.
func ownTime() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// ownGroup puts a command into a process group of its own, so that it can be
// stopped with all it starts, and does not get the terminal's Ctrl-C before
// that.
func ownGroup(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }

// endGroup asks the command and all it has started to end, or kills them.
func endGroup(cmd *exec.Cmd, kill bool) {
	signal := syscall.SIGTERM
	if kill {
		signal = syscall.SIGKILL
	}
	_ = syscall.Kill(-cmd.Process.Pid, signal) // there may be nobody left
}

// openFiles lets this process, and those it starts, have n open files. It
// returns how many it may have.
func openFiles(n int) int {
	var l syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &l) != nil {
		return n
	}
	want := syscall.Rlimit{Cur: max(uint64(n), l.Max), Max: max(uint64(n), l.Max)}
	if syscall.Setrlimit(syscall.RLIMIT_NOFILE, &want) != nil { // only some may have more than Max
		want = syscall.Rlimit{Cur: l.Max, Max: l.Max}
		if syscall.Setrlimit(syscall.RLIMIT_NOFILE, &want) != nil {
			want = l
		}
	}
	return int(min(want.Cur, 1<<30))
}
