package mqtt_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"testing"
	"time"

	"go.uber.org/goleak"

	"omnibus/broker"
	"omnibus/bus"
	"omnibus/carrier"
	"omnibus/dialect"
	"omnibus/dialect/mqtt"
	"omnibus/dialect/mqtt/packet"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience bounds the wait for what must happen.
const patience = 20 * time.Second

// place is a broker that serves MQTT in memory, until the test ends.
type place struct {
	t       testing.TB
	broker  *broker.Broker
	network carrier.Memory
	address net.Addr // of the real socket, if there is one
	stop    context.CancelFunc
	ended   chan error
}

// options are what a test changes.
type options struct {
	broker broker.Options
	config func(*mqtt.Config)
	log    slog.Handler
	port   func(dialect.Port) dialect.Port   // what stands between the dialect and the broker
	socket bool                              // serve on a TCP socket of this machine instead
	wrap   func(l net.Listener) net.Listener // what is between the server and its connections
}

func serve(t testing.TB, o options) *place {
	t.Helper()
	b, err := broker.New(o.broker)
	if err != nil {
		t.Fatal(err)
	}
	c := mqtt.Defaults()
	if o.config != nil {
		o.config(c)
	}
	if bad := c.Validate(); len(bad) > 0 {
		t.Fatalf("the test's configuration is wrong: %v", bad)
	}
	log := slog.New(slog.DiscardHandler)
	if o.log != nil {
		log = slog.New(o.log)
	}
	port := dialect.Port(b)
	if o.port != nil {
		port = o.port(b)
	}
	d, err := c.Open(dialect.Env{Port: port, Log: log, Counter: b.Counters().Group("mqtt"), Version: "test"})
	if err != nil {
		t.Fatal(err)
	}
	p := &place{t: t, broker: b, ended: make(chan error, 1)}
	ctx, stop := context.WithCancel(context.Background())
	p.stop = stop
	l, ws := p.network.Listen("mqtt"), p.network.Listen("websocket")
	if o.socket {
		var config net.ListenConfig
		if l, err = config.Listen(ctx, "tcp", "127.0.0.1:0"); err != nil {
			t.Fatal(err)
		}
		p.address = l.Addr()
	}
	if o.wrap != nil {
		l = o.wrap(l)
	}
	go func() {
		ended := make(chan error, 1)
		go func() { ended <- mqtt.ServeWebSocketOn(ctx, d, ws) }()
		err := mqtt.ServeOn(ctx, d, l)
		p.ended <- errors.Join(err, <-ended)
	}()
	t.Cleanup(p.close)
	return p
}

// close ends the server; it may be called again.
func (p *place) close() {
	p.stop()
	if err := <-p.ended; err != nil {
		p.t.Errorf("serving: %v", err)
	}
	p.ended <- nil
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := p.broker.Close(ctx); err != nil {
		p.t.Errorf("closing the broker: %v", err)
	}
}

// listenTo calls f for every message, on the goroutines that publish.
func (p *place) listenTo(pattern string, f func(topic string)) {
	p.t.Helper()
	handle := func(_ context.Context, e bus.Event[[]byte]) { f(e.Topic) }
	if _, err := bus.Subscribe(p.broker.Bus(""), pattern, handle, bus.Direct()); err != nil {
		p.t.Fatal(err)
	}
}

func (p *place) counter(name string) int64 {
	return p.broker.Counters().Snapshot()["mqtt"][name]
}

// client is one end of a connection, by hand.
type client struct {
	t  testing.TB
	c  net.Conn
	v  packet.Version
	in *carrier.Input
}

// dial opens a connection and says nothing.
func (p *place) dial(v packet.Version) *client {
	p.t.Helper()
	c, err := p.network.Dial(context.Background(), "mqtt")
	if p.address != nil {
		var d net.Dialer
		c, err = d.DialContext(context.Background(), p.address.Network(), p.address.String())
	}
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() { _ = c.Close() })
	return &client{t: p.t, c: c, v: v, in: carrier.NewInput(c)}
}

// connect opens a connection and is admitted.
func (p *place) connect(v packet.Version, id string, change ...func(*packet.Connect)) *client {
	p.t.Helper()
	c := p.dial(v)
	in := packet.Connect{Version: v, ClientID: id, CleanStart: true}
	for _, f := range change {
		f(&in)
	}
	c.send(in.Append(nil))
	if ack := c.connack(); ack.Reason != packet.Success {
		p.t.Fatalf("%s was refused: %v %s", id, ack.Reason, ack.Properties.ReasonString)
	}
	return c
}

func (c *client) send(b []byte) {
	c.t.Helper()
	if _, err := c.c.Write(b); err != nil {
		c.t.Fatalf("sending: %v", err)
	}
}

