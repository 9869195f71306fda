package mqtttest_test

import (
	"context"
	"io/fs"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"omnibus/carrier"
	"omnibus/dialect/mqtt/mqtttest"
)

// overWebSocket plays a script against a server that accepts CONNECT and echoes
// everything else, until it gets a text frame.
func overWebSocket(t *testing.T, script, protocol string) error {
	t.Helper()
	var err error
	synctest.Test(t, func(t *testing.T) {
		var running sync.WaitGroup
		player := &mqtttest.Player{DialWebSocket: func(context.Context) (net.Conn, error) {
			near, far := carrier.Pipe()
			running.Go(func() {
				w, err := carrier.Upgrade(far, carrier.WebSocketOptions{Subprotocols: []string{protocol}})
				if err != nil {
					_ = far.Close()
					return
				}
				defer w.Drop() //nolint:errcheck // the end of the connection is the point
				for {
					op, b, err := w.Read()
					if err != nil || op != carrier.Binary {
						return
					}
					if b[0] == 0x10 {
						b = unhex(accepted)
					}
					if err := w.Send(carrier.Binary, b); err != nil {
						return
					}
				}
			})
			return near, nil
		}}
		err = player.Play(t.Context(), parse(t, script))
		running.Wait()
	})
	return err
}

func transcriptsFS() fs.FS { return os.DirFS(transcripts) }

// allText is that of all transcripts.
func allText(t *testing.T) string {
	t.Helper()
	var out strings.Builder
	err := fs.WalkDir(transcriptsFS(), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := fs.ReadFile(transcriptsFS(), name)
		out.Write(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out.String()
}
