package carrier

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strings"
)

// ErrOrigin is wrapped by the error of a handshake that WebSocketOptions.CheckOrigin refused.
var ErrOrigin = errors.New("the page's origin is not allowed")

// Handshake is what a client's request says of where it comes from, and where it got to.
type Handshake struct {
	// Origin is the site of the page that asks, from the header of that name; programs that are no browsers may send
	// none. Where the header repeats, all of them, joined by ", ".
	Origin string
	// Host is what the client calls this server, with a port or without.
	Host string
	// Local is the address that the connection came in at.
	Local net.Addr
}

// SameOrigin tells whether a page may use a server that is not meant for pages of other web sites. Browsers let every
// page connect to every WebSocket, that of the own machine too, and leave it to the server to look. The host of Origin
// must be that of Host, whatever the ports, or a name of this machine: localhost, *.localhost, 127.0.0.0/8, ::1.
//
// On a loopback connection Host must be such a name, too, or an IP address: any other could be a web site's own, which
// its owner has pointed to this machine. Without an Origin it is no page, and true.
func SameOrigin(h Handshake) bool {
	if h.Origin == "" {
		return true
	}
	u, err := url.Parse(h.Origin)
	if err != nil || u.Host == "" {
		return false
	}
	from, at := u.Hostname(), hostName(h.Host)
	if IsLoopback(h.Local) && !isLoopbackName(at) && !isAddress(at) {
		return false
	}
	return at != "" && strings.EqualFold(from, at) || isLoopbackName(from)
}

// AllowOrigins returns a CheckOrigin that admits pages of the given origins, such as https://panel.example, besides
// those that SameOrigin admits. "*" admits everybody.
func AllowOrigins(origins ...string) (func(Handshake) bool, error) {
	allowed := make(map[string]bool)
	for _, o := range origins {
		u, err := url.Parse(o)
		if o != "*" && (err != nil || u.Scheme == "" || u.Host == "" || u.Scheme+"://"+u.Host != strings.ToLower(o)) {
			return nil, fmt.Errorf("%q is no origin: expecting scheme://host or scheme://host:port, in lower case, or *", o)
		}
		allowed[o] = true
	}
	return func(h Handshake) bool {
		return allowed["*"] || allowed[strings.ToLower(h.Origin)] || SameOrigin(h)
	}, nil
}

// checkOrigin is the check of a server's handshake, with its refusal in words.
func (o WebSocketOptions) checkOrigin(h Handshake) error {
	check := o.CheckOrigin
	if check == nil {
		check = SameOrigin
	}
	if h.Origin == "" || check(h) {
		return nil
	}
	return fmt.Errorf("%w: %.200q for host %.200q; it can be allowed in this server's configuration", ErrOrigin, h.Origin, h.Host)
}

// IsLoopback tells whether an address of an IP connection is one that only this machine reaches.
func IsLoopback(a net.Addr) bool {
	if a == nil {
		return false
	}
	at, err := netip.ParseAddrPort(a.String())
	return err == nil && at.Addr().Unmap().IsLoopback()
}

// hostName is a Host header without its port, and an IPv6 address without its brackets.
func hostName(host string) string {
	if name, _, err := net.SplitHostPort(host); err == nil {
		return name
	}
	return strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
}

// isLoopbackName tells names that browsers never look up elsewhere than on this machine.
func isLoopbackName(name string) bool {
	name = strings.ToLower(strings.TrimSuffix(name, "."))
	if name == "localhost" || strings.HasSuffix(name, ".localhost") {
		return true
	}
	ip, err := netip.ParseAddr(name)
	return err == nil && ip.Unmap().IsLoopback()
}

func isAddress(name string) bool {
	_, err := netip.ParseAddr(name)
	return err == nil
}
