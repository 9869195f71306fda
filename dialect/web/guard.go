package web

import (
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"

	"omnibus/bus"
)

// guard tells the requests that a browser sends on behalf of somebody else's
// page: a loopback address is no protection from the browser of the same
// machine.
type guard struct {
	cross *http.CrossOriginProtection
	hosts map[string]bool // names that this server goes by, besides localhost
}

// newGuard allows the pages of some origins, and the names in them and in the
// address to listen on.
func newGuard(listen string, origins []string) (*guard, error) {
	g := &guard{cross: http.NewCrossOriginProtection(), hosts: make(map[string]bool)}
	g.hosts[hostname(listen)] = true
	for _, o := range origins {
		if err := g.cross.AddTrustedOrigin(o); err != nil {
			return nil, err
		}
		if u, err := url.Parse(o); err == nil {
			g.hosts[hostname(u.Host)] = true
		}
	}
	delete(g.hosts, "") // of ":8080"
	return g, nil
}

// admit refuses what a page of another site sends, and what comes by a name
// that is not this server's: somebody else's name that leads to this machine
// makes a browser take his pages for ours.
func (s *server) admit(r *http.Request) error {
	if loopback(r) && !s.guard.ours(r.Host) {
		s.count.foreignHost.Add(1)
		return bus.Errorf(bus.Refused, "", "this server does not go by the name %q; use localhost or its address, or put an origin of that name into web.origins", r.Host)
	}
	checked := r
	if r.Method == http.MethodGet && strings.HasPrefix(r.URL.EscapedPath(), "/services/") {
		checked = r.WithContext(r.Context())
		checked.Method = http.MethodPost // it takes a service over, which is not only looking
	}
	if s.guard.cross.Check(checked) != nil {
		s.count.crossSite.Add(1)
		return bus.Errorf(bus.Refused, "", "a page of another site (origin %q) may not do this; its origin can be allowed under web.origins", r.Header.Get("Origin"))
	}
	return nil
}

// ours reports whether a Host header names this machine, whatever the port.
func (g *guard) ours(host string) bool {
	name := hostname(host)
	if name == "localhost" || strings.HasSuffix(name, ".localhost") || g.hosts[name] {
		return true
	}
	_, err := netip.ParseAddr(name)
	return err == nil
}

// hostname is a host without its port, brackets and final dot, in lower case.
func hostname(host string) string {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	} else {
		host = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	}
	return strings.ToLower(strings.TrimSuffix(host, "."))
}

// loopback reports whether a request came in by an address that only this
// machine reaches.
func loopback(r *http.Request) bool {
	local, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	if !ok {
		return false
	}
	a, err := netip.ParseAddrPort(local.String())
	return err == nil && a.Addr().Unmap().IsLoopback()
}
