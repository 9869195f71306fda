package mycroft

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

	"omnibus/auth"
	"omnibus/bus"
	"omnibus/carrier"
	"omnibus/dialect"
)

// session is one client of the hub.
type session struct {
	hub   *hub
	conn  net.Conn
	ws    *carrier.WebSocket
	peer  dialect.Peer
	ctx   context.Context       // ends with the connection
	cause atomic.Pointer[error] // why it is being disconnected
	calls sync.WaitGroup
	watch watch
	seat  seat // the audience's

	// Of the frame that is being handled, on the reading goroutine.
	frame      []byte
	to         *address
	message    bus.Message
	batch      *bus.Batch // nil while it waits for frames
	complained bool       // the log has a frame that was dropped

	exposed map[string]*bus.Exposure
}

// frameOverhead is more than the header of a frame takes: a queue holds at least
// one message of its size.
const frameOverhead = 16

// connection serves one client from its handshake to its end.
func (h *hub) connection(ctx context.Context, c net.Conn) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	s := &session{hub: h, conn: c, ctx: ctx}
	// The handshake needs more stack than the waiting that follows it, and a
	// stack that has grown stays: it gets a goroutine of its own.
	if !apart(s.admit) {
		return
	}
	defer s.calls.Wait()
	defer cancel()
	defer s.peer.Leave()
	s.run(ctx)
}

// apart runs f on a goroutine of its own and waits for it. A panic becomes the
// caller's.
func apart[T any](f func() T) T {
	result, failure := make(chan T, 1), make(chan any, 1)
	go func() {
		defer func() {
			if p := recover(); p != nil {
				failure <- fmt.Sprintf("%v\n%s", p, debug.Stack())
			}
		}()
		result <- f()
	}()
	select {
	case x := <-result:
		return x
	case p := <-failure:
		panic(p)
	}
}

// admit makes a connection a WebSocket and a peer, or ends it.
func (s *session) admit() bool {
	h := s.hub
	ws, err := carrier.Upgrade(s.conn, carrier.WebSocketOptions{
		Path:        h.config.Route,
		CheckOrigin: h.pages,
		MaxMessage:  int(h.config.MaxMessage),
		Outbox:      carrier.OutboxOptions{MaxBytes: int(h.config.MaxQueue) + frameOverhead},
	})
	if err != nil {
		h.count.handshakes.Add(1)
		if errors.Is(err, carrier.ErrOrigin) {
			h.count.crossSite.Add(1)
			s.log().Warn("a page of another web site was refused; its origin can be allowed under mycroft.origins", "err", err)
			return false
		}
		s.log().Info("a WebSocket handshake failed", "err", err)
		return false
	}
	s.ws = ws
	if s.seat.chosen, err = selectionOf(ws.URL, h.config.MaxPatterns); err != nil {
		h.count.refused.Add(1)
		s.log().Info("a client was refused for the types that its URL asks for", "err", err)
		_ = ws.Close(carrier.ClosePolicy, queryTypes+": "+err.Error())
		return false
	}
	if err := s.join(s.ctx); err != nil {
		h.count.refused.Add(1)
		s.log().Info("a client was refused", "err", err)
		_ = ws.Close(carrier.ClosePolicy, bus.KindOf(err).String())
		return false
	}
	return true
}

// log is the hub's, with the client's address.
func (s *session) log() *slog.Logger { return s.hub.log.With("remote", s.conn.RemoteAddr()) }

// join makes the session a peer. A hub is one room, so all its clients are of
// the hub's own tenant.
func (s *session) join(ctx context.Context) error {
	p, err := dialect.Join(ctx, s.hub.env.Port, &dialect.Hello{
		Credentials: auth.Credentials{
			Dialect: "mycroft", Remote: s.conn.RemoteAddr(), Loopback: carrier.IsLoopback(s.conn.LocalAddr()),
		},
		Origin:     s.hub.origin,
		Subscriber: s,
		Relay:      s.relay,
	})
	if err != nil {
		return err
	}
	if its, ours := p.Principal().Tenant, s.hub.peer.Principal().Tenant; its != ours {
		p.Leave()
		return bus.Errorf(bus.Refused, "", "the client's tenant is %q, the hub's %q", its, ours)
	}
	s.peer = p
	return nil
}

// run greets the client and handles its frames until the connection ends.
func (s *session) run(ctx context.Context) {
	h := s.hub
	h.count.connections.Add(1)
	if err := h.enter(s); err != nil {
		s.ended(err)
		return
	}
	stop := context.AfterFunc(ctx, s.leave)
	defer stop()
	if h.config.PingInterval > 0 {
		s.watch = watch{session: s, quiet: h.config.PingInterval, answer: h.config.PingTimeout}
		s.watch.start()
	}
	s.ended(s.read())
}

