package bridge

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"sync"
	"time"

	"omnibus/client/mqtt"
	"omnibus/dialect/mqtt/mapping"
	"omnibus/dialect/mqtt/packet"
)

// answering is how long the other broker may take to answer.
const answering = 30 * time.Second

// clientOptions are those of the client.
func (b *Bridge) clientOptions() (mqtt.Options, error) {
	c := &b.config
	o := mqtt.Options{
		ClientID:      cmp.Or(c.ClientID, "omnibus-"+c.Name+"-"+rand.Text()[:12]),
		Version:       versions[c.Version],
		Username:      c.Username,
		Password:      []byte(c.Password),
		CleanStart:    c.CleanSession,
		KeepAlive:     c.KeepAlive,
		Timeout:       answering,
		User:          mqtt.UserProperties(nil).Append(mapping.PropertyLink, c.Name),
		Backoff:       mqtt.Backoff{Min: time.Second, Max: c.Retry},
		GiveUp:        func(error) bool { return false },
		NoResubscribe: true,
		OnConnect:     b.connected,
		OnDisconnect:  func(_ *mqtt.Client, err error) { b.disconnected(err) },
		OnMessage:     b.take,
		OnError:       b.trouble,
		MaxPacket:     int(c.MaxPacket),
		Dial:          c.Dial,
	}
	if !c.CleanSession {
		o.SessionExpiry = c.SessionExpiry
	}
	if c.PasswordFile != "" {
		data, err := os.ReadFile(c.PasswordFile)
		if err != nil {
			return o, fmt.Errorf("reading password_file: %w", err)
		}
		if o.Password = bytes.TrimRight(data, "\r\n"); len(o.Password) == 0 {
			return o, fmt.Errorf("reading password_file: %s is empty", c.PasswordFile)
		}
	}
	var err error
	o.TLS, err = c.TLS.load()
	return o, err
}

// load reads the files. nil is the default configuration.
func (t *TLS) load() (*tls.Config, error) {
	if *t == (TLS{}) {
		return nil, nil
	}
	config := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: t.Name}
	if t.CA != "" {
		pem, err := os.ReadFile(t.CA)
		if err != nil {
			return nil, fmt.Errorf("reading tls.ca: %w", err)
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("reading tls.ca: %s holds no certificate in PEM form", t.CA)
		}
	}
	if t.Cert != "" {
		cert, err := tls.LoadX509KeyPair(t.Cert, t.Key)
		if err != nil {
			return nil, fmt.Errorf("reading tls.cert and tls.key: %w", err)
		}
		config.Certificates = []tls.Certificate{cert}
	}
	return config, nil
}

// state is what was logged since the last connection, so that nothing is logged
// twice in a row.
type state struct {
	mu   sync.Mutex
	told map[string]bool
}

// first tells whether a kind of failure is one that was not told yet.
func (s *state) first(kind string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.told[kind] {
		return false
	}
	if s.told == nil {
		s.told = make(map[string]bool)
	}
	s.told[kind] = true
	return true
}

// connected forgets what was told.
func (s *state) connected() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.told)
}

// connected subscribes, on every connection anew: what a session has from an
// earlier configuration does no harm, what it lacks would.
func (b *Bridge) connected(c *mqtt.Client, s mqtt.Server) {
	b.count.connected.Add(1)
	b.version.Store(uint32(s.Version))
	b.up.Store(true)
	b.state.connected()
	b.log.Info("the bridge is connected", "version", s.Version.String(), "session_present", s.SessionPresent)
	for _, r := range b.config.In {
		if !b.subscribe(c, &r) {
			return
		}
	}
	if !s.SessionPresent || !b.in.begun {
		signal(b.renewed)
	}
	b.in.begun = true
}

// subscribe asks for the topics of a rule. False when the connection is lost.
func (b *Bridge) subscribe(c *mqtt.Client, r *In) bool {
	qos, err := c.Subscribe(b.ctx, mqtt.Subscription{
		Filter: r.Filter, QoS: byte(r.QoS), NoLocal: true, RetainAsPublished: true, RetainHandling: 1,
	})
	refused, isRefusal := errors.AsType[*mqtt.RefusedError](err)
	if err == nil {
		b.count.subscribed.Add(1)
	}
	switch {
	case err == nil && qos < byte(r.QoS):
		b.log.Info("the other broker grants a lower QoS", "filter", r.Filter, "qos", qos, "wanted", r.QoS)
	case err == nil:
	case isRefusal:
		b.count.refusedSubscriptions.Add(1)
		b.log.Warn("the other broker refuses a subscription: nothing comes in by it", "filter", r.Filter, "reason", refused.Reason.String(), "text", refused.Text)
	case errors.Is(err, mqtt.ErrDisconnected), errors.Is(err, mqtt.ErrClosed), errors.Is(err, context.Canceled):
		return false
	default:
		b.count.refusedSubscriptions.Add(1)
		b.log.Warn("a subscription at the other broker failed: nothing comes in by it", "filter", r.Filter, "err", err)
	}
	return true
}

// disconnected is told that a connection was lost.
func (b *Bridge) disconnected(err error) {
	b.up.Store(false)
	b.count.lost.Add(1)
	_, setting := diagnose(err)
	b.log.Warn("the bridge has lost its connection and connects again", append(setting, "err", err)...)
}

// trouble is told what nobody else is: above all, that connecting has failed.
func (b *Bridge) trouble(err error) {
	if errors.Is(err, mqtt.ErrUncertain) {
		return // the message is counted where it was sent
	}
	if b.up.Load() {
		b.log.Warn("the bridge's client reports an error", "err", err)
		return
	}
	b.count.failed.Add(1)
	if kind, setting := diagnose(err); b.state.first(kind) {
		b.log.Warn("the bridge cannot connect and tries again", append(setting, "err", err)...)
	}
}

// diagnose returns what kind of failure an error is, and which setting changes it,
// for the log.
func diagnose(err error) (kind string, setting []any) {
	if refused, ok := errors.AsType[*mqtt.RefusedError](err); ok {
		kind = refused.Reason.String()
		switch refused.Reason {
		case packet.BadUserNameOrPassword, packet.NotAuthorized:
			return kind, []any{"setting", "username and password"}
		case packet.UnsupportedProtocolVersion:
			return kind, []any{"setting", "version"}
		case packet.ClientIdentifierNotValid:
			return kind, []any{"setting", "client_id"}
		}
		return kind, nil
	}
	if _, ok := errors.AsType[x509.UnknownAuthorityError](err); ok {
		return "authority", []any{"setting", "tls.ca"}
	}
	if _, ok := errors.AsType[x509.HostnameError](err); ok {
		return "host name", []any{"setting", "tls.name or the host of url"}
	}
	if alert, ok := errors.AsType[*net.OpError](err); ok && alert.Op == "remote error" { // of TLS, whose type is hidden
		kind = alert.Err.Error()
		if strings.Contains(kind, "certificate") {
			setting = []any{"setting", "tls.cert and tls.key"}
		}
		return kind, setting
	}
	return "network", nil
}
