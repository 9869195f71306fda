package remote

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"omnibus/bus"
	"omnibus/dialect/mqtt/mapping"
	"omnibus/dialect/mqtt/packet"
	"omnibus/payload"
)

// replyPrefix begins the topics that answers to calls of version 5 come on.
const replyPrefix = "omnibus/reply/"

// answer is the end of a call.
type answer struct {
	value *payload.Value
	err   error
}

// Call calls a service by the convention of the version that is spoken; see
// package mapping. The answer comes on topics of its own, which are subscribed to
// before.
func (c *mqttClient) Call(ctx context.Context, name string, args *payload.Value) (*payload.Value, error) {
	if err := checkTopic(name); err != nil {
		return nil, err
	}
	start := time.Now()
	id := rand.Text()
	request, topics, err := c.callRequest(name, id, args)
	if err != nil {
		return nil, err
	}
	filters := make([]mqttFilter, len(topics))
	for i, t := range topics {
		if filters[i], err = nameFilter(t); err != nil {
			return nil, err
		}
	}
	answers := make(chan answer, 1)
	remove, err := c.listen(ctx, filters, 1, func(p *packet.Publish) {
		if c.version >= packet.V5 && string(p.Properties.CorrelationData) != id {
			return
		}
		offer(answers, answerIn(p))
	})
	if err == nil {
		defer remove()
		var v *payload.Value
		if v, err = c.await(ctx, request, answers); err == nil {
			return v, nil
		}
	}
	if ctx.Err() != nil {
		return nil, gaveUp(ctx, name, start)
	}
	return nil, err
}

// callRequest is the request of a call, and the topics that may get the answer.
func (c *mqttClient) callRequest(name, id string, args *payload.Value) (p *packet.Publish, topics []string, err error) {
	p = &packet.Publish{Topic: name, QoS: min(1, c.server.maxQoS)}
	if c.version < packet.V5 {
		p.Topic = mapping.RequestTopic(id, name)
		p.Payload, err = mapping.Unlabelled(args)
		return p, []string{mapping.ResponseTopic(id), mapping.ErrorTopic(id)}, err
	}
	m := &p.Properties.MessageProperties
	m.ResponseTopic, m.CorrelationData = replyPrefix+id, []byte(id)
	p.Payload, err = mapping.Payload(m, args)
	return p, []string{m.ResponseTopic}, err
}

