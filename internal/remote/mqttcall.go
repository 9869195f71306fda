package remote

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"sync"
	"time"

	"omnibus/bus"
	"omnibus/client/mqtt"
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
	answers := make(chan answer, 1)
	defer c.unsubscribe(topics...)
	v, err := c.ask(ctx, request, topics, answers, func(m *mqtt.Message) {
		if c.older() || string(m.CorrelationData) == id {
			offer(answers, answerIn(m))
		}
	})
	if err != nil && ctx.Err() != nil {
		return nil, gaveUp(ctx, name, start)
	}
	return v, err
}

// callRequest is the request of a call, and the topics that may get the answer.
func (c *mqttClient) callRequest(name, id string, args *payload.Value) (m mqtt.Message, topics []string, err error) {
	qos := min(1, c.server.MaxQoS)
	if c.older() {
		data, err := mapping.Unlabelled(args)
		return mqtt.Message{Topic: mapping.RequestTopic(id, name), Payload: data, QoS: qos}, []string{mapping.ResponseTopic(id), mapping.ErrorTopic(id)}, err
	}
	p := packet.MessageProperties{ResponseTopic: replyPrefix + id, CorrelationData: []byte(id)}
	data, err := mapping.Payload(&p, args)
	m = outgoing(name, data, &p)
	m.QoS = qos
	return m, []string{p.ResponseTopic}, err
}

// ask subscribes to the topics of an answer, sends the request and waits for the
// answer.
func (c *mqttClient) ask(ctx context.Context, request mqtt.Message, topics []string, answers <-chan answer, take func(m *mqtt.Message)) (*payload.Value, error) {
	for _, t := range topics {
		if err := c.subscribe(ctx, t, 1, take); err != nil {
			return nil, err
		}
	}
	token, err := c.mqtt.Post(ctx, request)
	if err != nil {
		return nil, c.explain(request.Topic, err)
	}
	taken := make(chan error, 1)
	var waiting sync.WaitGroup
	defer waiting.Wait()
	waited, cancel := context.WithCancel(ctx)
	defer cancel()
	waiting.Go(func() { taken <- token.Wait(waited) })
	for {
		select {
		case a := <-answers:
			return a.value, a.err
		case err := <-taken:
			if err != nil {
				return nil, c.explain(request.Topic, err)
			}
			if token.Reason() == packet.NoMatchingSubscribers {
				return nil, bus.Errorf(bus.Unknown, request.Topic, "no such service: nobody exposes it")
			}
			taken = nil // the answer is still to come
		case <-c.mqtt.Done():
			return nil, c.explain("", mqtt.ErrDisconnected)
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

// answerIn is what an answer says, by either convention.
func answerIn(m *mqtt.Message) answer {
	if _, failed, ok := mapping.ParseAnswer(m.Topic); ok && failed {
		return answer{err: mapping.ErrorOf(m.Payload)}
	}
	p := properties(m)
	if err := mapping.ErrorIn(&p, m.Payload); err != nil {
		return answer{err: err}
	}
	v := new(payload.Value)
	mapping.SetPayload(v, m.ContentType, m.Payload)
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
	filter := mapping.ServiceTopic(name)
	if c.older() {
		filter = mapping.RequestFilter(name)
	}
	parent := ctx
	ctx, cancel := context.WithCancel(ctx)
	x := newRequests(ctx, s)
	defer x.wait()
	defer cancel()
	return ignoreEnd(parent, c.listen(ctx, []string{filter}, 1, ready, func(m *mqtt.Message) {
		to, ok := replyTo(m)
		if !ok || ctx.Err() != nil {
			return
		}
		if x.full() {
			// Nothing may wait here: the broker need not acknowledge this answer.
			c.noticeAnswer(ctx, name, c.answer(ctx, to, 0, nil, bus.Errorf(bus.Full, name, "%d requests are being served already", maxRequests)))
			return
		}
		x.serve(requestIn(name, m), func(v *payload.Value, err error) {
			c.noticeAnswer(ctx, name, c.answer(ctx, to, min(1, c.server.MaxQoS), v, err))
		})
	}))
}

// replyTo is where the answer to a request goes; not ok for what is no request.
func replyTo(m *mqtt.Message) (to mqttReply, ok bool) {
	if m.Retain { // kept from another time
		return to, false
	}
	if id, _, ok := mapping.ParseRequest(m.Topic); ok {
		return mqttReply{topic: mapping.ResponseTopic(id), errorTopic: mapping.ErrorTopic(id)}, true
	}
	return mqttReply{m.ResponseTopic, m.ResponseTopic, m.CorrelationData}, m.ResponseTopic != ""
}

// requestIn is the request in a message.
func requestIn(name string, m *mqtt.Message) *bus.Request {
	r := &bus.Request{Service: name}
	mapping.SetPayload(&r.Args, m.ContentType, m.Payload)
	p := properties(m)
	p.ResponseTopic, p.CorrelationData = "", nil // for the answer alone
	r.Headers = bus.MakeHeaders(mapping.Headers(&p)...)
	return r
}

// answer publishes what a service returned. With QoS 0, or when ctx has ended, it
// waits for nothing.
func (c *mqttClient) answer(ctx context.Context, to mqttReply, qos byte, v *payload.Value, failure error) error {
	var p packet.MessageProperties
	var data []byte
	switch {
	case failure != nil:
	case c.older():
		data, failure = mapping.Unlabelled(v)
	default:
		data, failure = mapping.Payload(&p, v)
	}
	name := to.topic
	switch {
	case failure == nil:
	case c.older():
		name, data = to.errorTopic, mapping.ErrorData(failure)
	default:
		data = mapping.SetError(&p, failure)
	}
	p.CorrelationData = to.correlation
	m := outgoing(name, data, &p)
	m.QoS = qos
	if ctx.Err() != nil {
		m.QoS, ctx = 0, context.WithoutCancel(ctx)
	}
	limited, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	err := kinded(name, c.mqtt.Publish(limited, m))
	if errors.Is(err, mqtt.ErrTooLarge) && failure == nil {
		return errors.Join(err, c.answer(ctx, to, qos, nil, err)) // the caller learns of it, too
	}
	return err
}

// noticeAnswer tells of an answer that could not be sent.
func (c *mqttClient) noticeAnswer(ctx context.Context, name string, err error) {
	if err != nil && ctx.Err() == nil {
		c.options.Notice(fmt.Sprintf("answering a call of %s: %s", name, err))
	}
}
