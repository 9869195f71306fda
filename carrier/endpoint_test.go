package carrier_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"omnibus/carrier"
)

func TestEndpointLoopback(t *testing.T) {
	tests := []struct {
		network, address string
		want             bool
	}{
		{"tcp", "127.0.0.1:1883", true},
		{"tcp", "127.8.9.1:1883", true},
		{"tcp", "[::1]:1883", true},
		{"tcp", "[::ffff:127.0.0.1]:1883", true},
		{"tcp", "localhost:1883", true},
		{"tcp", "LocalHost:0", true},
		{"tcp", "localhost", true},
		{"tcp", ":1883", false},
		{"tcp", "", false},
		{"tcp", "0.0.0.0:1883", false},
		{"tcp", "[::]:1883", false},
		{"tcp", "192.168.1.2:1883", false},
		{"tcp", "localhost.example.org:1883", false},
		{"tcp", "127.example.org:1883", false},
		{"unix", "/run/bus.sock", true},
		{"memory", "bus", true},
		{"udp", "127.0.0.1:1", false},
	}
	for _, tt := range tests {
		if got := (carrier.Endpoint{Network: tt.network, Address: tt.address}).IsLoopback(); got != tt.want {
			t.Errorf("%s %q: loopback %v, want %v", tt.network, tt.address, got, tt.want)
		}
	}
}

func TestEndpointString(t *testing.T) {
	tests := []struct {
		e    carrier.Endpoint
		want string
	}{
		{carrier.Endpoint{Network: "tcp", Address: "[::]:1"}, "tcp://[::]:1"},
		{carrier.Endpoint{Network: "tcp", Address: "h:1", TLS: &tls.Config{}}, "tls://h:1"},
		{carrier.Endpoint{Network: "unix", Address: "/a"}, "unix:/a"},
		{carrier.Endpoint{Network: "unix", Address: "/a", TLS: &tls.Config{}}, "tls+unix:/a"},
		{carrier.Endpoint{Network: "memory", Address: "a"}, "memory:a"},
	}
	for _, tt := range tests {
		if got := tt.e.String(); got != tt.want {
			t.Errorf("got %q, want %q", got, tt.want)
		}
	}
}

func TestListenSaysWhatIsWrong(t *testing.T) {
	dir := t.TempDir()
	live, err := carrier.Listen(t.Context(), carrier.Endpoint{Network: "tcp", Address: "127.0.0.1:0"})
	noError(t, err)
	defer live.Close()
	socket := filepath.Join(dir, "live.sock")
	liveUnix, err := carrier.Listen(t.Context(), carrier.Endpoint{Network: "unix", Address: socket})
	noError(t, err)
	defer liveUnix.Close()
	file := filepath.Join(dir, "file")
	noError(t, os.WriteFile(file, []byte("precious"), 0o600))

	tests := []struct {
		name             string
		network, address string
		cause            error
		words            []string
	}{
		{"port taken", "tcp", live.Addr().String(), syscall.EADDRINUSE, []string{live.Addr().String(), "address already in use"}},
		{"foreign address", "tcp", "192.0.2.1:0", syscall.EADDRNOTAVAIL, []string{"192.0.2.1", "no such address"}},
		{"no port", "tcp", "127.0.0.1", nil, []string{"127.0.0.1", "missing port", "host:port"}},
		{"no such host", "tcp", "bad..name:1", nil, []string{"bad..name", "no such host"}},
		{"live socket", "unix", socket, syscall.EADDRINUSE, []string{socket, "address already in use"}},
		{"file in the way", "unix", file, syscall.EADDRINUSE, []string{file, "no socket"}},
		{"no directory", "unix", filepath.Join(dir, "none", "s"), fs.ErrNotExist, []string{"no such file or directory"}},
		{"long path", "unix", filepath.Join(dir, strings.Repeat("x", 120)), syscall.EINVAL, []string{"too long"}},
		{"no path", "unix", "", syscall.EINVAL, []string{"empty"}},
		{"memory", "memory", "bus", errors.ErrUnsupported, []string{"Memory"}},
		{"unknown network", "carrier pigeon", "x", nil, []string{"carrier pigeon", "tcp or unix"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			l, err := carrier.Listen(t.Context(), carrier.Endpoint{Network: tt.network, Address: tt.address})
			if err == nil {
				_ = l.Close()
			}
			errIs(t, err, tt.cause, append(tt.words, "listening on")...)
		})
	}
	if b, err := os.ReadFile(file); err != nil || string(b) != "precious" {
		t.Errorf("the file in the way was touched: %q, %v", b, err)
	}
}

func TestDialSaysWhatIsWrong(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	noError(t, err)
	gone := l.Addr().String()
	noError(t, l.Close())
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	dir := t.TempDir()

	tests := []struct {
		name             string
		ctx              context.Context //nolint:containedctx // a case
		network, address string
		cause            error
		words            []string
	}{
		{"nobody there", t.Context(), "tcp", gone, syscall.ECONNREFUSED, []string{gone, "refused"}},
		{"no such host", t.Context(), "tcp", "bad..name:1", nil, []string{"no such host"}},
		{"cancelled", cancelled, "tcp", gone, nil, []string{"cancelled"}},
		{"no socket", t.Context(), "unix", filepath.Join(dir, "none"), fs.ErrNotExist, []string{"no such file"}},
		{"unknown network", t.Context(), "udp", gone, nil, []string{"udp"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := carrier.Dial(tt.ctx, carrier.Endpoint{Network: tt.network, Address: tt.address})
			errIs(t, err, tt.cause, append(tt.words, "connecting to")...)
		})
	}
}

func TestUnixSocketFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "bus.sock")
	e := carrier.Endpoint{Network: "unix", Address: path}

	stale, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	noError(t, err)
	stale.SetUnlinkOnClose(false)
	noError(t, stale.Close())
	if _, err := os.Lstat(path); err != nil {
		t.Fatalf("the stale file is not there: %v", err)
	}

	server, client := dialPair(t, e, nil)
	echo(t, server, client)
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the socket file is still there after Close: %v", err)
	}
}

// echo sends something both ways.
func echo(t *testing.T, a, b net.Conn) {
	t.Helper()
	for range 2 {
		_, err := io.WriteString(a, "hello")
		noError(t, err)
		got := make([]byte, 5)
		_, err = io.ReadFull(b, got)
		noError(t, err)
		if string(got) != "hello" {
			t.Fatalf("got %q", got)
		}
		a, b = b, a
	}
}

func TestTCPAndTLSCarryBytes(t *testing.T) {
	for _, withTLS := range []bool{false, true} {
		server, client := tcpPair(t, withTLS)
		echo(t, server, client)
	}
}

func TestLoadTLSNamesTheFile(t *testing.T) {
	certFile, keyFile, _ := certificates(t)
	otherCert, _, _ := certificates(t)
	tests := []struct {
		name          string
		cert, key, ca string
		words         []string
	}{
		{"no certificate", "none.pem", keyFile, "", []string{"certificate", "none.pem"}},
		{"no key", certFile, "none.pem", "", []string{"key", "none.pem"}},
		{"pair does not match", otherCert, keyFile, "", []string{otherCert, keyFile}},
		{"not a certificate", keyFile, keyFile, "", []string{keyFile}},
		{"no authorities", certFile, keyFile, "none.pem", []string{"authorities", "none.pem"}},
		{"authorities without certificate", certFile, keyFile, keyFile, []string{"authorities", keyFile, "PEM"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := carrier.LoadTLS(tt.cert, tt.key, tt.ca)
			errIs(t, err, nil, tt.words...)
		})
	}
}

func TestClientCertificateIsRequired(t *testing.T) {
	certFile, keyFile, pool := certificates(t)
	config, err := carrier.LoadTLS(certFile, keyFile, certFile)
	noError(t, err)
	pair, err := tls.LoadX509KeyPair(certFile, keyFile)
	noError(t, err)
	for _, tt := range []struct {
		name  string
		certs []tls.Certificate
		ok    bool
	}{{"without", nil, false}, {"with", []tls.Certificate{pair}, true}} {
		t.Run(tt.name, func(t *testing.T) {
			a, b := carrier.Pipe()
			defer a.Close()
			defer b.Close()
			server := tls.Server(a, config)
			done := make(chan error, 1)
			go func() { done <- server.Handshake() }()
			client := tls.Client(b, &tls.Config{RootCAs: pool, ServerName: "bus", Certificates: tt.certs, MinVersion: tls.VersionTLS12})
			_ = client.Handshake() // TLS 1.3 tells the client only later
			if err := <-done; (err == nil) != tt.ok {
				t.Errorf("handshake: %v", err)
			}
		})
	}
}

func TestTLSIsAtLeast12(t *testing.T) {
	certFile, keyFile, _ := certificates(t)
	config, err := carrier.LoadTLS(certFile, keyFile, "")
	noError(t, err)
	a, b := carrier.Pipe()
	defer a.Close()
	defer b.Close()
	done := make(chan error, 1)
	go func() { done <- tls.Server(a, config).Handshake() }()
	old := &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}
	if err := tls.Client(b, old).Handshake(); err == nil {
		t.Error("a TLS 1.1 client was accepted")
	}
	errIs(t, <-done, nil)
}

func TestDialChecksTheServer(t *testing.T) {
	certFile, keyFile, _ := certificates(t)
	config, err := carrier.LoadTLS(certFile, keyFile, "")
	noError(t, err)
	l, err := carrier.Listen(t.Context(), carrier.Endpoint{Network: "tcp", Address: "127.0.0.1:0", TLS: config})
	noError(t, err)
	defer l.Close()
	done := make(chan struct{})
	go func() {
		defer close(done)
		if c, err := l.Accept(); err == nil {
			_ = c.(*tls.Conn).Handshake()
			_ = c.Close()
		}
	}()
	nobody := &tls.Config{RootCAs: x509.NewCertPool(), MinVersion: tls.VersionTLS12}
	_, err = carrier.Dial(t.Context(), carrier.Endpoint{Network: "tcp", Address: l.Addr().String(), TLS: nobody})
	errIs(t, err, nil, l.Addr().String(), "TLS handshake", "certificate")
	<-done
}
