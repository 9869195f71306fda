package mqtt

import (
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"time"

	"omnibus/bus"
	"omnibus/carrier"
	"omnibus/dialect/mqtt/packet"
)

// Why a message is not sent to a client, which is no fault of either.
var (
	errUnwritable = errors.New("MQTT cannot write it")
	errTooLarge   = fmt.Errorf("%w: it is above the client's maximum packet size", errUnwritable)
)

// sharedPayload is from where a payload is not copied for each of its receivers.
const sharedPayload = 32 << 10

// Deliver sends a message, or lets it wait; see bus.Receiver.
func (s *session) Deliver(m *bus.Message, sub *bus.Subscription) {
	f, _ := sub.Tag().(*filter)
	o := f.options.Load()
	if o.noLocal && m.Origin == s.origin { // MQTT-3.8.3-3
		return
	}
	retain := m.Stored || m.Retain && o.asPublished                   // MQTT-3.3.1-8, MQTT-3.3.1-12, MQTT-3.3.1-13
	d := delivery{qos: min(m.QoS, o.qos), retain: retain, ids: o.ids} // MQTT-3.3.4-3, MQTT-3.8.4-8
	switch {
	case f.shared:
		d.shared = sub
	case s.overlap.Load() && !m.Stored && s.merge(m, &d):
		return
	}
	s.send(m, &d)
}

// merging is a message that several filters of a client may match, until it has
// been routed.
type merging struct {
	m *bus.Message
	delivery
}

// merge notes what one of the filters wants. False when the message must be sent
// for each of them, because nobody will tell when it has been routed.
func (s *session) merge(m *bus.Message, d *delivery) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range s.merging {
		if x := &s.merging[i]; x.m == m {
			x.qos = max(x.qos, d.qos) // MQTT-3.3.4-2
			x.retain = x.retain || d.retain
			x.ids = append(x.ids, d.ids...) // MQTT-3.3.4-4
			return true
		}
	}
	if !m.After(s) {
		return false
	}
	s.merging = append(s.merging, merging{m: m, delivery: *d})
	s.merging[len(s.merging)-1].ids = slices.Clone(d.ids)
	return true
}

// Routed sends a message that merge has noted; see bus.Finisher.
func (s *session) Routed(m *bus.Message) {
	defer func() {
		if r := recover(); r != nil { // the publisher and the others go on
			s.server.log.Error("a session panicked over a message", "client", s.id, "panic", r, "stack", string(debug.Stack()))
		}
	}()
	s.mu.Lock()
	at := slices.IndexFunc(s.merging, func(x merging) bool { return x.m == m })
	if at < 0 {
		s.mu.Unlock()
		return
	}
	d := s.merging[at].delivery
	last := len(s.merging) - 1
	s.merging[at] = s.merging[last]
	s.merging[last] = merging{}
	s.merging = s.merging[:last]
	s.mu.Unlock()
	s.send(m, &d)
}

// send sends a message to the client, or lets it wait if its QoS asks for that. A
// client's own message comes after the answer to it.
func (s *session) send(m *bus.Message, d *delivery) {
	if c := s.conn.Load(); m.QoS > 0 && c != nil && m.Batch == &c.batch { // so this is the goroutine of c
		c.own = append(c.own, *d)
		return
	}
	s.dispatch(m, d)
}

// dispatch is send that does not look whose message it is.
func (s *session) dispatch(m *bus.Message, d *delivery) {
	if d.qos == 0 {
		s.sendLossy(m, d)
		return
	}
	c, late := s.queue(m, d)
	switch {
	case c != nil:
		m.Batch.Add(c.out)
	case late && d.shared != nil:
		d.shared.Redeliver(m) // the peer has left, so that it is not chosen again
	}
}

// queue is send for QoS 1 and 2, and returns the connection that is to be kicked, if
// there is one. Late says that the session has ended.
func (s *session) queue(m *bus.Message, d *delivery) (kick *conn, late bool) {
	s.mu.Lock()
	defer s.mu.Unlock() // also when a value panics that is to be encoded: this session is then expelled
	if s.ended {
		return nil, true
	}
	c := s.conn.Load()
	if s.sendSafe(c, m, d) {
		return c, false
	}
	return nil, false
}

