package e2e_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestMQTTClientsConnectByEveryCarrier(t *testing.T) {
	t.Parallel()
	pki := newPKI(t)
	socket := filepath.Join(shortTempDir(t), "mqtt.sock")
	plain, _ := serveMQTT(t, "--set", "mqtt.unix="+socket, "--set", "mqtt.tls.cert="+pki.cert, "--set", "mqtt.tls.key="+pki.key)
	secure, _ := serveMQTT(t, "--set", "mqtt.websocket.tls.cert="+pki.cert, "--set", "mqtt.websocket.tls.key="+pki.key)
	libraries := mqttClients[3:] // mosquitto has no WebSocket
	for _, carrier := range []struct {
		name    string
		url     string
		clients []mqttClient
	}{
		{"tls", plain.urls["mqtts"], mqttClients},
		{"websocket", plain.urls["ws"], libraries},
		{"websocket over tls", secure.urls["wss"], libraries},
		{"unix socket", plain.urls["mqtt+unix"], mqttClients[:3]},
	} {
		t.Run(carrier.name, func(t *testing.T) {
			if carrier.url == "" {
				t.Fatalf("the broker does not listen there: %v, %v", plain.urls, secure.urls)
			}
			eachMQTT(t, carrier.clients, func(t *testing.T, c mqttClient) {
				topic := topicOf(t, "carried")
				p := c.connect(t, mqttHow{URL: carrier.url, CA: pki.authority, Clean: true})
				p.subscribe(t, 2, topic)
				for qos, payload := range []string{"zero", "one", "two"} {
					p.publish(t, mqttMessage{Topic: topic, Payload: payload, QoS: qos})
					expectMessages(t, p, payload)
				}
			})
		})
	}
}

func TestMQTTClientsRefuseServerOfUnknownAuthority(t *testing.T) {
	t.Parallel()
	pki, other := newPKI(t), newPKI(t)
	b, _ := serveMQTT(t, "--set", "mqtt.tls.cert="+pki.cert, "--set", "mqtt.tls.key="+pki.key)
	m := newMosquitto(t, mqttHow{URL: b.urls["mqtts"], CA: other.authority, Version: "5"})
	mqttClients[0].need(t)
	if out, err := run(t, "mosquitto_pub", append(m.args(t), "-t", "a", "-m", "b")...); err == nil {
		t.Errorf("it published: %s", out)
	}
}

// shortTempDir is a directory whose name leaves room in the address of a socket.
func shortTempDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "e2e") //nolint:usetesting // t.TempDir has the test's long name
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// pki is an authority and the certificate of a server on this machine, in files.
type pki struct{ authority, cert, key string }

func newPKI(t *testing.T) pki {
	t.Helper()
	dir := t.TempDir()
	write := func(name, kind string, der []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	template := func(serial int64, name string) *x509.Certificate {
		return &x509.Certificate{
			SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: name},
			NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
			BasicConstraintsValid: true,
		}
	}
	newKey := func() *ecdsa.PrivateKey {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		return key
	}
	sign := func(child, parent *x509.Certificate, key, by *ecdsa.PrivateKey) []byte {
		der, err := x509.CreateCertificate(rand.Reader, child, parent, &key.PublicKey, by)
		if err != nil {
			t.Fatal(err)
		}
		return der
	}
	authority, authorityKey := template(1, "Omnibus end-to-end tests"), newKey()
	authority.IsCA, authority.KeyUsage = true, x509.KeyUsageCertSign
	server, serverKey := template(2, "localhost"), newKey()
	server.DNSNames, server.IPAddresses = []string{"localhost"}, []net.IP{net.IPv4(127, 0, 0, 1)}
	server.KeyUsage, server.ExtKeyUsage = x509.KeyUsageDigitalSignature, []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	keyDER, err := x509.MarshalECPrivateKey(serverKey)
	if err != nil {
		t.Fatal(err)
	}
	return pki{
		authority: write("authority.pem", "CERTIFICATE", sign(authority, authority, authorityKey, authorityKey)),
		cert:      write("server.pem", "CERTIFICATE", sign(server, authority, serverKey, authorityKey)),
		key:       write("server-key.pem", "EC PRIVATE KEY", keyDER),
	}
}
