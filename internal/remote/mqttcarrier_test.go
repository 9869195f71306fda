package remote_test

import (
	"context"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"omnibus/carrier"
	"omnibus/dialect/mqtt/packet"
	"omnibus/internal/remote"
	"omnibus/payload"
)

func TestMQTTOverAWebSocket(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &mqttPeer{
			network: new(network), accept: welcome(packet.V5),
			connects: make(chan *packet.Connect, 1), packets: make(chan string, 100),
		}
		l := p.network.Listen("broker.example:80")
		var asked string
		p.running.Go(func() {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			ws, err := carrier.Upgrade(conn, carrier.WebSocketOptions{Path: "/below/mqtt", Subprotocols: []string{"mqtt"}})
			if err != nil {
				t.Error(err)
				return
			}
			asked = ws.Subprotocol + " " + ws.URL.String()
			p.serve(t, ws.Stream())
		})
		c := dial(t, p.network, "ws://ann:s3cret@broker.example/below/mqtt?token=x&client_id=me")
		got := <-p.connects
		same(t, "client", got.ClientID+" "+got.Username+" "+string(got.Password), "me ann s3cret")
		same(t, "handshake", asked, "mqtt /below/mqtt?token=x")
		s := subscribe(t, c, "a")
		<-s.ready
		p.publish(message("a", "1"))
		same(t, "message", describe(t, <-s.messages), "a json 1")
		noError(t, c.Publish(t.Context(), "a", payload.Of(strings.Repeat("x", 100_000)), remote.PublishOptions{}))
		noError(t, c.Close())
		mentions(t, <-s.ended, "closed")
		noError(t, l.Close())
		p.running.Wait()
	})
}

func TestMQTTOverTLSTakesTheNameOfTheURL(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := new(network)
		l := n.Listen("broker.example:8883")
		var running sync.WaitGroup
		hello := make([]byte, 2048)
		running.Go(func() {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			k, err := conn.Read(hello)
			if err != nil {
				t.Error(err)
			}
			hello = hello[:k]
			_ = conn.Close()
		})
		_, err := remote.Dial(t.Context(), "mqtts://broker.example", remote.Options{
			Dial: func(ctx context.Context, _, address string) (net.Conn, error) { return n.Memory.Dial(ctx, address) },
		})
		mentions(t, err, "securing the connection to mqtts://broker.example")
		running.Wait()
		if !strings.Contains(string(hello), "broker.example") {
			t.Error("the name of the server is not in the handshake")
		}
		noError(t, l.Close())
	})
}