// sendLossy is send for QoS 0.
func (s *session) sendLossy(m *bus.Message, d *delivery) {
	c := s.conn.Load()
	if c == nil {
		return // nothing of QoS 0 is kept for who is away (3.1.2.4)
	}
	kick, err := c.write(m, d, 0, false)
	if kick {
		m.Batch.Add(c.out)
	}
	switch {
	case err == nil:
	case errors.Is(err, carrier.ErrFull):
		if m.Stored { // a replay, which comes no faster than there is room, about
			s.mu.Lock()
			s.wait(m, d)
			s.mu.Unlock()
			return
		}
		c.tooSlow()
	case errors.Is(err, errUnwritable):
		s.unwritable(m, err)
	}
}

// tooSlow is what happens to a client whose queue is full.
func (c *conn) tooSlow() {
	c.server.count.dropped.Add(1)
	if c.server.config.SlowClients == disconnectSlow && c.ending.Load() == 0 {
		c.server.count.slow.Add(1)
		c.end(packet.QuotaExceeded, "messages came faster than they were read")
	}
}

func (s *session) unwritable(m *bus.Message, err error) {
	s.server.count.unwritable.Add(1)
	s.server.log.Debug("a message was not sent", "client", s.id, "topic", m.Topic, "err", err)
}

// sendSafe is send for QoS 1 and 2. The caller holds mu; the connection may be nil.
func (s *session) sendSafe(c *conn, m *bus.Message, d *delivery) (kick bool) {
	if c == nil || s.backlog.n > 0 || s.flight.old > 0 || s.busy(c) {
		if c != nil || s.expiry > 0 {
			s.wait(m, d)
		}
		return false
	}
	if s.expiry > 0 || d.shared != nil {
		s.keep(m, d)
	}
	kick, err := s.launch(c, m, d)
	switch {
	case errors.Is(err, carrier.ErrFull):
		s.wait(m, d)
	case errors.Is(err, errUnwritable):
		s.unwritable(m, err)
	}
	return kick
}

// busy tells that no further message of QoS 1 or 2 may be under way to the client
// until it acknowledges one. The caller holds mu.
func (s *session) busy(c *conn) bool {
	return s.flight.open >= c.window || // MQTT-3.3.4-9
		s.flight.full() || s.flight.bytes >= int(s.server.config.SessionBytes)
}

// launch gives a message of QoS 1 or 2 an identifier and sends it. After an error
// it is not under way, unless the connection is ending. The caller holds mu.
func (s *session) launch(c *conn, m *bus.Message, d *delivery) (kick bool, err error) {
	id := s.flight.add(*d) // MQTT-2.2.1-4
	kick, err = c.write(m, d, id, false)
	if errors.Is(err, carrier.ErrFull) || errors.Is(err, errUnwritable) {
		s.flight.takeBack()
	}
	return kick, err
}

func expired(m *bus.Message) bool { return m.Expires != 0 && m.Expires <= time.Now().UnixNano() }

// keep makes d one that can outlive the routing of m.
func (s *session) keep(m *bus.Message, d *delivery) { d.m = m.Keep() }

// wait puts a message into the backlog, or loses it. The caller holds mu.
func (s *session) wait(m *bus.Message, d *delivery) {
	config := &s.server.config
	if s.backlog.n >= config.SessionMessages || s.backlog.bytes+weight(m) > int(config.SessionBytes) && s.backlog.n > 0 {
		s.server.count.lost.Add(1)
		return
	}
	s.keep(m, d)
	s.backlog.push(*d)
}

