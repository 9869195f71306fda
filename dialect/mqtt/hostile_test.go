package mqtt_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"omnibus/dialect/mqtt"
	"omnibus/dialect/mqtt/packet"
)

// journal is a log that remembers what is at least Info.
type journal struct {
	mu    sync.Mutex
	lines []string
}

func (*journal) Enabled(_ context.Context, l slog.Level) bool { return l >= slog.LevelInfo }
func (j *journal) WithAttrs([]slog.Attr) slog.Handler         { return j }
func (j *journal) WithGroup(string) slog.Handler              { return j }
func (j *journal) Handle(_ context.Context, r slog.Record) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	var b strings.Builder
	b.WriteString(r.Message)
	r.Attrs(func(a slog.Attr) bool {
		fmt.Fprintf(&b, " %s", a)
		return true
	})
	j.lines = append(j.lines, b.String())
	return nil
}

// take returns the lines since the last time.
func (j *journal) take() []string {
	j.mu.Lock()
	defer j.mu.Unlock()
	all := j.lines
	j.lines = nil
	return all
}

// A client that reads nothing loses what does not fit into its queue. Nobody else
// notices, and its memory is bounded.
func TestAClientThatReadsNothingLosesMessages(t *testing.T) {
	p := serve(t, options{config: func(c *mqtt.Config) { c.MaxQueue = 64 << 10 }})
	deaf, reader, writer := p.connect(packet.V311, "deaf"), p.connect(packet.V5, "reader"), p.connect(packet.V5, "writer")
	for _, c := range []*client{deaf, reader} {
		c.subscribe(0, "a")
	}
	text := strings.Repeat("x", 1<<10)
	round := func(n int) {
		for range n {
			writer.put(0, 0, "a", text)
			reader.publish()
		}
	}
	round(200) // the pipe and the queue are full
	before := heap()
	round(2000)
	if grown := heap() - before; grown > 512<<10 {
		t.Errorf("2 MB for a client that does not read take %d bytes more", grown)
	}
	lost := p.counter("messages_dropped_queue_full")
	if lost < 2000 || lost > 2200 {
		t.Errorf("%d messages are counted as lost, of 2200", lost)
	}
	got := int64(0)
	for ; got < 2200-lost; got++ {
		deaf.publish() // what was queued is still there
	}
	writer.put(0, 0, "a", "again")
	deaf.wants("a=again")
	deaf.silent()
}

func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

func TestAClientThatReadsNothingIsDisconnectedIfThatIsThePolicy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := new(journal)
		p := serve(t, options{log: j, config: func(c *mqtt.Config) {
			c.MaxQueue, c.SlowClients = 64<<10, "disconnect"
		}})
		deaf, reader := p.connect(packet.V5, "deaf"), p.connect(packet.V5, "reader")
		for _, c := range []*client{deaf, reader} {
			c.subscribe(0, "a")
		}
		n := 0
		for ; p.counter("clients_too_slow") == 0 && n < 1000; n++ {
			p.say("a", strings.Repeat("x", 1<<10))
			reader.publish()
		}
		for { // what was queued, then why
			h, body, err := deaf.read()
			if err != nil {
				t.Fatal(err)
			}
			if h.Type == packet.PUBLISH {
				continue
			}
			var d packet.Disconnect
			if err := d.Decode(h, body, packet.V5); err != nil || d.Reason != packet.QuotaExceeded {
				t.Errorf("got %v %v, %v; want DISCONNECT with %v", h.Type, d.Reason, err, packet.QuotaExceeded)
			}
			break
		}
		deaf.closed()
		synctest.Wait()
		if n, lines := p.counter("clients_too_slow"), j.take(); n != 1 || len(lines) != 1 || !strings.Contains(lines[0], "mqtt.max_queue") {
			t.Errorf("counted %d, logged %q", n, lines)
		}
		p.say("a", "1")
		reader.wants("a=1")
	})
}

func TestConnectionsThatDoNotSpeakAreClosed(t *testing.T) {
	connect := (&packet.Connect{Version: packet.V311, ClientID: "c", CleanStart: true}).Append(nil)
	for name, first := range map[string][]byte{
		"nothing":            nil,
		"the first byte":     connect[:1],
		"half of CONNECT":    connect[:len(connect)/2],
		"all but one byte":   connect[:len(connect)-1],
		"a length too large": {0x10, 0xff, 0xff, 0x03, 0, 4},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				j := new(journal)
				p := serve(t, options{log: j, config: func(c *mqtt.Config) { c.ConnectTimeout = 3 * time.Second }})
				c := p.dial(packet.V311)
				began := time.Now()
				if first != nil {
					c.send(first)
				}
				time.Sleep(2 * time.Second)
				other := p.connect(packet.V5, "other")
				c.closed()
				if after := time.Since(began); after != 3*time.Second {
					t.Errorf("closed after %v, want 3s", after)
				}
				other.silent()
				synctest.Wait()
				if n, lines := p.counter("keep_alive_timeouts"), j.take(); n != 1 || len(lines) != 1 || !strings.Contains(lines[0], "mqtt.connect_timeout") {
					t.Errorf("counted %d, logged %q", n, lines)
				}
			})
		})
	}
}

