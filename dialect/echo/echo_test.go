package echo_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"omnibus/broker"
	"omnibus/bus"
	"omnibus/dialect"
	"omnibus/dialect/dialecttest"
	"omnibus/dialect/echo"
	"omnibus/payload"
	"omnibus/topic"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func driver() dialecttest.Driver {
	return dialecttest.Driver{
		Spec: echo.Spec(),
		Configure: func(c dialect.Config) {
			s := c.(*echo.Config)
			s.Listen, s.MaxLine, s.MaxQueue = "127.0.0.1:0", 2<<20, 4<<20
		},
		Dial: func(ctx context.Context, rawURL string) (dialecttest.Client, error) { return dial(ctx, rawURL) },
		Lacks: map[dialecttest.Ability]string{
			dialecttest.Exposing: "a line has no means to answer a call",
			dialecttest.Binary:   "lines are text",
		},
		MalformedCounters: []string{"lines_failed"},
		Malformed: []string{
			"\n", "nonsense\n", "pub\n", "pub \xff 1\n", "pub a\x00b 1\n", "sub\n", "sub regex:(\n", "sub \xff\n", "call\n",
			"call nobody \xff\n", "\x00\x01\x02\n", "PUB a 1\r\n", strings.Repeat("x", 3<<20),
		},
		Unfinished: []string{"", "pub without an end of line"},
	}
}

func TestConformance(t *testing.T) { dialecttest.Run(t, driver()) }

// client is a client of the protocol: requests are answered in order, messages
// come in between.
type client struct {
	conn    net.Conn
	replies chan string
	request sync.Mutex // held from a request to its answer

	mu   sync.Mutex
	subs map[*subscription]struct{}
}

type subscription struct {
	pattern topic.Pattern
	fn      func(*bus.Message)
}

func dial(ctx context.Context, rawURL string) (*client, error) {
	u, err := url.Parse(rawURL)
	if err != nil {
		return nil, err
	}
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", u.Host)
	if err != nil {
		return nil, err
	}
	c := &client{conn: conn, replies: make(chan string, 1), subs: make(map[*subscription]struct{})}
	go c.read()
	return c, nil
}

// read hands out what comes until the connection ends.
func (c *client) read() {
	defer close(c.replies)
	lines := bufio.NewReader(c.conn)
	for {
		line, err := lines.ReadString('\n')
		if err != nil {
			return
		}
		verb, rest, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		switch verb {
		case "bye":
			return
		case "msg":
			name, text, _ := strings.Cut(rest, " ")
			m := &bus.Message{Topic: name}
			m.Payload.Set(payload.JSON, []byte(text))
			c.mu.Lock()
			for s := range c.subs {
				if s.pattern.Match(name) {
					s.fn(m)
				}
			}
			c.mu.Unlock()
		default:
			c.replies <- strings.TrimSuffix(line, "\n")
		}
	}
}

var errGone = errors.New("the connection has ended")

func (c *client) do(ctx context.Context, line string) (string, error) {
	c.request.Lock()
	defer c.request.Unlock()
	if _, err := io.WriteString(c.conn, line+"\n"); err != nil {
		return "", err
	}
	select {
	case reply, open := <-c.replies:
		if !open {
			return "", errGone
		}
		if text, failed := strings.CutPrefix(reply, "err "); failed {
			return "", failure(text)
		}
		return reply, nil
	case <-ctx.Done():
		return "", ctx.Err()
	}
}

// failure is the error of an answer "err KIND TEXT", in which a kind is one word.
func failure(answer string) error {
	word, text, _ := strings.Cut(answer, " ")
	kind, ok := bus.ParseKind(strings.ReplaceAll(word, "-", " "))
	if !ok {
		return fmt.Errorf("%q is no kind of error: %s", word, text)
	}
	return &bus.Error{Kind: kind, Text: text}
}

func (c *client) Publish(ctx context.Context, name string, v *payload.Value) error {
	text, err := v.As(payload.JSON)
	if err == nil {
		_, err = c.do(ctx, "pub "+name+" "+string(text))
	}
	return err
}

