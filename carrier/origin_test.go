package carrier_test

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"omnibus/carrier"
)

func tcp(t testing.TB, address string) net.Addr {
	t.Helper()
	a, err := net.ResolveTCPAddr("tcp", address)
	noError(t, err)
	return a
}

func TestSameOrigin(t *testing.T) {
	const lan, loopback, loopback6 = "192.168.1.5:8181", "127.0.0.1:8181", "[::1]:8181"
	tests := []struct {
		name, origin, host, local string
		want                      bool
	}{
		{"no page", "", "evil.example", loopback, true},
		{"own page", "https://hub.example", "hub.example", lan, true},
		{"own page of another port", "http://hub.example:3000", "hub.example:8181", lan, true},
		{"own page in other letters", "http://HUB.example", "hub.EXAMPLE:8181", lan, true},
		{"own address", "http://192.168.1.5:8181", "192.168.1.5:8181", lan, true},
		{"own IPv6 address", "http://[fe80::1]:8181", "[fe80::1]:8181", lan, true},
		{"own IPv6 address without ports", "http://[fe80::1]", "[fe80::1]", lan, true},
		{"unspecified address, as clients use it", "http://0.0.0.0:8181", "0.0.0.0:8181", loopback, true},
		{"page of this machine", "http://localhost:3000", "192.168.1.5:8181", lan, true},
		{"page of this machine by address", "http://127.0.0.2", "localhost:8181", loopback, true},
		{"page of this machine by IPv6 address", "http://[::1]:1", "localhost", loopback6, true},
		{"page of this machine by mapped address", "http://[::ffff:127.0.0.1]", "localhost", loopback, true},
		{"page of a name under localhost", "https://app.LocalHost.", "127.0.0.1:8181", loopback, true},

		{"another site", "https://evil.example", "localhost:8181", loopback, false},
		{"another site at the unspecified address", "https://evil.example", "0.0.0.0:8181", loopback, false},
		{"another site of the LAN", "http://192.168.1.6", "192.168.1.5:8181", lan, false},
		{"a name that ends alike", "https://notlocalhost", "localhost:8181", loopback, false},
		{"a name that begins alike", "https://localhost.evil.example", "localhost:8181", loopback, false},
		{"an address inside a name", "http://127.0.0.1.evil.example", "127.0.0.1:8181", loopback, false},
		{"a user named like the host", "http://localhost@evil.example", "localhost:8181", loopback, false},
		{"sandboxed page", "null", "localhost:8181", loopback, false},
		{"page from a file", "file://", "localhost:8181", loopback, false},
		{"no URL", "://", "localhost:8181", loopback, false},
		{"two origins", "http://localhost, https://evil.example", "localhost:8181", loopback, false},
		{"no names", "http://:80", ":80", lan, false},

		{"name that was pointed here", "http://evil.example:8181", "evil.example:8181", loopback, false},
		{"name that was pointed here, IPv6", "http://evil.example:8181", "evil.example:8181", loopback6, false},
		{"page of this machine by a name that was pointed here", "http://localhost", "evil.example", loopback, false},
		{"same name on the LAN", "http://evil.example:8181", "evil.example:8181", lan, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h := carrier.Handshake{Origin: tt.origin, Host: tt.host, Local: tcp(t, tt.local)}
			if got := carrier.SameOrigin(h); got != tt.want {
				t.Errorf("origin %q at %q, %s: %v", tt.origin, tt.host, tt.local, got)
			}
		})
	}
	if !carrier.SameOrigin(carrier.Handshake{Origin: "http://bus", Host: "bus"}) {
		t.Error("own page over a connection without addresses is refused")
	}
}

func TestAllowOrigins(t *testing.T) {
	local := tcp(t, "127.0.0.1:1")
	page := func(origin string) carrier.Handshake {
		return carrier.Handshake{Origin: origin, Host: "evil.example", Local: local}
	}
	some, err := carrier.AllowOrigins("https://panel.example", "http://other.example:3000", "moz-extension://12ab")
	noError(t, err)
	for origin, want := range map[string]bool{
		"https://panel.example": true, "https://PANEL.example": true, "http://other.example:3000": true, "moz-extension://12ab": true,
		"http://panel.example": false, "https://panel.example:444": false, "http://other.example": false,
		"https://panel.example.evil.example": false, "https://evil.example": false, "null": false, "": true,
	} {
		if some(page(origin)) != want {
			t.Errorf("%q: allowed %v", origin, !want)
		}
	}
	if !some(carrier.Handshake{Origin: "http://localhost", Host: "localhost", Local: local}) {
		t.Error("a page of this machine is no longer allowed")
	}
	every, err := carrier.AllowOrigins("https://panel.example", "*")
	noError(t, err)
	none, err := carrier.AllowOrigins()
	noError(t, err)
	for _, origin := range []string{"https://evil.example", "null", "file://"} {
		if !every(page(origin)) || none(page(origin)) {
			t.Errorf("%q: every %v, none %v", origin, every(page(origin)), none(page(origin)))
		}
	}
	for _, wrong := range []string{"", "panel.example", "https://", "https://panel.example/", "https://panel.example/x", "https://Panel.example", "null", "%zz"} {
		_, err := carrier.AllowOrigins("https://panel.example", wrong)
		errIs(t, err, nil, "no origin")
	}
}

