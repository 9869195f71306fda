package jetstream

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
)

const (
	// maxPayload bounds a message of the embedded server. Its store takes
	// records of more than 32 MiB for damage.
	maxPayload = 31 << 20
	// safetyNet is how often the server itself flushes, whatever we do.
	safetyNet = time.Second
	// seldom is how often it does when it was asked not to.
	seldom = 2 * time.Minute
	// startTime bounds how long the server may take to read its store.
	startTime = 10 * time.Minute
)

// storeDir is where in a data directory the server keeps its things.
func storeDir(dir string) string { return filepath.Join(dir, "nats") }

// startServer starts a server that opens no port and takes no signals.
func startServer(o Options, says *serverLog) (*server.Server, error) {
	so := &server.Options{
		ServerName:         o.Name,
		DontListen:         true,
		NoSigs:             true,
		NoLog:              false,
		JetStream:          true,
		StoreDir:           storeDir(o.Dir),
		JetStreamMaxMemory: 1, // no stream of ours is in memory; zero would be a part of the machine
		JetStreamMaxStore:  math.MaxInt64 / 4,
		MaxPayload:         maxPayload,
		SyncInterval:       safetyNet,
		SyncAlways:         o.Flush == Always && o.plainSync(),
	}
	if o.Flush == Never {
		so.SyncInterval = seldom
	}
	ns, err := server.NewServer(so)
	if err != nil {
		return nil, fmt.Errorf("making the embedded server: %w", err)
	}
	ns.SetLoggerV2(says, false, false, false)
	ns.Start()
	if !ns.ReadyForConnections(startTime) {
		stopServer(ns)
		return nil, errors.New("the embedded server did not get ready")
	}
	if !ns.JetStreamEnabled() {
		stopServer(ns)
		return nil, errors.New("the embedded server could not open its store; what it says is in the log")
	}
	return ns, nil
}

func stopServer(ns *server.Server) {
	ns.Shutdown()
	ns.WaitForShutdown()
}

// connect makes the link that the options ask for.
func connect(o Options, onLoss func(error)) (*link, error) {
	opts := []nats.Option{
		nats.Name(o.Name),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { onLoss(err) }),
	}
	l := new(link)
	url := o.URL
	if url == "" {
		var err error
		l.says = &serverLog{log: o.Log.With("part", "nats")}
		if l.ns, err = startServer(o, l.says); err != nil {
			return nil, err
		}
		opts = append(opts, nats.InProcessServer(l.ns), nats.NoReconnect())
	} else {
		opts = append(opts, nats.MaxReconnects(-1), nats.ReconnectBufSize(-1), nats.Timeout(5*time.Second))
		if o.Credentials != "" {
			opts = append(opts, nats.UserCredentials(o.Credentials))
		}
		if o.TLS != nil {
			opts = append(opts, nats.Secure(o.TLS))
		}
	}
	if err := l.dial(url, opts); err != nil {
		l.close()
		return nil, err
	}
	return l, nil
}

// serverLog hands what the server says to a slog.Logger: its notices are
// details for us.
type serverLog struct {
	log  *slog.Logger
	last atomic.Pointer[string] // the last error
}

// lastError is what the server last said to be an error, if it did.
func (s *serverLog) lastError() *string {
	if s == nil {
		return nil
	}
	return s.last.Load()
}

func (s *serverLog) say(level slog.Level, format string, args []any) {
	ctx := context.Background()
	if s.log.Enabled(ctx, level) {
		s.log.Log(ctx, level, "the embedded server says", "text", strings.TrimSpace(fmt.Sprintf(format, args...)))
	}
}

func (s *serverLog) Noticef(format string, v ...any) { s.say(slog.LevelDebug, format, v) }
func (s *serverLog) Debugf(format string, v ...any)  { s.say(slog.LevelDebug, format, v) }
func (s *serverLog) Tracef(format string, v ...any)  { s.say(slog.LevelDebug, format, v) }

// Warnf is a warning, unless it is about a choice of ours: messages beyond 8
// MiB are rare, but where they come they are to be kept.
func (s *serverLog) Warnf(format string, v ...any) {
	level := slog.LevelWarn
	if strings.HasPrefix(format, "Maximum payloads over") {
		level = slog.LevelDebug
	}
	s.say(level, format, v)
}

// Errorf is a warning: whether something fails for us the engine finds out.
func (s *serverLog) Errorf(format string, v ...any) {
	text := fmt.Sprintf(format, v...)
	s.last.Store(&text)
	s.say(slog.LevelWarn, format, v)
}

func (s *serverLog) Fatalf(format string, v ...any) { s.say(slog.LevelError, format, v) }