func (c *client) Subscribe(ctx context.Context, p topic.Pattern, ready func(), fn func(*bus.Message)) error {
	s := &subscription{p, fn}
	c.mu.Lock()
	c.subs[s] = struct{}{}
	c.mu.Unlock()
	if _, err := c.do(ctx, "sub "+p.String()); err != nil {
		return err
	}
	ready()
	ended := make(chan struct{})
	go func() { // nothing else is asked while it lasts
		defer close(ended)
		c.request.Lock()
		defer c.request.Unlock()
		select {
		case <-c.replies:
		case <-ctx.Done():
		}
	}()
	<-ended
	if ctx.Err() == nil {
		return errGone
	}
	return nil
}

func (c *client) Call(ctx context.Context, name string, args *payload.Value) (*payload.Value, error) {
	text, err := args.As(payload.Args)
	if err != nil {
		return nil, err
	}
	reply, err := c.do(ctx, "call "+name+" "+string(text))
	if err != nil {
		return nil, err
	}
	return payload.New(payload.JSON, bytes.Clone([]byte(strings.TrimPrefix(reply, "res ")))), nil
}

func (c *client) Expose(context.Context, string, func(), bus.Service) error {
	return errors.ErrUnsupported
}

func (c *client) Close() error { return c.conn.Close() }

// raw is a connection that speaks in lines.
type raw struct {
	t     *testing.T
	conn  net.Conn
	lines *bufio.Reader
}

func connect(t *testing.T, rawURL string) *raw {
	t.Helper()
	u, err := url.Parse(rawURL)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := net.Dial("tcp", u.Host)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(dialecttest.Patience)); err != nil {
		t.Fatal(err)
	}
	return &raw{t, conn, bufio.NewReader(conn)}
}

func (r *raw) say(line string) {
	r.t.Helper()
	if _, err := io.WriteString(r.conn, line); err != nil {
		r.t.Fatal(err)
	}
}

// expect waits for lines; one that ends with "…" may go on.
func (r *raw) expect(want ...string) {
	r.t.Helper()
	for _, w := range want {
		got, err := r.lines.ReadString('\n')
		got = strings.TrimSuffix(got, "\n")
		if beginning, more := strings.CutSuffix(w, "…"); more && strings.HasPrefix(got, beginning) {
			continue
		}
		if got != w {
			r.t.Fatalf("received %.200q, %v; want %.200q", got, err, w)
		}
	}
}

func (r *raw) ended() {
	r.t.Helper()
	if line, err := r.lines.ReadString('\n'); !errors.Is(err, io.EOF) {
		r.t.Errorf("received %q, %v; want the end", line, err)
	}
}

func TestAConversation(t *testing.T) {
	s := dialecttest.Start(t, driver())
	if _, err := bus.Expose(s.Broker.Bus(""), "add", func(_ context.Context, n []int) (int, error) { return n[0] + n[1], nil }); err != nil {
		t.Fatal(err)
	}
	a, b := connect(t, s.URLs["echo"]), connect(t, s.URLs["echo"])
	a.say("sub news/#\r\nsub news/a\n")
	a.expect("ok", "ok")
	b.say("pub news/a {\"n\": 1}\n")
	b.expect("ok") // to whom has not subscribed
	a.expect(`msg news/a {"n": 1}`, `msg news/a {"n": 1}`)
	a.say("pub news/b two words\npub news/c\npub other 1\n")
	a.expect(`msg news/b "two words"`, "ok", "msg news/c null", "ok", "ok")
	a.say("call add [1,2]\ncall add\ncall nobody 1\nhow are you\n\n")
	a.expect("res 3", "err …", `err unknown "nobody": no such service…`, `err invalid "how" is no request…`, `err invalid "" is no request…`)
	a.say("sub news/#/x\npub \xff 1\n")
	a.expect("err invalid …", "err invalid …")
	a.say("pub without an end")
	if err := a.conn.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	a.expect("ok", "bye")
	a.ended()
}

func TestTheLongestLine(t *testing.T) {
	d := driver()
	d.Configure = func(c dialect.Config) {
		s := c.(*echo.Config)
		s.Listen, s.MaxLine, s.MaxQueue = "127.0.0.1:0", 100, 1000
	}
	s := dialecttest.Start(t, d)
	c := connect(t, s.URLs["echo"])
	c.say("pub a " + strings.Repeat("x", 100-len("pub a ")) + "\n")
	c.expect("ok")
	before := s.Counted("echo")
	c.say("pub a " + strings.Repeat("x", 101-len("pub a ")))
	c.expect("err too-large the line is longer than 100 bytes (echo.max_line)", "bye")
	c.ended()
	if s.Counted("echo") == before {
		t.Error("it is not counted")
	}
}

