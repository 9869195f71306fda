package remote

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"sync"
	"syscall"
	"time"

	"omnibus/bus"
	"omnibus/carrier"
	"omnibus/dialect/mqtt/packet"
)

const (
	// pingEvery is how often the broker is asked for a sign of life.
	pingEvery = 30 * time.Second
	// maxInFlight bounds the messages that the broker has not acknowledged; it
	// may want fewer.
	maxInFlight = 1024
	// farewell is how long the last packets may take to be written.
	farewell = time.Second
)

// olderError is the error of a broker that may speak an older version.
type olderError struct{ error }

// mqttClient speaks MQTT, to any broker. One goroutine reads the connection and
// hands messages to the listeners, one pings; an outbox writes.
type mqttClient struct {
	target  mqttTarget
	options Options
	version packet.Version
	conn    net.Conn
	outbox  *carrier.Outbox
	in      *mqttReader
	server  mqttServer
	// places has one for each message that may be in flight.
	places  chan struct{}
	ended   chan struct{} // closed when nothing is read any more; why is set before
	running sync.WaitGroup

	// incoming are the identifiers of the messages of QoS 2 that have been taken
	// and not yet released. Only the reader uses it.
	incoming map[uint16]struct{}

	// deliver is held while listeners are called, and taken before mu.
	deliver   sync.Mutex
	listeners []*mqttListener

	mu      sync.Mutex // guards what follows
	why     error      // why the connection has ended, or is to end
	lastID  uint16
	pending map[uint16]*exchange
	pings   []chan struct{}          // one for each PINGRESP that is to come; nil if nobody waits
	filters map[string]*sharedFilter // what is subscribed to
	subID   uint32                   // the last subscription identifier
}

// mqttServer is what the broker told of itself in CONNACK.
type mqttServer struct {
	maxPacket                 int // 0 is no limit
	maxQoS                    byte
	noRetain, noWildcards     bool
	noSubscriptionIDs         bool
	receiveMaximum, keepAlive int
}

// dialMQTT connects with version 5 and, where that is not spoken, with 3.1.1.
func dialMQTT(ctx context.Context, u *url.URL, o Options) (Client, error) {
	t, err := parseMQTT(u)
	if err != nil {
		return nil, err
	}
	c, err := openMQTT(ctx, t, o)
	if _, ok := errors.AsType[olderError](err); ok && t.version == packet.V5 {
		t.version = packet.V311
		c, err = openMQTT(ctx, t, o)
	}
	if err != nil {
		return nil, err
	}
	return c, nil
}

// openMQTT connects with the version of t.
func openMQTT(ctx context.Context, t mqttTarget, o Options) (*mqttClient, error) {
	conn, err := t.connect(ctx, o)
	if err != nil {
		if why := unreachable(t.url, err); why != nil {
			return nil, why
		}
		return nil, err
	}
	c := &mqttClient{
		target: t, options: o, version: t.version, conn: conn,
		in:       &mqttReader{src: conn, limit: o.MaxMessage},
		ended:    make(chan struct{}),
		incoming: make(map[uint16]struct{}),
		pending:  make(map[uint16]*exchange),
		filters:  make(map[string]*sharedFilter),
	}
	if err := c.handshake(ctx); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	c.places = make(chan struct{}, min(c.server.receiveMaximum, maxInFlight))
	c.outbox = carrier.NewOutbox(conn, carrier.OutboxOptions{
		MaxBytes: 2 * o.MaxMessage,
		OnError:  func(err error) { c.end(c.lost(err)) },
	})
	c.running.Go(c.read)
	c.running.Go(c.keepAlive)
	return c, nil
}

// handshake sends CONNECT and reads CONNACK.
func (c *mqttClient) handshake(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, confirmTimeout,
		bus.Errorf(bus.TimedOut, "", "%s has not answered CONNECT within %s; does it speak MQTT?", c.target.url.Redacted(), confirmTimeout))
	defer cancel()
	stop := context.AfterFunc(ctx, func() { _ = c.conn.SetDeadline(time.Unix(1, 0)) }) // ends what is under way
	err := c.introduce()
	if !stop() {
		return context.Cause(ctx)
	}
	return err
}

func (c *mqttClient) introduce() error {
	if _, err := c.conn.Write(c.connect().Append(nil)); err != nil {
		return c.lost(err)
	}
	h, body, err := c.in.next()
	switch {
	case err != nil && len(c.in.buf) == 0 && (errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET)):
		return olderError{fmt.Errorf("%s closed the connection and did not answer CONNECT; does it speak MQTT?", c.target.url.Redacted())}
	case err != nil:
		return c.lost(err)
	}
	version := c.version
	if h.Type == packet.CONNACK && len(body) == 2 { // that of an older broker
		version = packet.V311
	}
	var a packet.Connack
	if err := a.Decode(h, body, version); err != nil {
		return fmt.Errorf("%s does not seem to speak MQTT: %w", c.target.url.Redacted(), err)
	}
	switch {
	case a.Reason == packet.UnsupportedProtocolVersion:
		return olderError{fmt.Errorf("%s does not speak MQTT %s", c.target.url.Redacted(), c.version)}
	case a.Reason.Failed():
		return refused("", "the broker refuses the connection", a.Reason, a.Properties.ReasonString)
	case version != c.version:
		return olderError{fmt.Errorf("%s answers in MQTT %s", c.target.url.Redacted(), version)}
	}
	c.server = serverOf(&a.Properties)
	return nil
}

