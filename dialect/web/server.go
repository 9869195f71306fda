package web

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"omnibus/auth"
	"omnibus/bus"
	"omnibus/dialect"
)

// server answers HTTP requests.
type server struct {
	config   Config
	env      dialect.Env
	log      *slog.Logger
	requests requests
	calls    calls
	guard    *guard
	closing  context.Context // ends when the server is to end
	count    struct {
		requests, failed, malformed, crossSite, foreignHost, refused, events, lost, notExpressible dialect.Counter
	}
}

func newServer(c Config, env dialect.Env) (*server, error) {
	g, err := newGuard(c.Listen, c.Origins)
	if err != nil {
		return nil, err
	}
	s := &server{config: c, env: env, log: env.Log, guard: g}
	s.count.requests = env.Counter("requests")
	s.count.failed = env.Counter("requests_failed")
	s.count.malformed = env.Counter("requests_malformed")
	s.count.crossSite = env.Counter("requests_cross_site")
	s.count.foreignHost = env.Counter("requests_foreign_host")
	s.count.refused = env.Counter("connections_refused")
	s.count.events = env.Counter("events_sent")
	s.count.lost = env.Counter("events_lost")
	s.count.notExpressible = env.Counter("messages_not_expressible")
	return s, nil
}

// serve runs the server on a bound listener until ctx ends, or the listener
// does. Then it tells the streams and waits for the requests.
func (s *server) serve(ctx context.Context, l net.Listener) error {
	closing, end := context.WithCancel(ctx)
	defer end()
	s.closing = closing
	open := &connections{most: int64(s.config.MaxClients), refused: s.count.refused, malformed: s.count.malformed}
	h := &http.Server{
		Handler:           http.HandlerFunc(s.route),
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
		ConnContext:       open.begin,
		ConnState:         open.state,
		ErrorLog:          slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
	}
	done := make(chan error, 1)
	context.AfterFunc(closing, func() { done <- s.shutdown(ctx, h) })
	err := h.Serve(limited{l, open})
	if ctx.Err() != nil {
		err = nil // it ended because it was to
	}
	end()
	err = errors.Join(err, <-done)
	s.requests.wait()
	return err
}

// shutdown gives requests the grace, then closes their connections.
func (s *server) shutdown(ctx context.Context, h *http.Server) error {
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.config.Grace)
	defer cancel()
	if err := h.Shutdown(grace); err != nil {
		return errors.Join(err, h.Close())
	}
	return nil
}

// route answers one request.
func (s *server) route(w http.ResponseWriter, r *http.Request) {
	handled(r)
	s.count.requests.Add(1)
	s.requests.add()
	defer s.requests.done()
	s.begin(w, r)
	if err := s.admit(r); err != nil {
		s.fail(w, err)
		return
	}
	path := r.URL.EscapedPath()
	for _, e := range []struct {
		prefix, method string
		serve          func(http.ResponseWriter, *http.Request, string) error
	}{
		{"/topics/", http.MethodPost, s.publish},
		{"/rpc/", http.MethodPost, s.call},
		{"/services/", "", s.service},
		{"/events", http.MethodGet, s.events},
	} {
		rest, ok := strings.CutPrefix(path, e.prefix)
		if !ok || e.prefix == "/events" && rest != "" {
			continue
		}
		if e.method != "" && r.Method != e.method {
			w.Header().Set("Allow", e.method)
			s.failStatus(w, http.StatusMethodNotAllowed, bus.Invalid, "use "+e.method+" here")
			return
		}
		name, err := url.PathUnescape(rest)
		if err == nil {
			err = e.serve(w, r, name)
		} else {
			err = &bus.Error{Kind: bus.Invalid, Text: err.Error(), Err: err}
		}
		if err != nil {
			s.fail(w, err)
		}
		return
	}
	if path == "/" {
		s.index(w, r)
		return
	}
	s.failStatus(w, http.StatusNotFound, bus.Unknown, "no such page; GET / lists what there is")
}

// join admits a request as a peer.
func (s *server) join(r *http.Request, sub dialect.Subscriber) (dialect.Peer, error) {
	c := auth.Credentials{Dialect: "web", Remote: remote(r.RemoteAddr), Loopback: loopback(r)}
	if name, password, ok := r.BasicAuth(); ok {
		c.Username, c.Password = name, []byte(password)
	}
	if r.TLS != nil && len(r.TLS.PeerCertificates) > 0 {
		c.Certificate = r.TLS.PeerCertificates[0]
	}
	return dialect.Join(r.Context(), s.env.Port, &dialect.Hello{
		Credentials: c,
		Origin:      &bus.Origin{Dialect: "web", Name: r.RemoteAddr},
		Subscriber:  sub,
	})
}

// remote is a remote address as http tells it.
type remote string

func (remote) Network() string  { return "tcp" }
func (r remote) String() string { return string(r) }

// requests counts requests that are being answered; unlike a WaitGroup it may
// be added to while it is waited for.
type requests struct {
	mu   sync.Mutex
	n    int
	idle *sync.Cond
}

func (r *requests) add() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.n++
}

func (r *requests) done() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.n--; r.n == 0 && r.idle != nil {
		r.idle.Broadcast()
	}
}

func (r *requests) wait() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.idle = sync.NewCond(&r.mu)
	for r.n > 0 {
		r.idle.Wait()
	}
}
