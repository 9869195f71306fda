package mycroft

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"slices"
	"strings"
	"sync"

	"omnibus/bus"
	"omnibus/dialect"
	"omnibus/dialect/mycroft/mapping"
	"omnibus/dialect/mycroft/packet"
	"omnibus/payload"
)

const (
	responseSuffix = ".response"
	// callKey is the member of the context that carries the id of a call of
	// a skill. Answers made by the client libraries copy the context.
	callKey = "omnibus_call"
)

// serve answers a message whose type is a service outside the hub, as the
// skill of that name would: with a response that all clients get.
func (s *session) serve(m packet.Message) {
	args := new(payload.Value)
	mapping.SetPayload(args, m.Data)
	if string(m.Data) == "{}" {
		args.Set(payload.Empty, nil)
	}
	args = args.Keep()
	name, headers := m.Type, bus.MakeHeaders(mapping.Headers(m.Context)...)
	response := name + responseSuffix
	reversed := packet.Response([]byte(string(m.Context)))
	to := s.hub.answerTo(response, reversed, s)
	if to != nil {
		to.enough = true // it is the one that asked
	}
	s.calls.Go(func() {
		ctx, cancel := context.WithTimeout(s.ctx, s.hub.config.CallTimeout)
		defer cancel()
		result, err := s.peer.Call(ctx, name, args, dialect.CallOptions{Headers: headers})
		if s.ctx.Err() != nil {
			return // nobody is there to hear it
		}
		respond := func(data []byte) error {
			return s.hub.broadcast(response, packet.Append(nil, response, data, reversed), to, nil)
		}
		if err := respond(answer(result, err)); err != nil {
			_ = respond(mapping.ErrorData(err)) // as large as the request, which was not too large
		}
	})
}

// answer is the data of a response: the result, or what went wrong.
func answer(result *payload.Value, err error) []byte {
	if err == nil {
		var d []byte
		if d, err = mapping.Data(result); err == nil {
			return d
		}
	}
	return mapping.ErrorData(err)
}

// pending are the calls of skills that have not been answered. The zero value
// has none.
type pending struct {
	mu    sync.Mutex
	calls map[string][]*skillCall // by service
}

type skillCall struct {
	id     string
	answer chan skillAnswer // buffered
}

type skillAnswer struct {
	value *payload.Value
	err   error
}

// call calls a skill: the request is a message of the service's name that all
// clients get, the answer is the first response that carries the call's id, or
// one without any id while no other call of that name is outstanding.
func (h *hub) call(ctx context.Context, r *bus.Request) (*payload.Value, error) {
	h.mu.Lock()
	n := h.audience.count
	h.mu.Unlock()
	if n == 0 {
		return nil, bus.Errorf(bus.Unavailable, r.Service, "no Mycroft client is connected")
	}
	d, err := mapping.Data(&r.Args)
	if err != nil {
		return nil, err
	}
	c := &skillCall{id: rand.Text(), answer: make(chan skillAnswer, 1)}
	h.calls.add(r.Service, c)
	defer h.calls.remove(r.Service, c)
	extra := bus.MakeHeaders(slices.Concat(r.Headers.List(), []bus.Header{{Key: callKey, Value: c.id}})...)
	if err := h.broadcast(r.Service, packet.Append(nil, r.Service, d, mapping.Context(extra)), nil, nil); err != nil {
		return nil, err
	}
	select {
	case a := <-c.answer:
		return a.value, a.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (p *pending) add(service string, c *skillCall) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.calls == nil {
		p.calls = make(map[string][]*skillCall)
	}
	p.calls[service] = append(p.calls[service], c)
}

func (p *pending) remove(service string, c *skillCall) {
	p.mu.Lock()
	defer p.mu.Unlock()
	rest := p.calls[service][:0:0]
	for _, x := range p.calls[service] {
		if x != c {
			rest = append(rest, x)
		}
	}
	if len(rest) == 0 {
		delete(p.calls, service)
		return
	}
	p.calls[service] = rest
}

// answered looks at a frame from a client for the answer to a call.
func (p *pending) answered(m packet.Message) {
	service, ok := strings.CutSuffix(m.Type, responseSuffix)
	if !ok {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	waiting := p.calls[service]
	if len(waiting) == 0 {
		return
	}
	id := ""
	for key, value := range packet.Members(m.Context) {
		if key == callKey {
			id = packet.Text(value)
		}
	}
	for _, c := range waiting {
		if c.id == id || id == "" && len(waiting) == 1 {
			select {
			case c.answer <- result(m.Data):
			default: // it has its answer
			}
		}
	}
}

// result reads the data of a response. An answer that says it is an error, in
// the form in which the hub itself says so, is one.
func result(data json.RawMessage) skillAnswer {
	if err := mapping.ErrorOf(data); err != nil {
		return skillAnswer{err: err}
	}
	v := new(payload.Value)
	mapping.SetPayload(v, data)
	return skillAnswer{value: v.Keep()}
}
