package jetstream

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"path/filepath"
	"strings"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
)

const (
	// maxPayload bounds a message of the embedded server. Its store takes
	// records above 32 MiB for damage.
	maxPayload = 24 << 20
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
func startServer(o Options) (*server.Server, error) {
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
	ns.SetLoggerV2(&serverLog{o.Log.With("part", "nats")}, false, false, false)
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
		if l.ns, err = startServer(o); err != nil {
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
type serverLog struct{ log *slog.Logger }

func (s *serverLog) say(level slog.Level, format string, args []any) {
	ctx := context.Background()
	if s.log.Enabled(ctx, level) {
		s.log.Log(ctx, level, "the embedded server says", "text", strings.TrimSpace(fmt.Sprintf(format, args...)))
	}
}

func (s *serverLog) Noticef(format string, v ...any) { s.say(slog.LevelDebug, format, v) }
func (s *serverLog) Debugf(format string, v ...any)  { s.say(slog.LevelDebug, format, v) }
func (s *serverLog) Tracef(format string, v ...any)  { s.say(slog.LevelDebug, format, v) }
func (s *serverLog) Warnf(format string, v ...any)   { s.say(slog.LevelWarn, format, v) }
func (s *serverLog) Errorf(format string, v ...any)  { s.say(slog.LevelWarn, format, v) }
func (s *serverLog) Fatalf(format string, v ...any)  { s.say(slog.LevelError, format, v) }
