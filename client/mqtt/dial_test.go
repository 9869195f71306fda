package mqtt_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"math/big"
	"net"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"omnibus/carrier"
	"omnibus/client/mqtt"
)

func TestURLs(t *testing.T) {
	for _, test := range []struct{ url, want string }{
		{"tcp://host", "tcp host:1883"},
		{"mqtt://host:1", "tcp host:1"},
		{"tls://host", "tcp host:8883"},
		{"mqtts://[::1]/", "tcp [::1]:8883"},
		{"ssl://host:2", "tcp host:2"},
		{"ws://host/mqtt", "tcp host:80"},
		{"wss://host/mqtt", "tcp host:443"},
		{"unix:/run/x.sock", "unix /run/x.sock"},
		{"unix:///run/x.sock", "unix /run/x.sock"},
		{"host:1883", ""},
		{"tcp://", ""},
		{"tcp://host/path", ""},
		{"unix:", ""},
		{"http://host", ""},
		{"://", ""},
	} {
		asked := ""
		_, err := mqtt.Dial(t.Context(), test.url, mqtt.Options{Dial: func(_ context.Context, network, address string) (net.Conn, error) {
			asked = network + " " + address
			return nil, errors.New("nobody is there")
		}})
		if asked != test.want {
			t.Errorf("%s dials %q, want %q", test.url, asked, test.want)
		}
		if wrong := test.want == ""; errors.Is(err, mqtt.ErrInvalid) != wrong {
			t.Errorf("%s: %v", test.url, err)
		}
	}
}

// certificate is one for a host, and who trusts it.
func certificate(t *testing.T, host string) (server, client *tls.Config) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	noError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: []string{host}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	noError(t, err)
	cert, err := x509.ParseCertificate(der)
	noError(t, err)
	pool := x509.NewCertPool()
	pool.AddCert(cert)
	server = &tls.Config{MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
	return server, &tls.Config{MinVersion: tls.VersionTLS13, RootCAs: pool}
}

// Every carrier carries messages in both directions, large ones too.
func TestCarriers(t *testing.T) {
	secure, trust := certificate(t, "broker")
	upgrade := func(conn net.Conn) (net.Conn, error) {
		ws, err := carrier.Upgrade(conn, carrier.WebSocketOptions{Path: "/mqtt", Subprotocols: []string{"mqtt"}})
		if err != nil {
			return nil, err
		}
		return ws.Stream(), nil
	}
	secured := func(conn net.Conn) (net.Conn, error) { return tls.Server(conn, secure), nil }
	socket := filepath.Join(t.TempDir(), "s")
	for _, test := range []struct {
		url  string
		wrap func(net.Conn) (net.Conn, error)
	}{
		{"tls://broker", secured},
		{"ws://broker/mqtt", upgrade},
		{"wss://broker/mqtt", func(conn net.Conn) (net.Conn, error) { return upgrade(tls.Server(conn, secure)) }},
		{"unix:" + socket, func(conn net.Conn) (net.Conn, error) { return conn, nil }},
	} {
		t.Run(test.url, func(t *testing.T) {
			s := newStation(t)
			var running sync.WaitGroup
			serve := func(conn net.Conn) {
				running.Go(func() {
					defer conn.Close()
					c, err := test.wrap(conn)
					if err != nil {
						t.Error(err)
						return
					}
					s.serve(c)
					_ = c.Close()
				})
			}
			o := mqtt.Options{TLS: trust, Dial: func(context.Context, string, string) (net.Conn, error) {
				near, far := carrier.Pipe()
				serve(far)
				return near, nil
			}}
			if test.url[:4] == "unix" {
				l, err := carrier.Listen(t.Context(), carrier.Endpoint{Network: "unix", Address: socket})
				noError(t, err)
				defer l.Close()
				o.Dial = nil
				running.Go(func() {
					if conn, err := l.Accept(); err == nil {
						serve(conn)
					}
				})
			}
			c, err := mqtt.Dial(t.Context(), test.url, o)
			noError(t, err)
			m := mqtt.Message{Topic: "a", QoS: 2, Payload: make([]byte, 300_000)}
			noError(t, c.Publish(t.Context(), m))
			got := make(chan int, 1)
			subscribe(t, c, "a", func(m *mqtt.Message) { got <- len(m.Payload) })
			s.publish(s.got("a")[0])
			if n := <-got; n != len(m.Payload) {
				t.Errorf("%d bytes came back", n)
			}
			noError(t, c.Close())
			running.Wait()
		})
	}
}
