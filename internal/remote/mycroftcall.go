package remote

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"time"

	"omnibus/bus"
	"omnibus/dialect/mycroft/mapping"
	"omnibus/dialect/mycroft/packet"
	"omnibus/payload"
	"omnibus/topic"
)

const (
	responseSuffix = ".response"
	// callKey is the member of the context that carries the id of a call.
	// Who answers copies the context.
	callKey = "omnibus_cli"
)

// exchange sends a message and waits for the response that carries its id.
func (c *mycroftClient) exchange(ctx context.Context, name string, d []byte) (*payload.Value, error) {
	start := time.Now()
	id := rand.Text()
	answers := make(chan *payload.Value, 1)
	failures := make(chan error, 1)
	frame := packet.Append(nil, name, d, mapping.Member(callKey, packet.AppendString(nil, id)))
	defer c.listen(func(_ []byte, m packet.Message) {
		if !carries(m.Context, id) {
			return
		}
		err := rejection(name, m)
		if err == nil && m.Type != name+responseSuffix {
			return
		}
		v := new(payload.Value)
		if err == nil {
			if err = mapping.ErrorOf(m.Data); err == nil {
				mapping.SetPayload(v, own(m).Data)
			}
		}
		if err != nil {
			offer(failures, err)
			return
		}
		offer(answers, v)
	})()
	if err := c.send(frame); err != nil {
		return nil, err
	}
	select {
	case v := <-answers:
		return v, nil
	case err := <-failures:
		return nil, err
	case <-c.ended:
		return nil, c.why
	case <-ctx.Done():
		return nil, gaveUp(ctx, name, start)
	}
}

// offer sends to a buffered channel unless it is full.
func offer[T any](ch chan<- T, x T) {
	select {
	case ch <- x:
	default:
	}
}

// carries reports whether a context carries the id of a call.
func carries(messageContext json.RawMessage, id string) bool {
	for key, value := range packet.Members(messageContext) {
		if key == callKey && packet.Text(value) == id {
			return true
		}
	}
	return false
}

// Call sends a message of the service's name and waits for its response. On
// this bus nobody tells that a service does not exist.
func (c *mycroftClient) Call(ctx context.Context, name string, args *payload.Value) (*payload.Value, error) {
	if err := topic.CheckName(name); err != nil {
		return nil, err
	}
	d, err := mapping.Data(args)
	if err != nil {
		return nil, err
	}
	return c.exchange(ctx, name, d)
}

// The messages that tell the hub which services a client has. Hubs of the
// original kind relay them like any other.
const (
	controlExpose   = "omnibus.expose"
	controlUnexpose = "omnibus.unexpose"
)

// Expose answers messages of the service's name, and tells the hub so that the
// rest of the bus can call it.
func (c *mycroftClient) Expose(ctx context.Context, name string, ready func(), s bus.Service) error {
	if err := topic.CheckName(name); err != nil {
		return err
	}
	parent := ctx
	ctx, cancel := context.WithCancel(ctx)
	x := newRequests(ctx, s)
	defer x.wait()
	defer cancel()
	defer c.listen(func(_ []byte, m packet.Message) {
		if m.Type != name || ctx.Err() != nil {
			return
		}
		m = own(m)
		r := &bus.Request{Service: name, Headers: bus.MakeHeaders(mapping.Headers(m.Context)...)}
		if string(m.Data) != "{}" {
			mapping.SetPayload(&r.Args, m.Data)
		}
		x.serve(r, func(v *payload.Value, err error) {
			if err := c.respond(m, v, err); err != nil && ctx.Err() == nil {
				c.options.Notice(fmt.Sprintf("answering a call of %s: %s", name, err))
			}
		})
	})()
	service := mapping.Member("service", packet.AppendString(nil, name))
	if err := c.declare(ctx, service); err != nil {
		return ignoreEnd(parent, err)
	}
	defer func() { _ = c.send(packet.Append(nil, controlUnexpose, service, nil)) }() // a hub that is gone knows
	if ready != nil {
		ready()
	}
	return ignoreEnd(parent, c.wait(ctx, nil))
}

// declare tells the hub of a service and waits for it to be in place: for the
// answer of the hub, or for the message itself when it is relayed.
func (c *mycroftClient) declare(ctx context.Context, service []byte) error {
	ctx, cancel := context.WithTimeoutCause(ctx, confirmTimeout,
		bus.Errorf(bus.TimedOut, "", "the hub has not confirmed the service within %s", confirmTimeout))
	defer cancel()
	id := rand.Text()
	told := make(chan error, 1)
	defer c.listen(func(_ []byte, m packet.Message) {
		if !carries(m.Context, id) {
			return
		}
		switch m.Type {
		case controlExpose:
			offer(told, nil)
		case controlExpose + responseSuffix:
			offer(told, mapping.ErrorOf(m.Data))
		}
	})()
	if err := c.send(packet.Append(nil, controlExpose, service, mapping.Member(callKey, packet.AppendString(nil, id)))); err != nil {
		return err
	}
	select {
	case err := <-told:
		return err
	case <-c.ended:
		return c.why
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// respond sends the response to a request.
func (c *mycroftClient) respond(request packet.Message, v *payload.Value, err error) error {
	var d []byte
	if err == nil {
		d, err = mapping.Data(v)
	}
	if err != nil {
		d = mapping.ErrorData(err)
	}
	return c.send(packet.Append(nil, request.Type+responseSuffix, d, packet.Response(request.Context)))
}
