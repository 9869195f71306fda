package bridge_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"omnibus/bridge"
	"omnibus/carrier"
	"omnibus/dialect/mqtt/packet"
)

func TestSettingsAreChecked(t *testing.T) {
	const url = "mqtt://there"
	for name, c := range map[string]struct {
		change func(c *bridge.Config)
		path   string // "" is fine
		text   string
	}{
		"as they are":            {func(*bridge.Config) {}, "", ""},
		"no name":                {func(c *bridge.Config) { c.Name = "" }, "name", "want a name"},
		"a name with a space":    {func(c *bridge.Config) { c.Name = "a b" }, "name", "want a name"},
		"no url":                 {func(c *bridge.Config) { c.URL = "" }, "url", "want mqtt://HOST:1883"},
		"no url at all":          {func(c *bridge.Config) { c.URL = "mqtt://user:secret@%zz" }, "url", "want mqtt://HOST:1883"},
		"another scheme":         {func(c *bridge.Config) { c.URL = "http://there" }, "url", `"http" is not known`},
		"no host":                {func(c *bridge.Config) { c.URL = "mqtt://" }, "url", "the host is missing"},
		"a path":                 {func(c *bridge.Config) { c.URL = "mqtt://there/path" }, "url", "only a WebSocket has a path"},
		"a websocket":            {func(c *bridge.Config) { c.URL = "ws://there/mqtt" }, "", ""},
		"a socket":               {func(c *bridge.Config) { c.URL = "unix:/run/mqtt" }, "", ""},
		"no socket":              {func(c *bridge.Config) { c.URL = "unix:" }, "url", "the path is missing"},
		"two logins":             {func(c *bridge.Config) { c.URL, c.Username = "mqtt://a:b@there", "c" }, "url", "leave one out"},
		"a version":              {func(c *bridge.Config) { c.Version = "4" }, "version", "want 5, 3.1.1, 3.1 or auto"},
		"two passwords":          {func(c *bridge.Config) { c.Username, c.Password, c.PasswordFile = "a", "b", "c" }, "password_file", "leave one out"},
		"a password alone":       {func(c *bridge.Config) { c.Password = "b" }, "username", "wants version 5"},
		"a password alone in 5":  {func(c *bridge.Config) { c.Password, c.Version = "b", "5" }, "", ""},
		"a certificate alone":    {func(c *bridge.Config) { c.URL, c.TLS.Cert = "mqtts://there", "c" }, "tls", "go together"},
		"TLS where there is no":  {func(c *bridge.Config) { c.TLS.CA = "ca" }, "tls", "not one of TLS"},
		"TLS":                    {func(c *bridge.Config) { c.URL, c.TLS.CA = "mqtts://there", "ca" }, "", ""},
		"keep-alive":             {func(c *bridge.Config) { c.KeepAlive = 0 }, "keep_alive", "must be from 1s"},
		"a session without name": {func(c *bridge.Config) { c.CleanSession = false }, "client_id", "must be set"},
		"an expiry":              {func(c *bridge.Config) { c.CleanSession, c.ClientID, c.SessionExpiry = false, "x", 0 }, "session_expiry", "at least 1s"},
		"retry":                  {func(c *bridge.Config) { c.Retry = time.Millisecond }, "retry", "at least 1s"},
		"packets":                {func(c *bridge.Config) { c.MaxPacket = 1 }, "max_packet", "from 1KiB"},
		"messages":               {func(c *bridge.Config) { c.Store.Messages = 0 }, "store.messages", "at least 1"},
		"bytes":                  {func(c *bridge.Config) { c.Store.Bytes = 0 }, "store.bytes", "at least 1"},
		"window":                 {func(c *bridge.Config) { c.EchoWindow = -1 }, "echo_window", "negative"},
		"nothing":                {func(c *bridge.Config) { c.In, c.Out = nil, nil }, "", "nothing passes"},
		"filter":                 {func(c *bridge.Config) { c.In[0].Filter = "a/#/b" }, "in[0].filter", "want a topic filter"},
		"shared":                 {func(c *bridge.Config) { c.In[0].Filter = "$share/g/a" }, "in[0].filter", "does not share"},
		"prefix of a filter":     {func(c *bridge.Config) { c.In[0].RemotePrefix = "a/" }, "in[0].filter", "must begin with remote_prefix"},
		"wild prefix":            {func(c *bridge.Config) { c.In[0].LocalPrefix = "+/" }, "in[0].local_prefix", "without + and #"},
		"overlap":                {func(c *bridge.Config) { c.In = []bridge.In{in("a"), in("x/+/y/#"), in("+/b/y")} }, "in[2].filter", "overlaps in[1].filter"},
		"no overlap":             {func(c *bridge.Config) { c.In = []bridge.In{in("a/+"), in("b/#"), in("a/+/+"), in("a")} }, "", ""},
		"QoS":                    {func(c *bridge.Config) { c.In[0].QoS = 3 }, "in[0].qos", "0, 1 or 2"},
		"pattern":                {func(c *bridge.Config) { c.Out[0].Pattern = "regex:(" }, "out[0].pattern", "regex"},
		"prefix of a pattern":    {func(c *bridge.Config) { c.Out[0].LocalPrefix = "a/" }, "out[0].pattern", "must begin with local_prefix"},
		"QoS out":                {func(c *bridge.Config) { c.Out[0].QoS = -1 }, "out[0].qos", "0, 1 or 2"},
	} {
		t.Run(name, func(t *testing.T) {
			bad := (bridge.List{settings("first", url, everything), settings("b", url, everything, c.change)}).Validate()
			switch {
			case c.text == "":
				if len(bad) > 0 {
					t.Errorf("refused: %v", bad)
				}
			case len(bad) != 1 || strings.TrimSuffix("[1]."+c.path, ".") != bad[0].Path || !strings.Contains(bad[0].Text, c.text):
				t.Errorf("got %v, want %s: %s", bad, c.path, c.text)
			}
			for _, p := range bad {
				if strings.Contains(p.Text, "secret") {
					t.Errorf("a password is told: %s", p.Text)
				}
			}
		})
	}
	if bad := (bridge.List{settings("b", url, everything), settings("b", url, everything)}).Validate(); len(bad) != 1 || bad[0].Path != "[1].name" {
		t.Errorf("two of one name: %v", bad)
	}
}

