package mqtt_test

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"net"
	"os"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"omnibus/auth"
	"omnibus/broker"
	"omnibus/dialect/mqtt"
	"omnibus/dialect/mqtt/mqtttest"
)

// Every script has a broker of its own, in memory and in a bubble where time is
// fake: an expiry of a day takes no time.
func TestTranscripts(t *testing.T) {
	scripts, err := mqtttest.Load(os.DirFS("testdata/transcripts"))
	if err != nil || len(scripts) == 0 {
		t.Fatalf("%d scripts, %v", len(scripts), err)
	}
	for _, s := range scripts {
		t.Run(s.Name(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := serveScript(t, s)
				if err := p.Play(t.Context(), s); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// serveScript serves what a script needs.
func serveScript(t *testing.T, s *mqtttest.Script) *mqtttest.Player {
	deny, err := broker.NewDeny([]string{"publish denied/#", "subscribe denied/#"})
	if err != nil {
		t.Fatal(err)
	}
	p := serve(t, options{
		broker: broker.Options{Auth: house{}, Access: deny},
		config: func(c *mqtt.Config) {
			if slices.Contains(s.Needs, mqtttest.ServerKeepAlive) {
				c.MaxKeepAlive = time.Minute
			}
			if slices.Contains(s.Needs, mqtttest.PacketLimit) {
				c.MaxPacket = 100_000
			}
		},
	})
	dial := func(name string) func(context.Context) (net.Conn, error) {
		return func(ctx context.Context) (net.Conn, error) { return p.network.Dial(ctx, name) }
	}
	return &mqtttest.Player{Dial: dial("mqtt"), DialWebSocket: dial("websocket")}
}

// house knows alice, by her password or by the method X-CHALLENGE, and lets in
// everybody who has no user name.
type house struct{}

const (
	resident = "alice"
	secret   = "wonderland"
	method   = "X-CHALLENGE"
)

func (house) Begin(_ context.Context, c *auth.Credentials) (auth.Conversation, error) {
	switch {
	case c.Method == method:
		return &challenge{name: string(c.Data)}, nil
	case c.Method != "":
		return nil, fmt.Errorf("%w: %w", auth.ErrMethod, auth.ErrDenied)
	case c.Username == "":
		return auth.Admitted(auth.Principal{Name: c.Name}), nil
	case c.Username != resident || string(c.Password) != secret:
		return nil, fmt.Errorf("wrong name or password: %w", auth.ErrDenied)
	}
	return auth.Admitted(auth.Principal{Name: c.Username}), nil
}

// challenge asks for the proof of knowing the secret.
type challenge struct {
	name  string
	asked []byte
}

func (c *challenge) Next(_ context.Context, proof []byte) ([]byte, *auth.Principal, error) {
	if c.asked == nil {
		c.asked = []byte(rand.Text())
		return c.asked, nil, nil
	}
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write(c.asked)
	if c.name != resident || !hmac.Equal(mac.Sum(nil), proof) {
		return nil, nil, fmt.Errorf("the proof is wrong: %w", auth.ErrDenied)
	}
	return nil, &auth.Principal{Name: c.name}, nil
}
