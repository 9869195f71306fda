package mqtt

import (
	"strings"

	"omnibus/bus"
	"omnibus/dialect"
	"omnibus/dialect/mqtt/mapping"
	"omnibus/dialect/mqtt/packet"
	"omnibus/topic"
)

// subscribe is SUBSCRIBE: every filter is judged alone, SUBACK tells, and what is
// kept for new subscribers comes after it.
func (c *conn) subscribe(h packet.Header, body []byte) error {
	var in packet.Subscribe
	if err := in.Decode(h, body, c.version); err != nil {
		return err
	}
	ack := packet.Suback{PacketID: in.PacketID} // MQTT-3.8.4-2
	var replays []*filter
	for i := range in.Filters { // MQTT-3.8.4-5
		f, isNew, err := c.add(&in.Filters[i], in.Properties.SubscriptionID)
		if err != nil {
			ack.Codes = append(ack.Codes, subscribeCodes.Of(err)) // MQTT-3.8.4-6
			ack.Properties.ReasonString = err.Error()
			c.log().Debug("a subscription was refused", "filter", in.Filters[i].Filter, "err", err)
			continue
		}
		ack.Codes = append(ack.Codes, packet.ReasonCode(in.Filters[i].QoS))
		handling := in.Filters[i].RetainHandling
		if f.sub != nil && !f.shared && (handling == 0 || handling == 1 && isNew) { // MQTT-3.3.1-9, MQTT-3.3.1-10, MQTT-3.3.1-11
			replays = append(replays, f)
		}
	}
	if err := c.answer(func(dst []byte) []byte { return ack.AppendWithin(dst, c.version, c.limits) }); err != nil { // MQTT-3.8.4-1
		return err
	}
	for _, f := range replays {
		c.replay(f)
	}
	return nil
}

// add makes a subscription, or changes the one of that filter.
func (c *conn) add(in *packet.Subscription, id uint32) (f *filter, isNew bool, err error) {
	s := c.session
	s.mu.Lock()
	f = s.filters.find(in.Filter)
	s.mu.Unlock()
	if f != nil { // MQTT-3.8.4-3
		f.options.Store(optionsOf(in, id))
		return f, false, nil
	}
	f = &filter{text: strings.Clone(in.Filter)}
	f.options.Store(optionsOf(in, id))
	if err := c.attach(f); err != nil {
		return nil, false, err
	}
	s.mu.Lock()
	s.filters.add(f)
	s.overlap.Store(s.filters.overlap())
	s.mu.Unlock()
	if isStatus(f.text) {
		s.server.status.watch()
	}
	return f, true, nil
}

// attach gives a filter what it stands for.
func (c *conn) attach(f *filter) error {
	s := c.session
	if name, ok := serviceOf(f.text); ok {
		return s.provide(name, f)
	}
	text := f.text
	t := dialect.Terms{Echo: true, NewsOnly: true, Tag: f}
	if strings.HasPrefix(text, "$share/") { // also before version 5
		var ok bool
		if t.Group, text, ok = packet.SplitShared(text); !ok {
			return bus.Errorf(bus.Invalid, f.text, "a shared subscription is $share/NAME/FILTER")
		}
		f.shared = true
	}
	pattern, err := topic.NewFilter(text)
	if err != nil {
		return &bus.Error{Kind: bus.Invalid, Topic: f.text, Text: err.Error(), Err: err}
	}
	// The session may be delivered to before it lists the filter: two filters
	// that overlap are merged from now on.
	s.mu.Lock()
	if s.filters.len() > 0 && (s.filters.wild > 0 || isWild(text)) {
		s.overlap.Store(true)
	}
	s.mu.Unlock()
	f.sub, err = s.peer.Subscribe(pattern, t)
	return err
}

// serviceOf is the service that a filter provides.
func serviceOf(text string) (name string, ok bool) {
	if name, ok = mapping.ParseService(text); ok {
		return name, true
	}
	return mapping.ParseRequestFilter(text)
}

// replay delivers what is kept for a filter: on this goroutine as far as there is
// room, the rest on one of its own, so that the client's answers are read meanwhile.
func (c *conn) replay(f *filter) {
	if isStatus(f.text) {
		c.server.status.tell(f)
	}
	next := c.session.peer.Replay(f.sub)
	for c.session.hasRoom(c) {
		if !next() {
			return
		}
	}
	c.replays.Go(func() {
		for c.session.waitForRoom(c) && next() {
			continue
		}
	})
}

// fullReplay is how many messages may wait in the backlog while a replay goes on.
const fullReplay = 64

func (s *session) hasRoom(c *conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.backlog.n < fullReplay && !c.behind()
}

// behind tells whether the outbox is as full as a replay may make it.
func (c *conn) behind() bool {
	bytes, _ := c.out.Pending()
	return bytes > int(c.server.config.MaxQueue)/2
}

// waitForRoom waits until there is room; false when the connection ends.
func (s *session) waitForRoom(c *conn) bool {
	for {
		s.mu.Lock()
		if s.conn.Load() != c {
			s.mu.Unlock()
			return false
		}
		if s.roomy == nil {
			s.roomy = make(chan struct{})
		}
		roomy := s.roomy
		s.mu.Unlock()
		if s.hasRoom(c) {
			return true
		}
		c.out.Kick()
		if c.behind() { // otherwise it is the backlog, which tells when it gets shorter
			c.out.NeedRoom()
		}
		<-roomy
	}
}

// wakeReplays has them look again. The caller holds mu.
func (s *session) wakeReplays() {
	if s.roomy != nil {
		close(s.roomy)
		s.roomy = nil
	}
}

// unsubscribe is UNSUBSCRIBE.
func (c *conn) unsubscribe(h packet.Header, body []byte) error {
	var in packet.Unsubscribe
	if err := in.Decode(h, body, c.version); err != nil {
		return err
	}
	ack := packet.Unsuback{PacketID: in.PacketID} // MQTT-3.10.4-4
	for _, text := range in.Filters {             // MQTT-3.10.4-6
		code := packet.Success
		if !c.session.remove(text) {
			code = packet.NoSubscriptionExisted // MQTT-3.10.4-5
		}
		ack.Codes = append(ack.Codes, code)
	}
	return c.answer(func(dst []byte) []byte { return ack.AppendWithin(dst, c.version, c.limits) })
}

// remove ends a subscription, and tells whether there was one. What it has brought
// before is still delivered.
func (s *session) remove(text string) bool {
	s.mu.Lock()
	f := s.filters.find(text) // MQTT-3.10.4-1
	if f != nil {
		s.filters.remove(f)
	}
	s.mu.Unlock()
	if f == nil {
		return false
	}
	switch x := f.extra.(type) {
	case *bus.Exposure:
		x.Withdraw()
	default:
		s.peer.Unsubscribe(f.sub) // MQTT-3.10.4-2
	}
	s.mu.Lock()
	s.overlap.Store(s.filters.overlap())
	s.mu.Unlock()
	if isStatus(text) {
		s.server.status.unwatch(1)
	}
	return true
}
