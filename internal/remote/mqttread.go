package remote

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"time"

	"omnibus/bus"
	"omnibus/dialect/mqtt/packet"
)

// maxIdleBuffer is the largest buffer that is kept when it is empty.
const maxIdleBuffer = 1 << 20

// mqttReader cuts a connection into packets. Its buffer grows with what has
// arrived, not with what a length says.
type mqttReader struct {
	src   io.Reader
	limit int
	buf   []byte // what has arrived
	off   int    // how much of it has been taken
}

// next is the next packet. The body is valid until the packet after it.
func (r *mqttReader) next() (packet.Header, []byte, error) {
	for {
		h, body, n, err := packet.Frame(r.buf[r.off:], r.limit)
		if err != nil || n > 0 {
			r.off += n
			return h, body, err
		}
		if err := r.more(); err != nil {
			return h, nil, err
		}
	}
}

// more reads what there is.
func (r *mqttReader) more() error {
	r.buf, r.off = r.buf[:copy(r.buf, r.buf[r.off:])], 0
	if len(r.buf) == 0 && cap(r.buf) > maxIdleBuffer {
		r.buf = nil
	}
	if cap(r.buf)-len(r.buf) < 4096 {
		r.buf = slices.Grow(r.buf, max(4096, len(r.buf)))
	}
	n, err := r.src.Read(r.buf[len(r.buf):cap(r.buf)])
	r.buf = r.buf[:len(r.buf)+n]
	switch {
	case n > 0:
		return nil // an error comes again
	case errors.Is(err, io.EOF) && len(r.buf) > 0:
		return io.ErrUnexpectedEOF
	}
	return err
}

// read takes packets until the connection ends.
func (c *mqttClient) read() {
	defer close(c.ended)
	err := c.readAll()
	if _, ok := errors.AsType[*packet.Error](err); ok {
		// The broker has broken the protocol and is told so, if it can be.
		_ = c.leave(packet.ReasonOf(err))
		err = fmt.Errorf("%s broke the protocol: %w", c.target.url.Redacted(), err)
	} else if _, ok := errors.AsType[*bus.Error](err); !ok {
		if errors.Is(err, os.ErrDeadlineExceeded) {
			err = fmt.Errorf("it has not answered a ping within %s", c.interval())
		}
		err = c.lost(err)
	}
	c.end(err)
}

func (c *mqttClient) readAll() error {
	for {
		// The last ping is at most an interval old, and its answer may take as
		// long. The time that a listener takes does not count.
		if err := c.conn.SetReadDeadline(time.Now().Add(2 * c.interval())); err != nil {
			return err
		}
		h, body, err := c.in.next()
		if err != nil {
			return err
		}
		if err := c.take(h, body); err != nil {
			return err
		}
	}
}

// take handles a packet.
func (c *mqttClient) take(h packet.Header, body []byte) error {
	switch h.Type {
	case packet.PUBLISH:
		// Messages are kept by those who get them.
		return c.takePublish(h, bytes.Clone(body))
	case packet.PUBACK, packet.PUBREC, packet.PUBCOMP:
		var a packet.Ack
		if err := a.Decode(h, body, c.version); err != nil {
			return err
		}
		return c.takeAck(&a)
	case packet.PUBREL:
		var a packet.Ack
		if err := a.Decode(h, body, c.version); err != nil {
			return err
		}
		reason := packet.Success
		if _, ok := c.incoming[a.PacketID]; !ok {
			reason = packet.PacketIdentifierNotFound
		}
		delete(c.incoming, a.PacketID)
		return c.send(packet.AppendAck(nil, packet.PUBCOMP, a.PacketID, reason, c.version), "")
	case packet.SUBACK:
		var a packet.Suback
		if err := a.Decode(h, body, c.version); err != nil {
			return err
		}
		if len(a.Codes) != 1 { // each SUBSCRIBE has one filter
			return &packet.Error{Reason: packet.ProtocolError, Text: fmt.Sprintf("SUBACK with %d reason codes for one filter", len(a.Codes))}
		}
		return c.answered(a.PacketID, packet.SUBACK, outcome{a.Codes[0], ownText(a.Properties.ReasonString)})
	case packet.UNSUBACK:
		var a packet.Unsuback
		if err := a.Decode(h, body, c.version); err != nil {
			return err
		}
		return c.answered(a.PacketID, packet.UNSUBACK, outcome{}) // what it says changes nothing
	case packet.PINGRESP:
		if err := packet.DecodePing(h, body, c.version); err != nil {
			return err
		}
		c.takePong()
		return nil
	case packet.DISCONNECT:
		return c.takeDisconnect(h, body)
	}
	return &packet.Error{Reason: packet.ProtocolError, Text: "a broker does not send " + h.Type.String()}
}

// takePong tells who waits for the oldest ping.
func (c *mqttClient) takePong() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.pings) == 0 {
		return
	}
	if answered := c.pings[0]; answered != nil {
		close(answered)
	}
	c.pings = slices.Delete(c.pings, 0, 1)
}

// takeDisconnect is the error for what the broker says at the end.
func (c *mqttClient) takeDisconnect(h packet.Header, body []byte) error {
	var d packet.Disconnect
	if err := d.Decode(h, body, c.version); err != nil {
		return err
	}
	if c.version < packet.V5 {
		return &packet.Error{Reason: packet.ProtocolError, Text: "a broker does not send DISCONNECT before MQTT 5"}
	}
	if err := d.CheckSender(packet.FromServer); err != nil {
		return err
	}
	text := ownText(d.Properties.ReasonString)
	if d.Properties.ServerReference != "" {
		text += " (use " + ownText(d.Properties.ServerReference) + ")"
	}
	return refused("", "the broker ended the connection", d.Reason, text)
}

// takePublish hands a message to the listeners and acknowledges it.
func (c *mqttClient) takePublish(h packet.Header, body []byte) error {
	var p packet.Publish
	if err := p.Decode(h, body, c.version); err != nil {
		return err
	}
	if p.Properties.TopicAlias != 0 { // CONNECT allows none
		return &packet.Error{Reason: packet.TopicAliasInvalid, Text: "a topic alias, of which none is allowed"}
	}
	switch p.QoS {
	case 0:
		c.hand(&p)
		return nil
	case 1:
		c.hand(&p)
		return c.send(packet.AppendAck(nil, packet.PUBACK, p.PacketID, packet.Success, c.version), "")
	}
	if _, again := c.incoming[p.PacketID]; !again {
		c.incoming[p.PacketID] = struct{}{}
		c.hand(&p)
	}
	return c.send(packet.AppendAck(nil, packet.PUBREC, p.PacketID, packet.Success, c.version), "")
}

// hand calls the listeners that want a message.
func (c *mqttClient) hand(p *packet.Publish) {
	c.deliver.Lock()
	defer c.deliver.Unlock()
	for _, l := range c.listeners {
		if l.wants(p) {
			l.take(p)
		}
	}
}