// connect is the packet that begins a connection.
func (c *mqttClient) connect() *packet.Connect {
	p := &packet.Connect{
		Version:    c.version,
		CleanStart: true,
		KeepAlive:  uint16(2 * pingEvery / time.Second),
		ClientID:   c.target.clientID,
	}
	p.Properties.MaximumPacketSize = uint32(min(c.options.MaxMessage, packet.MaxSize))
	if login := c.target.login; login != nil {
		p.HasUsername, p.Username = true, login.Username()
		if password, ok := login.Password(); ok {
			p.HasPassword, p.Password = true, []byte(password)
		}
	}
	return p
}

func serverOf(p *packet.ConnackProperties) mqttServer {
	s := mqttServer{
		maxPacket:         int(p.MaximumPacketSize),
		maxQoS:            p.QoSLimit(),
		noRetain:          p.RetainUnavailable,
		noWildcards:       p.WildcardsUnavailable,
		noSubscriptionIDs: p.SubscriptionIDsUnavailable,
		receiveMaximum:    int(p.ReceiveMaximum),
		keepAlive:         int(p.ServerKeepAlive),
	}
	if s.receiveMaximum == 0 {
		s.receiveMaximum = 65_535
	}
	return s
}

// interval is the time between two pings: half of what the broker allows.
func (c *mqttClient) interval() time.Duration {
	if c.server.keepAlive == 0 {
		return pingEvery
	}
	return min(pingEvery, time.Duration(c.server.keepAlive)*time.Second/2)
}

// keepAlive pings until the connection ends.
func (c *mqttClient) keepAlive() {
	t := time.NewTicker(c.interval())
	defer t.Stop()
	for {
		select {
		case <-c.ended:
			return
		case <-t.C:
			if err := c.ping(nil); err != nil {
				c.end(err)
				return
			}
		}
	}
}

// ping sends a PINGREQ; answered, if not nil, is closed when its answer comes.
func (c *mqttClient) ping(answered chan struct{}) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.sendLocked(packet.AppendPingreq(nil), ""); err != nil {
		return err
	}
	c.pings = append(c.pings, answered)
	return nil
}

// send queues a packet; name is the topic that it is about.
func (c *mqttClient) send(raw []byte, name string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.sendLocked(raw, name)
}

func (c *mqttClient) sendLocked(raw []byte, name string) error {
	switch {
	case c.why != nil:
		return c.why
	case len(raw) == 0:
		return bus.Errorf(bus.TooLarge, name, "it cannot be written in MQTT, where a text has at most 65,535 bytes and a packet %d", packet.MaxSize)
	case c.server.maxPacket > 0 && len(raw) > c.server.maxPacket:
		return bus.Errorf(bus.TooLarge, name, "the packet has %d bytes, and the broker takes at most %d", len(raw), c.server.maxPacket)
	}
	err := c.outbox.AppendShared(raw)
	if errors.Is(err, carrier.ErrFull) {
		return bus.Errorf(bus.Full, name, "sending to %s: %w", c.target.url.Redacted(), err)
	}
	if err != nil {
		return fmt.Errorf("sending to %s: %w", c.target.url.Redacted(), err)
	}
	return nil
}

// lost is the error of a connection that failed.
func (c *mqttClient) lost(err error) error {
	return fmt.Errorf("the connection to %s was lost: %w", c.target.url.Redacted(), err)
}

// end ends the connection for a reason, unless it is ending already.
func (c *mqttClient) end(why error) {
	if c.setReason(why) {
		_ = c.conn.Close() // the reader ends, too
	}
}

// setReason tells whether there was no reason before.
func (c *mqttClient) setReason(why error) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.why != nil {
		return false
	}
	c.why = why
	return true
}

// reason is why the connection has ended; to be asked after it has.
func (c *mqttClient) reason() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.why
}

// Close takes leave of the broker and closes the connection.
func (c *mqttClient) Close() error {
	var err error
	if c.setReason(errClosed) {
		err = c.leave(packet.NormalDisconnection)
	}
	_ = c.outbox.Close() // nothing is left in it, or it cannot be written
	_ = c.conn.Close()   // or somebody has
	c.running.Wait()
	return err
}

// leave tells the broker that the connection ends, and why.
func (c *mqttClient) leave(reason packet.ReasonCode) error {
	ctx, cancel := context.WithTimeout(context.Background(), farewell)
	defer cancel()
	p := packet.Disconnect{Reason: reason}
	if err := c.outbox.Append(p.Append(nil, c.version)); err != nil {
		return c.lost(err)
	}
	if err := c.outbox.Flush(ctx); err != nil {
		return c.lost(err)
	}
	return nil
}
