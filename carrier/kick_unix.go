//go:build unix

package carrier

import (
	"io"
	"net"
	"os"
	"syscall"
)

// rawConn returns the socket below w, if w is one and nothing more: what wraps a connection wants to see the writes.
func rawConn(w io.Writer) syscall.RawConn {
	var raw syscall.RawConn
	var err error
	switch c := w.(type) {
	case *net.TCPConn:
		raw, err = c.SyscallConn()
	case *net.UnixConn:
		raw, err = c.SyscallConn()
	}
	if err != nil {
		return nil // the flusher's write will say it
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
