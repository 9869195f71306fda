package bridge

import (
	"cmp"
	"context"
	"net"
	"time"

	"omnibus/config"
)

// List is the bridges section of the configuration.
type List []Config

// Config is one bridge.
type Config struct {
	Name          string        `yaml:"name" help:"What it is called: its counters are the group bridge.NAME."`
	On            bool          `yaml:"enabled" help:"Whether to run it."`
	URL           string        `yaml:"url" help:"The other broker: mqtt://HOST:PORT, mqtts://HOST:PORT, ws://HOST:PORT/PATH, wss://HOST:PORT/PATH or unix:PATH."`
	Version       string        `yaml:"version" help:"MQTT version to speak: 5, 3.1.1, 3.1, or auto for 5 and, where that is refused, 3.1.1."`
	ClientID      string        `yaml:"client_id" help:"Client identifier; empty takes a new one for each run."`
	Username      string        `yaml:"username" help:"User name to log in with; empty logs in without."`
	Password      string        `yaml:"password" help:"Password; password_file keeps it out of this file."`
	PasswordFile  string        `yaml:"password_file" help:"File that holds the password."`
	TLS           TLS           `yaml:"tls" help:"For mqtts and wss."`
	KeepAlive     time.Duration `yaml:"keep_alive" help:"Longest silence on the connection."`
	CleanSession  bool          `yaml:"clean_session" help:"Whether the other broker forgets the bridge when the connection ends; if not, it keeps what is to come in (in wants QoS 1 or 2), and client_id must be set."`
	SessionExpiry time.Duration `yaml:"session_expiry" help:"How long the other broker keeps the session if clean_session is false (version 5)."`
	Retry         time.Duration `yaml:"retry" help:"Longest pause between attempts to connect; the first is a second."`
	MaxPacket     config.Size   `yaml:"max_packet" help:"Largest packet from the other broker; one of version 5 is told, before that a larger one ends the connection."`
	In            []In          `yaml:"in" help:"What comes from the other broker. Filters must not overlap."`
	Out           []Out         `yaml:"out" help:"What goes to the other broker. The first that matches counts."`
	Store         Store         `yaml:"store" help:"What waits while the other broker is away or slow."`
	EchoWindow    time.Duration `yaml:"echo_window" help:"Before version 5: how long after it was sent a message may come back and be known."`

	// Dial opens connections; nil is the network.
	Dial func(ctx context.Context, network, address string) (net.Conn, error) `yaml:"-"`
}

// TLS is who is trusted, and who the bridge is.
type TLS struct {
	CA   string `yaml:"ca" help:"Authorities (PEM) that sign the other broker's certificate; empty takes the system's."`
	Name string `yaml:"name" help:"Name in the other broker's certificate, if it is not the host of the URL."`
	Cert string `yaml:"cert" help:"Certificate file (PEM) to show; empty shows none."`
	Key  string `yaml:"key" help:"Private key file (PEM) of cert."`
}

// In is one subscription at the other broker.
type In struct {
	Filter       string `yaml:"filter" help:"Topic filter at the other broker, remote_prefix included."`
	QoS          int    `yaml:"qos" help:"Highest QoS."`
	RemotePrefix string `yaml:"remote_prefix" help:"What is taken off the topic."`
	LocalPrefix  string `yaml:"local_prefix" help:"What is then put before it."`
	Retain       bool   `yaml:"retain" help:"Whether what is retained there is retained here."`
}

// Out is one subscription at this broker.
type Out struct {
	Pattern      string `yaml:"pattern" help:"Topics that go out, as a pattern, local_prefix included."`
	QoS          int    `yaml:"qos" help:"Highest QoS."`
	LocalPrefix  string `yaml:"local_prefix" help:"What is taken off the topic."`
	RemotePrefix string `yaml:"remote_prefix" help:"What is then put before it."`
	Retain       bool   `yaml:"retain" help:"Whether what is retained here is sent on connecting, and retained there."`
}

// Store bounds what waits to go out.
type Store struct {
	Messages int         `yaml:"messages" help:"Messages that wait; further ones are lost and counted."`
	Bytes    config.Size `yaml:"bytes" help:"What they take together: payloads, topics and headers."`
	QoS0     bool        `yaml:"qos0" help:"Whether messages of QoS 0 wait too while the other broker is away."`
}

// SetDefaults makes a new entry.
func (c *Config) SetDefaults() {
	*c = Config{
		On:            true,
		Version:       versionAuto,
		KeepAlive:     time.Minute,
		CleanSession:  true,
		SessionExpiry: 24 * time.Hour,
		Retry:         time.Minute,
		MaxPacket:     32 << 20,
		Store:         Store{Messages: 10_000, Bytes: 64 << 20},
		EchoWindow:    10 * time.Second,
	}
}

// SetDefaults makes a new entry.
func (i *In) SetDefaults() { i.QoS, i.Retain = 1, true }

// SetDefaults makes a new entry.
func (o *Out) SetDefaults() { o.QoS, o.Retain = 1, true }

// Title is what a person calls it.
func (c *Config) Title() string { return cmp.Or(c.Name, c.URL) }
