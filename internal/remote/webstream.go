package remote

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"

	"omnibus/bus"
	"omnibus/dialect/web"
	"omnibus/payload"
	"omnibus/topic"
)

// Subscribe is GET /events.
func (c *webClient) Subscribe(ctx context.Context, patterns []topic.Pattern, ready func(), fn func(*bus.Message)) error {
	inPlace := sync.OnceFunc(func() {
		if ready != nil {
			ready()
		}
	})
	q := request{method: http.MethodGet, path: "/events", query: eventsQuery(patterns)}
	return c.stream(ctx, q, func() {}, inPlace, func(data []byte) error {
		m, err := message(data)
		if err == nil {
			fn(m)
		}
		return err
	})
}

// eventsQuery is the query for patterns.
func eventsQuery(patterns []topic.Pattern) string {
	parts := make([]string, len(patterns))
	for i, p := range patterns {
		parts[i] = "topic=" + escape(p.String())
	}
	return strings.Join(parts, "&")
}

// escape is a value of a query, in which the broker reads "+" as a plus sign.
func escape(s string) string { return strings.ReplaceAll(url.QueryEscape(s), "+", "%20") }

// stream reads server-sent events until ctx or the client ends: nil, or until
// the stream does: an error. begun is called when the broker has accepted the
// request, comment for each comment.
func (c *webClient) stream(ctx context.Context, q request, begun, comment func(), each func(data []byte) error) error {
	ctx, release := c.within(ctx)
	defer release()
	err := c.streamUntil(ctx, q, begun, comment, each)
	switch {
	case c.ctx.Err() != nil:
		return errClosed
	case ctx.Err() != nil:
		return nil
	case errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF):
		return fmt.Errorf("the connection to %s was lost", c.base.Redacted())
	default:
		return err
	}
}

func (c *webClient) streamUntil(ctx context.Context, q request, begun, comment func(), each func(data []byte) error) error {
	resp, err := c.do(ctx, q)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	if media := resp.Header.Get("Content-Type"); !strings.HasPrefix(media, "text/event-stream") {
		return fmt.Errorf("%s answered with %q and not with events: it does not seem to be an omnibus broker", c.base.Redacted(), media)
	}
	begun()
	return readEvents(resp.Body, c.options.MaxMessage, comment, func(e event) error {
		switch e.name {
		case "", "message":
			if ctx.Err() != nil {
				return ctx.Err()
			}
			return each(e.data)
		case "omnibus.lost":
			var lost struct {
				N int `json:"lost"`
			}
			if err := json.Unmarshal(e.data, &lost); err != nil {
				return fmt.Errorf("reading a notice of lost events: %w", err)
			}
			c.options.Notice(fmt.Sprintf("%d events were lost: they came faster than they were read", lost.N))
		case "omnibus.bye", "omnibus.error":
			var text string
			if err := json.Unmarshal(e.data, &text); err != nil {
				text = string(e.data)
			}
			return fmt.Errorf("the broker ended the stream: %s", text)
		}
		return nil
	})
}

// message is the message of an event.
func message(data []byte) (*bus.Message, error) {
	var e web.Event
	if err := json.Unmarshal(data, &e); err != nil {
		return nil, fmt.Errorf("reading an event: %w", err)
	}
	m := &bus.Message{Topic: e.Topic, Stored: e.Stored, Headers: headersOf(e.Headers)}
	form, _ := payload.ParseForm(e.Form)
	switch form {
	case payload.Empty:
		if e.Form != payload.Empty.String() {
			return nil, fmt.Errorf("reading an event: its form is %q", e.Form)
		}
	case payload.Text:
		var text string
		if err := json.Unmarshal(e.Payload, &text); err != nil {
			return nil, fmt.Errorf("reading an event of text: %w", err)
		}
		m.Payload.Set(payload.Text, []byte(text))
	case payload.Bytes:
		var raw []byte
		if err := json.Unmarshal(e.Payload, &raw); err != nil {
			return nil, fmt.Errorf("reading an event of bytes: %w", err)
		}
		m.Payload.Set(payload.Bytes, raw)
	case payload.JSON, payload.Args:
		m.Payload.Set(form, e.Payload)
	default:
		return nil, fmt.Errorf("reading an event: its form is %q", e.Form)
	}
	return m, nil
}

func headersOf(all map[string]string) bus.Headers {
	var list []bus.Header
	for k, v := range all {
		list = append(list, bus.Header{Key: k, Value: v})
	}
	slices.SortFunc(list, func(a, b bus.Header) int { return strings.Compare(a.Key, b.Key) })
	return bus.MakeHeaders(list...)
}

// Expose is GET /services/NAME, and POST /services/NAME/ID for each answer.
func (c *webClient) Expose(ctx context.Context, name string, ready func(), s bus.Service) error {
	if err := topic.CheckName(name); err != nil {
		return err
	}
	path := "/services/" + url.PathEscape(name)
	ctx, cancel := context.WithCancel(ctx)
	x := newRequests(ctx, s)
	defer x.wait()
	defer cancel()
	begun := func() {
		if ready != nil {
			ready()
		}
	}
	q := request{method: http.MethodGet, path: path}
	return c.stream(ctx, q, begun, func() {}, func(data []byte) error {
		id, r, err := webRequest(data)
		if err != nil {
			return err
		}
		x.serve(r, func(v *payload.Value, err error) {
			if err := c.answer(ctx, path+"/"+url.PathEscape(id), v, err); err != nil && ctx.Err() == nil {
				c.options.Notice(fmt.Sprintf("answering a call of %s: %s", name, err))
			}
		})
		return nil
	})
}

// webRequest is the request in an event.
func webRequest(data []byte) (id string, r *bus.Request, err error) {
	var e web.Request
	if err := json.Unmarshal(data, &e); err != nil {
		return "", nil, fmt.Errorf("reading a request: %w", err)
	}
	if e.Args == nil {
		e.Args = []json.RawMessage{}
	}
	args, err := payload.Marshal(e.Args)
	if err != nil {
		return "", nil, fmt.Errorf("reading a request: %w", err)
	}
	r = &bus.Request{Service: e.Service, Headers: headersOf(e.Headers)}
	r.Args.Set(payload.Args, args)
	return e.ID, r, nil
}

// answer posts what a service returned.
func (c *webClient) answer(ctx context.Context, path string, v *payload.Value, failure error) error {
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	q := request{method: http.MethodPost, path: path}
	if failure == nil {
		q.media, q.body, failure = webBody(v)
	}
	if failure != nil {
		q.query = "error&kind=" + escape(bus.KindOf(failure).String())
		q.media, q.body = "text/plain; charset=utf-8", []byte(failure.Error())
	}
	resp, err := c.do(ctx, q)
	if e, ok := errors.AsType[*bus.Error](err); ok && e.Kind == bus.TooLarge && failure == nil {
		return errors.Join(err, c.answer(ctx, path, nil, e)) // the caller learns of it, too
	}
	if err != nil {
		return err
	}
	return drain(resp)
}