func TestIsLoopback(t *testing.T) {
	for address, want := range map[string]bool{
		"127.0.0.1:1": true, "127.8.9.1:1": true, "[::1]:1": true, "[::ffff:127.0.0.1]:1": true,
		"192.168.1.5:1": false, "0.0.0.0:1": false, "[::]:1": false,
	} {
		if carrier.IsLoopback(tcp(t, address)) != want {
			t.Errorf("%s: loopback %v", address, !want)
		}
	}
	if carrier.IsLoopback(nil) || carrier.IsLoopback(&net.UnixAddr{Name: "/run/127.0.0.1:1", Net: "unix"}) {
		t.Error("no IP connection is taken for one")
	}
}

// TestPagesOfOtherSitesAreRefused asks both kinds of server, over sockets.
func TestPagesOfOtherSitesAreRefused(t *testing.T) {
	everybody, err := carrier.AllowOrigins("*")
	noError(t, err)
	tests := []struct {
		name, origin, host string
		check              func(carrier.Handshake) bool
		status             int
	}{
		{"no page", "", "evil.example", nil, 101},
		{"own page", "Origin: http://0.0.0.0:8181\r\n", "0.0.0.0:8181", nil, 101},
		{"another site", "Origin: https://evil.example\r\n", "127.0.0.1:8181", nil, 403},
		{"header in other letters", "oRIGIN: https://evil.example\r\n", "127.0.0.1:8181", nil, 403},
		{"two headers", "Origin: http://localhost\r\nOrigin: https://evil.example\r\n", "localhost", nil, 403},
		{"name that was pointed here", "Origin: http://evil.example\r\n", "evil.example", nil, 403},
		{"another site, allowed", "Origin: https://evil.example\r\n", "evil.example", everybody, 101},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			o := carrier.WebSocketOptions{CheckOrigin: tt.check}
			failed := make(chan error, 1)
			accepted := func(w *carrier.WebSocket, err error) {
				if err == nil {
					_ = w.Drop()
				}
				failed <- err
			}
			l, err := carrier.Listen(t.Context(), carrier.Endpoint{Network: "tcp", Address: "127.0.0.1:0"})
			noError(t, err)
			ctx, cancel := context.WithCancel(t.Context())
			ended := make(chan error, 1)
			go func() {
				ended <- carrier.Serve(ctx, l, carrier.ServeOptions{}, func(_ context.Context, c net.Conn) { accepted(carrier.Upgrade(c, o)) })
			}()
			defer func() {
				cancel()
				noError(t, <-ended)
			}()
			overHTTP := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { accepted(carrier.UpgradeHTTP(w, r, o)) }))
			defer overHTTP.Close()

			request := strings.Replace(handshakeRequest, "Host: bus\r\n", "Host: "+tt.host+"\r\n"+tt.origin, 1) + "\r\n"
			for _, at := range []string{l.Addr().String(), overHTTP.Listener.Addr().String()} {
				status, body := ask(t, at, request)
				err := <-failed
				if status != tt.status {
					t.Errorf("status %d, body %q, error %v", status, body, err)
				}
				if status != http.StatusForbidden {
					noError(t, err)
					continue
				}
				errIs(t, err, carrier.ErrOrigin, "evil.example")
				if !strings.Contains(body, "evil.example") || !strings.Contains(body, "can be allowed") || strings.Count(body, "\n") != 1 {
					t.Errorf("body %q", body)
				}
			}
		})
	}
}

// ask sends a request as it is and returns the answer.
func ask(t *testing.T, at, request string) (status int, body string) {
	t.Helper()
	var d net.Dialer
	c, err := d.DialContext(t.Context(), "tcp", at)
	noError(t, err)
	defer c.Close()
	_, err = io.WriteString(c, request)
	noError(t, err)
	answer, err := http.ReadResponse(bufio.NewReader(c), nil)
	noError(t, err)
	defer answer.Body.Close()
	if answer.StatusCode == http.StatusSwitchingProtocols {
		return answer.StatusCode, ""
	}
	b, err := io.ReadAll(answer.Body)
	noError(t, err)
	return answer.StatusCode, string(b)
}
