//go:build !unix

package carrier

import (
	"io"
	"syscall"
)

// rawConn finds no socket that can be written without waiting: Kick starts a flusher.
func rawConn(io.Writer) syscall.RawConn { return nil }

func writeSocket(uintptr, []byte) (int, error) { return 0, nil }
