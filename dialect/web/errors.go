package web

import (
	"net/http"

	"omnibus/bus"
	"omnibus/dialect"
	"omnibus/payload"
)

// statuses are the HTTP statuses of the kinds of error.
var statuses = dialect.Codes[int]{
	bus.Failed:      http.StatusBadGateway,
	bus.Invalid:     http.StatusBadRequest,
	bus.Refused:     http.StatusForbidden,
	bus.Unknown:     http.StatusNotFound,
	bus.Unavailable: http.StatusServiceUnavailable,
	bus.TimedOut:    http.StatusGatewayTimeout,
	bus.TooLarge:    http.StatusRequestEntityTooLarge,
	bus.Full:        http.StatusTooManyRequests,
	bus.Closed:      http.StatusServiceUnavailable,
}

// ErrorBody is the body of every answer that is an error.
type ErrorBody struct {
	Error struct {
		// Kind is one of the kinds of bus.Kind in words.
		Kind string `json:"kind"`
		// Message says what happened and what to do.
		Message string `json:"message"`
	} `json:"error"`
}

// fail answers with an error.
func (s *server) fail(w http.ResponseWriter, err error) {
	s.failStatus(w, statuses.Of(err), bus.KindOf(err), err.Error())
}

func (s *server) failStatus(w http.ResponseWriter, status int, kind bus.Kind, message string) {
	s.count.failed.Add(1)
	var body ErrorBody
	body.Error.Kind, body.Error.Message = kind.String(), message
	writeJSON(w, status, body)
}

// writeJSON answers with a JSON value and a line end, for people with curl.
func writeJSON(w http.ResponseWriter, status int, v any) {
	data, err := payload.Marshal(v)
	if err != nil {
		status, data = http.StatusInternalServerError, []byte(`{"error":{"kind":"failed","message":"the answer cannot be written as JSON"}}`)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(append(data, '\n'))
}
