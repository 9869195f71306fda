package remote

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"

	"omnibus/bus"
	"omnibus/client/mqtt"
	"omnibus/dialect/mqtt/mapping"
	"omnibus/dialect/mqtt/packet"
	"omnibus/topic"
)

// mqttListener gets what comes for its filters.
type mqttListener struct {
	filters []string
	take    func(m *mqtt.Message)

	mu   sync.Mutex // held while take runs
	over bool       // take is not called any more
}

// hear takes a message that came for one of the filters: by the first one that
// matches, since it comes for the others too, in the same copy or in one for each
// (MQTT 5, 3.3.4). What comes for the group of a shared subscription does not count
// as coming here.
//
// What remains: where there are no subscription identifiers (before version 5, or
// where the broker has none) each copy counts: brokers that send copies then show a
// message twice that two filters with wildcards match. And from a broker that sends
// one copy without naming all filters, against MQTT-3.3.4-4, messages may be missed.
func (l *mqttListener) hear(filter string, m *mqtt.Message) {
	for _, f := range l.filters {
		if f == filter {
			break
		}
		if !isShare(f) && mqtt.Match(f, m.Topic) {
			return
		}
	}
	if !mqtt.Match(filter, m.Topic) {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.over {
		l.take(m)
	}
}

// mqttFilters are the filters for patterns, without those that another contains.
func mqttFilters(patterns []topic.Pattern) ([]string, error) {
	var all []string
	for _, p := range patterns {
		f, err := filterOf(p)
		if err != nil {
			return nil, err
		}
		if !slices.Contains(all, f) {
			all = append(all, f)
		}
	}
	return slices.DeleteFunc(slices.Clone(all), func(f string) bool { return isSpare(f, all) }), nil
}

// isSpare tells whether a filter is for one name that another filter matches.
func isSpare(f string, all []string) bool {
	return packet.ValidTopicName(f) && !isShare(f) && slices.ContainsFunc(all, func(g string) bool {
		return g != f && !isShare(g) && mqtt.Match(g, f)
	})
}

func isShare(filter string) bool { return strings.HasPrefix(filter, "$share/") }

// filterOf is the filter for a pattern.
func filterOf(p topic.Pattern) (string, error) {
	text := p.Text()
	switch p.Kind() {
	case topic.Exact:
		if err := checkTopic(text); err != nil {
			return "", err
		}
	case topic.Filter:
	default:
		return "", bus.Errorf(bus.Invalid, p.String(),
			"MQTT has no %s patterns, only names and filters with + and #; use the URL of another dialect, such as http://127.0.0.1:8080", p.Kind())
	}
	if isShare(text) && !packet.ValidTopicFilter(text) {
		return "", bus.Errorf(bus.Invalid, text, "a shared subscription is $share/NAME/FILTER")
	}
	return text, nil
}

// Subscribe subscribes to the patterns. Two calls on one client that have a filter
// in common share it; when the second begins, the first gets the retained values
// of that filter again.
func (c *mqttClient) Subscribe(ctx context.Context, patterns []topic.Pattern, ready func(), fn func(*bus.Message)) error {
	filters, err := mqttFilters(patterns)
	if err != nil {
		return err
	}
	return c.listen(ctx, filters, 2, ready, func(m *mqtt.Message) {
		if ctx.Err() != nil {
			return
		}
		p := properties(m)
		b := &bus.Message{Topic: m.Topic, QoS: m.QoS, Stored: m.Retain}
		b.Headers = bus.MakeHeaders(mapping.Headers(&p)...)
		mapping.SetPayload(&b.Payload, m.ContentType, m.Payload)
		fn(b)
	})
}

// listen hands what comes for filters to take until ctx or the connection ends, and
// calls ready, which may be nil, when the broker has granted them all. When it has
// returned take is not called any more.
func (c *mqttClient) listen(ctx context.Context, filters []string, qos byte, ready func(), take func(m *mqtt.Message)) error {
	l := &mqttListener{filters: filters, take: take}
	defer c.silence(l)
	if err := c.enlist(ctx, l, qos); err != nil {
		return ignoreEnd(ctx, err)
	}
	if ready != nil {
		ready()
	}
	select {
	case <-c.mqtt.Done():
		return ignoreEnd(ctx, c.explain("", mqtt.ErrDisconnected))
	case <-ctx.Done():
		return nil
	}
}

// enlist subscribes to the filters of a listener.
func (c *mqttClient) enlist(ctx context.Context, l *mqttListener, qos byte) error {
	select {
	case c.changing <- struct{}{}:
		defer func() { <-c.changing }()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	for _, f := range l.filters {
		c.mu.Lock()
		c.listeners[f] = append(c.listeners[f], l)
		c.mu.Unlock()
		// A filter that others have is subscribed to again, for its retained values.
		if err := c.subscribe(ctx, f, qos, func(m *mqtt.Message) { c.hand(f, m) }); err != nil {
			return err
		}
	}
	return nil
}

// hand gives a message to those who listen to the filter it came for.
func (c *mqttClient) hand(filter string, m *mqtt.Message) {
	c.mu.Lock()
	all := slices.Clone(c.listeners[filter])
	c.mu.Unlock()
	for _, l := range all {
		l.hear(filter, m)
	}
}

// silence removes a listener and takes back those of its filters that nobody else
// has.
func (c *mqttClient) silence(l *mqttListener) {
	l.mu.Lock()
	l.over = true
	l.mu.Unlock()
	c.changing <- struct{}{}
	defer func() { <-c.changing }()
	c.mu.Lock()
	var unused []string
	for _, f := range l.filters {
		i := slices.Index(c.listeners[f], l)
		if i < 0 { // it was not subscribed to
			continue
		}
		if c.listeners[f] = slices.Delete(c.listeners[f], i, i+1); len(c.listeners[f]) == 0 {
			delete(c.listeners, f)
			unused = append(unused, f)
		}
	}
	c.mu.Unlock()
	c.unsubscribe(unused...)
}

// subscribe subscribes to one filter.
func (c *mqttClient) subscribe(ctx context.Context, filter string, qos byte, handle func(m *mqtt.Message)) error {
	ctx, cancel := context.WithTimeoutCause(ctx, confirmTimeout,
		bus.Errorf(bus.TimedOut, filter, "the broker has not confirmed the subscription within %s", confirmTimeout))
	defer cancel()
	_, err := c.mqtt.Subscribe(ctx, mqtt.Subscription{Filter: filter, QoS: qos, Handler: handle})
	if refusal, ok := errors.AsType[*mqtt.RefusedError](err); ok && c.older() && refusal.Reason == packet.UnspecifiedError {
		// There is one code for all reasons; this is the most frequent.
		return bus.Errorf(bus.Refused, filter, "the broker refuses the subscription")
	}
	return c.explain(filter, err)
}

// unsubscribe takes filters back. If the broker does not confirm it there is nothing
// to be done: nobody listens any more.
func (c *mqttClient) unsubscribe(filters ...string) {
	ctx, cancel := context.WithTimeout(context.Background(), farewell)
	defer cancel()
	for _, f := range filters {
		_ = c.mqtt.Unsubscribe(ctx, f)
	}
}
