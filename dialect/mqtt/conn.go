package mqtt

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"omnibus/bus"
	"omnibus/carrier"
	"omnibus/dialect/mqtt/packet"
)

// conn is one network connection. Its fields belong to the goroutine that reads
// it, but for those that say otherwise.
type conn struct {
	server  *server
	nc      net.Conn
	out     *carrier.Outbox // anybody's
	in      carrier.Input
	session *session
	batch   bus.Batch

	// Set before the session has the connection, and then read by anybody.
	version packet.Version
	link    bool          // the client is a bridge to another broker
	limits  packet.Limits // what the client takes
	window  int           // messages of QoS 1 and 2 under way to it
	outward *aliases      // under the outbox's lock; nil for none

	keepAlive time.Duration // a client that says nothing for so long is gone; 0 for ever
	seen      atomic.Int64  // when it last said something: nanoseconds of the Unix clock
	timer     *time.Timer   // looks at seen
	ending    atomic.Uint32 // the reason that end was called with, plus one
	joined    atomic.Bool   // CONNACK has been sent
	clean     bool          // it has said goodbye, so that its will is not published
	drained   bool          // its last words have been asked for

	publishing *publishing // nil until the client publishes
	own        []delivery  // of the message being published, to its own publisher
	replays    replays
	method     string // of its enhanced authentication
	login      *login // while it authenticates again
	calls      *calls // nil until it calls a service

	// stuck ends the wait for a client that does not read its answers. Nil when
	// there is none; anybody's.
	stuck atomic.Pointer[context.CancelFunc]
}

// connection serves one client from its first byte to its last.
func (s *server) connection(raw net.Conn, open func(net.Conn) (net.Conn, error)) {
	nc, err := open(raw)
	if err != nil {
		s.handshakeFailed(raw, err)
		return
	}
	c := &conn{server: s, nc: nc}
	c.in.Reset(nc)
	defer c.in.Reset(nil)
	c.out = carrier.NewOutbox(nc, carrier.OutboxOptions{
		MaxBytes: int(s.config.MaxQueue),
		OnError:  func(error) { c.interrupt() },
		OnRoom:   c.room,
	})
	if !s.enter(c) {
		return
	}
	defer s.leave(c)
	s.count.connections.Add(1)
	// The login needs more stack than the waiting that follows it, and a stack
	// that has grown stays: it gets a goroutine of its own.
	admitted := make(chan error, 1)
	go func() {
		var err error
		defer func() {
			if v := recover(); v != nil {
				err = &panicError{v, debug.Stack()}
			}
			admitted <- err
		}()
		err = c.connect()
	}()
	finished := false
	defer func() {
		if !finished { // it panics, which Serve tells: nobody must wait for its session, or for what it has queued
			c.finish(errPanicked)
		}
	}()
	err = <-admitted
	if p, ok := errors.AsType[*panicError](err); ok {
		panic(p)
	}
	if err == nil {
		err = c.read()
	}
	finished = true
	c.finish(err)
}

// panicError is a panic on the goroutine of a login, on its way to the one that
// serves the connection.
type panicError struct {
	value any
	stack []byte
}

func (p *panicError) Error() string { return fmt.Sprintf("%v\n%s", p.value, p.stack) }

var errPanicked = errors.New("handling its packets panicked")

func (s *server) handshakeFailed(nc net.Conn, err error) {
	log := s.log.With("remote", nc.RemoteAddr())
	if errors.Is(err, carrier.ErrOrigin) {
		s.count.crossSite.Add(1)
		log.Warn("a page of another web site was refused; its origin can be allowed under mqtt.websocket.origins", "err", err)
		return
	}
	s.count.malformed.Add(1)
	log.Info("a WebSocket handshake failed", "err", err)
}

// A batch is flushed at the end of what was read, or when it is large: the first of
// its receivers should not wait for the last packet of a long read.
const fullBatch = 2048

// largePacket is from where nothing that was made of a packet is kept after it.
const largePacket = 64 << 10

// read handles packets until the connection ends.
func (c *conn) read() error {
	for {
		need, err := c.packets()
		c.batch.Flush()
		if err != nil {
			return err
		}
		if err := c.in.Fill(need); err != nil {
			if !c.lastWords(err) {
				return err
			}
			continue
		}
		c.seen.Store(time.Now().UnixNano())
	}
}

// lastWords gives a client whose session is taken over the time to have what it
// sent before read, once: it may have said goodbye and come back at once.
func (c *conn) lastWords(err error) bool {
	taken := c.ending.Load() == uint32(packet.SessionTakenOver)+1
	if !taken || c.drained || !errors.Is(err, os.ErrDeadlineExceeded) {
		return false
	}
	c.drained = true
	return c.nc.SetReadDeadline(time.Now().Add(lastWords)) == nil
}