// await sends a request and waits for its answer.
func (c *mqttClient) await(ctx context.Context, request *packet.Publish, answers <-chan answer) (*payload.Value, error) {
	var taken <-chan outcome
	var err error
	if request.QoS == 0 {
		err = c.send(request.Append(nil, c.version), request.Topic)
	} else {
		taken, err = c.start(ctx, request)
	}
	if err != nil {
		return nil, err
	}
	for {
		select {
		case a := <-answers:
			return a.value, a.err
		case how := <-taken:
			if err := how.err(request.Topic); err != nil {
				return nil, err
			}
			if how.reason == packet.NoMatchingSubscribers {
				return nil, bus.Errorf(bus.Unknown, request.Topic, "no such service: nobody exposes it")
			}
			taken = nil // the answer is still to come
		case <-c.ended:
			return nil, c.reason()
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

// answerIn is what an answer says, by either convention.
func answerIn(p *packet.Publish) answer {
	if _, failed, ok := mapping.ParseAnswer(p.Topic); ok && failed {
		return answer{err: mapping.ErrorOf(p.Payload)}
	}
	m := &p.Properties.MessageProperties
	if err := mapping.ErrorIn(m, p.Payload); err != nil {
		return answer{err: err}
	}
	v := new(payload.Value)
	mapping.SetPayload(v, m.ContentType, p.Payload)
	return answer{value: v}
}

// mqttReply is where an answer goes.
type mqttReply struct {
	topic, errorTopic string
	correlation       []byte
}

// Expose provides a service by the convention of the version that is spoken; see
// package mapping.
func (c *mqttClient) Expose(ctx context.Context, name string, ready func(), s bus.Service) error {
	if err := checkTopic(name); err != nil {
		return err
	}
	text := mapping.ServiceTopic(name)
	if c.version < packet.V5 {
		text = mapping.RequestFilter(name)
	}
	filter, err := nameFilter(text)
	if err != nil {
		return err
	}
	parent := ctx
	ctx, cancel := context.WithCancel(ctx)
	x := newRequests(ctx, s)
	defer x.wait()
	defer cancel()
	remove, err := c.listen(ctx, []mqttFilter{filter}, 1, func(p *packet.Publish) {
		to, ok := c.replyTo(p)
		if !ok || ctx.Err() != nil {
			return
		}
		if x.full() {
			// Nothing may wait here: the broker need not acknowledge this answer.
			c.noticeAnswer(ctx, name, c.answer(ctx, to, 0, nil, bus.Errorf(bus.Full, name, "%d requests are being served already", maxRequests)))
			return
		}
		x.serve(requestIn(name, p), func(v *payload.Value, err error) {
			c.noticeAnswer(ctx, name, c.answer(ctx, to, min(1, c.server.maxQoS), v, err))
		})
	})
	if err != nil {
		return ignoreEnd(parent, err)
	}
	defer remove()
	if ready != nil {
		ready()
	}
	return ignoreEnd(parent, c.untilEnd(ctx))
}

// replyTo is where the answer to a request goes; not ok for what is no request.
func (c *mqttClient) replyTo(p *packet.Publish) (to mqttReply, ok bool) {
	if p.Retain { // kept from another time
		return to, false
	}
	if id, _, ok := mapping.ParseRequest(p.Topic); ok {
		return mqttReply{topic: mapping.ResponseTopic(id), errorTopic: mapping.ErrorTopic(id)}, true
	}
	m := &p.Properties.MessageProperties
	return mqttReply{m.ResponseTopic, m.ResponseTopic, m.CorrelationData}, m.ResponseTopic != ""
}

// requestIn is the request in a message.
func requestIn(name string, p *packet.Publish) *bus.Request {
	m := p.Properties.MessageProperties
	r := &bus.Request{Service: name}
	mapping.SetPayload(&r.Args, m.ContentType, p.Payload)
	m.ResponseTopic, m.CorrelationData = "", nil // for the answer alone
	m.Present &^= packet.Properties(packet.ResponseTopic, packet.CorrelationData)
	r.Headers = bus.MakeHeaders(mapping.Headers(&m)...)
	return r
}

// answer publishes what a service returned. With QoS 0, or when ctx has ended, it
// waits for nothing.
func (c *mqttClient) answer(ctx context.Context, to mqttReply, qos byte, v *payload.Value, failure error) error {
	p := &packet.Publish{Topic: to.topic, QoS: qos}
	m := &p.Properties.MessageProperties
	switch {
	case failure != nil:
	case c.version < packet.V5:
		p.Payload, failure = mapping.Unlabelled(v)
	default:
		p.Payload, failure = mapping.Payload(m, v)
	}
	switch {
	case failure == nil:
	case c.version < packet.V5:
		p.Topic, p.Payload = to.errorTopic, mapping.ErrorData(failure)
	default:
		p.Payload = mapping.SetError(m, failure)
	}
	m.CorrelationData = to.correlation
	if qos == 0 || ctx.Err() != nil {
		p.QoS = 0
		return c.send(p.Append(nil, c.version), p.Topic)
	}
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	how, err := c.publish(ctx, p)
	if err == nil {
		err = how.err(p.Topic)
	}
	if e, ok := errors.AsType[*bus.Error](err); ok && e.Kind == bus.TooLarge && failure == nil {
		return errors.Join(err, c.answer(ctx, to, qos, nil, e)) // the caller learns of it, too
	}
	return err
}

// noticeAnswer tells of an answer that could not be sent.
func (c *mqttClient) noticeAnswer(ctx context.Context, name string, err error) {
	if err != nil && ctx.Err() == nil {
		c.options.Notice(fmt.Sprintf("answering a call of %s: %s", name, err))
	}
}
