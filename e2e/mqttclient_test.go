package e2e_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"omnibus/client/mqtt"
	"omnibus/client/mqtt/lwmqtt"
)

// mosquittoURL is the URL of a broker of that make.
func mosquittoURL(t *testing.T) string {
	t.Helper()
	port := freePort(t)
	mosquittoAt(t, port, "allow_anonymous true", "set_tcp_nodelay true")
	return "mqtt://127.0.0.1:" + port
}

// eachBroker runs a test with our broker and with mosquitto, in both versions.
func eachBroker(t *testing.T, test func(t *testing.T, url string, v mqtt.Version)) {
	t.Helper()
	brokers := map[string]func(t *testing.T) string{
		"omnibus":   func(t *testing.T) string { return serveHere(t).mqtt },
		"mosquitto": mosquittoURL,
	}
	for name, url := range brokers {
		t.Run(name, func(t *testing.T) {
			url := url(t)
			for _, v := range []mqtt.Version{mqtt.V5, mqtt.V311} {
				t.Run(v.String(), func(t *testing.T) { test(t, url, v) })
			}
		})
	}
}

func dialMQTT(t *testing.T, url string, o mqtt.Options) *mqtt.Client {
	t.Helper()
	c, err := mqtt.Dial(t.Context(), url, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// collect subscribes and collects what comes.
func collect(t *testing.T, c *mqtt.Client, filter string) <-chan *mqtt.Message {
	t.Helper()
	messages := make(chan *mqtt.Message, 1000)
	_, err := c.Subscribe(t.Context(), mqtt.Subscription{Filter: filter, QoS: 2, Handler: func(m *mqtt.Message) { messages <- m }})
	if err != nil {
		t.Fatal(err)
	}
	return messages
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestMQTTClientSpeaksToBrokers(t *testing.T) {
	eachBroker(t, func(t *testing.T, url string, v mqtt.Version) {
		ctx := t.Context()
		id := "speaks" + v.String()
		a := dialMQTT(t, url, mqtt.Options{ClientID: id + "a", Version: v, TopicAliases: 5})
		b := dialMQTT(t, url, mqtt.Options{ClientID: id + "b", Version: v, TopicAliases: 5})
		must(t, a.Publish(ctx, mqtt.Message{Topic: id + "/kept", Payload: []byte("old"), QoS: 1, Retain: true}))
		messages := collect(t, b, id+"/#")
		if m := next(t, messages); !m.Retain || string(m.Payload) != "old" {
			t.Errorf("the retained message is %+v", m)
		}
		large := strings.Repeat("x", 200_000)
		for qos := range byte(3) {
			for i := range 50 {
				m := mqtt.Message{Topic: id + "/some", Payload: fmt.Append(nil, qos, i, large[:i*i*80]), QoS: qos}
				if v == mqtt.V5 {
					m.ContentType, m.User = "text/plain", m.User.Append("i", fmt.Sprint(i))
				}
				must(t, a.Publish(ctx, m))
				got := next(t, messages)
				if string(got.Payload) != string(m.Payload) || got.QoS != qos || got.ContentType != m.ContentType || string(got.User) != string(m.User) {
					t.Fatalf("message %d of QoS %d came as %.200v", i, qos, got)
				}
			}
		}
		must(t, b.Unsubscribe(ctx, id+"/#"))
		must(t, a.Publish(ctx, mqtt.Message{Topic: id + "/some", QoS: 1}))
		must(t, a.Publish(ctx, mqtt.Message{Topic: id + "/kept", QoS: 1, Retain: true})) // which forgets it
		if n := len(messages); n > 0 {
			t.Errorf("%d messages came after unsubscribing", n)
		}
	})
}

func TestMQTTClientWillAndSession(t *testing.T) {
	eachBroker(t, func(t *testing.T, url string, v mqtt.Version) {
		ctx := t.Context()
		id := "session" + v.String()
		var conn net.Conn
		o := mqtt.Options{
			ClientID: id, Version: v, SessionExpiry: time.Minute,
			Will: &mqtt.Will{Message: mqtt.Message{Topic: id + "/gone", Payload: []byte("unseen"), QoS: 1}},
			Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
				c, err := new(net.Dialer).DialContext(ctx, network, address)
				conn = c
				return c, err
			},
		}
		other := dialMQTT(t, url, mqtt.Options{ClientID: id + "other", Version: v})
		wills := collect(t, other, id+"/gone")
		c := dialMQTT(t, url, o)
		collect(t, c, id+"/in")
		_ = conn.Close()
		<-c.Done()
		if !errors.Is(c.Err(), mqtt.ErrDisconnected) {
			t.Errorf("it ended with %v", c.Err())
		}
		if m := next(t, wills); string(m.Payload) != "unseen" {
			t.Errorf("the will is %+v", m)
		}
		must(t, other.Publish(ctx, mqtt.Message{Topic: id + "/in", Payload: []byte("while away"), QoS: 2}))
		messages := make(chan *mqtt.Message, 10)
		o.OnMessage = func(m *mqtt.Message) { messages <- m }
		c = dialMQTT(t, url, o)
		if s, _ := c.Server(); !s.SessionPresent {
			t.Error("the session is gone")
		}
		if m := next(t, messages); string(m.Payload) != "while away" {
			t.Errorf("what came while away is %+v", m)
		}
	})
}

// cutConn is a connection that ends after a number of bytes in one direction.
type cutConn struct {
	net.Conn
	mu            sync.Mutex
	written, read int
	writes, reads int // 0 is no limit
}

func (c *cutConn) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.writes > 0 && c.written+len(p) >= c.writes {
		n, _ := c.Conn.Write(p[:c.writes-c.written])
		c.written += n
		_ = c.Conn.Close()
		return n, net.ErrClosed
	}
	n, err := c.Conn.Write(p)
	c.written += n
	return n, err
}

func (c *cutConn) Read(p []byte) (int, error) {
	if left := c.reads - c.read; c.reads > 0 && len(p) > left {
		p = p[:left]
	}
	n, err := c.Conn.Read(p)
	c.read += n
	if c.reads > 0 && c.read == c.reads {
		_ = c.Conn.Close()
	}
	return n, err
}

// Over connections that are cut anywhere, QoS 1 arrives at least once and QoS 2 exactly once, both ways.
func TestMQTTClientCutAtEveryByte(t *testing.T) {
	step := 1
	if testing.Short() {
		step = 13
	}
	eachBroker(t, func(t *testing.T, url string, v mqtt.Version) {
		j := &cutJourneys{t: t, url: url, v: v, counts: make(map[string]int)}
		j.feeder = dialMQTT(t, url, mqtt.Options{ClientID: "feeder" + v.String(), Version: v})
		_, err := j.feeder.Subscribe(t.Context(), mqtt.Subscription{Filter: "out/#", QoS: 2, Handler: j.count})
		must(t, err)
		written, read := j.run("whole", 0, 0)
		n := 0
		for at := 1; at <= written; at += step {
			j.run(fmt.Sprint("w", at), at, 0)
			n++
		}
		for at := 1; at <= read; at += step {
			j.run(fmt.Sprint("r", at), 0, at)
			n++
		}
		must(t, j.feeder.Publish(t.Context(), mqtt.Message{Topic: "out/end", QoS: 2}))
		j.await("out/end")
		j.mu.Lock()
		defer j.mu.Unlock()
		for topic, times := range j.counts {
			if strings.HasSuffix(topic, "/2") && times != 1 {
				t.Errorf("%s arrived %d times", topic, times)
			}
		}
		t.Logf("%d cuts", n)
	})
}

type cutJourneys struct {
	t      *testing.T
	url    string
	v      mqtt.Version
	feeder *mqtt.Client

	mu     sync.Mutex // guards what follows
	counts map[string]int
	more   chan struct{} // closed by the next count, if somebody waits
}

func (j *cutJourneys) count(m *mqtt.Message) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.counts[m.Topic]++
	if j.more != nil {
		close(j.more)
		j.more = nil
	}
}