// pump sends what waits, as far as it may be sent. The caller holds mu.
func (s *session) pump(c *conn) (kick bool) {
	if s.flight.old > 0 {
		kick = s.resend(c)
	}
	for s.backlog.n > 0 && s.flight.old == 0 {
		d := *s.backlog.first()
		if d.qos > 0 && s.busy(c) {
			break
		}
		m := d.m
		if expired(m) { // MQTT-3.3.2-5
			s.server.count.expired.Add(1)
			s.backlog.pop()
			continue
		}
		if s.expiry == 0 && d.shared == nil {
			d.m = nil // nobody needs it once it is sent
		}
		var k bool
		var err error
		if d.qos == 0 {
			k, err = c.write(m, &d, 0, false)
		} else {
			k, err = s.launch(c, m, &d)
		}
		kick = kick || k
		if errors.Is(err, carrier.ErrFull) {
			c.out.NeedRoom()
			return kick
		}
		if errors.Is(err, errUnwritable) {
			s.unwritable(m, err)
		}
		s.backlog.pop()
	}
	s.wakeReplays()
	return kick
}

// resend sends again what was under way when the session lost its connection, in
// the order in which it was sent and as far as it may be sent. The caller holds mu.
func (s *session) resend(c *conn) (kick bool) {
	var lost []uint16
	full := false
	s.flight.all(func(id uint16, u *under) {
		if full || u.stage&again == 0 {
			return
		}
		if s.flight.open-s.flight.old >= c.window {
			full = true
			return
		}
		var k bool
		var err error
		if u.stage&^again == released { // MQTT-4.4.0-1
			k, err = c.out.CommitLater(packet.AppendAck(c.out.Begin(), packet.PUBREL, id, packet.Success, c.version))
		} else { // MQTT-3.3.1-1, MQTT-4.4.0-1
			k, err = c.write(u.m, &u.delivery, id, true)
		}
		kick = kick || k
		switch {
		case errors.Is(err, carrier.ErrFull):
			full = true
			c.out.NeedRoom()
			return
		case errors.Is(err, errUnwritable):
			lost = append(lost, id)
		}
		s.flight.renew(u)
	})
	for _, id := range lost {
		s.flight.end(s.flight.find(id))
	}
	return kick
}

// room sends what waits when the outbox has room again, and wakes replays.
func (s *session) room(c *conn) {
	s.mu.Lock()
	if s.conn.Load() != c {
		s.mu.Unlock()
		return
	}
	kick := s.pump(c)
	s.wakeReplays()
	s.mu.Unlock()
	if kick {
		c.out.Kick()
	}
}

// write queues a message for the client. It tells whether the outbox is to be
// kicked.
func (c *conn) write(m *bus.Message, d *delivery, id uint16, dup bool) (kick bool, err error) {
	p, pooled := publicationOf(m)
	if pooled {
		defer p.free()
	}
	if p.err != nil {
		return false, p.err
	}
	t := p.of(c.version)
	if c.link && m.ID != "" {
		t = p.marked(m.ID)
	}
	x := packet.Delivery{PacketID: id, QoS: d.qos, Retain: d.retain, Dup: dup, SubscriptionIDs: d.ids}
	if a := c.outward; a != nil {
		a.mu.Lock()
		defer a.mu.Unlock()
		a.use(m.Topic, &x)
	}
	size := t.Size(&x)
	if limit := c.limits.MaximumPacketSize; size == 0 || limit > 0 && size > int(limit) { // MQTT-3.1.2-24, MQTT-3.1.2-25
		c.outward.failed()
		return false, errTooLarge
	}
	if len(p.p.Payload) >= sharedPayload {
		kick, err = c.writeShared(m, p, t, &x)
	} else {
		kick, err = c.out.CommitLater(t.Append(c.out.Begin(), &x))
	}
	if err != nil {
		c.outward.failed()
		return kick, err
	}
	c.server.count.sent.Add(1)
	return kick, nil
}

// writeShared is write for a payload that is large.
func (c *conn) writeShared(m *bus.Message, p *publication, t *packet.Template, x *packet.Delivery) (kick bool, err error) {
	data, err := p.shareable(m)
	if err != nil {
		return false, fmt.Errorf("%w: %w", errUnwritable, err)
	}
	var head [512]byte
	return c.out.AppendParts(t.AppendHead(head[:0], x), data, true)
}
