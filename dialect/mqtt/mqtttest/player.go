package mqtttest

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"testing"
	"time"
)

// Player plays scripts against one broker. It is used by one goroutine.
type Player struct {
	// Dial connects to the broker.
	Dial func(ctx context.Context) (net.Conn, error)
	// DialWebSocket connects to where the broker expects the handshake of a
	// WebSocket for WebSocketURL.
	DialWebSocket func(ctx context.Context) (net.Conn, error)
	// WebSocketURL is ws://localhost/mqtt unless it is set.
	WebSocketURL string
	// Lacks says what the broker cannot do, and why.
	Lacks map[Ability]string
	// Timeout bounds each step that has to happen; 5 s unless it is set.
	Timeout time.Duration
	// Wait lets time pass for a step that says so; nil does so by waiting.
	Wait func(time.Duration)
	// Shared says that the broker outlives the script. Sessions and retained
	// messages that a script leaves behind are removed from it.
	Shared bool
}

// Play plays every script below a directory as a subtest. Scripts for what the
// broker lacks are skipped, with the reason.
func Play(t *testing.T, dir fs.FS, p *Player) {
	t.Helper()
	scripts, err := Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(scripts) == 0 {
		t.Fatal("there are no scripts")
	}
	for _, s := range scripts {
		t.Run(s.Name(), func(t *testing.T) {
			if reason := p.Skips(s); reason != "" {
				t.Skip(reason)
			}
			if err := p.Play(t.Context(), s); err != nil {
				t.Error(err)
			}
		})
	}
}

// Skips says why a script is not for the broker, or nothing if it is.
func (p *Player) Skips(s *Script) string {
	for _, a := range s.Needs {
		if why, lacks := p.Lacks[a]; lacks {
			return fmt.Sprintf("the broker lacks %s: %s", a, why)
		}
		if a == WebSocket && p.DialWebSocket == nil {
			return "no way to dial a WebSocket is given"
		}
	}
	return ""
}

// Play plays one script. The error says where it went wrong: what was expected
// and what happened, in the notation of scripts.
func (p *Player) Play(ctx context.Context, s *Script) error {
	g := &game{player: p, vars: make(variables), clients: make(map[string]*client), changed: make(chan struct{}, 1), left: newLitter()}
	err := g.play(ctx, s)
	g.end()
	if !p.Shared {
		return err
	}
	if left := g.left.remove(ctx, p); left != nil {
		err = errors.Join(err, fmt.Errorf("%s.txt: cleaning up: %w", s.File, left))
	}
	return err
}

func (p *Player) timeout() time.Duration {
	if p.Timeout > 0 {
		return p.Timeout
	}
	return 5 * time.Second
}