// await returns when all topics have arrived.
func (j *cutJourneys) await(topics ...string) {
	j.t.Helper()
	late := time.After(time.Minute)
	for _, topic := range topics {
		for {
			j.mu.Lock()
			n := j.counts[topic]
			if j.more == nil {
				j.more = make(chan struct{})
			}
			more := j.more
			j.mu.Unlock()
			if n > 0 {
				break
			}
			select {
			case <-more:
			case <-late:
				j.t.Fatalf("%s does not arrive", topic)
			}
		}
	}
}

// run is one journey, whose first connection is cut. It returns what that has carried.
func (j *cutJourneys) run(name string, writes, reads int) (written, read int) {
	t, ctx := j.t, j.t.Context()
	t.Helper()
	var mu sync.Mutex
	var first *cutConn
	c, err := mqtt.Start(j.url, mqtt.Options{
		ClientID: "cut" + j.v.String() + name, Version: j.v, SessionExpiry: time.Minute,
		Backoff: mqtt.Backoff{Min: time.Millisecond, Max: 50 * time.Millisecond},
		Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
			conn, err := new(net.Dialer).DialContext(ctx, network, address)
			mu.Lock()
			defer mu.Unlock()
			if err == nil && first == nil {
				first = &cutConn{Conn: conn, writes: writes, reads: reads}
				conn = first
			}
			return conn, err
		},
	})
	must(t, err)
	for {
		must(t, c.AwaitConnection(ctx))
		_, err := c.Subscribe(ctx, mqtt.Subscription{Filter: "in/" + name + "/#", QoS: 2, Handler: j.count})
		if err == nil {
			break
		}
		if !errors.Is(err, mqtt.ErrDisconnected) {
			t.Fatal(err)
		}
	}
	var topics []string
	for qos := byte(1); qos <= 2; qos++ {
		in, out := fmt.Sprintf("in/%s/%d", name, qos), fmt.Sprintf("out/%s/%d", name, qos)
		topics = append(topics, in, out)
		if err := j.feeder.Publish(ctx, mqtt.Message{Topic: in, QoS: qos}); err != nil {
			t.Fatalf("%s: feeding with QoS %d: %v", name, qos, err)
		}
		if err := c.Publish(ctx, mqtt.Message{Topic: out, QoS: qos}); err != nil {
			t.Fatalf("%s: publishing with QoS %d: %v (%+v)", name, qos, err, c.Stats())
		}
	}
	end := "in/" + name + "/end"
	must(t, j.feeder.Publish(ctx, mqtt.Message{Topic: end, QoS: 1}))
	j.await(append(topics, end)...)
	_ = c.Close() // it may be this that is cut
	return first.written, first.read
}

