package remote

import (
	"context"
	"slices"
	"strings"

	"omnibus/bus"
	"omnibus/dialect/mqtt/mapping"
	"omnibus/dialect/mqtt/packet"
	"omnibus/topic"
)

// mqttListener gets what comes for its filters, on the goroutine that reads.
type mqttListener struct {
	filters []mqttFilter
	take    func(p *packet.Publish)
}

// mqttFilter is a topic filter as it is sent, and what it matches.
type mqttFilter struct {
	text    string
	matches topic.Pattern
	id      uint32 // its subscription identifier, from the time it is subscribed to
}

// sharedFilter is a filter that is subscribed to, once for all listeners: a second
// SUBSCRIBE would replace the first.
type sharedFilter struct {
	id    uint32
	users int
}

// wants tells whether a message is for the listener, and not a copy of one that it
// has had. A broker may send a message once, with the identifiers of all filters
// that match it, or once for each filter (3.3.4). Of all these the listener takes
// the one with its lowest identifier that can be there.
//
// What remains: where there are no identifiers (before version 5, or where the
// broker has none), each copy counts: brokers that send copies then show a message
// twice that two filters with wildcards match. And from a broker that sends one
// copy without naming all filters, against MQTT-3.3.4-4, messages may be missed.
func (l *mqttListener) wants(p *packet.Publish) bool {
	lowest := uint32(0)
	matches := false
	for _, f := range l.filters {
		if f.matches.Match(p.Topic) && (!matches || f.id < lowest) {
			lowest, matches = f.id, true
		}
	}
	if !matches {
		return false
	}
	told := false
	for id := range p.Properties.SubscriptionIDs.All() {
		if id == lowest {
			return true
		}
		told = true
	}
	return !told
}

// mqttFilters are the filters for patterns, without those that another contains.
func mqttFilters(patterns []topic.Pattern) ([]mqttFilter, error) {
	var all []mqttFilter
	for _, p := range patterns {
		f, err := filterOf(p)
		if err != nil {
			return nil, err
		}
		all = append(all, f)
	}
	var some []mqttFilter
	for i, f := range all {
		if !slices.ContainsFunc(all[:i], func(g mqttFilter) bool { return g.text == f.text }) && !isSpare(f, all) {
			some = append(some, f)
		}
	}
	return some, nil
}

// isSpare tells whether a filter is for one name that another filter matches.
func isSpare(f mqttFilter, all []mqttFilter) bool {
	name, ok := f.matches.Literal()
	return ok && !isShare(f.text) && slices.ContainsFunc(all, func(g mqttFilter) bool {
		_, single := g.matches.Literal()
		return !single && !isShare(g.text) && g.matches.Match(name)
	})
}

const sharePrefix = "$share/"

func isShare(filter string) bool { return strings.HasPrefix(filter, sharePrefix) }

// filterOf is the filter for a pattern.
func filterOf(p topic.Pattern) (mqttFilter, error) {
	text := p.Text()
	switch p.Kind() {
	case topic.Exact:
		if err := checkTopic(text); err != nil {
			return mqttFilter{}, err
		}
	case topic.Filter:
	default:
		return mqttFilter{}, bus.Errorf(bus.Invalid, p.String(),
			"MQTT has no %s patterns, only names and filters with + and #; use the URL of another dialect, such as http://127.0.0.1:8080", p.Kind())
	}
	if !isShare(text) {
		return mqttFilter{text: text, matches: p}, nil
	}
	_, inner, ok := packet.SplitShared(text)
	if !ok {
		return mqttFilter{}, bus.Errorf(bus.Invalid, text, "a shared subscription is $share/NAME/FILTER")
	}
	matches, err := topic.NewFilter(inner)
	return mqttFilter{text: text, matches: matches}, err
}

// nameFilter is the filter for one name, or for those that a filter of our own
// matches.
func nameFilter(text string) (mqttFilter, error) {
	p, err := topic.NewFilter(text)
	return mqttFilter{text: text, matches: p}, err
}

