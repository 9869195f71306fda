package mqtt

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"slices"
	"strings"
	"time"

	"omnibus/bus"
	"omnibus/dialect"
	"omnibus/dialect/mqtt/mapping"
	"omnibus/dialect/mqtt/packet"
	"omnibus/payload"
)

// provides are the services of a client: the requests that it has not answered.
type provides struct {
	pending map[string]chan answer // by id; buffered
}

type answer struct {
	value *payload.Value
	err   error
}

// abandon ends all requests: the client is away.
func (p *provides) abandon() {
	if p == nil {
		return
	}
	for id, answered := range p.pending {
		answered <- answer{err: bus.Errorf(bus.Unavailable, "", "the client that provides it is away")}
		delete(p.pending, id)
	}
}

// provide exposes the service that a filter stands for.
func (s *session) provide(name string, f *filter) error {
	named := strings.HasPrefix(f.text, mapping.ServicePrefix)
	if c := s.conn.Load(); named && c != nil && c.version < packet.V5 {
		return bus.Errorf(bus.Invalid, f.text, "requests there are answered by their response topic, which version %s does not have; subscribe to %s",
			c.version, mapping.RequestFilter(name))
	}
	exposure, err := s.peer.Expose(name, func(ctx context.Context, r *bus.Request) (*payload.Value, error) {
		return s.ask(ctx, r, f, named)
	})
	if err != nil {
		return err
	}
	f.extra = exposure
	return nil
}

// ask sends a request to the client and waits for its answer.
func (s *session) ask(ctx context.Context, r *bus.Request, f *filter, named bool) (*payload.Value, error) {
	id := rand.Text()
	m := &bus.Message{Topic: mapping.ServiceTopic(r.Service)}
	if named {
		headers := []bus.Header{
			{Key: mapping.HeaderResponseTopic, Value: mapping.ResponseTopic(id)},
			{Key: mapping.HeaderCorrelationData, Value: base64.StdEncoding.EncodeToString([]byte(id))},
		}
		for _, h := range r.Headers.List() {
			if h.Key != mapping.HeaderResponseTopic && h.Key != mapping.HeaderCorrelationData { // the caller's own
				headers = append(headers, h)
			}
		}
		m.Headers = bus.MakeHeaders(headers...)
		r.Args.KeepIn(&m.Payload)
	} else {
		m.Topic = mapping.RequestTopic(id, r.Service)
		data, err := mapping.Unlabelled(&r.Args)
		if err != nil {
			return nil, err
		}
		mapping.SetPayload(&m.Payload, "", bytes.Clone(data))
	}
	answered := make(chan answer, 1)
	s.mu.Lock()
	if s.conn.Load() == nil {
		s.mu.Unlock()
		return nil, bus.Errorf(bus.Unavailable, "", "the client that provides it is away")
	}
	if s.provides == nil {
		s.provides = &provides{pending: make(map[string]chan answer)}
	}
	s.provides.pending[id] = answered
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.provides.pending, id)
	}()
	o := f.options.Load()
	s.send(m, &delivery{qos: o.qos, ids: o.ids})
	select {
	case a := <-answered:
		return a.value, a.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// answered is a message of the client to the response topic of a request. False
// when nobody waits for it.
func (s *session) answered(id string, a answer) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.provides == nil {
		return false
	}
	c, ok := s.provides.pending[id]
	if ok {
		c <- a
		delete(s.provides.pending, id)
	}
	return ok
}

// reserved tells topics that are not the clients' own.
func reserved(topic string) bool {
	return isStatus(topic) || strings.HasPrefix(topic, mapping.ServicePrefix) || strings.HasPrefix(topic, mapping.RequestPrefix) ||
		strings.HasPrefix(topic, mapping.ResponsePrefix) || strings.HasPrefix(topic, mapping.ErrorPrefix)
}

// control does what messages to reserved topics ask for; not handled are all others.
func (c *conn) control(in *packet.Publish) (handled bool, reason packet.ReasonCode, err error) {
	if !reserved(in.Topic) {
		return false, 0, nil
	}
	if id, name, ok := mapping.ParseRequest(in.Topic); ok {
		c.request(strings.Clone(id), strings.Clone(name), in)
		return true, packet.Success, nil
	}
	if id, failed, ok := mapping.ParseAnswer(in.Topic); ok {
		data := bytes.Clone(in.Payload)
		a := answer{value: new(payload.Value), err: mapping.ErrorIn(&in.Properties.MessageProperties, data)}
		if failed {
			a.err = mapping.ErrorOf(data)
		}
		mapping.SetPayload(a.value, in.Properties.ContentType, data)
		if !c.session.answered(id, a) {
			return true, packet.NoMatchingSubscribers, nil
		}
		return true, packet.Success, nil
	}
	return true, packet.NotAuthorized, bus.Errorf(bus.Refused, in.Topic, "topics of that kind are the server's own")
}

