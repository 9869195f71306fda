package carrier_test

import (
	"bufio"
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/binary"
	"encoding/pem"
	"errors"
	"io"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"omnibus/carrier"
)

// errIs checks that err wraps target and mentions all words.
func errIs(t testing.TB, err, target error, words ...string) {
	t.Helper()
	if err == nil || target != nil && !errors.Is(err, target) {
		t.Fatalf("got error %v, want one wrapping %v", err, target)
	}
	for _, w := range words {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("error %q does not mention %q", err, w)
		}
	}
}

func noError(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// The opcodes of RFC 6455.
const (
	opContinuation = 0
	opText         = 1
	opBinary       = 2
	opClose        = 8
	opPing         = 9
	opPong         = 10
)

// frame is one frame as this test writes and reads it, with nothing taken from the code under test.
type frame struct {
	more    bool // the FIN bit is not set
	rsv     byte
	op      byte
	mask    []byte // nil: not masked
	payload []byte
}

var someMask = []byte{0x12, 0xF0, 0x5A, 0x77}

func (f frame) encode() []byte {
	first := f.op | f.rsv<<4
	if !f.more {
		first |= 0x80
	}
	b := []byte{first, 0}
	switch n := len(f.payload); {
	case n <= 125:
		b[1] = byte(n)
	case n <= 65535:
		b[1] = 126
		b = binary.BigEndian.AppendUint16(b, uint16(n))
	default:
		b[1] = 127
		b = binary.BigEndian.AppendUint64(b, uint64(n))
	}
	if f.mask == nil {
		return append(b, f.payload...)
	}
	b[1] |= 0x80
	b = append(b, f.mask...)
	for i, p := range f.payload {
		b = append(b, p^f.mask[i%4])
	}
	return b
}

func readFrame(t testing.TB, r io.Reader) frame {
	t.Helper()
	head := make([]byte, 2)
	if _, err := io.ReadFull(r, head); err != nil {
		t.Fatalf("reading a frame: %v", err)
	}
	f := frame{more: head[0]&0x80 == 0, rsv: head[0] >> 4 & 7, op: head[0] & 15}
	n := uint64(head[1] & 0x7F)
	more := 0
	switch n {
	case 126:
		more = 2
	case 127:
		more = 8
	}
	long := make([]byte, 8)
	if _, err := io.ReadFull(r, long[8-more:]); err != nil {
		t.Fatalf("reading a frame's length: %v", err)
	}
	if more > 0 {
		n = binary.BigEndian.Uint64(long)
	}
	if head[1]&0x80 != 0 {
		f.mask = make([]byte, 4)
		if _, err := io.ReadFull(r, f.mask); err != nil {
			t.Fatalf("reading a frame's mask: %v", err)
		}
	}
	f.payload = make([]byte, n)
	if _, err := io.ReadFull(r, f.payload); err != nil {
		t.Fatalf("reading a frame's payload: %v", err)
	}
	if f.mask != nil {
		for i := range f.payload {
			f.payload[i] ^= f.mask[i%4]
		}
	}
	return f
}

func closeFrame(code uint16, reason string) []byte {
	return append(binary.BigEndian.AppendUint16(nil, code), reason...)
}

// wantClose reads frames until a close frame, which must have the code.
func wantClose(t testing.TB, r io.Reader, code uint16) string {
	t.Helper()
	for {
		f := readFrame(t, r)
		if f.op != opClose {
			continue
		}
		if len(f.payload) < 2 {
			t.Fatalf("close frame has no code, want %d", code)
		}
		if got := binary.BigEndian.Uint16(f.payload); got != code {
			t.Fatalf("close code %d (%s), want %d", got, f.payload[2:], code)
		}
		return string(f.payload[2:])
	}
}

const handshakeRequest = "GET /core?name=x HTTP/1.1\r\nHost: bus\r\nConnection: keep-alive, Upgrade\r\nUpgrade: WebSocket\r\n" +
	"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n" +
	"Sec-WebSocket-Extensions: permessage-deflate\r\n"

// readHead reads the head of an HTTP answer and nothing more.
func readHead(t testing.TB, r io.Reader) string {
	t.Helper()
	var head []byte
	one := make([]byte, 1)
	for !bytes.HasSuffix(head, []byte("\r\n\r\n")) {
		if _, err := io.ReadFull(r, one); err != nil {
			t.Fatalf("reading the head %q: %v", head, err)
		}
		head = append(head, one...)
	}
	return string(head)
}

// upgraded returns a server's WebSocket over a pipe and the raw end of its client.
func upgraded(t testing.TB, o carrier.WebSocketOptions) (*carrier.WebSocket, net.Conn) {
	t.Helper()
	raw, c := carrier.Pipe()
	_, err := io.WriteString(raw, handshakeRequest+"\r\n")
	noError(t, err)
	ws, err := carrier.Upgrade(c, o)
	noError(t, err)
	if head := readHead(t, raw); !strings.HasPrefix(head, "HTTP/1.1 101 ") {
		t.Fatalf("answer %q", head)
	}
	t.Cleanup(func() {
		_ = raw.Close()
		_ = ws.Drop()
	})
	return ws, raw
}

// webSockets returns both roles, joined by a pipe.
func webSockets(t testing.TB, o carrier.WebSocketOptions) (server, client *carrier.WebSocket) {
	t.Helper()
	far, near := carrier.Pipe()
	accepted := make(chan *carrier.WebSocket, 1)
	go func() {
		w, err := carrier.Upgrade(far, o)
		if err != nil {
			t.Error(err)
		}
		accepted <- w
	}()
	client, err := carrier.ConnectWebSocket(t.Context(), near, "ws://bus/core", o)
	noError(t, err)
	server = <-accepted
	if server == nil {
		t.FailNow()
	}
	return server, client
}

// certificates writes a certificate for 127.0.0.1, signed by itself, and returns its files and a pool that trusts it.
func certificates(t testing.TB) (certFile, keyFile string, pool *x509.CertPool) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	noError(t, err)
	template := &x509.Certificate{
		SerialNumber:          big.NewInt(1),
		Subject:               pkix.Name{CommonName: "bus"},
		NotBefore:             time.Now().Add(-time.Hour),
		NotAfter:              time.Now().Add(time.Hour),
		IPAddresses:           []net.IP{net.IPv4(127, 0, 0, 1)},
		DNSNames:              []string{"bus"},
		IsCA:                  true,
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	noError(t, err)
	keyDER, err := x509.MarshalECPrivateKey(private)
	noError(t, err)
	dir := t.TempDir()
	certFile, keyFile = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	certPEM := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	noError(t, os.WriteFile(certFile, certPEM, 0o600))
	noError(t, os.WriteFile(keyFile, pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: keyDER}), 0o600))
	pool = x509.NewCertPool()
	pool.AppendCertsFromPEM(certPEM)
	return certFile, keyFile, pool
}

