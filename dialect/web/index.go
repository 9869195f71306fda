package web

import (
	"fmt"
	"net/http"
)

// index is GET /: what there is, for people.
func (s *server) index(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	base := "http://" + r.Host
	if r.TLS != nil {
		base = "https://" + r.Host
	}
	_, _ = fmt.Fprintf(w, `Omnibus %[2]s

publish    curl -d '{"utterance":"hello"}' %[1]s/topics/speak
listen     curl -N '%[1]s/events?topics=**'
call       curl -d '[]' %[1]s/rpc/omnibus.status
provide    curl -N %[1]s/services/NAME, and answer with curl -d RESULT %[1]s/services/NAME/ID
`, base, s.env.Version)
}
