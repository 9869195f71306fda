package web

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"omnibus/bus"
	"omnibus/carrier"
	"omnibus/dialect"
	"omnibus/payload"
	"omnibus/topic"
)

// Event is one event of a stream.
type Event struct {
	Topic string `json:"topic"`
	// Form is how Payload is to be read: "json", "args" (an array of
	// arguments), "text", "bytes" (base64) or "empty".
	Form    string          `json:"form"`
	Payload json.RawMessage `json:"payload"`
	// Headers is metadata; of a key that repeats the last counts.
	Headers map[string]string `json:"headers,omitempty"`
	// Stored: the value was kept for new subscribers and is not news.
	Stored bool `json:"stored,omitempty"`
}

// events is GET /events?topics=….
func (s *server) events(w http.ResponseWriter, r *http.Request, _ string) error {
	q, err := query(r, "topics", "topic")
	if err != nil {
		return err
	}
	patterns, err := s.patterns(q)
	if err != nil {
		return err
	}
	if _, err := s.body(w, r); err != nil {
		return err
	}
	st := s.newStream(w)
	p, err := s.join(r, st)
	if err != nil {
		return err
	}
	defer p.Leave()
	st.wanted = dialect.SelectionOf(patterns...)
	st.begin()
	if err := st.wanted.Subscribe(p, dialect.Terms{}); err != nil {
		st.last("omnibus.error", err.Error())
		return nil
	}
	st.ready()
	st.run(r.Context(), s.closing)
	return nil
}

// patterns reads the parameters: each topic is one pattern, each topics a list
// separated by commas, but for a regular expression, which may contain them. One
// that repeats counts once.
func (s *server) patterns(q url.Values) ([]topic.Pattern, error) {
	texts := q["topic"]
	for _, list := range q["topics"] {
		if strings.HasPrefix(list, "regex:") {
			texts = append(texts, list)
		} else {
			texts = append(texts, strings.Split(list, ",")...)
		}
	}
	type key struct {
		kind topic.Kind
		text string
	}
	seen := make(map[key]bool)
	var all []topic.Pattern
	for _, text := range texts {
		p, err := topic.Parse(text)
		if err != nil {
			return nil, &bus.Error{Kind: bus.Invalid, Text: err.Error(), Err: err}
		}
		k := key{p.Kind(), p.Text()}
		if seen[k] {
			continue
		}
		if len(all) == s.config.MaxPatterns {
			return nil, bus.Errorf(bus.Full, "", "one stream may ask for %d patterns (web.max_patterns); open another for the rest", s.config.MaxPatterns)
		}
		seen[k] = true
		all = append(all, p)
	}
	if len(all) == 0 {
		return nil, bus.Errorf(bus.Invalid, "", "say which: /events?topics=PATTERN,PATTERN (for everything: /events?topics=%%23)")
	}
	return all, nil
}

// stream is one answer of server-sent events.
type stream struct {
	server   *server
	w        http.ResponseWriter
	out      *carrier.Outbox
	wanted   *dialect.Selection
	failed   chan struct{} // closed when nothing can be written any more
	expelled chan error    // buffered

	mu   sync.Mutex // guards lost, and keeps a loss and its notice together
	lost int
}

func (s *server) newStream(w http.ResponseWriter) *stream {
	return &stream{server: s, w: w, failed: make(chan struct{}), expelled: make(chan error, 1)}
}

// begin sends the header.
func (st *stream) begin() {
	h := st.w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-cache")
	h.Set("X-Accel-Buffering", "no") // proxies must not collect events
	st.w.WriteHeader(http.StatusOK)
	st.out = carrier.NewOutbox(&flushWriter{c: http.NewResponseController(st.w), w: st.w}, carrier.OutboxOptions{
		MaxBytes: int(st.server.config.MaxQueue),
		OnError:  func(error) { close(st.failed) },
	})
}

// ready tells the listener that what it asked for is in place.
func (st *stream) ready() { _ = st.out.Append([]byte(": omnibus\n\n")) }

// flushWriter sends every write on its way at once.
type flushWriter struct {
	c *http.ResponseController
	w http.ResponseWriter
}

