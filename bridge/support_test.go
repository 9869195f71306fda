package bridge_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"omnibus/bridge"
	"omnibus/broker"
	"omnibus/bus"
	"omnibus/dialect"
	"omnibus/dialect/mqtt"
	"omnibus/payload"
	"omnibus/topic"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience bounds the wait for what must happen.
const patience = 20 * time.Second

// journal is a log that can be read while it is written.
type journal struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.Write(p)
}

func (j *journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.String()
}

// node is a broker that speaks MQTT and may have bridges.
type node struct {
	t      *testing.T
	name   string
	broker *broker.Broker
	port   string // 127.0.0.1:n
	log    *journal
	stop   context.CancelFunc
	ended  sync.WaitGroup
	closed sync.Once

	mu  sync.Mutex
	got []string // all that was published here, "topic=text"
}

// start serves a broker at an address, of which the port may be 0, until the test
// ends.
func start(t *testing.T, name, address string) *node {
	t.Helper()
	b, err := broker.New(broker.Options{})
	if err != nil {
		t.Fatal(err)
	}
	n := &node{t: t, name: name, broker: b, log: new(journal)}
	c := mqtt.Defaults()
	c.Listen, c.WebSocket.Listen = address, ""
	d, err := c.Open(dialect.Env{Port: b, Log: slog.New(slog.DiscardHandler), Counter: b.Counters().Group("mqtt"), Version: "test"})
	if err != nil {
		t.Fatal(err)
	}
	var bound dialect.Bound
	n.eventually("its port is free", func() bool {
		bound, err = d.Listeners()[0].Bind(t.Context())
		return err == nil
	})
	n.port = strings.TrimPrefix(bound.URL(), "mqtt://")
	ctx, stop := context.WithCancel(context.Background())
	n.stop = stop
	n.ended.Go(func() {
		if err := bound.Run(ctx); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	})
	if _, err := bus.Subscribe(b.Bus(""), "#", n.note, bus.Direct()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(n.close)
	return n
}

func (n *node) note(_ context.Context, e bus.Event[string]) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.got = append(n.got, e.Topic+"="+e.Value)
}

func (n *node) seen() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Sorted(slices.Values(n.got))
}

func (n *node) close() {
	n.closed.Do(func() {
		n.stop()
		n.ended.Wait()
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := n.broker.Close(ctx); err != nil {
			n.t.Errorf("closing %s: %v", n.name, err)
		}
	})
}

// settings are those of a bridge with defaults.
func settings(name, url string, change ...func(*bridge.Config)) bridge.Config {
	var c bridge.Config
	c.SetDefaults()
	c.Name, c.URL = name, url
	c.Retry = time.Second
	for _, f := range change {
		f(&c)
	}
	return c
}

// everything lets all topics pass in both directions.
func everything(c *bridge.Config) {
	c.In, c.Out = []bridge.In{in("#")}, []bridge.Out{out("#")}
}

func in(filter string) bridge.In {
	var r bridge.In
	r.SetDefaults()
	r.Filter, r.QoS = filter, 2
	return r
}

func out(pattern string) bridge.Out {
	var r bridge.Out
	r.SetDefaults()
	r.Pattern, r.QoS = pattern, 2
	return r
}

func version(v string) func(*bridge.Config) { return func(c *bridge.Config) { c.Version = v } }

// run runs a bridge of the node until the node ends.
func (n *node) run(c bridge.Config) {
	n.t.Helper()
	if bad := (bridge.List{c}).Validate(); len(bad) > 0 {
		n.t.Fatalf("the test's configuration is wrong: %v", bad)
	}
	br, err := bridge.Open(c, dialect.Env{
		Port: n.broker, Log: slog.New(slog.NewTextHandler(n.log, nil)), Counter: n.broker.Counters().Group("bridge." + c.Name), Version: "test",
	})
	if err != nil {
		n.t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	before := n.stop
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := br.Run(ctx); err != nil {
			n.t.Errorf("%s: the bridge ended: %v", n.name, err)
		}
	}()
	n.stop = func() {
		stop()
		<-ended
		before()
	}
}

// bridgeTo joins the node to another, and waits for the connection.
func (n *node) bridgeTo(other *node, change ...func(*bridge.Config)) {
	n.t.Helper()
	c := settings(other.name, "mqtt://"+other.port, change...)
	n.run(c)
	n.connected(c)
}

// connected waits until a bridge has subscribed to what it wants.
func (n *node) connected(c bridge.Config) {
	n.t.Helper()
	n.eventually("the bridge "+c.Name+" is connected", func() bool {
		return n.count(c.Name, "connections") > 0 && n.count(c.Name, "subscriptions") >= int64(len(c.In))
	})
}

func (n *node) count(name, counter string) int64 {
	return n.broker.Counters().Snapshot()["bridge."+name][counter]
}

func (n *node) eventually(what string, ok func() bool) {
	n.t.Helper()
	for late := time.Now().Add(patience); !ok(); {
		if time.Now().After(late) {
			n.t.Fatalf("%s: it never came to be that %s; the log:\n%s", n.name, what, n.log)
		}
		time.Sleep(time.Millisecond) // real time: sockets are awaited
	}
}

// publish publishes as a client of the node.
func (n *node) publish(topic, text string, change ...func(*bus.Message)) {
	n.t.Helper()
	p, err := dialect.Join(context.Background(), n.broker, &dialect.Hello{Origin: &bus.Origin{Dialect: "test"}})
	if err != nil {
		n.t.Fatal(err)
	}
	defer p.Leave()
	m := &bus.Message{Topic: topic, QoS: 1}
	m.Payload.Set(payload.Text, []byte(text))
	for _, f := range change {
		f(m)
	}
	if _, err := p.Publish(m); err != nil {
		n.t.Fatal(err)
	}
}

// all checks that every node has seen each message once, and nothing else.
func all(nodes []*node, want []string) {
	slices.Sort(want)
	for _, n := range nodes {
		n.t.Helper()
		n.eventually(fmt.Sprintf("it has %d messages", len(want)), func() bool { return len(n.seen()) >= len(want) })
	}
	// What is on its way round comes before what was published after it has come
	// everywhere, for links keep their order.
	for range len(nodes) {
		for i, n := range nodes {
			mark := fmt.Sprintf("mark/%d/%d", i, len(want))
			want = append(want, mark+"=")
			n.publish(mark, "")
			for _, o := range nodes {
				o.eventually("it has "+mark, func() bool { return slices.Contains(o.seen(), mark+"=") })
			}
		}
	}
	slices.Sort(want)
	for _, n := range nodes {
		if got := n.seen(); !slices.Equal(got, want) {
			n.t.Errorf("%s has %d messages %.2000q, want %d", n.name, len(got), got, len(want))
		}
	}
}

// receiver is a bus.Receiver that is a function.
type receiver func(m *bus.Message)

// Deliver calls it.
func (f receiver) Deliver(m *bus.Message, _ *bus.Subscription) { f(m) }

func mustParse(t *testing.T, text string) topic.Pattern {
	t.Helper()
	p, err := topic.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return p
}
