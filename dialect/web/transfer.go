package web

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"os"
	"time"

	"omnibus/bus"
	"omnibus/payload"
)

// piece is how much of a body or an answer web.io_timeout is for: a slow link
// has time for large ones, and who sends a byte now and then has not.
const piece = 64 << 10

// errStalled is about a body that does not come.
var errStalled = errors.New("the body did not come in time")

// begin sets the deadlines of a request. Until its body has been read the
// answer is one that ends the connection: net/http would wait for the rest of
// the body before it sends another.
func (s *server) begin(w http.ResponseWriter, r *http.Request) {
	c := http.NewResponseController(w)
	_ = c.SetWriteDeadline(time.Time{})
	if r.ContentLength != 0 {
		_ = c.SetReadDeadline(time.Now().Add(s.config.IOTimeout))
		w.Header().Set("Connection", "close")
	}
}

// body reads the request's body up to the limit. After an error the deadline
// stays: the rest of the body is not waited for.
func (s *server) body(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	if r.ContentLength == 0 {
		return nil, nil
	}
	c := http.NewResponseController(w)
	from := http.MaxBytesReader(w, r.Body, int64(s.config.MaxBody))
	var data bytes.Buffer
	for {
		_ = c.SetReadDeadline(time.Now().Add(s.config.IOTimeout))
		_, err := io.CopyN(&data, from, piece)
		if errors.Is(err, io.EOF) {
			_ = c.SetReadDeadline(time.Time{})
			w.Header().Del("Connection")
			return data.Bytes(), nil
		}
		if tooLarge, ok := errors.AsType[*http.MaxBytesError](err); ok {
			return nil, bus.Errorf(bus.TooLarge, "", "the body is larger than %d bytes (web.max_body)", tooLarge.Limit)
		}
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return nil, bus.Errorf(bus.TimedOut, "", "reading the body: %w: less than 64 KiB in %s (web.io_timeout)", errStalled, s.config.IOTimeout)
		}
		if err != nil {
			return nil, bus.Errorf(bus.Invalid, "", "reading the body: %w", err)
		}
	}
}

// answer sends an answer that is no stream. A client that does not read it
// loses its connection.
func (s *server) answer(w http.ResponseWriter, status int, media string, data []byte) {
	c := http.NewResponseController(w)
	if media != "" {
		w.Header().Set("Content-Type", media)
	}
	_ = c.SetWriteDeadline(time.Now().Add(s.config.IOTimeout))
	w.WriteHeader(status)
	for len(data) > 0 {
		n := min(len(data), piece)
		_ = c.SetWriteDeadline(time.Now().Add(s.config.IOTimeout))
		if _, err := w.Write(data[:n]); err != nil {
			return
		}
		data = data[n:]
	}
}

// answerJSON answers with a JSON value and a line end, for people with curl.
func (s *server) answerJSON(w http.ResponseWriter, status int, v any) {
	data, err := payload.Marshal(v)
	if err != nil {
		status, data = http.StatusInternalServerError, []byte(`{"error":{"kind":"failed","message":"the answer cannot be written as JSON"}}`)
	}
	s.answer(w, status, "application/json", append(data, '\n'))
}