func (f *flushWriter) Write(p []byte) (int, error) {
	n, err := f.w.Write(p)
	if err == nil {
		err = f.c.Flush()
	}
	return n, err
}

// SetWriteDeadline lets the outbox bound a write to a listener that does not
// read.
func (f *flushWriter) SetWriteDeadline(t time.Time) error { return f.c.SetWriteDeadline(t) }

// run keeps the stream open until the listener leaves or the server ends.
func (st *stream) run(ctx, closing context.Context) {
	beat := time.NewTicker(st.server.config.Heartbeat)
	defer beat.Stop()
	defer func() { _ = st.out.Close() }()
	for {
		select {
		case <-beat.C:
			if bytes, _ := st.out.Pending(); bytes == 0 {
				_ = st.out.Append([]byte(":\n\n"))
			}
		case <-st.failed:
			return
		case <-ctx.Done():
			return
		case why := <-st.expelled:
			st.last("omnibus.bye", why.Error())
			return
		case <-closing.Done():
			st.last("omnibus.bye", "the server is shutting down")
			return
		}
	}
}

// last sends a final event, with a text, and waits a little for it to be out.
func (st *stream) last(event, text string) {
	quoted, err := payload.Marshal(text)
	if err != nil {
		return
	}
	_ = st.out.Append([]byte("event: " + event + "\ndata: " + string(quoted) + "\n\n"))
	ctx, cancel := context.WithTimeout(context.Background(), st.server.config.Grace)
	defer cancel()
	_ = st.out.Flush(ctx)
	_ = st.out.Close()
}

// Deliver appends a message to the stream. A message that matches several
// patterns of one stream is one event.
func (st *stream) Deliver(m *bus.Message, s *bus.Subscription) {
	if !st.wanted.First(s, m.Topic) {
		return
	}
	e, err := NewEvent(m)
	if err != nil {
		st.server.count.notExpressible.Add(1)
		return
	}
	data, err := payload.Marshal(e)
	if err != nil {
		st.server.count.notExpressible.Add(1)
		return
	}
	st.send(data)
}

// send appends one event, or counts it as lost.
func (st *stream) send(data []byte) bool {
	st.mu.Lock()
	defer st.mu.Unlock()
	var frame []byte
	if st.lost > 0 {
		notice, _ := payload.Marshal(map[string]int{"lost": st.lost})
		frame = append(append(append(frame, "event: omnibus.lost\ndata: "...), notice...), "\n\n"...)
	}
	frame = append(append(append(frame, "data: "...), data...), "\n\n"...)
	if err := st.out.Append(frame); err != nil {
		st.lost++
		st.server.count.lost.Add(1)
		return false
	}
	st.lost = 0
	st.server.count.events.Add(1)
	return true
}

// Room waits until the values kept for a new listener find half the queue
// empty.
func (st *stream) Room(ctx context.Context) error {
	for {
		if bytes, _ := st.out.Pending(); bytes < int(st.server.config.MaxQueue)/2 {
			return ctx.Err()
		}
		if err := st.out.Flush(ctx); err != nil {
			return err
		}
	}
}

// Expelled ends the stream.
func (st *stream) Expelled(why error) {
	select {
	case st.expelled <- why:
	default:
	}
}

// NewEvent is a message as an event. It is an error when the payload cannot be
// had as JSON, or is none because it is not UTF-8.
func NewEvent(m *bus.Message) (*Event, error) {
	e := &Event{Topic: m.Topic, Stored: m.Stored}
	kind := m.Payload.Kind()
	as := payload.JSON
	switch kind {
	case payload.Args, payload.CBOR:
		kind, as = payload.Args, payload.Args
	case payload.Arrow:
		kind = payload.JSON
	}
	e.Form = kind.String()
	var err error
	if e.Payload, err = m.Payload.As(as); err != nil {
		return nil, err
	}
	if !utf8.Valid(e.Payload) {
		return nil, fmt.Errorf("writing %s as an event: %w", e.Form, errNotUTF8)
	}
	for k, v := range m.Headers.All() {
		if e.Headers == nil {
			e.Headers = make(map[string]string)
		}
		e.Headers[k] = v
	}
	return e, nil
}
