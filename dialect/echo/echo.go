// Package echo is the template for a dialect: a line protocol in about a
// hundred lines, complete with limits, errors and shutdown. It is switched off
// by default.
//
// A client sends lines and gets lines:
//
//	pub TOPIC TEXT     →  ok
//	sub PATTERN        →  ok, then for each message: msg TOPIC TEXT
//	call NAME ARGS     →  res TEXT      ARGS as in JSON: one value or an array
//	anything else      →  err KIND TEXT
//
// A client hears its own messages (hence the name). What cannot be written as
// one line of UTF-8 is counted and not sent; a client that reads too slowly
// loses messages, and they are counted. When the dialect ends, clients get
// "bye" and their queues are flushed.
package echo

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"net"
	"strings"
	"time"
	"unicode/utf8"

	"omnibus/auth"
	"omnibus/bus"
	"omnibus/carrier"
	"omnibus/dialect"
	"omnibus/payload"
	"omnibus/topic"
)

// Spec is the dialect for the wiring's list.
func Spec() dialect.Spec {
	return dialect.Spec{
		Name:     "echo",
		Title:    "Lines of text over TCP; the template for new dialects",
		Defaults: func() dialect.Config { return &Config{Listen: "127.0.0.1:7007", MaxLine: 64 << 10, MaxQueue: 1 << 20} },
	}
}

// Config is the echo section of the configuration.
type Config struct {
	On       bool   `yaml:"enabled" help:"Whether to speak this dialect."`
	Listen   string `yaml:"listen" help:"Address and port."`
	MaxLine  int    `yaml:"max_line" help:"Longest line accepted, in bytes; a client that sends more is disconnected."`
	MaxQueue int    `yaml:"max_queue" help:"Bytes that wait for a client that reads slowly; beyond it messages are lost and counted."`
}

// Enabled reports whether the dialect is to run.
func (c *Config) Enabled() bool { return c.On }

// Validate returns all that is wrong.
func (c *Config) Validate() (all []dialect.Problem) {
	if _, _, err := net.SplitHostPort(c.Listen); err != nil {
		all = append(all, dialect.Problem{Path: "listen", Text: "want host:port: " + err.Error()})
	}
	if c.MaxLine < 16 || c.MaxQueue < c.MaxLine {
		all = append(all, dialect.Problem{Path: "max_line", Text: "want at least 16, and no more than max_queue"})
	}
	return all
}

// Open makes the dialect.
func (c *Config) Open(env dialect.Env) (dialect.Dialect, error) { return &server{*c, env}, nil }

type server struct {
	Config
	env dialect.Env
}

// Listeners is the one place where clients connect.
func (s *server) Listeners() []dialect.Listener {
	return []dialect.Listener{{Option: "echo.listen", Bind: func(ctx context.Context) (dialect.Bound, error) {
		return dialect.BindStream(ctx, dialect.StreamListener{
			Endpoint: carrier.Endpoint{Network: "tcp", Address: s.Listen},
			Scheme:   "echo",
			Serve: func(ctx context.Context, l net.Listener) error {
				return carrier.Serve(ctx, l, carrier.ServeOptions{Grace: time.Second}, s.connection)
			},
		})
	}}}
}

// session is one client.
type session struct {
	server *server
	out    *carrier.Outbox
	conn   net.Conn
	peer   dialect.Peer
}

func (s *server) connection(ctx context.Context, c net.Conn) {
	ss := &session{server: s, conn: c, out: carrier.NewOutbox(c, carrier.OutboxOptions{MaxBytes: s.MaxQueue})}
	defer ss.end()
	var err error
	ss.peer, err = dialect.Join(ctx, s.env.Port, &dialect.Hello{
		Credentials: auth.Credentials{Dialect: "echo", Remote: c.RemoteAddr()},
		Origin:      &bus.Origin{Dialect: "echo", Name: c.RemoteAddr().String()},
		Subscriber:  ss,
	})
	if err != nil {
		ss.fail(err)
		return
	}
	defer ss.peer.Leave()
	stop := context.AfterFunc(ctx, func() { _ = c.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	lines := bufio.NewScanner(c)
	lines.Buffer(nil, s.MaxLine+1) // with its end
	for lines.Scan() {
		if err := ss.line(ctx, lines.Text()); err != nil {
			s.env.Counter("lines_failed").Add(1)
			ss.fail(err)
		}
	}
	if errors.Is(lines.Err(), bufio.ErrTooLong) {
		s.env.Counter("lines_failed").Add(1)
		ss.fail(bus.Errorf(bus.TooLarge, "", "the line is longer than %d bytes (echo.max_line)", s.MaxLine))
	}
	ss.send("bye")
}

// end writes what is queued.
func (ss *session) end() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_ = ss.out.Flush(ctx) // a client that takes nothing gets nothing
	_ = ss.out.Close()
}

// line is one request.
func (ss *session) line(ctx context.Context, line string) error {
	verb, rest, _ := strings.Cut(line, " ")
	name, text, _ := strings.Cut(rest, " ")
	switch verb {
	case "pub":
		m := &bus.Message{Topic: name}
		m.Payload.Set(payload.Sniff([]byte(text)), []byte(text))
		if _, err := ss.peer.Publish(m); err != nil {
			return err
		}
	case "sub":
		p, err := topic.Parse(name)
		if err != nil {
			return err
		}
		if _, err := ss.peer.Subscribe(p, dialect.Terms{Echo: true}); err != nil {
			return err
		}
	case "call":
		v, err := ss.peer.Call(ctx, name, payload.New(payload.Raw, []byte(text)), dialect.CallOptions{})
		if err != nil {
			return err
		}
		data, err := v.As(payload.JSON)
		ss.send("res", string(data))
		return err
	default:
		return bus.Errorf(bus.Invalid, "", "%q is no request: want pub, sub or call", verb)
	}
	ss.send("ok")
	return nil
}

func (ss *session) fail(err error) { ss.send("err", kinds[bus.KindOf(err)], err.Error()) }

// send queues one line.
func (ss *session) send(words ...string) {
	line := strings.Join(words, " ")
	if err := ss.out.Append([]byte(strings.ReplaceAll(line, "\n", " ") + "\n")); err != nil {
		ss.server.env.Counter("lines_lost").Add(1)
	}
}

// Deliver sends a message as a line.
func (ss *session) Deliver(m *bus.Message, _ *bus.Subscription) {
	text, err := m.Payload.As(payload.JSON)
	if err != nil || !utf8.Valid(text) || bytes.ContainsAny(text, "\r\n") || strings.ContainsAny(m.Topic, " \r\n") {
		ss.server.env.Counter("messages_not_expressible").Add(1)
		return
	}
	ss.send("msg", m.Topic, string(text))
}

// Expelled ends the connection.
func (ss *session) Expelled(why error) {
	ss.fail(why)
	_ = ss.conn.SetReadDeadline(time.Unix(1, 0))
}

// kinds are the words for the kinds of error.
var kinds = dialect.Codes[string]{
	bus.Failed: "failed", bus.Invalid: "invalid", bus.Refused: "refused", bus.Unknown: "unknown",
	bus.Unavailable: "unavailable", bus.TimedOut: "timed-out", bus.TooLarge: "too-large", bus.Full: "full", bus.Closed: "closed",
}
