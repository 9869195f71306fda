package carrier

import (
	"crypto/tls"
	"net"
	"net/netip"
	"strings"
)

// Names of the networks an Endpoint can be on.
const (
	networkTCP    = "tcp"
	networkUnix   = "unix"
	networkMemory = "memory"
)

// Endpoint says where to listen or connect.
type Endpoint struct {
	// Network is "tcp", "unix" or "memory". Listen and Dial open the first two; a memory endpoint is opened by the
	// Memory value it lives in.
	Network string
	// Address is host:port (port 0 = any free one), the path of a socket, or a name in memory.
	Address string
	// TLS protects the connection; nil sends in the clear.
	TLS *tls.Config
}

// String names the endpoint as in "tcp://127.0.0.1:1883", "tls://[::]:8883", "unix:/run/bus.sock" or "memory:name". A
// TLS endpoint that is not on TCP reads "tls+unix:/run/bus.sock".
func (e Endpoint) String() string {
	switch {
	case e.Network == networkTCP && e.TLS != nil:
		return "tls://" + e.Address
	case e.Network == networkTCP:
		return "tcp://" + e.Address
	case e.TLS != nil:
		return "tls+" + e.Network + ":" + e.Address
	default:
		return e.Network + ":" + e.Address
	}
}

// IsLoopback tells whether the address is reachable from this machine only: a loopback IP, "localhost", a unix socket
// or a name in memory. An empty host and the unspecified addresses are not, nor is any other name: it is not resolved.
func (e Endpoint) IsLoopback() bool {
	switch e.Network {
	case networkUnix, networkMemory:
		return true
	case networkTCP:
	default:
		return false
	}
	host := e.host()
	if strings.EqualFold(host, "localhost") {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.Unmap().IsLoopback()
}

// host is the host part of a TCP address, or all of an address that has no port.
func (e Endpoint) host() string {
	host, _, err := net.SplitHostPort(e.Address)
	if err != nil {
		return strings.Trim(e.Address, "[]")
	}
	return host
}
