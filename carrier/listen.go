package carrier

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"strings"
	"syscall"
	"time"
)

// staleProbe bounds the question whether somebody still accepts on a socket file.
const staleProbe = time.Second

// maxSocketPath is the longest path all systems we run on accept for a unix socket.
const maxSocketPath = 103

// Listen binds an endpoint and accepts connections on it, with TLS when it says so. The handshake happens in the first
// Read or Write of an accepted connection, under the deadlines set there. An error says which address and why, and
// wraps the cause.
//
// A unix socket file that nobody accepts on any more is replaced; one that is alive, and a file that is no socket, are
// left alone and reported. The file is removed when the listener is closed. Two processes that replace the same stale
// file at the same moment are not kept apart.
func Listen(ctx context.Context, e Endpoint) (net.Listener, error) {
	l, err := listen(ctx, e)
	if err != nil {
		return nil, err
	}
	if e.TLS != nil {
		return tls.NewListener(l, e.TLS), nil
	}
	return l, nil
}

func listen(ctx context.Context, e Endpoint) (net.Listener, error) {
	if err := checkEndpoint("listening on", e); err != nil {
		return nil, err
	}
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, e.family(), e.Address)
	if err != nil && e.Network == networkUnix && errors.Is(err, syscall.EADDRINUSE) && !isAbstract(e.Address) {
		if err := removeStale(ctx, e); err != nil {
			return nil, err
		}
		l, err = lc.Listen(ctx, e.Network, e.Address)
	}
	if err != nil {
		return nil, &endpointError{"listening on", e, explain(e, err), err}
	}
	return l, nil
}

// family is the network to listen on: an IPv4 address, 0.0.0.0 too, is not meant
// for IPv6, and to the system it would be.
func (e Endpoint) family() string {
	host, _, err := net.SplitHostPort(e.Address)
	if ip, bad := netip.ParseAddr(host); e.Network == networkTCP && err == nil && bad == nil && ip.Is4() {
		return "tcp4"
	}
	return e.Network
}

// Dial connects to an endpoint and, with TLS, completes the handshake; the server's name defaults to the host of the
// address. An error says which address and why, and wraps the cause.
func Dial(ctx context.Context, e Endpoint) (net.Conn, error) {
	if err := checkEndpoint("connecting to", e); err != nil {
		return nil, err
	}
	var d net.Dialer
	c, err := d.DialContext(ctx, e.Network, e.Address)
	if err != nil {
		return nil, &endpointError{"connecting to", e, explain(e, err), err}
	}
	if e.TLS == nil {
		return c, nil
	}
	config := e.TLS
	if config.ServerName == "" && !config.InsecureSkipVerify {
		config = config.Clone()
		config.ServerName = e.host()
	}
	t := tls.Client(c, config)
	if err := t.HandshakeContext(ctx); err != nil {
		_ = c.Close() // the handshake's error is the one to tell
		return nil, &endpointError{"connecting to", e, "TLS handshake: " + explain(e, err), err}
	}
	return t, nil
}

// checkEndpoint refuses what the operating system would refuse without saying why.
func checkEndpoint(doing string, e Endpoint) error {
	fail := func(why string, cause error) error { return &endpointError{doing, e, why, cause} }
	switch e.Network {
	case networkTCP:
		return nil
	case networkUnix:
		if e.Address == "" {
			return fail("the path of the socket is empty", syscall.EINVAL)
		}
		if len(e.Address) > maxSocketPath {
			return fail(fmt.Sprintf("path of %d bytes is too long (at most %d)", len(e.Address), maxSocketPath), syscall.EINVAL)
		}
		return nil
	case networkMemory:
		return fail("a name in memory is opened by the Memory value it belongs to", errors.ErrUnsupported)
	default:
		return fail(fmt.Sprintf("unknown network %q (use tcp or unix)", e.Network), net.UnknownNetworkError(e.Network))
	}
}

// isAbstract tells a name of Linux's abstract namespace, which has no file.
func isAbstract(path string) bool { return strings.HasPrefix(path, "@") }

// removeStale removes the socket file of a listener that is gone, and says why it may not when it may not.
func removeStale(ctx context.Context, e Endpoint) error {
	fail := func(why string, cause error) error { return &endpointError{"listening on", e, why, cause} }
	info, err := os.Lstat(e.Address)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fail(explain(e, err), err)
	}
	if info.Mode()&fs.ModeSocket == 0 {
		return fail("address already in use (a file that is no socket is there: move it away)", syscall.EADDRINUSE)
	}
	d := net.Dialer{Timeout: staleProbe}
	c, err := d.DialContext(ctx, networkUnix, e.Address)
	if err == nil {
		_ = c.Close() // only asked whether somebody is there
		return fail(explain(e, syscall.EADDRINUSE), syscall.EADDRINUSE)
	}
	if !errors.Is(err, syscall.ECONNREFUSED) {
		return fail("address already in use (cannot tell whether it is alive: "+explain(e, err)+")", syscall.EADDRINUSE)
	}
	if err := os.Remove(e.Address); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fail("removing the socket file of a listener that is gone: "+explain(e, err), err)
	}
	return nil
}
