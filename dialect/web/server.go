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
	closing  context.Context // ends when the server is to end
	count    struct {
		requests, failed, malformed, crossSite, refused, events, lost dialect.Counter
	}
}

func newServer(c Config, env dialect.Env) (*server, error) {
	s := &server{config: c, env: env, log: env.Log}
	s.count.requests = env.Counter("requests")
	s.count.failed = env.Counter("requests_failed")
	s.count.malformed = env.Counter("requests_malformed")
	s.count.crossSite = env.Counter("requests_cross_site")
	s.count.refused = env.Counter("connections_refused")
	s.count.events = env.Counter("events_sent")
	s.count.lost = env.Counter("events_lost")
	return s, nil
}

// serve runs the server on a bound listener until ctx ends.
func (s *server) serve(ctx context.Context, l net.Listener) error {
	protect, err := guard(s.config.Origins)
	if err != nil {
		return errors.Join(err, l.Close())
	}
	protect.SetDenyHandler(http.HandlerFunc(s.crossSite))
	s.closing = ctx
	seen := connections{malformed: s.count.malformed}
	h := http.Server{
		Handler:           protect.Handler(http.HandlerFunc(s.route)),
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
		ConnContext:       seen.begin,
		ConnState:         seen.state,
		ErrorLog:          slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
	}
	done := make(chan error, 1)
	stop := context.AfterFunc(ctx, func() {
		grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.config.Grace)
		defer cancel()
		err := h.Shutdown(grace)
		if err != nil {
			err = errors.Join(err, h.Close())
		}
		done <- err
	})
	err = h.Serve(limit(l, s.config.MaxClients, s.count.refused))
	if stop() {
		return err // it ended by itself
	}
	err = <-done
	s.requests.wait()
	return err
}

// guard refuses what pages of other web sites send: a loopback address is no
// protection from the browser of the same machine.
func guard(origins []string) (*http.CrossOriginProtection, error) {
	g := http.NewCrossOriginProtection()
	for _, o := range origins {
		if err := g.AddTrustedOrigin(o); err != nil {
			return nil, err
		}
	}
	return g, nil
}

func (s *server) crossSite(w http.ResponseWriter, r *http.Request) {
	s.count.crossSite.Add(1)
	s.fail(w, bus.Errorf(bus.Refused, "", "a page of %q may not do this; its origin can be allowed under web.origins", r.Header.Get("Origin")))
}

// route answers one request.
func (s *server) route(w http.ResponseWriter, r *http.Request) {
	handled(r)
	s.count.requests.Add(1)
	s.requests.add()
	defer s.requests.done()
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
	c := auth.Credentials{Dialect: "web", Remote: remote(r.RemoteAddr)}
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
