package mqtt_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"omnibus/client/mqtt"
	"omnibus/dialect/mqtt/packet"
)

// cutter cuts a connection when a number of bytes have passed in one direction.
type cutter struct {
	net.Conn
	mu      sync.Mutex
	written int
	read    int
	atWrite int // 0 is never
	atRead  int
}

var errCut = errors.New("the connection was cut")

func (c *cutter) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.atWrite > 0 && c.written+len(p) >= c.atWrite {
		n, _ := c.Conn.Write(p[:c.atWrite-c.written])
		c.written += n
		_ = c.Conn.Close()
		return n, errCut
	}
	n, err := c.Conn.Write(p)
	c.written += n
	return n, err
}

func (c *cutter) Read(p []byte) (int, error) {
	if left := c.atRead - c.read; c.atRead > 0 && len(p) > left {
		p = p[:left]
	}
	if c.atRead > 0 && c.read == c.atRead {
		_ = c.Conn.Close()
		return 0, errCut
	}
	n, err := c.Conn.Read(p)
	c.read += n
	if c.atRead > 0 && c.read == c.atRead {
		_ = c.Conn.Close()
	}
	return n, err
}

// journey publishes and receives with every QoS over a first connection that is cut, and others that are not. It
// returns how many bytes the first connection carried.
func journey(t *testing.T, v mqtt.Version, atWrite, atRead int) (written, read int) {
	s := newStation(t)
	var first *cutter
	o := s.options(mqtt.Options{ClientID: "me", Version: v, SessionExpiry: time.Hour, Reconnect: true})
	inner := o.Dial
	o.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := inner(ctx, network, address)
		if err == nil && first == nil {
			first = &cutter{Conn: conn, atWrite: atWrite, atRead: atRead}
			conn = first
		}
		return conn, err
	}
	c, err := mqtt.Start(url, o)
	noError(t, err)
	ctx := t.Context()
	var mu sync.Mutex
	heard := make(map[string]int)
	for {
		noError(t, c.AwaitConnection(ctx))
		_, err := c.Subscribe(ctx, mqtt.Subscription{Filter: "in/#", QoS: 2, Handler: func(m *mqtt.Message) {
			mu.Lock()
			defer mu.Unlock()
			heard[m.Topic]++
		}})
		if err == nil {
			break
		}
		if !errors.Is(err, mqtt.ErrDisconnected) {
			t.Fatal(err)
		}
		synctest.Wait()
	}
	var posts sync.WaitGroup
	for qos := byte(1); qos <= 2; qos++ {
		s.publish(packet.Publish{Topic: fmt.Sprint("in/", qos), QoS: qos, Payload: []byte("to the client")})
		posts.Go(func() {
			m := mqtt.Message{Topic: fmt.Sprint("out/", qos), QoS: qos, Payload: []byte("to the broker")}
			if err := c.Publish(ctx, m); err != nil {
				t.Errorf("publishing with QoS %d: %v", qos, err)
			}
		})
		synctest.Wait()
	}
	posts.Wait()
	time.Sleep(time.Hour) // what is cut is found out and mended
	synctest.Wait()
	where := fmt.Sprintf("cut after writing %d or reading %d bytes of version %s", atWrite, atRead, v)
	mu.Lock()
	defer mu.Unlock()
	if n := heard["in/1"]; n < 1 {
		t.Errorf("%s: QoS 1 reached the client %d times", where, n)
	}
	if n := heard["in/2"]; n != 1 {
		t.Errorf("%s: QoS 2 reached the client %d times", where, n)
	}
	if n := len(s.got("out/1")); n < 1 {
		t.Errorf("%s: QoS 1 reached the broker %d times", where, n)
	}
	if n := len(s.got("out/2")); n != 1 {
		t.Errorf("%s: QoS 2 reached the broker %d times", where, n)
	}
	if st := c.Stats(); st.InFlight != 0 || st.Queued != 0 {
		t.Errorf("%s: left over: %+v", where, st)
	}
	if err := c.Close(); err != nil && !errors.Is(err, errCut) {
		t.Errorf("%s: closing: %v", where, err)
	}
	s.stop()
	return first.written, first.read
}

// What is cut anywhere is delivered all the same: QoS 1 at least once, QoS 2 exactly once, in both directions.
func TestCutAtEveryByte(t *testing.T) {
	for _, v := range []mqtt.Version{mqtt.V5, mqtt.V311} {
		t.Run(v.String(), func(t *testing.T) {
			var written, read int
			synctest.Test(t, func(t *testing.T) { written, read = journey(t, v, 0, 0) })
			if written < 60 || read < 40 {
				t.Fatalf("a whole journey has %d bytes written and %d read", written, read)
			}
			for n := 1; n <= written; n++ {
				synctest.Test(t, func(t *testing.T) { journey(t, v, n, 0) })
			}
			for n := 1; n <= read; n++ {
				synctest.Test(t, func(t *testing.T) { journey(t, v, 0, n) })
			}
		})
	}
}