// read handles frames until reading fails, and takes the client out of the hub.
func (s *session) read() error {
	defer s.watch.stop()
	defer s.hub.leave(s)
	defer s.flush() // others wait for what is in the batch
	for n := 0; ; n++ {
		if s.batch != nil && (n >= fullBatch || !s.ws.Ready()) {
			s.flush()
			n = 0
		}
		_, frame, err := s.ws.Read()
		if err != nil {
			return err
		}
		if s.batch == nil {
			s.batch, _ = s.hub.batches.Get().(*bus.Batch)
		}
		s.handle(frame)
	}
}

// fullBatch is how many frames of a client are handled before they are written to
// the others: the first should not wait for the last of a long read.
const fullBatch = 64

// flush writes what the frames handled so far have given others to send.
func (s *session) flush() {
	if s.batch == nil {
		return
	}
	s.batch.Flush()
	s.hub.batches.Put(s.batch)
	s.batch, s.message.Batch = nil, nil
}

// leave makes the reading goroutine end; what is queued is still written.
func (s *session) leave() { _ = s.ws.SetReadDeadline(time.Unix(1, 0)) }

// interrupt makes reading and writing end.
func (s *session) interrupt() { _ = s.conn.SetDeadline(time.Unix(1, 0)) }

// ended closes the connection, says why it ended where that is news, and counts
// it.
func (s *session) ended(err error) {
	count, log := &s.hub.count, s.log()
	cause := s.cause.Load()
	if cause != nil {
		err = *cause
	}
	closed, _ := errors.AsType[*carrier.CloseError](err)
	switch {
	case s.ctx.Err() != nil:
		// The hub is closing. Older clients come back by themselves when the
		// connection is dropped, not when it is closed in order.
		flush, cancel := context.WithTimeout(context.Background(), s.hub.config.Grace)
		defer cancel()
		_ = s.ws.Flush(flush)
		_ = s.ws.Drop()
		return
	case errors.Is(err, carrier.ErrTooLarge):
		count.invalid.Add(1)
		log.Warn("a client sent a frame above mycroft.max_message and was disconnected", "limit", s.hub.config.MaxMessage)
	case errors.Is(err, carrier.ErrProtocol):
		count.invalid.Add(1)
		log.Info("a client was disconnected", "err", err)
	case errors.Is(err, carrier.ErrFull):
		count.slow.Add(1)
		log.Warn("a client reads too slowly and was disconnected", "limit", s.hub.config.MaxQueue, "setting", "mycroft.max_queue")
	case errors.Is(err, os.ErrDeadlineExceeded):
		count.slow.Add(1)
		log.Warn("a client has read nothing for long and was disconnected", "err", err)
	case errors.Is(err, errSilent):
		count.silent.Add(1)
		log.Info("a client went silent and was disconnected", "err", err, "setting", "mycroft.ping_timeout")
	case errors.Is(err, errExpelled):
		log.Info("a client was expelled", "err", err)
	case closed != nil && closed.Code != closedWithout:
		log.Debug("a client left", "err", err)
	default:
		count.lost.Add(1)
		log.Info("a client is gone without a farewell", "err", err)
	}
	if cause != nil {
		_ = s.ws.Drop()
		return
	}
	_ = s.ws.Close(carrier.CloseNormal, "")
}

// closedWithout is the code of a connection that ended without a close frame (RFC
// 6455 section 7.1.5).
const closedWithout = 1006

var errExpelled = errors.New("expelled")

// fail disconnects a client. It may be called under the hub's lock and does not
// wait; the first reason counts.
func (s *session) fail(err error) {
	if s.cause.CompareAndSwap(nil, &err) {
		s.interrupt()
	}
}

// Deliver is never called: clients subscribe to nothing, the hub does.
func (s *session) Deliver(*bus.Message, *bus.Subscription) {}

// Expelled drops the connection.
func (s *session) Expelled(why error) { s.fail(fmt.Errorf("%w: %w", errExpelled, why)) }

// send sends one message to this client alone.
func (s *session) send(message []byte) {
	s.sent(s.ws.Send(carrier.Text, message))
}

// sent judges the error of sending. That the connection has ended, whatever way,
// is for the reading goroutine to find and to tell.
func (s *session) sent(err error) {
	if errors.Is(err, carrier.ErrFull) {
		s.fail(err)
	}
}
