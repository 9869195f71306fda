package lwmqtt

import (
	"context"
	"crypto/tls"
	"net"
	"time"
)

// Port is the port of MQTT.
const Port = 1883

// Verdict is what the function of a loop failure says.
type Verdict int

// The verdicts. Every other one counts as Recovered.
const (
	BreakLoop Verdict = 0
	Recovered Verdict = 1
)

// ReturnCode is the code of a CONNACK.
type ReturnCode int

// The return codes.
const (
	RCAccepted          ReturnCode = 0
	RCRefusedVersion    ReturnCode = 1
	RCRefusedIdentifier ReturnCode = 2
	RCRefusedServer     ReturnCode = 3
	RCRefusedBadUsrPwd  ReturnCode = 4
	RCRefusedNoAuth     ReturnCode = 5
)

// Function handles the messages of a subscription.
type Function func(client *Client, payload []byte, topic string)

// ClientOption is an argument of NewClient that has a default.
type ClientOption func(*Client)

// WithCleanSession asks for a session that ends with the connection; the default is true.
func WithCleanSession(clean bool) ClientOption { return func(c *Client) { c.cleanSession = clean } }

// WithCycleTimeout is the pause of the loop before it calls the function of a failure again, in milliseconds; the default
// is 500.
func WithCycleTimeout(ms int) ClientOption {
	return func(c *Client) { c.cycle = time.Duration(ms) * time.Millisecond }
}

// WithCommandTimeout is how long the broker may take to answer a command, in milliseconds; the default is 60000.
func WithCommandTimeout(ms int) ClientOption {
	return func(c *Client) { c.command = time.Duration(ms) * time.Millisecond }
}

// WithMaxPacket bounds what is received; the default is 4 MiB.
func WithMaxPacket(bytes int) ClientOption { return func(c *Client) { c.maxPacket = bytes } }

// WithMaxSubscriptions bounds the subscriptions; the default is 0, no limit.
func WithMaxSubscriptions(n int) ClientOption { return func(c *Client) { c.maxSubscriptions = n } }

// WithMaxQueued bounds the messages that wait for their functions; the default is 1024. At the bound nothing more is read.
func WithMaxQueued(n int) ClientOption { return func(c *Client) { c.maxQueued = n } }

// WithDial opens connections in another way than by the network.
func WithDial(dial func(ctx context.Context, network, address string) (net.Conn, error)) ClientOption {
	return func(c *Client) { c.dial = dial }
}

// OnPanic is told the panics of functions, which otherwise have no consequence.
func OnPanic(told func(value any, stack []byte)) ClientOption {
	return func(c *Client) { c.panicked = told }
}

// ConnectOption is an argument of Connect that has a default.
type ConnectOption func(*parameters)

// parameters are the arguments of Connect, which Reconnect uses again.
type parameters struct {
	host      string
	keepalive int
	port      int
	ssl       *tls.Config
	sock      *net.KeepAliveConfig
	before    func(*Client)
	after     func(*Client)
	failure   func(*Client) Verdict
	startLoop bool
}

// WithPort is the port; the default is Port.
func WithPort(port int) ConnectOption { return func(p *parameters) { p.port = port } }

// WithSSL secures the connection; the default is not to.
func WithSSL(config *tls.Config) ConnectOption { return func(p *parameters) { p.ssl = config } }

// WithSockKeepalive has the system probe an idle connection: count probes, from idle seconds on, every interval seconds.
func WithSockKeepalive(count, idle, interval int) ConnectOption {
	return func(p *parameters) {
		p.sock = &net.KeepAliveConfig{
			Enable: true, Count: count,
			Idle: time.Duration(idle) * time.Second, Interval: time.Duration(interval) * time.Second,
		}
	}
}

// WithBReconnect is called by Reconnect before anything else.
func WithBReconnect(f func(*Client)) ConnectOption { return func(p *parameters) { p.before = f } }

// WithAConnect is called by Connect and Reconnect when the broker has accepted the connection, on the goroutine of the
// caller, before the loop is started. It is the place for Subscribe.
func WithAConnect(f func(*Client)) ConnectOption { return func(p *parameters) { p.after = f } }

// WithLoopFailure is called by the loop when the connection is lost. It says whether the loop is to go on, which it may
// have made possible by Reconnect.
func WithLoopFailure(f func(*Client) Verdict) ConnectOption {
	return func(p *parameters) { p.failure = f }
}

// WithStartLoop says whether Connect and Reconnect start the loop; the default is true.
func WithStartLoop(start bool) ConnectOption { return func(p *parameters) { p.startLoop = start } }

// MessageOption is an argument of Publish and SetWill that has a default.
type MessageOption interface{ set(*terms) }

// terms are the options of a message.
type terms struct {
	qos    byte
	retain bool
}

// QoS is the quality of service of a message or a subscription; the default is 0.
type QoS byte

func (q QoS) set(t *terms) { t.qos = byte(q) }

// Retain has the broker keep a message; the default is false for Publish and true for SetWill.
type Retain bool

func (r Retain) set(t *terms) { t.retain = bool(r) }

func termsOf(t terms, options []MessageOption) terms {
	for _, o := range options {
		o.set(&t)
	}
	return t
}
