package web

import (
	"errors"
	"net/http"

	"omnibus/bus"
	"omnibus/dialect"
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
	status := statuses.Of(err)
	if errors.Is(err, errStalled) {
		status = http.StatusRequestTimeout
	}
	s.failStatus(w, status, bus.KindOf(err), err.Error())
}

func (s *server) failStatus(w http.ResponseWriter, status int, kind bus.Kind, message string) {
	s.count.failed.Add(1)
	var body ErrorBody
	body.Error.Kind, body.Error.Message = kind.String(), message
	s.answerJSON(w, status, body)
}
