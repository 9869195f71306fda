//go:build !linux

package bench

import "time"

// pacer waits for moments as exactly as the runtime can.
type pacer struct{}

func newPacer() pacer { return pacer{} }

// until returns at a moment, which should be near: nothing interrupts it.
func (pacer) until(at time.Time) {
	<-time.After(time.Until(at))
}
