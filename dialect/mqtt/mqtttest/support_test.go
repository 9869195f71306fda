package mqtttest_test

import (
	"context"
	"encoding/hex"
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"omnibus/carrier"
	"omnibus/dialect/mqtt/mqtttest"
	"omnibus/dialect/mqtt/packet"
)

// puppet is a broker that says what it is told to. Each connection has a list of
// answers, one for each packet that is no PINGREQ: hexadecimal digits and texts
// in quotes; "echo" is the packet itself, "end" in the end ends the connection. Unless it
// is deaf, it answers PINGREQ.
type puppet struct {
	answers [][]string
	deaf    bool

	mu      sync.Mutex
	dialed  int
	got     [][]byte // every packet of all connections
	running sync.WaitGroup
}

func (p *puppet) dial(context.Context) (net.Conn, error) {
	near, far := carrier.Pipe()
	p.mu.Lock()
	defer p.mu.Unlock()
	var answers []string
	if p.dialed < len(p.answers) {
		answers = p.answers[p.dialed]
	}
	p.dialed++
	p.running.Go(func() { p.serve(far, answers) })
	return near, nil
}

func (p *puppet) serve(c net.Conn, answers []string) {
	defer c.Close()
	var buf []byte
	chunk := make([]byte, 4096)
	for {
		n, err := c.Read(chunk)
		buf = append(buf, chunk[:n]...)
		for {
			h, _, size, ferr := packet.Frame(buf, 0)
			if size == 0 && ferr == nil {
				break
			}
			if ferr != nil {
				h, size = packet.Header{}, len(buf)
			}
			raw := buf[:size]
			buf = buf[size:]
			p.mu.Lock()
			p.got = append(p.got, raw)
			p.mu.Unlock()
			answer := ""
			switch {
			case h.Type == packet.PINGREQ && p.deaf:
			case h.Type == packet.PINGREQ:
				answer = "D000"
			case len(answers) > 0:
				answer, answers = answers[0], answers[1:]
			}
			answer, ends := strings.CutSuffix(answer, "end")
			reply := raw
			if answer != "echo" {
				reply = unhex(answer)
			}
			if _, err := c.Write(reply); err != nil || ends {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// unhex is the bytes of a list of hexadecimal digits and texts in quotes. It is
// for texts of the tests, and panics at others.
func unhex(list string) []byte {
	var out []byte
	for word := range strings.FieldsSeq(list) {
		if word[0] == '"' {
			text, err := strconv.Unquote(word)
			if err != nil {
				panic(err)
			}
			out = append(out, text...)
			continue
		}
		b, err := hex.DecodeString(word)
		if err != nil {
			panic(err)
		}
		out = append(out, b...)
	}
	return out
}

// accepted is a CONNACK of version 5.
const accepted = "2003 00 00 00"

// play plays a script against a puppet, in fake time.
func play(t *testing.T, script string, p *puppet, change func(*mqtttest.Player)) error {
	t.Helper()
	var err error
	synctest.Test(t, func(t *testing.T) {
		player := &mqtttest.Player{Dial: p.dial}
		if change != nil {
			change(player)
		}
		err = player.Play(t.Context(), parse(t, script))
		p.running.Wait()
	})
	return err
}

func parse(t *testing.T, script string) *mqtttest.Script {
	t.Helper()
	scripts, err := mqtttest.Parse("script", script)
	if err != nil {
		t.Fatal(err)
	}
	if len(scripts) != 1 {
		t.Fatalf("%d scripts", len(scripts))
	}
	return scripts[0]
}
