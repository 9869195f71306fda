package mqttclient

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"

	"omnibus/carrier"
	"omnibus/dialect/mqtt/packet"
)

// servePeer makes the process a peer instead of a test.
const servePeer = "OMNIBUS_BENCH_PEER"

func TestMain(m *testing.M) {
	if os.Getenv(servePeer) != "" {
		if err := peer(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// broker is the address of the other end: a broker that runs, or a bare peer that lives as long as the test.
func broker(tb testing.TB) (address string, bare bool) {
	if address := os.Getenv("OMNIBUS_BROKER"); address != "" {
		return address, false
	}
	self, err := os.Executable()
	check(tb, err)
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), servePeer+"=1")
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	check(tb, err)
	out, err := cmd.StdoutPipe()
	check(tb, err)
	check(tb, cmd.Start())
	tb.Cleanup(func() {
		_ = in.Close() // it ends then
		_ = cmd.Wait()
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	check(tb, err)
	return strings.TrimSpace(line), true
}

// peer accepts every client and acknowledges everything, until its standard input ends.
func peer() error {
	ctx, cancel := context.WithCancel(context.Background())
	l, err := carrier.Listen(ctx, carrier.Endpoint{Network: "tcp", Address: "127.0.0.1:0"})
	if err != nil {
		cancel()
		return err
	}
	fmt.Println(l.Addr())
	go func() {
		defer cancel()
		_, _ = io.Copy(io.Discard, os.Stdin)
	}()
	return carrier.Serve(ctx, l, carrier.ServeOptions{}, serve)
}

// serve answers what has come in one write.
func serve(_ context.Context, conn net.Conn) {
	in := carrier.NewInput(conn)
	var answers []byte
	v := packet.V5
	for {
		h, body, n, err := packet.Frame(in.Bytes(), 0)
		if err != nil {
			return
		}
		if n == 0 {
			if len(answers) > 0 {
				if _, err := conn.Write(answers); err != nil {
					return
				}
				answers = answers[:0]
			}
			if in.Fill(0) != nil {
				return
			}
			continue
		}
		switch h.Type {
		case packet.CONNECT:
			var c packet.Connect
			if c.Decode(h, body) != nil {
				return
			}
			v = c.Version
			a := packet.Connack{}
			answers = a.Append(answers, v)
		case packet.PUBLISH:
			var p packet.Publish
			if p.Decode(h, body, v) != nil {
				return
			}
			if p.QoS == 1 {
				answers = packet.AppendAck(answers, packet.PUBACK, p.PacketID, packet.Success, v)
			}
		case packet.PINGREQ:
			answers = packet.AppendPingresp(answers)
		case packet.DISCONNECT:
			return
		}
		in.Discard(n)
	}
}
