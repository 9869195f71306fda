package remote_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
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

// FuzzReadPackets: however a stream arrives, it is cut into the packets that are in
// it, and ends with an error.
func FuzzReadPackets(f *testing.F) {
	f.Add([]byte{0x30, 3, 0, 1, 'a', 0xD0, 0, 0x20, 2, 0, 0})
	f.Add([]byte{0x30, 0xFF, 0xFF, 0xFF, 0x7F, 1, 2})
	f.Add([]byte{0xD0, 0, 0, 0})
	f.Fuzz(func(t *testing.T, stream []byte) {
		const limit = 100
		var want []string
		rest, wantErr := stream, io.EOF
		for {
			h, body, n, err := packet.Frame(rest, limit)
			if err != nil {
				wantErr = err
				break
			}
			if n == 0 {
				if len(rest) > 0 {
					wantErr = io.ErrUnexpectedEOF
				}
				break
			}
			want = append(want, fmt.Sprintf("%+v %x", h, body))
			rest = rest[n:]
		}
		for _, r := range []io.Reader{bytes.NewReader(stream), iotest.OneByteReader(bytes.NewReader(stream)), iotest.DataErrReader(bytes.NewReader(stream))} {
			var got []string
			err := remote.ReadPackets(r, limit, func(h packet.Header, body []byte) { got = append(got, fmt.Sprintf("%+v %x", h, body)) })
			if strings.Join(got, "\n") != strings.Join(want, "\n") {
				t.Fatalf("got %q, want %q", got, want)
			}
			if err.Error() != wantErr.Error() && !errors.Is(err, wantErr) {
				t.Fatalf("ended with %v, want %v", err, wantErr)
			}
		}
	})
}