func TestSilentClientsAreDisconnected(t *testing.T) {
	for _, test := range []struct {
		name         string
		v            packet.Version
		asked, most  time.Duration
		told, closed time.Duration // 0: nothing is told; never
	}{
		{"after one and a half times what it asked for", packet.V5, 10 * time.Second, 0, 0, 15 * time.Second},
		{"also before version 5", packet.V311, 3 * time.Second, 0, 0, 4500 * time.Millisecond},
		{"never when it asked for none", packet.V5, 0, 0, 0, 0},
		{"by what the server allows at most", packet.V5, 100 * time.Second, 20 * time.Second, 20 * time.Second, 30 * time.Second},
		{"by that also when it asked for none", packet.V311, 0, 20 * time.Second, 0, 30 * time.Second},
		{"as it asked when that is less", packet.V5, 10 * time.Second, 20 * time.Second, 0, 15 * time.Second},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				j := new(journal)
				p := serve(t, options{log: j, config: func(c *mqtt.Config) { c.MaxKeepAlive = test.most }})
				c := p.dial(test.v)
				in := packet.Connect{Version: test.v, ClientID: "c", CleanStart: true, KeepAlive: uint16(test.asked / time.Second)}
				c.send(in.Append(nil))
				if ack := c.connack(); time.Duration(ack.Properties.ServerKeepAlive)*time.Second != test.told {
					t.Errorf("it was told %d s", ack.Properties.ServerKeepAlive)
				}
				life := test.closed
				if life == 0 {
					life = 24 * time.Hour
				}
				for range 3 {
					time.Sleep(life - time.Millisecond)
					c.silent()
				}
				if test.closed == 0 {
					return
				}
				began := time.Now()
				time.Sleep(life - time.Millisecond)
				synctest.Wait()
				if n := p.counter("keep_alive_timeouts"); n != 0 {
					t.Errorf("it was disconnected before its time")
				}
				_ = c.c.SetReadDeadline(time.Time{})
				if test.v == packet.V5 {
					if d := c.disconnect(); d.Reason != packet.KeepAliveTimeout {
						t.Errorf("the reason is %v", d.Reason)
					}
				}
				c.closed()
				if after := time.Since(began); after != test.closed {
					t.Errorf("closed after %v, want %v", after, test.closed)
				}
				synctest.Wait()
				if n, lines := p.counter("keep_alive_timeouts"), j.take(); n != 1 || len(lines) != 1 {
					t.Errorf("counted %d, logged %q", n, lines)
				}
			})
		})
	}
}

// Each breach ends its connection and no other, with one line and one count.
func TestABreachEndsItsConnectionAlone(t *testing.T) {
	for _, test := range []struct {
		name   string
		bytes  string
		reason packet.ReasonCode
	}{
		{"a second CONNECT", "\x10\x0d\x00\x04MQTT\x05\x02\x00\x3c\x00\x00\x00", packet.ProtocolError},
		{"a reserved type", "\x00\x00", packet.MalformedPacket},
		{"a server's packet", "\xd0\x00", packet.ProtocolError},
		{"a length without end", "\x30\xff\xff\xff\xff", packet.MalformedPacket},
		{"QoS 3", "\x36\x06\x00\x01a\x00\x01\x00", packet.MalformedPacket},
		{"a topic with a wildcard", "\x30\x04\x00\x01#\x00", packet.TopicNameInvalid},
		{"a topic that is no UTF-8", "\x30\x04\x00\x01\xff\x00", packet.MalformedPacket},
		{"identifier 0", "\x32\x06\x00\x01a\x00\x00\x00", packet.ProtocolError},
		{"a cut PUBLISH", "\x30\x02\x00\x05", packet.MalformedPacket},
		{"an alias above the maximum", "\x30\x07\x00\x01a\x03\x23\xff\xff", packet.TopicAliasInvalid},
		{"an alias nobody has given", "\x30\x06\x00\x00\x03\x23\x00\x01", packet.ProtocolError},
		{"SUBSCRIBE without filters", "\x82\x03\x00\x01\x00", packet.ProtocolError},
		{"SUBSCRIBE with wrong flags", "\x80\x07\x00\x01\x00\x00\x01a\x00", packet.MalformedPacket},
		{"PUBACK that is too short", "\x40\x01\x00", packet.MalformedPacket},
		{"AUTH out of nowhere", "\xf0\x00", packet.ProtocolError},
		{"a packet above the maximum", "\x30\x81\x08", packet.PacketTooLarge},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				j := new(journal)
				p := serve(t, options{log: j, config: func(c *mqtt.Config) { c.MaxPacket = 1024 }})
				other := p.connect(packet.V5, "other")
				other.subscribe(1, "a")
				c := p.connect(packet.V5, "c")
				c.send([]byte(test.bytes))
				d := c.disconnect()
				if d.Reason != test.reason || d.Properties.ReasonString == "" {
					t.Errorf("the reason is %v %q, want %v", d.Reason, d.Properties.ReasonString, test.reason)
				}
				c.closed()
				synctest.Wait()
				if n, lines := p.counter("packets_invalid"), j.take(); n != 1 || len(lines) != 1 || !strings.Contains(lines[0], "reason=") {
					t.Errorf("counted %d, logged %q", n, lines)
				}
				other.put(1, 1, "a", "fine")
				if h, _, err := other.read(); err != nil || h.Type != packet.PUBLISH && h.Type != packet.PUBACK {
					t.Errorf("the other client: %v, %v", h.Type, err)
				}
			})
		})
	}
}

