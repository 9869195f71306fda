package bench

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// ticks is how many the kernel counts in a second of CPU time when it tells
// programs: 100 whatever its own clock, on all processors that Go runs on.
const ticks = 100

// cpuTime is what the process and its threads have used of the processors.
func cpuTime(pid int) (time.Duration, error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	// The name of the program may have blanks and parentheses: begin behind it.
	fields := strings.Fields(string(data[bytes.LastIndexByte(data, ')')+1:]))
	if len(fields) < 13 {
		return 0, errors.New("reading the CPU time: /proc has another form")
	}
	sum := int64(0)
	for _, f := range fields[11:13] { // utime, stime
		n, err := strconv.ParseInt(f, 10, 64)
		if err != nil {
			return 0, fmt.Errorf("reading the CPU time: %w", err)
		}
		sum += n
	}
	return time.Duration(sum) * time.Second / ticks, nil
}

// memory is the resident memory of the process, and the most it was.
func memory(pid int) (now, peak int64, err error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, 0, err
	}
	for line := range strings.Lines(string(data)) {
		name, rest, _ := strings.Cut(line, ":")
		if name != "VmRSS" && name != "VmHWM" {
			continue
		}
		kb, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 10, 64)
		if err != nil {
			return 0, 0, fmt.Errorf("reading the resident memory: %w", err)
		}
		if name == "VmRSS" {
			now = kb << 10
		} else {
			peak = kb << 10
		}
	}
	return now, peak, nil
}

// forgetPeak makes the peak of the resident memory what it is now, if this user
// may.
func forgetPeak(pid int) {
	_ = os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", pid), []byte("5"), 0)
}

// listeners are the processes that listen at an address of this machine: at
// exactly this one, or else at all.
func listeners(ip net.IP, port uint16) ([]int, error) {
	exact, wild := make(map[string]bool), make(map[string]bool)
	for _, name := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		data, err := os.ReadFile(name)
		if err != nil {
			continue // a kernel without IPv6 has no such file
		}
		for line := range strings.Lines(string(data)) {
			const listening = "0A"
			f := strings.Fields(line)
			if len(f) < 10 || f[3] != listening {
				continue
			}
			host, at, _ := strings.Cut(f[1], ":")
			switch socket := "socket:[" + f[9] + "]"; {
			case at != fmt.Sprintf("%04X", port):
			case host == procAddress(ip):
				exact[socket] = true
			case strings.Trim(host, "0") == "":
				wild[socket] = true
			}
		}
	}
	if len(exact) == 0 {
		exact = wild
	}
	all, err := filepath.Glob("/proc/[0-9]*/fd")
	if err != nil || len(exact) == 0 {
		return nil, err
	}
	var pids []int
	for _, dir := range all {
		if holds(dir, exact) {
			if pid, err := strconv.Atoi(filepath.Base(filepath.Dir(dir))); err == nil {
				pids = append(pids, pid)
			}
		}
	}
	return pids, nil
}

// procAddress is an address as /proc writes it: words of four bytes, each as a
// number of this processor.
func procAddress(ip net.IP) string {
	if four := ip.To4(); four != nil {
		ip = four
	}
	var text strings.Builder
	for word := range slices.Chunk(ip, 4) {
		fmt.Fprintf(&text, "%08X", binary.NativeEndian.Uint32(word))
	}
	return text.String()
}

// holds reports whether one of the files of a process is one of the sockets. The
// files of other users' processes cannot be seen.
func holds(dir string, sockets map[string]bool) bool {
	files, err := os.ReadDir(dir)
	if err != nil {
		return false
	}
	for _, f := range files {
		if target, err := os.Readlink(filepath.Join(dir, f.Name())); err == nil && sockets[target] {
			return true
		}
	}
	return false
}

// here reports whether an address is one of this machine.
func here(ip net.IP) bool {
	if ip.IsLoopback() {
		return true
	}
	all, err := net.InterfaceAddrs()
	if err != nil {
		return false
	}
	for _, a := range all {
		if n, ok := a.(*net.IPNet); ok && n.IP.Equal(ip) {
			return true
		}
	}
	return false
}