func TestFilesThatCannotBeReadAreNamed(t *testing.T) {
	dir := t.TempDir()
	empty := filepath.Join(dir, "empty")
	if err := os.WriteFile(empty, []byte("\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	absent := filepath.Join(dir, "absent")
	for setting, change := range map[string]func(*bridge.Config){
		"password_file":  func(c *bridge.Config) { c.PasswordFile = absent },
		"password_file:": func(c *bridge.Config) { c.PasswordFile = empty },
		"tls.ca":         func(c *bridge.Config) { c.TLS.CA = absent },
		"tls.ca:":        func(c *bridge.Config) { c.TLS.CA = empty },
		"tls.cert":       func(c *bridge.Config) { c.TLS.Cert, c.TLS.Key = absent, empty },
	} {
		err := open(settings("b", "mqtts://there", everything, change))
		if err == nil || !strings.Contains(err.Error(), strings.TrimSuffix(setting, ":")) || !strings.Contains(err.Error(), dir) {
			t.Errorf("%s: %v; want setting and file named", setting, err)
		}
	}
}

func TestThePasswordMayBeInAFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(file, []byte("secret\r\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	bubble(t, func(_ *station, c *bridge.Config) { c.Username, c.PasswordFile = "user", file }, func(t *testing.T, h *here) {
		if got := string(h.there.connects[0].Password); got != "secret" {
			t.Errorf("the password is %q", got)
		}
	})
}

// authority signs certificates.
type authority struct {
	t    *testing.T
	dir  string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	file string // its certificate
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{t: t, dir: t.TempDir()}
	a.file, _ = a.sign("authority", "")
	return a
}

// sign makes a certificate for a host and returns the files. Of the first, without a
// host, it makes the authority.
func (a *authority) sign(name, host string) (cert, key string) {
	a.t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Unix(0, 0), NotAfter: time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC), // also for the clock of a bubble
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	if host == "" {
		template.IsCA, template.BasicConstraintsValid, template.KeyUsage = true, true, x509.KeyUsageCertSign
		a.cert, a.key = template, k
	} else {
		template.DNSNames = []string{host}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, &k.PublicKey, a.key)
	if err != nil {
		a.t.Fatal(err)
	}
	secret, err := x509.MarshalECPrivateKey(k)
	if err != nil {
		a.t.Fatal(err)
	}
	cert, key = filepath.Join(a.dir, name+".pem"), filepath.Join(a.dir, name+".key")
	for file, block := range map[string]*pem.Block{cert: {Type: "CERTIFICATE", Bytes: der}, key: {Type: "EC PRIVATE KEY", Bytes: secret}} {
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			a.t.Fatal(err)
		}
	}
	return cert, key
}