func TestMQTTClientOverWebSocket(t *testing.T) {
	p := start(t, omnibus(t), "serve", "--web", "off", "--mycroft", "off", "--mqtt", "127.0.0.1:0", "--set", "mqtt.websocket.listen=127.0.0.1:0")
	url := ""
	for !strings.HasPrefix(url, "ws://") {
		url = strings.Fields(p.expect(t, "://"))[1]
	}
	c := dialMQTT(t, url, mqtt.Options{})
	messages := collect(t, c, "a")
	must(t, c.Publish(t.Context(), mqtt.Message{Topic: "a", Payload: []byte("over a WebSocket"), QoS: 2}))
	if m := next(t, messages); string(m.Payload) != "over a WebSocket" {
		t.Errorf("it came as %+v", m)
	}
}

func TestLightweightClientSpeaksToBrokers(t *testing.T) {
	eachBroker(t, func(t *testing.T, url string, _ mqtt.Version) {
		host, port, err := net.SplitHostPort(strings.TrimPrefix(url, "mqtt://"))
		must(t, err)
		var number int
		_, err = fmt.Sscan(port, &number)
		must(t, err)
		c := lwmqtt.NewClient("zerynth")
		got := make(chan string, 10)
		code, err := c.Connect(host, 60, lwmqtt.WithPort(number), lwmqtt.WithAConnect(func(c *lwmqtt.Client) {
			must(t, c.Subscribe("lw/+", func(_ *lwmqtt.Client, payload []byte, topic string) { got <- topic + "=" + string(payload) }, lwmqtt.QoS(2)))
		}))
		must(t, err)
		if code != lwmqtt.RCAccepted {
			t.Fatalf("return code %d", code)
		}
		for qos := range lwmqtt.QoS(3) {
			must(t, c.Publish("lw/a", fmt.Append(nil, qos), qos))
			if text := next(t, got); text != fmt.Sprint("lw/a=", qos) {
				t.Errorf("got %s", text)
			}
		}
		must(t, c.Disconnect(10_000))
	})
}
