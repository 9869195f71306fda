package web

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"time"
	"unicode/utf8"

	"omnibus/bus"
	"omnibus/dialect"
	"omnibus/payload"
)

// call is POST /rpc/NAME: the body is a JSON array of arguments or one value,
// the answer the bare JSON value.
func (s *server) call(w http.ResponseWriter, r *http.Request, name string) error {
	q, err := query(r, "timeout", "form")
	if err != nil {
		return err
	}
	timeout, err := s.timeout(q)
	if err != nil {
		return err
	}
	body, err := s.body(w, r)
	if err != nil {
		return err
	}
	args, err := arguments(q, r.Header.Get("Content-Type"), body)
	if err != nil {
		return err
	}
	p, err := s.join(r, nil)
	if err != nil {
		return err
	}
	defer p.Leave()
	ctx, cancel := context.WithTimeout(r.Context(), timeout)
	defer cancel()
	result, err := p.Call(ctx, name, args, dialect.CallOptions{})
	if err != nil {
		return err
	}
	return s.answerResult(w, result)
}

func (s *server) timeout(q url.Values) (time.Duration, error) {
	v := q.Get("timeout")
	if v == "" {
		return s.config.CallTimeout, nil
	}
	d, err := time.ParseDuration(v)
	if err != nil || d <= 0 {
		return 0, bus.Errorf(bus.Invalid, "", "timeout is a duration such as 5s, not %q", v)
	}
	return d, nil
}

// arguments reads a body: an array at the top is several arguments.
func arguments(q url.Values, contentType string, body []byte) (*payload.Value, error) {
	form, err := formOf(q, contentType, body)
	if err != nil {
		return nil, err
	}
	if form == payload.JSON {
		form = payload.Raw // which decides between one value and a list
	}
	return payload.New(form, body), nil
}

// answerResult answers with the value itself: bytes as they are, anything else
// as JSON.
func (s *server) answerResult(w http.ResponseWriter, v *payload.Value) error {
	form, media := payload.JSON, "application/json"
	switch v.Kind() {
	case payload.Bytes:
		form, media = payload.Bytes, "application/octet-stream"
	case payload.Arrow:
		form, media = payload.Arrow, "application/vnd.apache.arrow.stream"
	}
	data, err := v.As(form)
	if err == nil && form == payload.JSON && !utf8.Valid(data) {
		err = errNotUTF8
	}
	if err != nil {
		return bus.Errorf(bus.Failed, "", "the service's answer cannot be written: %w", err)
	}
	if form == payload.JSON {
		data = append(slices.Clip(data), '\n') // the value is shared
	}
	s.answer(w, http.StatusOK, media, data)
	return nil
}
