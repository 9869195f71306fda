package mqtt_test

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"omnibus/bus"
	"omnibus/dialect/mqtt"
	"omnibus/dialect/mqtt/packet"
)

// A client gets what was queued for it, then the reason, then the end. What its
// calls waited for is over. The leak check of the package does the rest.
func TestClientsAreToldOfTheShutdown(t *testing.T) {
	for _, v := range []packet.Version{packet.V311, packet.V5} {
		t.Run(v.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := serve(t, options{})
				ended := make(chan struct{})
				p.expose("slow", func(ctx context.Context, _ bus.Args) (string, error) {
					defer close(ended)
					<-ctx.Done()
					return "", ctx.Err()
				})
				c := p.connect(v, "c")
				c.subscribe(1, "a")
				c.put(0, 0, "$request/1/slow", "")
				synctest.Wait()
				half := p.dial(v)
				half.send([]byte{0x10})
				text := strings.Repeat("x", 40<<10)
				const n = 4 // more than a pipe holds
				for range n {
					p.say("a", text, ofQoS(1))
				}
				closed := make(chan struct{})
				go func() {
					defer close(closed)
					p.close()
				}()
				for range n {
					if m := c.publish(); string(m.Payload) != text {
						t.Fatal("another message arrived")
					}
				}
				if v == packet.V5 {
					if d := c.disconnect(); d.Reason != packet.ServerShuttingDown {
						t.Errorf("the reason is %v", d.Reason)
					}
				}
				c.closed()
				<-closed
				<-ended
				if _, _, err := half.read(); !errors.Is(err, io.EOF) {
					t.Errorf("who had not said CONNECT: %v", err)
				}
			})
		})
	}
}

func TestClientsThatDoNotReadDoNotHoldUpTheShutdown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := serve(t, options{config: func(c *mqtt.Config) { c.Grace = 3 * time.Second }})
		c := p.connect(packet.V5, "c")
		c.subscribe(0, "a")
		for range 10 {
			p.say("a", strings.Repeat("x", 50<<10))
		}
		began := time.Now()
		p.close()
		if took := time.Since(began); took > 3*time.Second {
			t.Errorf("the shutdown took %v, with a grace of 3 s", took)
		}
	})
}