func TestTheEndIsAnnounced(t *testing.T) {
	s := dialecttest.Start(t, driver())
	c := connect(t, s.URLs["echo"])
	c.say("sub a\n")
	c.expect("ok")
	const n = 100
	for i := range n {
		if err := bus.Publish(t.Context(), s.Broker.Bus(""), "a", i); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Stop(); err != nil {
		t.Error(err)
	}
	for i := range n {
		c.expect(fmt.Sprint("msg a ", i))
	}
	c.expect("bye")
	c.ended()
}

func TestWhatIsNoLineIsCounted(t *testing.T) {
	s := dialecttest.Start(t, driver())
	c := connect(t, s.URLs["echo"])
	c.say("sub #\n")
	c.expect("ok")
	for _, bad := range []struct {
		topic string
		form  payload.Form
		data  string
	}{
		{"a", payload.JSON, "{\n}"},
		{"a", payload.JSON, "[1,\r2]"},
		{"a", payload.JSON, "\"\xff\""},
		{"a", payload.Text, "\xff"},
		{"two words", payload.JSON, "1"},
		{"two\nlines", payload.JSON, "1"},
		{"a", payload.CBOR, "\x80"},
	} {
		before := s.Counted("echo")
		m := &bus.Message{Topic: bad.topic}
		m.Payload.Set(bad.form, []byte(bad.data))
		if _, err := s.Broker.Bus("").Publish(m); err != nil {
			t.Fatal(err)
		}
		if s.Counted("echo") != before+1 {
			t.Errorf("%q %q is not counted", bad.topic, bad.data)
		}
	}
	if err := bus.Publish(t.Context(), s.Broker.Bus(""), "a", "line\nbreak"); err != nil {
		t.Fatal(err)
	}
	c.expect(`msg a "line\nbreak"`)
}

func TestWhoReadsTooSlowlyLosesMessages(t *testing.T) {
	s := dialecttest.Start(t, driver())
	c := connect(t, s.URLs["echo"])
	c.say("sub a\n")
	c.expect("ok")
	text := strings.Repeat("x", 256<<10)
	sent := 0
	for ; s.Counted("echo") == 0; sent++ {
		if sent > 400 {
			t.Fatal("100 MiB were taken by a client that does not read")
		}
		if err := bus.Publish(t.Context(), s.Broker.Bus(""), "a", text); err != nil {
			t.Fatal(err)
		}
	}
	for range sent - 1 { // the last one was lost, the connection lasts
		c.expect("msg a …")
	}
	c.say("pub a 1\n")
	c.expect("msg a 1", "ok")
}

func TestAClientThatTheBrokerRefusesIsTold(t *testing.T) {
	b, err := broker.New(broker.Options{Limits: broker.Limits{Peers: 1}})
	if err != nil {
		t.Fatal(err)
	}
	config := echo.Spec().Defaults()
	driver().Configure(config)
	opened, err := config.Open(dialect.Env{Port: b, Log: slog.New(slog.DiscardHandler), Counter: b.Counters().Group("echo")})
	if err != nil {
		t.Fatal(err)
	}
	bound, err := opened.Listeners()[0].Bind(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- bound.Run(ctx) }()
	first := connect(t, bound.URL())
	first.say("pub a 1\n")
	first.expect("ok")
	second := connect(t, bound.URL())
	second.expect("err full …")
	second.ended()
	if err := b.Close(t.Context()); err != nil {
		t.Error(err)
	}
	first.expect("err closed …", "bye") // it was expelled
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestConfig(t *testing.T) {
	c := echo.Spec().Defaults().(*echo.Config)
	if c.Enabled() || len(c.Validate()) > 0 {
		t.Errorf("enabled: %v, problems: %v; want it valid and off", c.Enabled(), c.Validate())
	}
	for want, bad := range map[string]echo.Config{
		"listen":   {Listen: "here", MaxLine: 16, MaxQueue: 16},
		"max_line": {Listen: ":1", MaxLine: 15, MaxQueue: 16},
	} {
		if p := bad.Validate(); len(p) != 1 || p[0].Path != want {
			t.Errorf("%+v: %v, want a problem with %s", bad, p, want)
		}
	}
	if p := (&echo.Config{Listen: ":1", MaxLine: 17, MaxQueue: 16}).Validate(); len(p) != 1 {
		t.Errorf("a line that no queue holds: %v", p)
	}
}
