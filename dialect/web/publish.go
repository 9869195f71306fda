package web

import (
	"encoding/json"
	"errors"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"omnibus/bus"
	"omnibus/payload"
)

// publish is POST /topics/TOPIC.
func (s *server) publish(w http.ResponseWriter, r *http.Request, name string) error {
	q, err := query(r, "retain", "qos", "form")
	if err != nil {
		return err
	}
	body, err := s.body(w, r)
	if err != nil {
		return err
	}
	m := bus.Message{Topic: name}
	if m.Retain, err = flag(q, "retain"); err != nil {
		return err
	}
	if v := q.Get("qos"); v != "" {
		qos, err := strconv.ParseUint(v, 10, 8)
		if err != nil || qos > 2 {
			return bus.Errorf(bus.Invalid, "", "qos is 0, 1 or 2, not %q", v)
		}
		m.QoS = uint8(qos)
	}
	form, err := formOf(q, r.Header.Get("Content-Type"), body)
	if err != nil {
		return err
	}
	m.Payload.Set(form, body)
	p, err := s.join(r, nil)
	if err != nil {
		return err
	}
	defer p.Leave()
	receipt, err := p.Publish(&m)
	if err != nil {
		return err
	}
	s.answerJSON(w, http.StatusOK, map[string]int{"receivers": receipt.Receivers})
	return nil
}

// formOf decides the form of a body: what the query says (?form=args), else
// what the content type does. What they promise is checked.
func formOf(q url.Values, contentType string, body []byte) (payload.Form, error) {
	media, _, err := mime.ParseMediaType(contentType)
	if err != nil {
		media = ""
	}
	var form payload.Form
	switch {
	case q.Has("form"):
		var ok bool
		if form, ok = payload.ParseForm(q.Get("form")); !ok || !slices.Contains(writable, form) {
			return 0, bus.Errorf(bus.Invalid, "", "form is json, args, text, bytes or empty, not %q", q.Get("form"))
		}
	case len(body) == 0:
		return payload.Empty, nil
	case media == "application/json" || strings.HasSuffix(media, "+json"):
		form = payload.JSON
	case strings.HasPrefix(media, "text/"):
		form = payload.Text
	case media == "application/octet-stream":
		form = payload.Bytes
	default:
		return payload.Sniff(body), nil
	}
	return form, checkBody(form, body)
}

// writable are the forms that a request may name.
var writable = []payload.Form{payload.JSON, payload.Args, payload.Text, payload.Bytes, payload.Empty}

// checkBody refuses a body that is not what it was called.
func checkBody(form payload.Form, body []byte) error {
	switch form {
	case payload.JSON:
		var x json.RawMessage
		if err := readJSON(body, &x); err != nil {
			return bus.Errorf(bus.Invalid, "", "the body is not the JSON that the request promises: %w", err)
		}
	case payload.Args:
		var x []json.RawMessage
		if err := readJSON(body, &x); err != nil {
			return bus.Errorf(bus.Invalid, "", "the body is not the JSON array that the request promises: %w", err)
		}
	case payload.Text:
		if !utf8.Valid(body) {
			return bus.Errorf(bus.Invalid, "", "the body is not the UTF-8 text that the request promises")
		}
	case payload.Empty:
		if len(body) > 0 {
			return bus.Errorf(bus.Invalid, "", "the body is not empty, as the request promises")
		}
	}
	return nil
}

// errNotUTF8 is about JSON with other bytes in its strings, which encoding/json
// lets pass.
var errNotUTF8 = errors.New("it is not UTF-8")

// readJSON decodes text that must be UTF-8 throughout.
func readJSON(text []byte, into any) error {
	if !utf8.Valid(text) {
		return errNotUTF8
	}
	return json.Unmarshal(text, into)
}

// query parses the query with "+" for itself, and refuses parameters that are
// not known.
func query(r *http.Request, known ...string) (url.Values, error) {
	q, err := url.ParseQuery(strings.ReplaceAll(r.URL.RawQuery, "+", "%2B"))
	if err != nil {
		return nil, bus.Errorf(bus.Invalid, "", "the query: %w", err)
	}
	for name := range q {
		if !slices.Contains(known, name) {
			return nil, bus.Errorf(bus.Invalid, "", "there is no parameter %q here, only %s", name, strings.Join(known, ", "))
		}
	}
	return q, nil
}

// flag is a query parameter that is absent, empty (?retain) or a truth value.
func flag(q url.Values, name string) (bool, error) {
	if !q.Has(name) {
		return false, nil
	}
	v := q.Get(name)
	if v == "" {
		return true, nil
	}
	b, err := strconv.ParseBool(v)
	if err != nil {
		return false, bus.Errorf(bus.Invalid, "", "%s is true or false, not %q", name, v)
	}
	return b, nil
}
