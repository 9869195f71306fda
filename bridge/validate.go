package bridge

import (
	"fmt"
	"math"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"omnibus/client/mqtt"
	"omnibus/dialect"
	"omnibus/dialect/mqtt/packet"
	"omnibus/topic"
)

const versionAuto = "auto"

// versions are those that a bridge may be told to speak.
var versions = map[string]mqtt.Version{versionAuto: 0, "5": mqtt.V5, "5.0": mqtt.V5, "3.1.1": mqtt.V311, "3.1": mqtt.V31}

// names are those of bridges: they stand in counters and logs.
var names = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$`)

// Validate returns all that is wrong, with paths such as "[0].url".
func (l List) Validate() []dialect.Problem {
	var all []dialect.Problem
	for i := range l {
		at := fmt.Sprintf("[%d].", i)
		for _, p := range l[i].Validate() {
			all = append(all, dialect.Problem{Path: strings.TrimSuffix(at+p.Path, "."), Text: p.Text})
		}
		if slices.ContainsFunc(l[:i], func(c Config) bool { return c.Name == l[i].Name }) {
			all = append(all, dialect.Problem{Path: at + "name", Text: fmt.Sprintf("another bridge is called %q", l[i].Name)})
		}
	}
	return all
}

// problems collects what is wrong.
type problems []dialect.Problem

func (all *problems) add(path, format string, args ...any) {
	*all = append(*all, dialect.Problem{Path: path, Text: fmt.Sprintf(format, args...)})
}

// Validate returns all that is wrong.
func (c *Config) Validate() []dialect.Problem {
	var all problems
	if !names.MatchString(c.Name) {
		all.add("name", "want a name of letters, digits, _, . and -, at most 64")
	}
	secure := c.validateURL(&all)
	v, known := versions[c.Version]
	if !known {
		all.add("version", "want 5, 3.1.1, 3.1 or auto")
	}
	c.validateLogin(&all, v)
	c.validateTLS(&all, secure)
	if c.KeepAlive < time.Second || c.KeepAlive > math.MaxUint16*time.Second {
		all.add("keep_alive", "must be from 1s to 18h12m15s")
	}
	if !c.CleanSession && c.ClientID == "" {
		all.add("client_id", "must be set when clean_session is false: the other broker finds the session by it")
	}
	if !c.CleanSession && c.SessionExpiry < time.Second {
		all.add("session_expiry", "must be at least 1s when clean_session is false")
	}
	if c.Retry < time.Second {
		all.add("retry", "must be at least 1s")
	}
	if c.MaxPacket < 1<<10 || c.MaxPacket > packet.MaxSize {
		all.add("max_packet", "must be from 1KiB to 256MiB")
	}
	if c.Store.Messages < 1 {
		all.add("store.messages", "must be at least 1")
	}
	if c.Store.Bytes < 1 {
		all.add("store.bytes", "must be at least 1")
	}
	if c.EchoWindow < 0 {
		all.add("echo_window", "must not be negative")
	}
	if len(c.In)+len(c.Out) == 0 {
		all.add("", "nothing passes: give it in, out or both")
	}
	c.validateIn(&all)
	c.validateOut(&all)
	return all
}

func (c *Config) validateURL(all *problems) (secure bool) {
	const want = "want mqtt://HOST:1883, mqtts://HOST:8883, ws://HOST/PATH, wss://HOST/PATH or unix:PATH"
	u, err := url.Parse(c.URL)
	if err != nil || c.URL == "" { // the error would repeat a password
		all.add("url", want)
		return false
	}
	switch u.Scheme {
	case "mqtt", "tcp", "mqtts", "tls", "ssl", "ws", "wss":
		if u.Hostname() == "" {
			all.add("url", "the host is missing: %s", want)
		}
		if strings.Trim(u.Path, "/") != "" && !strings.HasPrefix(u.Scheme, "w") {
			all.add("url", "only a WebSocket has a path: %s", want)
		}
	case "unix":
		if u.Opaque+u.Host+u.Path == "" {
			all.add("url", "the path is missing: %s", want)
		}
	default:
		all.add("url", "the scheme %q is not known: %s", u.Scheme, want)
	}
	if u.User != nil && (c.Username != "" || c.Password != "" || c.PasswordFile != "") {
		all.add("url", "it has a login, and so have the settings: leave one out")
	}
	return slices.Contains([]string{"mqtts", "tls", "ssl", "wss"}, u.Scheme)
}

func (c *Config) validateLogin(all *problems, v mqtt.Version) {
	if !packet.ValidString(c.ClientID) {
		all.add("client_id", "must be UTF-8 of at most 65535 bytes")
	}
	if !packet.ValidString(c.Username) {
		all.add("username", "must be UTF-8 of at most 65535 bytes")
	}
	if c.Password != "" && c.PasswordFile != "" {
		all.add("password_file", "there is a password, too: leave one out")
	}
	if (c.Password != "" || c.PasswordFile != "") && c.Username == "" && v != mqtt.V5 {
		all.add("username", "a password without a user name wants version 5")
	}
}

func (c *Config) validateTLS(all *problems, secure bool) {
	if (c.TLS.Cert == "") != (c.TLS.Key == "") {
		all.add("tls", "cert and key go together")
	}
	if c.TLS != (TLS{}) && !secure {
		all.add("tls", "the URL is not one of TLS: want mqtts:// or wss://")
	}
}

func (c *Config) validateIn(all *problems) {
	for i, r := range c.In {
		at := fmt.Sprintf("in[%d].", i)
		_, _, shared := packet.SplitShared(r.Filter)
		switch {
		case !packet.ValidTopicFilter(r.Filter):
			all.add(at+"filter", "want a topic filter such as sensors/+/temperature or site/#")
		case shared || strings.HasPrefix(r.Filter, "$share/"):
			all.add(at+"filter", "a bridge does not share its subscriptions")
		case !strings.HasPrefix(r.Filter, r.RemotePrefix):
			all.add(at+"filter", "must begin with remote_prefix, %q", r.RemotePrefix)
		}
		validateRule(all, at, r.QoS, r.LocalPrefix, r.RemotePrefix)
		for j, other := range c.In[:i] {
			if overlap(r.Filter, other.Filter) {
				all.add(at+"filter", "overlaps in[%d].filter: the other broker may send twice what matches both", j)
			}
		}
	}
}

func (c *Config) validateOut(all *problems) {
	for i, r := range c.Out {
		at := fmt.Sprintf("out[%d].", i)
		if _, err := topic.Parse(r.Pattern); err != nil {
			all.add(at+"pattern", "%v", err)
		} else if !strings.HasPrefix(r.Pattern, r.LocalPrefix) && !strings.HasPrefix(r.Pattern, "regex:") {
			all.add(at+"pattern", "must begin with local_prefix, %q", r.LocalPrefix)
		}
		validateRule(all, at, r.QoS, r.LocalPrefix, r.RemotePrefix)
	}
}

func validateRule(all *problems, at string, qos int, local, remote string) {
	if qos < 0 || qos > 2 {
		all.add(at+"qos", "must be 0, 1 or 2")
	}
	for name, prefix := range map[string]string{"local_prefix": local, "remote_prefix": remote} {
		if prefix != "" && !packet.ValidTopicName(prefix) {
			all.add(at+name, "must be text without + and #")
		}
	}
}
