package mqtt_test

import (
	"context"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"omnibus/dialect/mqtt"
	"omnibus/dialect/mqtt/packet"
)

// alarm is a log that notices panics.
type alarm struct{ panics atomic.Int64 }

func (*alarm) Enabled(context.Context, slog.Level) bool { return true }
func (a *alarm) WithAttrs([]slog.Attr) slog.Handler     { return a }
func (a *alarm) WithGroup(string) slog.Handler          { return a }
func (a *alarm) Handle(_ context.Context, r slog.Record) error {
	if strings.Contains(r.Message, "panicked") {
		a.panics.Add(1)
	}
	return nil
}

// FuzzConnection: whatever a client sends, from its first byte or after CONNECT,
// the server does not panic, ends the connection when the client does, and goes on
// serving others.
func FuzzConnection(f *testing.F) {
	for i, v := range []packet.Version{packet.V31, packet.V311, packet.V5} {
		connect := packet.Connect{Version: v, ClientID: "fuzz", CleanStart: i%2 == 0, KeepAlive: 60}
		f.Add(uint8(0), connect.Append(nil))
		subscribe := packet.Subscribe{PacketID: 1, Filters: []packet.Subscription{{Filter: "a/#", QoS: 2}, {Filter: "$share/g/a/+", QoS: 1}, {Filter: "$SYS/#"}, {Filter: "$service/s"}, {Filter: "$request/+/r"}}}
		all := subscribe.Append(nil, v)
		for qos := range byte(3) {
			all = (&packet.Publish{Topic: "a/b", Payload: []byte("x"), QoS: qos, PacketID: 7, Retain: true}).Append(all, v)
		}
		for _, t := range []packet.Type{packet.PUBACK, packet.PUBREC, packet.PUBREL, packet.PUBCOMP} {
			all = packet.AppendAck(all, t, 1, packet.Success, v)
		}
		call := packet.Publish{Topic: "s", Payload: []byte("1")}
		call.Properties.ResponseTopic = "a/answer"
		all = call.Append(all, v)
		all = (&packet.Publish{Topic: "$request/1/r"}).Append(all, v)
		all = (&packet.Unsubscribe{PacketID: 2, Filters: []string{"a/#", "$service/s"}}).Append(all, v)
		all = packet.AppendPingreq(all)
		f.Add(byte(v), all)
		f.Add(byte(v), append(all, (&packet.Disconnect{}).Append(nil, v)...))
	}
	f.Add(uint8(5), []byte("\xf0\x00"))
	f.Add(uint8(5), []byte("\x30\x06\x00\x00\x03\x23\x00\x01"))

	log := new(alarm)
	p := serve(f, options{log: log, config: func(c *mqtt.Config) {
		c.MaxPacket, c.ConnectTimeout, c.CallTimeout, c.MaxSessionExpiry = 64<<10, time.Minute, time.Second, time.Second
	}})
	other := p.connect(packet.V5, "other")
	other.subscribe(1, "other")
	f.Cleanup(func() { p.t = f })
	id := uint16(0)
	f.Fuzz(func(t *testing.T, first uint8, data []byte) {
		p.t, other.t = t, t
		c := p.dial(packet.Version(first))
		// It reads what it gets, so that nobody waits for it.
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			buf := make([]byte, 4<<10)
			for {
				if _, err := c.c.Read(buf); err != nil {
					return
				}
			}
		}()
		if v := packet.Version(first); v >= packet.V31 && v <= packet.V5 {
			data = append((&packet.Connect{Version: v, ClientID: "fuzz"}).Append(nil), data...)
		}
		_, _ = c.c.Write(data) // it may end in between
		if half, ok := c.c.(interface{ CloseWrite() error }); ok {
			_ = half.CloseWrite()
		}
		select {
		case <-ended:
		case <-time.After(patience):
			t.Fatal("the connection did not end with its client")
		}
		c.cut()

		id = id%1000 + 1
		other.put(1, id, "other", "x")
		for range 2 { // the message and PUBACK, in any order
			h, body, err := other.read()
			var m packet.Publish
			switch {
			case err != nil:
				t.Fatalf("the other client: %v", err)
			case h.Type == packet.PUBACK:
			case h.Type != packet.PUBLISH || m.Decode(h, body, packet.V5) != nil || m.Topic != "other":
				t.Fatalf("the other client got %v % x", h.Type, body)
			default:
				other.acknowledge(packet.PUBACK, m.PacketID)
			}
		}
		if n := log.panics.Load(); n != 0 {
			t.Fatalf("%d panics", n)
		}
	})
}
