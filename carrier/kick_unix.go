//go:build unix

package carrier

import (
	"net"
	"os"
	"syscall"
)

// rawConn returns the socket below w, if w is one and nothing more: what wraps a connection wants to see
// the writes and reads.
func rawConn(w any) syscall.RawConn {
	var raw syscall.RawConn
	var err error
	switch c := w.(type) {
	case *net.TCPConn:
		raw, err = c.SyscallConn()
	case *net.UnixConn:
		raw, err = c.SyscallConn()
	}
	if err != nil {
		return nil // the next write or read will say it
	}
	return raw
}

// writeSocket writes what the socket, which does not block, takes at once.
func writeSocket(fd uintptr, p []byte) (int, error) {
	for {
		n, err := syscall.Write(int(fd), p)
		switch err {
		case nil:
			return n, nil
		case syscall.EAGAIN:
			return 0, nil
		case syscall.EINTR:
		default:
			return 0, os.NewSyscallError("write", err)
		}
	}
}

// readSocket reads what has arrived on the socket, which does not block; 0 for nothing, the end of it, and failures.
func readSocket(fd uintptr, p []byte) int {
	for {
		n, err := syscall.Read(int(fd), p)
		if err == syscall.EINTR {
			continue
		}
		return max(n, 0)
	}
}