// lastWords is how long what has been sent may take to be read.
const lastWords = 5 * time.Millisecond

// packets handles the packets that have arrived, and returns how many bytes the
// next one needs in all.
func (c *conn) packets() (need int, err error) {
	limit := int(c.server.config.MaxPacket)
	published, work := 0, 0
	defer func() {
		if published > 0 {
			c.server.count.received.Add(int64(published))
		}
	}()
	for {
		buf := c.in.Bytes()
		h, body, n, err := packet.Frame(buf, limit)
		if err != nil {
			return 0, err
		}
		if n == 0 {
			return packet.Length(buf, limit)
		}
		if h.Type == packet.PUBLISH {
			published++
			var receivers int
			receivers, err = c.publish(h, body)
			work += 1 + receivers
		} else {
			err = c.handle(h, body)
		}
		if err != nil {
			return 0, err
		}
		c.in.Discard(n)
		if n > largePacket {
			c.publishing.forget()
		}
		if work >= fullBatch {
			work = 0
			c.batch.Flush()
		}
	}
}

// handle is one packet other than PUBLISH.
func (c *conn) handle(h packet.Header, body []byte) error {
	switch h.Type {
	case packet.PUBACK, packet.PUBREC, packet.PUBREL, packet.PUBCOMP:
		return c.acknowledged(h, body)
	case packet.PINGREQ:
		if err := packet.DecodePing(h, body, c.version); err != nil {
			return err
		}
		return c.answer(packet.AppendPingresp) // MQTT-3.12.4-1
	case packet.SUBSCRIBE:
		return c.subscribe(h, body)
	case packet.UNSUBSCRIBE:
		return c.unsubscribe(h, body)
	case packet.DISCONNECT:
		return c.disconnected(h, body)
	case packet.AUTH:
		return c.reauthenticate(h, body)
	case packet.CONNECT:
		return breach(packet.ProtocolError, "a second CONNECT (MQTT-3.1.0-2)")
	}
	return breach(packet.ProtocolError, "%v is not sent by clients", h.Type)
}

// answer sends a packet that must not be lost. A client that takes none of them is
// read no further until there is room.
func (c *conn) answer(appendTo func(dst []byte) []byte) error {
	for {
		kick, err := c.out.CommitLater(appendTo(c.out.Begin()))
		if kick {
			c.batch.Add(c.out)
		}
		if !errors.Is(err, carrier.ErrFull) {
			return err
		}
		c.batch.Flush()
		c.out.Kick()
		if err := c.flushed(); err != nil {
			return err
		}
	}
}

// flushed waits until the client has taken all that is queued, or the connection is
// to end.
func (c *conn) flushed() error {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	c.stuck.Store(&cancel)
	defer c.stuck.Store(nil)
	if c.ending.Load() != 0 {
		return errLeft
	}
	return c.out.Flush(ctx)
}

// disconnected is the client's goodbye.
func (c *conn) disconnected(h packet.Header, body []byte) error {
	var d packet.Disconnect
	if err := d.Decode(h, body, c.version); err != nil {
		return err
	}
	if err := d.CheckSender(packet.FromClient); err != nil {
		return err
	}
	if d.Properties.Present.Has(packet.SessionExpiryInterval) {
		if err := c.session.expireAfter(d.Properties.SessionExpiryInterval); err != nil {
			return err
		}
	}
	c.clean = d.Reason == packet.NormalDisconnection // MQTT-3.1.2-10, MQTT-3.14.4-3
	return errLeft
}

func (c *conn) log() *slog.Logger {
	log := c.server.log.With("remote", c.nc.RemoteAddr())
	if c.session != nil {
		log = log.With("client", c.session.id)
	}
	return log
}

// room is told by the outbox that there is room again.
func (c *conn) room() {
	if s := c.session; s != nil {
		s.room(c)
	}
}

// calls are the calls of services that a connection waits for.
type calls struct {
	ctx    context.Context //nolint:containedctx // it is what ends them
	cancel context.CancelFunc
	wait   sync.WaitGroup

	underWay atomic.Int64
}

func newCalls() *calls {
	ctx, cancel := context.WithCancel(context.Background())
	return &calls{ctx: ctx, cancel: cancel}
}

// end cancels them and waits for them.
func (k *calls) end() {
	if k != nil {
		k.cancel()
		k.wait.Wait()
	}
}