func TestAcknowledgementsOfNothingAreHarmless(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := serve(t, options{})
		c := p.connect(packet.V5, "c")
		c.subscribe(2, "a")
		p.say("a", "1", ofQoS(1))
		p.say("a", "2", ofQoS(2))
		first, second := c.publish(), c.publish()
		var flood []byte
		for id := 1; id < 1000; id++ {
			if uint16(id) == first.PacketID || uint16(id) == second.PacketID {
				continue // a wrong answer to those would be an error
			}
			for _, t := range []packet.Type{packet.PUBACK, packet.PUBCOMP} {
				flood = packet.AppendAck(flood, t, uint16(id), packet.Success, c.v)
			}
		}
		c.send(flood)
		c.silent()
		for _, t := range []packet.Type{packet.PUBREC, packet.PUBREL} {
			c.acknowledge(t, 999)
		}
		for range 2 { // PUBREL, PUBCOMP
			h, body, err := c.read()
			var a packet.Ack
			if err != nil || a.Decode(h, body, c.v) != nil || a.Reason != packet.PacketIdentifierNotFound {
				t.Errorf("got %v %v, %v", h.Type, a.Reason, err)
			}
		}
		c.acknowledge(packet.PUBREC, second.PacketID) // it is still under way
		if a := c.ack(packet.PUBREL); a.Reason != packet.Success {
			t.Errorf("PUBREL says %v", a.Reason)
		}
		c.acknowledge(packet.PUBCOMP, second.PacketID)
		c.acknowledge(packet.PUBACK, first.PacketID)
		p.say("a", "3", ofQoS(1))
		c.wants("a=3")
	})
}

// A client that takes none of its acknowledgements is read no further: how much it
// can send before it is held up is bounded. Nobody else suffers.
func TestAClientThatTakesNoAcknowledgementsIsReadNoFurther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := serve(t, options{config: func(c *mqtt.Config) { c.MaxQueue = 16 << 10 }})
		reader, writer, deaf := p.connect(packet.V5, "reader"), p.connect(packet.V5, "writer"), p.connect(packet.V311, "deaf")
		reader.subscribe(0, "ok")
		ping := bytes.Repeat(packet.AppendPingreq(nil), 512)
		sent := 0
		_ = deaf.c.SetWriteDeadline(time.Now().Add(time.Second))
		for {
			n, err := deaf.c.Write(ping)
			sent += n
			if err != nil {
				break
			}
			if sent > 4<<20 {
				t.Fatal("it is read without end")
			}
		}
		handled := p.counter("messages_received")
		writer.put(0, 0, "ok", "1")
		reader.wants("ok=1")
		_ = deaf.c.SetWriteDeadline(time.Time{})
		answers := 0
		for answers < sent/2 { // once it reads, it is answered in full
			h, _, err := deaf.read()
			if err != nil || h.Type != packet.PINGRESP {
				t.Fatalf("after %d answers: %v, %v", answers, h.Type, err)
			}
			answers++
		}
		if handled != 0 {
			t.Errorf("%d messages", handled)
		}
	})
}

// If it never reads again, the write timeout ends it.
func TestAClientThatNeverTakesItsAcknowledgementsIsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := serve(t, options{config: func(c *mqtt.Config) { c.MaxQueue = 16 << 10 }})
		deaf := p.connect(packet.V311, "deaf")
		var all []byte
		for id := range uint16(60_000) {
			all = append(all, deaf.message(1, id+1, "a", "")...)
		}
		for {
			if _, err := deaf.c.Write(all); err != nil {
				break // it ended while this waited
			}
		}
		synctest.Wait()
		if n := p.broker.Status().Peers["mqtt"]; n != 0 {
			t.Errorf("%d clients are left", n)
		}
	})
}

func TestConnectionsBeyondTheLimitAreRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := new(journal)
		p := serve(t, options{log: j, config: func(c *mqtt.Config) { c.MaxClients = 2 }})
		p.connect(packet.V5, "1")
		p.connect(packet.V5, "2").silent()
		third := p.dial(packet.V5)
		if _, _, err := third.read(); err == nil || errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("the third connection: %v", err)
		}
		synctest.Wait()
		if n, lines := p.counter("connections_refused"), j.take(); n != 1 || !slices.ContainsFunc(lines, func(s string) bool { return strings.Contains(s, "mqtt.max_clients") }) {
			t.Errorf("counted %d, logged %q", n, lines)
		}
	})
}
