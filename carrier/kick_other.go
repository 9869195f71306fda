//go:build !unix

package carrier

import "syscall"

// rawConn finds no socket that can be used without waiting: Kick starts a flusher, and nothing is read ahead.
func rawConn(any) syscall.RawConn { return nil }

func writeSocket(uintptr, []byte) (int, error) { return 0, nil }

func readSocket(uintptr, []byte) int { return 0 }