// read returns the next packet; its body is the caller's.
func (c *client) read() (packet.Header, []byte, error) {
	if err := c.c.SetReadDeadline(time.Now().Add(patience)); err != nil {
		return packet.Header{}, nil, err
	}
	for {
		h, body, n, err := packet.Frame(c.in.Bytes(), 0)
		if err != nil {
			return h, nil, err
		}
		if n > 0 {
			body = append([]byte(nil), body...)
			c.in.Discard(n)
			return h, body, nil
		}
		need, err := packet.Length(c.in.Bytes(), 0)
		if err != nil {
			return h, nil, err
		}
		if err := c.in.Fill(need); err != nil {
			return h, nil, err
		}
	}
}

// decoder is a packet of the codec.
type decoder interface {
	Decode(h packet.Header, body []byte, v packet.Version) error
}

// expect reads a packet of the type into p.
func (c *client) expect(t packet.Type, p decoder) {
	c.t.Helper()
	h, body, err := c.read()
	if err != nil {
		c.t.Fatalf("waiting for %v: %v", t, err)
	}
	if h.Type != t {
		c.t.Fatalf("got %v % x, want %v", h.Type, body, t)
	}
	if err := p.Decode(h, body, c.v); err != nil {
		c.t.Fatal(err)
	}
}

func (c *client) connack() (a packet.Connack) {
	c.t.Helper()
	c.expect(packet.CONNACK, &a)
	return a
}

func (c *client) publish() (p packet.Publish) {
	c.t.Helper()
	c.expect(packet.PUBLISH, &p)
	return p
}

func (c *client) ack(t packet.Type) (a packet.Ack) {
	c.t.Helper()
	c.expect(t, &a)
	return a
}

func (c *client) disconnect() (d packet.Disconnect) {
	c.t.Helper()
	c.expect(packet.DISCONNECT, &d)
	return d
}

// put publishes; the identifier counts only above QoS 0.
func (c *client) put(qos byte, id uint16, topic, text string, change ...func(*packet.Publish)) {
	c.t.Helper()
	c.send(c.message(qos, id, topic, text, change...))
}

// message is the packet that put sends.
func (c *client) message(qos byte, id uint16, topic, text string, change ...func(*packet.Publish)) []byte {
	p := packet.Publish{Topic: topic, Payload: []byte(text), QoS: qos, PacketID: id}
	for _, f := range change {
		f(&p)
	}
	return p.Append(nil, c.v)
}

// acknowledge sends one of the packets that answer.
func (c *client) acknowledge(t packet.Type, id uint16) {
	c.t.Helper()
	c.send(packet.AppendAck(nil, t, id, packet.Success, c.v))
}

// wants reads messages and checks them, "topic=payload".
func (c *client) wants(all ...string) {
	c.t.Helper()
	for _, want := range all {
		if p := c.publish(); p.Topic+"="+string(p.Payload) != want {
			c.t.Fatalf("got %s=%s, want %s", p.Topic, p.Payload, want)
		}
	}
}

// leave says goodbye and waits for the end.
func (c *client) leave() {
	c.t.Helper()
	c.send((&packet.Disconnect{}).Append(nil, c.v))
	c.closed()
}

// cut ends the connection without a word.
func (c *client) cut() { _ = c.c.Close() }

// persistent keeps the session for so many seconds.
func persistent(seconds uint32) func(*packet.Connect) {
	return func(c *packet.Connect) { c.CleanStart, c.Properties.SessionExpiryInterval = false, seconds }
}

// subscribe subscribes with one QoS.
func (c *client) subscribe(qos byte, filters ...string) {
	c.t.Helper()
	in := packet.Subscribe{PacketID: 1}
	for _, f := range filters {
		in.Filters = append(in.Filters, packet.Subscription{Filter: f, QoS: qos})
	}
	c.send(in.Append(nil, c.v))
	var ack packet.Suback
	c.expect(packet.SUBACK, &ack)
	for i, code := range ack.Codes {
		if code.Failed() {
			c.t.Fatalf("subscribing to %s: %v", filters[i], code)
		}
	}
}

// silent checks that nothing more arrives: what was sent before comes before the
// answer to a ping.
func (c *client) silent() {
	c.t.Helper()
	c.send(packet.AppendPingreq(nil))
	h, body, err := c.read()
	if err != nil || h.Type != packet.PINGRESP {
		c.t.Fatalf("got %v % x, %v; want nothing", h.Type, body, err)
	}
}

// closed checks that the connection ends with nothing more.
func (c *client) closed() {
	c.t.Helper()
	if h, body, err := c.read(); !errors.Is(err, io.EOF) {
		c.t.Fatalf("got %v % x, %v; want the end", h.Type, body, err)
	}
}
