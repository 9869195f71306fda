package mycroft_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"omnibus/broker"
	"omnibus/carrier"
	"omnibus/config"
	"omnibus/dialect"
	"omnibus/dialect/mycroft"
)

func TestValidate(t *testing.T) {
	if p := mycroft.Defaults().Validate(); len(p) > 0 {
		t.Errorf("the defaults are refused: %v", p)
	}
	for name, c := range map[string]struct {
		change func(*mycroft.Config)
		want   string // path, and a word of the text
	}{
		"no port":             {func(c *mycroft.Config) { c.Listen = "127.0.0.1" }, "listen: host:port"},
		"no address":          {func(c *mycroft.Config) { c.Listen = "" }, "listen: host:port"},
		"relative route":      {func(c *mycroft.Config) { c.Route = "core" }, "route: /"},
		"no route":            {func(c *mycroft.Config) { c.Route = "" }, "route: /"},
		"certificate alone":   {func(c *mycroft.Config) { c.TLS.Cert = "c.pem" }, "tls: together"},
		"key alone":           {func(c *mycroft.Config) { c.TLS.Key = "k.pem" }, "tls: together"},
		"no message":          {func(c *mycroft.Config) { c.MaxMessage = 0 }, "max_message: at least 1"},
		"negative message":    {func(c *mycroft.Config) { c.MaxMessage = -1 }, "max_message: at least 1"},
		"queue too small":     {func(c *mycroft.Config) { c.MaxQueue = c.MaxMessage - 1 }, "max_queue: max_message"},
		"no clients":          {func(c *mycroft.Config) { c.MaxClients = 0 }, "max_clients: at least 1"},
		"no time":             {func(c *mycroft.Config) { c.CallTimeout = 0 }, "call_timeout: more than zero"},
		"negative grace":      {func(c *mycroft.Config) { c.Grace = -1 }, "grace: negative"},
		"export":              {func(c *mycroft.Config) { c.Export = []string{"a", "b/#/c"} }, "export[1]: b/#/c"},
		"origin":              {func(c *mycroft.Config) { c.Origins = []string{"*", "https://a.example", "a.example"} }, "origins[2]: a.example"},
		"service":             {func(c *mycroft.Config) { c.Services = []string{"a", ""} }, "services[1]: empty"},
		"service of a client": {func(c *mycroft.Config) { c.Services = []string{"error"} }, "services[0]: error"},
	} {
		t.Run(name, func(t *testing.T) {
			s := mycroft.Defaults()
			c.change(s)
			got := s.Validate()
			path, word, _ := strings.Cut(c.want, ": ")
			if len(got) != 1 || got[0].Path != path || !strings.Contains(got[0].Text, word) {
				t.Errorf("got %v, want one problem with %s that says %q", got, path, word)
			}
		})
	}
	all := &mycroft.Config{}
	if got := all.Validate(); len(got) != 5 {
		t.Errorf("an empty configuration has %d problems, want all 5: %v", len(got), got)
	}
}

func TestSpec(t *testing.T) {
	s := mycroft.Spec()
	a, b := s.Defaults(), s.Defaults()
	a.(*mycroft.Config).MaxMessage = config.Size(1)
	if s.Name != "mycroft" || s.Title == "" || !b.Enabled() || b.(*mycroft.Config).MaxMessage == 1 {
		t.Errorf("%+v with defaults %+v", s, b)
	}
	off := mycroft.Defaults()
	off.On = false
	if off.Enabled() {
		t.Error("enabled although switched off")
	}
}

// certificate writes a certificate for this machine and returns the
// configuration of a client that trusts it.
func certificate(t *testing.T) (certFile, keyFile string, trust *tls.Config) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	write := func(name, kind string, data []byte) string {
		file := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: data}), 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(parsed)
	return write("cert.pem", "CERTIFICATE", der), write("key.pem", "PRIVATE KEY", keyDER), &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
}

func TestTLS(t *testing.T) {
	cert, key, trust := certificate(t)
	s := start(t, broker.Options{}, func(c *mycroft.Config) { c.TLS.Cert, c.TLS.Key = cert, key })
	if !strings.HasPrefix(s.url, "wss://127.0.0.1:") || !strings.HasSuffix(s.url, "/core") {
		t.Errorf("the URL is %s", s.url)
	}
	ws, err := carrier.DialWebSocket(t.Context(), s.url, trust, carrier.WebSocketOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer ws.Drop() //nolint:errcheck // it ends with the hub
	frame := `{"type":"secret","data":{"text":"` + strings.Repeat("x", 100_000) + `"}}`
	if err := ws.Send(carrier.Text, []byte(frame)); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{greeting, frame} {
		if _, got, err := ws.Read(); err != nil || string(got) != want {
			t.Fatalf("received %.100s, %v", got, err)
		}
	}
	if plain, err := carrier.DialWebSocket(t.Context(), strings.Replace(s.url, "wss:", "ws:", 1), nil, carrier.WebSocketOptions{}); err == nil {
		_ = plain.Drop()
		t.Error("a client without TLS was accepted")
	}
	s.stop()
	if _, _, err := ws.Read(); err == nil {
		t.Error("the client was not dropped")
	}
}

func TestACertificateThatCannotBeHadIsNamed(t *testing.T) {
	c := mycroft.Defaults()
	c.Listen, c.TLS.Cert, c.TLS.Key = "127.0.0.1:0", filepath.Join(t.TempDir(), "none.pem"), "key.pem"
	b, err := broker.New(broker.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close(t.Context()) //nolint:errcheck // nothing is in it
	d, err := c.Open(dialect.Env{Port: b, Counter: b.Counters().Group("mycroft")})
	if err != nil {
		t.Fatal(err)
	}
	if bound, err := d.Listeners()[0].Bind(t.Context()); err == nil || !strings.Contains(err.Error(), "none.pem") {
		t.Errorf("bound %v, %v; want the file named", bound, err)
	}
}
