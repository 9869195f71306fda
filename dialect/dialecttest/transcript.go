package dialecttest

import (
	"bufio"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"omnibus/bus"
	"omnibus/payload"
	"omnibus/topic"
)

// Wire is one raw client of a dialect: it sends and receives what the
// transcript writes as one line.
type Wire interface {
	Send(line string) error
	// Receive waits for the next line; an error when the link has ended.
	Receive() (string, error)
	Close() error
}

// Transcripts plays every file testdata/transcripts/*.txt against the dialect.
// A file is a conversation, one step a line:
//
//	# a comment
//	a open                 client a connects
//	a> TEXT                client a sends
//	a< TEXT                client a receives exactly this
//	a closed               the other side ends client a's link
//	a close                client a ends its link
//	bus> TOPIC FORM DATA   a function of the broker's process publishes
//	bus< TOPIC FORM DATA   a function that hears everything receives this
//
// Steps are played in order; each must happen before the next.
func Transcripts(t *testing.T, d Driver, dial func(url string) (Wire, error)) {
	files, err := filepath.Glob("testdata/transcripts/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no transcripts in testdata/transcripts (%v)", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			p := newPlayer(t, d, dial)
			f, err := os.Open(file)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close() //nolint:errcheck // only read
			lines := bufio.NewScanner(f)
			for n := 1; lines.Scan(); n++ {
				p.at = n
				p.step(strings.TrimRight(lines.Text(), "\r"))
			}
			if err := lines.Err(); err != nil {
				t.Fatal(err)
			}
		})
	}
}

type player struct {
	t       *testing.T
	at      int // line
	server  *Server
	url     string
	dial    func(url string) (Wire, error)
	clients map[string]*wire
	heard   *inbox
}

// wire reads a client's link ahead, so that a step can time out.
type wire struct {
	Wire
	lines chan string
}

func newPlayer(t *testing.T, d Driver, dial func(string) (Wire, error)) *player {
	s := Start(t, d)
	p := &player{t: t, server: s, url: s.URLs[d.Spec.Name], dial: dial, clients: make(map[string]*wire), heard: newInbox()}
	all, err := topic.NewFilter("#")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Broker.Bus("").Attach(all, receiver(p.heard.put), bus.AttachOptions{}); err != nil {
		t.Fatal(err)
	}
	return p
}

func (p *player) fatalf(format string, args ...any) {
	p.t.Helper()
	p.t.Fatalf("line %d: "+format, append([]any{p.at}, args...)...)
}

func (p *player) step(line string) {
	p.t.Helper()
	if line == "" || line[0] == '#' {
		return
	}
	who, rest, _ := strings.Cut(line, " ")
	name, sends := strings.CutSuffix(who, ">")
	name, receives := strings.CutSuffix(name, "<")
	switch {
	case name == "bus" && sends:
		p.publish(rest)
	case name == "bus" && receives:
		p.hear(rest)
	case sends:
		if err := p.client(name).Send(rest); err != nil {
			p.fatalf("sending: %v", err)
		}
	case receives:
		if got, open := p.next(name); !open || got != rest {
			p.fatalf("client %s received\n%s (link open: %v), want\n%s", name, got, open, rest)
		}
	case rest == "open":
		p.open(name)
	case rest == "closed":
		if got, open := p.next(name); open {
			p.fatalf("client %s received %s, want the end of its link", name, got)
		}
	case rest == "close":
		_ = p.client(name).Close()
	default:
		p.fatalf("not a step: %s", line)
	}
}

func (p *player) open(name string) {
	w, err := p.dial(p.url)
	if err != nil {
		p.fatalf("connecting %s: %v", name, err)
	}
	c := &wire{Wire: w, lines: make(chan string, 1000)}
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer close(c.lines)
		for {
			line, err := w.Receive()
			if err != nil {
				return
			}
			c.lines <- line
		}
	}()
	p.clients[name] = c
	p.t.Cleanup(func() {
		_ = w.Close()
		<-done
	})
}

func (p *player) client(name string) *wire {
	c := p.clients[name]
	if c == nil {
		p.fatalf("client %q has not been opened", name)
	}
	return c
}

func (p *player) next(name string) (string, bool) {
	select {
	case line, open := <-p.client(name).lines:
		return line, open
	case <-time.After(Patience):
		p.fatalf("client %s received nothing", name)
		return "", false
	}
}

func (p *player) message(text string) (string, payload.Form, string) {
	name, rest, _ := strings.Cut(text, " ")
	form, data, _ := strings.Cut(rest, " ")
	f, ok := payload.ParseForm(form)
	if !ok {
		p.fatalf("%q is no form of payload", form)
	}
	return name, f, data
}

func (p *player) publish(text string) {
	name, form, data := p.message(text)
	m := &bus.Message{Topic: name}
	m.Payload.Set(form, []byte(data))
	if _, err := p.server.Broker.Bus("").Publish(m); err != nil {
		p.fatalf("publishing: %v", err)
	}
	p.hear(text) // the one that hears everything hears this too
}

func (p *player) hear(text string) {
	name, form, data := p.message(text)
	m := p.heard.next(p.t)
	got, err := m.Payload.As(form)
	if err != nil || m.Topic != name || m.Payload.Kind() != form || string(got) != data {
		p.fatalf("heard %s %s %s (%v), want %s", m.Topic, m.Payload.Kind(), got, err, text)
	}
}
