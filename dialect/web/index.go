package web

import (
	"fmt"
	"net/http"
)

// index is GET /: what there is, for people.
func (s *server) index(w http.ResponseWriter, r *http.Request) {
	base := "http://" + r.Host
	if r.TLS != nil {
		base = "https://" + r.Host
	}
	s.answer(w, http.StatusOK, "text/plain; charset=utf-8", fmt.Appendf(nil, `Omnibus %[2]s

publish    curl -d '{"utterance":"hello"}' %[1]s/topics/speak
listen     curl -N '%[1]s/events?topics=**'
call       curl -d '[]' %[1]s/rpc/omnibus.status
provide    curl -N %[1]s/services/NAME, and answer with curl -d RESULT %[1]s/services/NAME/ID
`, base, s.env.Version))
}
