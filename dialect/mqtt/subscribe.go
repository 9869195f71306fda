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
	c.server.status.tell(replays)
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
	if !s.list(f) {
		return nil, false, bus.ErrClosed
	}
	if isStatus(f.text) {
		s.server.status.watch()
	}
	return f, true, nil
}

// list adds a filter to those of the session. False when the session has ended
// meanwhile, and the filter with it.
func (s *session) list(f *filter) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended {
		return false
	}
	s.filters.add(f)
	s.overlap.Store(s.filters.overlap())
	return true
}

// attach gives a filter what it stands for.
func (c *conn) attach(f *filter) error {
	s := c.session
	if name, ok := serviceOf(f.text); ok {
		return s.provide(name, f)
	}
	text := f.text
	if strings.HasPrefix(text, mapping.ServicePrefix) || strings.HasPrefix(text, mapping.RequestPrefix) {
		return bus.Errorf(bus.Invalid, text, "a service is provided by subscribing to %s or %s, for one name without wildcards",
			mapping.ServiceTopic("NAME"), mapping.RequestFilter("NAME"))
	}
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
