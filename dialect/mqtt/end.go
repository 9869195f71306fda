package mqtt

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"time"

	"omnibus/dialect/mqtt/packet"
)

// How a connection ends.

// end tells the client why and makes its connection end. It may be called from any
// goroutine, also several times: the first reason counts. It reports whether this
// was the first.
func (c *conn) end(reason packet.ReasonCode, why string) bool {
	if !c.ending.CompareAndSwap(0, uint32(reason)+1) {
		return false
	}
	if c.joined.Load() && c.version == packet.V5 { // MQTT-4.13.1-1
		d := packet.Disconnect{Reason: reason}
		d.Properties.ReasonString = why
		_ = c.out.AppendLast(d.AppendWithin(nil, c.version, c.limits)) // it is ending in any case
	}
	c.interrupt()
	return true
}

// interrupt makes the reading goroutine end.
func (c *conn) interrupt() {
	_ = c.nc.SetReadDeadline(longAgo()) // a connection that is gone has ended it
	if cancel := c.stuck.Load(); cancel != nil {
		(*cancel)()
	}
}

// watch looks for clients that have gone silent. It re-arms itself, so that nothing
// is to be done when something arrives.
func (c *conn) watch() {
	c.seen.Store(time.Now().UnixNano())
	c.timer = time.AfterFunc(c.keepAlive, c.look)
}

func (c *conn) look() {
	silent := time.Since(time.Unix(0, c.seen.Load()))
	if silent < c.keepAlive {
		c.timer.Reset(c.keepAlive - silent)
		return
	}
	c.end(packet.KeepAliveTimeout, "nothing was heard for one and a half times the keep-alive") // MQTT-3.1.2-22
}

// farewell bounds the writing of what is queued when a connection ends, and linger
// the wait for the client to end it too: closing with unread bytes would take what
// was written last away from it. At shutdown there is less time for that.
const (
	farewell    = time.Second
	linger      = 2 * time.Second
	lastLinger  = 500 * time.Millisecond
	lingerBytes = 4 << 20
)

// finish ends the connection after reading has.
func (c *conn) finish(err error) {
	c.batch.Flush()
	if c.timer != nil {
		c.timer.Stop()
	}
	c.explain(err)
	if c.session != nil {
		c.session.detach(c)
	}
	c.calls.end()
	c.replays.wait.Wait()
	ctx, cancel := context.WithTimeout(context.Background(), farewell)
	defer cancel()
	c.out.Kick()
	gone := errors.Is(err, io.EOF) || errors.Is(err, net.ErrClosed)
	if c.out.Flush(ctx) == nil && !gone {
		c.linger()
	}
	_ = c.out.Close() // never fails
	_ = c.nc.Close()  // there is nobody to tell
}

func (c *conn) linger() {
	wait := linger
	if c.ending.Load() == uint32(packet.ServerShuttingDown)+1 {
		wait = lastLinger
	}
	half, ok := c.nc.(interface{ CloseWrite() error })
	if !ok || half.CloseWrite() != nil || c.nc.SetReadDeadline(time.Now().Add(wait)) != nil {
		return
	}
	_, _ = io.Copy(io.Discard, io.LimitReader(c.nc, lingerBytes))
}

// explain says in the log why a connection ended, where that is news, and tells the
// client what it did wrong.
func (c *conn) explain(err error) {
	log := c.log()
	reason, ended := packet.ReasonCode(c.ending.Load()-1), c.ending.Load() != 0
	fault, wrong := errors.AsType[*packet.Error](err)
	switch {
	case ended && reason == packet.KeepAliveTimeout:
		c.server.count.timeouts.Add(1)
		log.Info("a client went silent and was disconnected", "keep_alive", c.keepAlive*2/3)
	case ended && reason == packet.QuotaExceeded:
		log.Warn("a client reads too slowly and was disconnected", "limit", c.server.config.MaxQueue, "setting", "mqtt.max_queue")
	case ended:
		log.Debug("a client was disconnected", "reason", reason)
	case wrong:
		c.server.count.malformed.Add(1)
		log.Info("a client was disconnected", "reason", fault.Reason, "err", fault.Text)
		c.end(fault.Reason, fault.Text)
	case errors.Is(err, os.ErrDeadlineExceeded) && c.session == nil:
		c.server.count.timeouts.Add(1)
		log.Info("a connection sent no CONNECT in time", "setting", "mqtt.connect_timeout")
	default:
		log.Debug("a client left", "err", err)
	}
}