// tcpPair returns both ends of a connection over loopback, with TLS when asked for.
func tcpPair(t testing.TB, withTLS bool) (server, client net.Conn) {
	t.Helper()
	e := carrier.Endpoint{Network: "tcp", Address: "127.0.0.1:0"}
	var pool *x509.CertPool
	if withTLS {
		certFile, keyFile, trusted := certificates(t)
		pool = trusted
		config, err := carrier.LoadTLS(certFile, keyFile, "")
		noError(t, err)
		e.TLS = config
	}
	return dialPair(t, e, pool)
}

func dialPair(t testing.TB, e carrier.Endpoint, pool *x509.CertPool) (server, client net.Conn) {
	t.Helper()
	l, err := carrier.Listen(t.Context(), e)
	noError(t, err)
	defer func() { noError(t, l.Close()) }()
	accepted := make(chan net.Conn, 1)
	go func() {
		c, err := l.Accept()
		if err == nil {
			if s, ok := c.(*tls.Conn); ok {
				err = s.Handshake()
			}
		}
		if err != nil {
			t.Error(err)
		}
		accepted <- c
	}()
	e.Address = l.Addr().String()
	if e.TLS != nil {
		e.TLS = &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
	}
	client, err = carrier.Dial(t.Context(), e)
	noError(t, err)
	server = <-accepted
	t.Cleanup(func() {
		_ = server.Close()
		_ = client.Close()
	})
	return server, client
}

// readFull fills p from r.
func readFull(t testing.TB, r io.Reader, p []byte) {
	t.Helper()
	_, err := io.ReadFull(r, p)
	noError(t, err)
}

// readAll reads what a connection delivers until it ends.
func readAll(r io.Reader) string {
	b, _ := io.ReadAll(bufio.NewReader(r))
	return string(b)
}
