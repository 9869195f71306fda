package bench

import (
	"runtime"
	"syscall"
	"time"
)

// pacer waits for moments more exactly than the timers of the runtime, which
// are late by up to a millisecond: a message that is sent late looks like one
// that travelled slowly. Its goroutine
// keeps a thread to itself, which ends with the goroutine.
type pacer struct{}

func newPacer() pacer {
	const setTimerSlack = 29 // PR_SET_TIMERSLACK
	runtime.LockOSThread()
	// Where it is refused the kernel wakes the thread 50 µs late.
	_, _, _ = syscall.RawSyscall(syscall.SYS_PRCTL, setTimerSlack, 1, 0)
	return pacer{}
}

// spin is how long before the moment the thread is awake again: longer than
// it usually takes to wake it.
const spin = 60 * time.Microsecond

// until returns at a moment, which should be near: nothing interrupts it. The
// last few microseconds it looks at the clock, since a thread that was asleep is
// late by about as long as a fast broker takes for the message. It is while
// nothing else happens, a small part of each millisecond.
func (pacer) until(at time.Time) {
	for {
		d := time.Until(at)
		switch {
		case d <= 0:
			return
		case d > spin:
			t := syscall.NsecToTimespec(int64(d - spin))
			_ = syscall.Nanosleep(&t, nil) // after a signal it sleeps again
		}
	}
}