// call calls the service that a message with a response topic is for, if somebody
// outside this connection provides it: ordinary requests and responses stay as they
// are. The answer is published to the response topic with the caller's rights.
func (c *conn) call(in *packet.Publish, m *bus.Message) bool {
	s := c.session
	props := &in.Properties.MessageProperties
	if reserved(props.ResponseTopic) || !s.peer.Callable(in.Topic) { // nobody publishes to the server's own topics by way of a service
		return false
	}
	name, headers := strings.Clone(in.Topic), bus.MakeHeaders(m.Clone().Headers.List()...)
	answerTo := strings.Clone(props.ResponseTopic)
	var marks []bus.Header
	if props.Present.Has(packet.CorrelationData) {
		marks = append(marks, bus.Header{Key: mapping.HeaderCorrelationData, Value: base64.StdEncoding.EncodeToString(props.CorrelationData)})
	}
	args, qos := m.Payload.Keep(), in.QoS
	timeout := c.server.config.CallTimeout
	if props.MessageExpiryInterval > 0 {
		timeout = min(timeout, lifetime(props.MessageExpiryInterval))
	}
	c.serve(timeout, name, args, dialect.CallOptions{Headers: headers}, func(result *payload.Value, err error) {
		answer := &bus.Message{Topic: answerTo, QoS: qos}
		if err != nil {
			marks = append(marks, bus.Header{Key: mapping.ErrorProperty, Value: bus.KindOf(err).String()})
			answer.Payload.Set(payload.Text, []byte(strings.ToValidUTF8(err.Error(), "\uFFFD")))
		} else {
			result.KeepIn(&answer.Payload)
		}
		answer.Headers = bus.MakeHeaders(marks...)
		if _, err := s.peer.Publish(answer); err != nil {
			c.server.count.rejected.Add(1)
			c.server.log.Info("an answer could not be published", "client", s.id, "topic", answerTo, "err", err)
		}
	})
	return true
}

// request calls a service by the convention that needs no version 5. The answer
// goes to this client alone.
func (c *conn) request(id, name string, in *packet.Publish) {
	s := c.session
	args := new(payload.Value)
	mapping.SetPayload(args, in.Properties.ContentType, bytes.Clone(in.Payload))
	c.serve(c.server.config.CallTimeout, name, args, dialect.CallOptions{}, func(result *payload.Value, err error) {
		var data []byte
		if err == nil {
			data, err = mapping.Unlabelled(result)
		}
		topic := mapping.ResponseTopic(id)
		if err != nil {
			topic, data = mapping.ErrorTopic(id), mapping.ErrorData(err)
		}
		s.tell(topic, bytes.Clone(data))
	})
}

// maxCalls bounds the goroutines that the calls of one connection take, also those
// that broker.limits.calls refuses and that have yet to tell.
const maxCalls = 10_000

// serve calls a service on a goroutine that ends with the connection, and answers
// there. With too many the refusal is told on the reading goroutine: a client that
// calls faster is read no faster.
func (c *conn) serve(timeout time.Duration, name string, args *payload.Value, o dialect.CallOptions, answer func(*payload.Value, error)) {
	if c.calls == nil {
		c.calls = newCalls()
	}
	if c.calls.underWay.Load() >= maxCalls {
		answer(nil, bus.Errorf(bus.Full, name, "%d calls of one connection are under way, which is the most", maxCalls))
		return
	}
	c.calls.underWay.Add(1)
	c.calls.wait.Go(func() {
		defer c.calls.underWay.Add(-1)
		ctx, cancel := context.WithTimeout(c.calls.ctx, timeout)
		defer cancel()
		answer(c.session.peer.Call(ctx, name, args, o))
	})
}

// tell sends a message to this client alone, if it has subscribed to its topic.
func (s *session) tell(topic string, data []byte) {
	m := &bus.Message{Topic: topic}
	mapping.SetPayload(&m.Payload, "", data)
	d, wanted := delivery{}, false
	s.mu.Lock()
	s.filters.all(func(f *filter) {
		if f.text[0] != '$' || f.sub == nil || f.shared || !f.sub.Pattern().Match(topic) {
			return
		}
		o := f.options.Load()
		wanted = true
		d.qos = max(d.qos, o.qos)
		d.ids = append(slices.Clip(d.ids), o.ids...)
	})
	s.mu.Unlock()
	if wanted {
		s.send(m, &d)
	}
}