func TestTLSIsCheckedOnBothSides(t *testing.T) {
	ours, others := newAuthority(t), newAuthority(t)
	serverCert, serverKey := ours.sign("server", "there")
	wrongCert, wrongKey := ours.sign("wrong", "elsewhere")
	clientCert, clientKey := ours.sign("client", "client")
	for name, c := range map[string]struct {
		cert, key string // of the station
		tls       bridge.TLS
		setting   string // that is named in the log; "" is connected
	}{
		"right":            {serverCert, serverKey, bridge.TLS{CA: ours.file, Cert: clientCert, Key: clientKey}, ""},
		"wrong authority":  {serverCert, serverKey, bridge.TLS{CA: others.file, Cert: clientCert, Key: clientKey}, "tls.ca"},
		"wrong host":       {wrongCert, wrongKey, bridge.TLS{CA: ours.file, Cert: clientCert, Key: clientKey}, "tls.name"},
		"another name":     {wrongCert, wrongKey, bridge.TLS{CA: ours.file, Name: "elsewhere", Cert: clientCert, Key: clientKey}, ""},
		"no certificate":   {serverCert, serverKey, bridge.TLS{CA: ours.file}, "tls.cert"},
		"system authority": {serverCert, serverKey, bridge.TLS{Cert: clientCert, Key: clientKey}, "tls.ca"},
	} {
		t.Run(name, func(t *testing.T) {
			var err error
			var server *tls.Config
			if server, err = carrier.LoadTLS(c.cert, c.key, ours.file); err != nil {
				t.Fatal(err)
			}
			prepare := func(s *station, b *bridge.Config) {
				s.tls, b.URL, b.TLS, b.Retry = server, "mqtts://there:1883", c.tls, time.Minute
			}
			bubble(t, prepare, func(t *testing.T, h *here) {
				time.Sleep(10 * time.Minute)
				connected := h.count("b", "connections") > 0
				log := h.log.String()
				switch {
				case c.setting == "" && !connected:
					t.Errorf("not connected: %s", log)
				case c.setting != "" && (connected || !strings.Contains(log, "setting=\""+c.setting) && !strings.Contains(log, "setting="+c.setting)):
					t.Errorf("connected %v, and logged %s; want %s named", connected, log, c.setting)
				case strings.Count(log, "cannot connect") > 2: // an alert, and that the pipe was closed
					t.Errorf("logged again and again: %s", log)
				}
				synctest.Wait()
			})
		})
	}
}

func TestTheVersionIsWhatIsSet(t *testing.T) {
	for setting, want := range map[string][]packet.Version{
		"5": {packet.V5}, "3.1.1": {packet.V311}, "3.1": {packet.V31}, "auto": {packet.V5, packet.V311},
	} {
		prepare := func(s *station, c *bridge.Config) {
			c.Version = setting
			s.connack = func(c *packet.Connect) packet.Connack {
				if c.Version == packet.V5 && setting == "auto" {
					return packet.Connack{Reason: packet.UnsupportedProtocolVersion}
				}
				return packet.Connack{}
			}
		}
		bubble(t, prepare, func(t *testing.T, h *here) {
			var got []packet.Version
			for _, c := range h.there.connects {
				got = append(got, c.Version)
			}
			if len(got) != len(want) || got[len(got)-1] != want[len(want)-1] || h.count("b", "connections") != 1 {
				t.Errorf("%s: connected with %v", setting, got)
			}
		})
	}
}
