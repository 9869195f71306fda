package mycroft_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha1"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"math/big"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"omnibus/carrier"
	"omnibus/client/mycroft"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const greeting = `{"type": "connected", "data": {}, "context": {}}`

// hub is a hub in memory: it greets, and relays every frame to everybody.
type hub struct {
	t        *testing.T
	network  carrier.Memory
	running  sync.WaitGroup
	quiet    bool        // it relays nothing
	greeting string      // "" for none
	frames   chan string // that clients sent
	identity *tls.Config // for wss; nil for ws

	mu       sync.Mutex // guards what follows
	listener net.Listener
	clients  []*carrier.WebSocket
}

// newHub starts a hub, which ends with the test.
func newHub(t *testing.T) *hub {
	h := &hub{t: t, greeting: greeting, frames: make(chan string, 10_000)}
	h.up()
	t.Cleanup(h.stop)
	return h
}

// stop ends the hub.
func (h *hub) stop() {
	h.down()
	h.running.Wait()
}

// up begins to listen.
func (h *hub) up() {
	h.mu.Lock()
	defer h.mu.Unlock()
	l := h.network.Listen("hub:8181")
	h.listener = l
	h.running.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			if h.identity != nil {
				conn = tls.Server(conn, h.identity)
			}
			ws, err := carrier.Upgrade(conn, carrier.WebSocketOptions{Path: "/core", MaxMessage: 64 << 20})
			if err != nil {
				_ = conn.Close()
				continue
			}
			h.running.Go(func() { h.serve(ws) })
		}
	})
}

func (h *hub) serve(ws *carrier.WebSocket) {
	h.mu.Lock()
	if h.greeting != "" {
		_ = ws.Send(carrier.Text, []byte(h.greeting))
	}
	h.clients = append(h.clients, ws)
	h.mu.Unlock()
	for {
		_, frame, err := ws.Read()
		if err != nil {
			h.mu.Lock()
			h.clients = slices.DeleteFunc(h.clients, func(x *carrier.WebSocket) bool { return x == ws })
			h.mu.Unlock()
			_ = ws.Drop()
			return
		}
		select {
		case h.frames <- string(frame):
		default:
		}
		if !h.quiet {
			h.send(string(frame))
		}
	}
}

// send sends a frame to all clients.
func (h *hub) send(frame string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, ws := range h.clients {
		_ = ws.Send(carrier.Text, []byte(frame))
	}
}

// sendSoon sends a frame when everything else in the bubble has come to rest.
func (h *hub) sendSoon(frame string) {
	time.AfterFunc(time.Millisecond, func() { h.send(frame) })
}

// drop ends all connections, with a close frame or without.
func (h *hub) drop(inOrder bool) {
	h.mu.Lock()
	clients := slices.Clone(h.clients)
	h.mu.Unlock()
	for _, ws := range clients {
		if inOrder {
			_ = ws.Close(carrier.CloseGoingAway, "restarting")
		} else {
			_ = ws.Drop()
		}
	}
}

// down stops to listen and ends all connections.
func (h *hub) down() {
	h.mu.Lock()
	_ = h.listener.Close()
	h.mu.Unlock()
	h.drop(false)
}

func (h *hub) dial(ctx context.Context, _, address string) (net.Conn, error) {
	return h.network.Dial(ctx, address)
}

// client returns a client of the hub that is not started.
func (h *hub) client(o mycroft.Options) *mycroft.Client {
	h.t.Helper()
	o.Dial = h.dial
	if o.URL == "" {
		o.URL = "ws://hub:8181/core"
	}
	c, err := mycroft.New(o)
	noError(h.t, err)
	h.t.Cleanup(func() { noError(h.t, c.Close(context.Background())) })
	return c
}

// start returns a client that is connected.
func (h *hub) start(o mycroft.Options) *mycroft.Client {
	h.t.Helper()
	c := h.client(o)
	noError(h.t, c.Start(h.t.Context()))
	synctest.Wait() // the hub knows it
	return c
}

// diary keeps what Events tell.
type diary struct {
	mu    sync.Mutex
	lines []string
	begin time.Time
}

func (d *diary) write(format string, args ...any) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.lines = append(d.lines, fmt.Sprintf(format, args...))
}

func (d *diary) text() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return strings.Join(d.lines, "\n")
}

func (d *diary) count(word string) (n int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, line := range d.lines {
		if strings.Contains(line, word) {
			n++
		}
	}
	return n
}

// events write to the diary, with the seconds since it began.
func (d *diary) events() mycroft.Events {
	d.begin = time.Now()
	at := func() string { return time.Since(d.begin).Round(time.Second).String() }
	return mycroft.Events{
		Open:         func() { d.write("%s open", at()) },
		Close:        func(err error) { d.write("%s close: %v", at(), err) },
		Error:        func(err error) { d.write("%s error: %v", at(), err) },
		Reconnecting: func(n int) { d.write("%s reconnecting %d", at(), n) },
	}
}

func noError(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func mentions(t testing.TB, err error, words ...string) {
	t.Helper()
	if err == nil {
		t.Fatalf("there is no error, want one that mentions %q", words)
	}
	for _, w := range words {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("error %q does not mention %q", err, w)
		}
	}
}

func same(t testing.TB, what, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("%s:\n got %s\nwant %s", what, got, want)
	}
}

// frame is a message as it is written.
func frame(t testing.TB, m *mycroft.Message) string {
	t.Helper()
	text, err := m.AppendTo(nil)
	noError(t, err)
	return string(text)
}

// shake answers the handshake of a client and then nothing more; it reads on, so
// that the client can write.
func shake(t *testing.T, conn net.Conn) {
	buf := make([]byte, 4096)
	n, err := conn.Read(buf)
	if err != nil {
		t.Error(err)
		return
	}
	_, rest, _ := strings.Cut(string(buf[:n]), "Sec-WebSocket-Key: ")
	key, _, _ := strings.Cut(rest, "\r\n")
	sum := sha1.Sum([]byte(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11")) // RFC 6455 section 4.2.2
	_, _ = fmt.Fprintf(conn, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n\r\n",
		base64.StdEncoding.EncodeToString(sum[:]))
	for err == nil {
		_, err = conn.Read(buf)
	}
}

// certificate makes an identity for a server of a name, and who trusts it.
func certificate(t *testing.T, name string) (server, trust *tls.Config) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	noError(t, err)
	about := &x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: []string{name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, about, about, key.Public(), key)
	noError(t, err)
	leaf, err := x509.ParseCertificate(der)
	noError(t, err)
	pool := x509.NewCertPool()
	pool.AddCert(leaf)
	server = &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
	return server, &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: pool}
}
