package packet

import (
	"errors"
	"fmt"
)

// Error says why bytes are not the packet they should be.
type Error struct {
	// Reason is what to answer a peer that speaks version 5 (4.13).
	Reason ReasonCode
	// Text names the packet, the field and the clause.
	Text string
}

// Error is the text and the reason.
func (e *Error) Error() string {
	return fmt.Sprintf("%s: %s (0x%02X)", e.Text, e.Reason, byte(e.Reason))
}

// ReasonOf is the reason code of the *Error in err; Success if err is nil, and
// UnspecifiedError if there is none.
func ReasonOf(err error) ReasonCode {
	if err == nil {
		return Success
	}
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Reason
	}
	return UnspecifiedError
}
