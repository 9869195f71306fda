package web

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"net/http"
	"strings"
	"sync"
	"unicode/utf8"

	"omnibus/bus"
	"omnibus/payload"
)

// Request is the event by which a provider learns of a call.
type Request struct {
	// ID names the call; its answer is posted to /services/NAME/ID.
	ID      string `json:"id"`
	Service string `json:"service"`
	// Args are the arguments.
	Args    []json.RawMessage `json:"args"`
	Headers map[string]string `json:"headers,omitempty"`
}

// service is GET /services/NAME, to provide one, and POST /services/NAME/ID,
// to answer a call of it.
func (s *server) service(w http.ResponseWriter, r *http.Request, rest string) error {
	switch r.Method {
	case http.MethodGet:
		return s.provide(w, r, rest)
	case http.MethodPost:
		i := strings.LastIndexByte(rest, '/')
		if i < 0 {
			return bus.Errorf(bus.Invalid, rest, "answers go to /services/NAME/ID; calls to /rpc/NAME")
		}
		return s.reply(w, r, rest[:i], rest[i+1:])
	default:
		w.Header().Set("Allow", "GET, POST")
		s.failStatus(w, http.StatusMethodNotAllowed, bus.Invalid, "use GET to provide the service, POST to answer a call")
		return nil
	}
}

// provide exposes the service while the stream is open.
func (s *server) provide(w http.ResponseWriter, r *http.Request, name string) error {
	if _, err := s.body(w, r); err != nil {
		return err
	}
	st := s.newStream(w)
	p, err := s.join(r, st)
	if err != nil {
		return err
	}
	defer p.Leave()
	ready := make(chan struct{}) // the stream has begun
	_, err = p.Expose(name, func(ctx context.Context, req *bus.Request) (*payload.Value, error) {
		<-ready
		return s.ask(ctx, st, req)
	})
	if err != nil {
		return err
	}
	st.begin()
	st.ready()
	close(ready)
	st.run(r.Context(), s.closing)
	return nil
}

// ask sends a call to its provider and waits for the answer.
func (s *server) ask(ctx context.Context, st *stream, r *bus.Request) (*payload.Value, error) {
	args, err := r.Args.Args()
	if err != nil {
		return nil, err
	}
	if args == nil {
		args = []json.RawMessage{}
	}
	e := Request{ID: rand.Text(), Service: r.Service, Args: args}
	for k, v := range r.Headers.All() {
		if e.Headers == nil {
			e.Headers = make(map[string]string)
		}
		e.Headers[k] = v
	}
	frame, err := payload.Marshal(e)
	if err == nil && !utf8.Valid(frame) {
		err = errNotUTF8
	}
	if err != nil {
		return nil, bus.Errorf(bus.Invalid, r.Service, "the arguments cannot be written as JSON: %w", err)
	}
	answer := s.calls.add(r.Service, e.ID)
	defer s.calls.take(r.Service, e.ID)
	if !st.send(frame) {
		return nil, bus.Errorf(bus.Unavailable, r.Service, "who exposes it does not read its requests")
	}
	select {
	case a := <-answer:
		return a.value, a.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// reply hands a provider's answer to the call that waits for it.
func (s *server) reply(w http.ResponseWriter, r *http.Request, name, id string) error {
	q, err := query(r, "error", "kind", "form")
	if err != nil {
		return err
	}
	body, err := s.body(w, r)
	if err != nil {
		return err
	}
	var a answer
	if q.Has("error") {
		text := q.Get("error")
		if text == "" {
			text = strings.TrimSpace(string(body))
		}
		kind := bus.Failed
		if name := q.Get("kind"); name != "" {
			var ok bool
			if kind, ok = bus.ParseKind(name); !ok {
				return bus.Errorf(bus.Invalid, "", "%q is no kind of error", name)
			}
		}
		a.err = &bus.Error{Kind: kind, Text: text}
	} else {
		form, err := formOf(q, r.Header.Get("Content-Type"), body)
		if err != nil {
			return err
		}
		a.value = payload.New(form, body)
	}
	waiting := s.calls.take(name, id)
	if waiting == nil {
		return bus.Errorf(bus.Unknown, name, "no call %q waits for an answer; it may have timed out", id)
	}
	waiting <- a
	s.answer(w, http.StatusNoContent, "", nil)
	return nil
}

type answer struct {
	value *payload.Value
	err   error
}

// calls are those that wait for a provider's answer, by service and id. The
// ids cannot be guessed: only the provider has them. The zero value has none.
type calls struct {
	mu      sync.Mutex
	waiting map[[2]string]chan answer
}

func (c *calls) add(service, id string) <-chan answer {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.waiting == nil {
		c.waiting = make(map[[2]string]chan answer)
	}
	ch := make(chan answer, 1)
	c.waiting[[2]string{service, id}] = ch
	return ch
}

// take strikes a call off the list and returns its channel, nil when it is not
// there.
func (c *calls) take(service, id string) chan<- answer {
	c.mu.Lock()
	defer c.mu.Unlock()
	key := [2]string{service, id}
	ch := c.waiting[key]
	delete(c.waiting, key)
	return ch
}