// Subscribe subscribes to the patterns. Two calls on one client that have a filter
// in common share it; when the second begins, the first gets the retained values
// of that filter again.
func (c *mqttClient) Subscribe(ctx context.Context, patterns []topic.Pattern, ready func(), fn func(*bus.Message)) error {
	filters, err := mqttFilters(patterns)
	if err != nil {
		return err
	}
	remove, err := c.listen(ctx, filters, 2, func(p *packet.Publish) {
		if ctx.Err() != nil {
			return
		}
		m := &bus.Message{Topic: p.Topic, QoS: p.QoS, Stored: p.Retain}
		m.Headers = bus.MakeHeaders(mapping.Headers(&p.Properties.MessageProperties)...)
		mapping.SetPayload(&m.Payload, p.Properties.ContentType, p.Payload)
		fn(m)
	})
	if err != nil {
		return ignoreEnd(ctx, err)
	}
	defer remove()
	if ready != nil {
		ready()
	}
	return ignoreEnd(ctx, c.untilEnd(ctx))
}

// untilEnd waits for the end of ctx or of the connection.
func (c *mqttClient) untilEnd(ctx context.Context) error {
	select {
	case <-c.ended:
		return c.reason()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// listen subscribes to filters and returns when the broker has granted them all.
// After remove has returned take is not called any more.
func (c *mqttClient) listen(ctx context.Context, filters []mqttFilter, qos byte, take func(p *packet.Publish)) (remove func(), err error) {
	l := &mqttListener{take: take}
	c.deliver.Lock()
	c.listeners = append(c.listeners, l)
	c.deliver.Unlock()
	defer func() {
		if err != nil {
			c.silence(l)
		}
	}()
	granted := make([]<-chan outcome, 0, len(filters))
	for _, f := range filters {
		done, err := c.subscribe(l, f, qos)
		if err != nil {
			return nil, err
		}
		granted = append(granted, done)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, confirmTimeout,
		bus.Errorf(bus.TimedOut, "", "the broker has not confirmed the subscription within %s", confirmTimeout))
	defer cancel()
	for i, done := range granted {
		select {
		case how := <-done:
			if how.reason.Failed() {
				return nil, c.notGranted(filters[i].text, how)
			}
		case <-c.ended:
			return nil, c.reason()
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
	return func() { c.silence(l) }, nil
}

// notGranted is the error for a subscription that is refused.
func (c *mqttClient) notGranted(filter string, how outcome) error {
	const what = "the broker refuses the subscription"
	if c.version < packet.V5 { // there is one code for all reasons; this is the most frequent
		return bus.Errorf(bus.Refused, filter, what)
	}
	return refused(filter, what, how.reason, how.text)
}

// subscribe adds a filter to a listener. It gets a SUBSCRIBE of its own, since that
// is what has an identifier.
func (c *mqttClient) subscribe(l *mqttListener, f mqttFilter, qos byte) (<-chan outcome, error) {
	if c.server.noWildcards && strings.ContainsAny(f.text, "+#") {
		return nil, bus.Errorf(bus.Invalid, f.text, "the broker has no subscriptions with + and #")
	}
	// The order in which a filter is subscribed to and given up is that of the
	// packets.
	c.deliver.Lock()
	defer c.deliver.Unlock()
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.filters[f.text]
	if s == nil {
		s = new(sharedFilter)
		if c.version >= packet.V5 && !c.server.noSubscriptionIDs {
			c.subID++
			s.id = c.subID
		}
		c.filters[f.text] = s
	}
	s.users++
	f.id = s.id
	l.filters = append(l.filters, f)
	return c.beginLocked(exchange{next: packet.SUBACK}, f.text, func(id uint16) []byte {
		p := packet.Subscribe{PacketID: id, Filters: []packet.Subscription{{Filter: f.text, QoS: qos}}}
		p.Properties.SubscriptionID = s.id
		return p.Append(nil, c.version)
	})
}

// silence removes a listener and takes back those of its filters that nobody else
// has. It does not wait for the broker.
func (c *mqttClient) silence(l *mqttListener) {
	c.deliver.Lock()
	defer c.deliver.Unlock()
	if i := slices.Index(c.listeners, l); i >= 0 {
		c.listeners = slices.Delete(c.listeners, i, i+1)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, f := range l.filters {
		s := c.filters[f.text]
		if s.users--; s.users > 0 {
			continue
		}
		delete(c.filters, f.text)
		// What cannot be sent any more ends with the connection.
		_, _ = c.beginLocked(exchange{next: packet.UNSUBACK}, f.text, func(id uint16) []byte {
			p := packet.Unsubscribe{PacketID: id, Filters: []string{f.text}}
			return p.Append(nil, c.version)
		})
	}
}
