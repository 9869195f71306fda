package jetstream_test

import (
	"errors"
	"fmt"
	"hash/fnv"
	"net"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"omnibus/engine"
	"omnibus/engine/enginetest"
	"omnibus/engine/jetstream"
)

// startNATS starts a server as an operator would have it, on a port that the
// system chooses.
func startNATS(t *testing.T, o server.Options) *server.Server {
	t.Helper()
	s := startNode(t, o)
	if !s.ReadyForConnections(time.Minute) {
		t.Fatal("the server does not start")
	}
	return s
}

// startNode does not wait until the server is ready: one of a cluster never is
// alone.
func startNode(t *testing.T, o server.Options) *server.Server {
	t.Helper()
	o.Host, o.Port, o.NoSigs, o.NoLog = "127.0.0.1", -1, true, true
	o.JetStream, o.StoreDir = true, t.TempDir()
	s, err := server.NewServer(&o)
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	t.Cleanup(func() {
		s.Shutdown()
		s.WaitForShutdown()
	})
	return s
}

func TestConformanceOfAnExternalServer(t *testing.T) {
	s := startNATS(t, server.Options{MaxPayload: 8 << 20})
	enginetest.Run(t, enginetest.Factory{Open: func(dir string) (engine.Engine, error) {
		h := fnv.New64()
		_, _ = h.Write([]byte(dir))
		return jetstream.Open(jetstream.Options{
			URL: s.ClientURL(), Name: fmt.Sprintf("test_%x", h.Sum64()), Flush: jetstream.Never, Tail: -1,
		})
	}})
}

// startCluster starts three servers that know each other.
func startCluster(t *testing.T) (all []*server.Server, urls string) {
	t.Helper()
	// Every node must be told where all others listen before any does.
	var routes []*url.URL
	var ports []int
	for range 3 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		routes = append(routes, &url.URL{Scheme: "nats", Host: l.Addr().String()})
		ports = append(ports, l.Addr().(*net.TCPAddr).Port)
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	}
	var list []string
	for i, port := range ports {
		o := server.Options{ServerName: fmt.Sprint("node", i), SyncAlways: true, Routes: routes}
		o.Cluster = server.ClusterOpts{Name: "test", Host: "127.0.0.1", Port: port}
		all = append(all, startNode(t, o))
	}
	eventually(t, "the cluster has a leader", func() bool {
		for _, s := range all {
			if s.JetStreamIsLeader() && len(s.JetStreamClusterPeers()) == len(all) {
				return true
			}
		}
		return false
	})
	for _, s := range all {
		if !s.ReadyForConnections(time.Minute) {
			t.Fatal("a node does not start")
		}
		list = append(list, s.ClientURL())
	}
	return all, strings.Join(list, ",")
}

func TestAClusterSurvivesTheLossOfANode(t *testing.T) {
	if testing.Short() {
		t.Skip("a cluster takes ten seconds to find a new leader")
	}
	nodes, urls := startCluster(t)
	o := jetstream.Options{URL: urls, SyncsAlways: true, Tail: -1}
	e := open(t, o)
	if p := e.Promise(); p.Durability != engine.NodeLoss {
		t.Errorf("promise %+v, want that it survives the loss of a node", p)
	}
	j := e.Journal()
	n := 0
	const entries = 200
	for i := range entries {
		if i == entries/2 {
			nodes[2].Shutdown()
			nodes[2].WaitForShutdown()
		}
		at, err := j.Append(&engine.Entry{Topic: "t"})
		if err != nil {
			if !errors.Is(err, engine.ErrFull) {
				t.Fatal(err)
			}
			at = appendUntilAccepted(t, j)
		}
		n++
		// Who waits is refused while there is no leader; the entry is kept.
		eventually(t, "the entry is durable", func() bool { upto, _, _ := j.Flushed(); return upto >= at })
	}
	if got := readAll(t, j); got != n {
		t.Errorf("%d entries, want the %d that were acknowledged", got, n)
	}
	if err := e.Close(); err != nil {
		t.Error(err)
	}
	if got := readAll(t, open(t, o).Journal()); got != n {
		t.Errorf("opened again there are %d entries, want %d", got, n)
	}
}

func TestAnExternalServerThatCannotKeepAlwaysIsRefused(t *testing.T) {
	s := startNATS(t, server.Options{})
	for name, c := range map[string]struct {
		o    jetstream.Options
		want string
	}{
		"not stated":         {jetstream.Options{}, "sync_interval: always"},
		"one replica":        {jetstream.Options{SyncsAlways: true, Replicas: 1}, "1 replicas are asked for"},
		"no cluster":         {jetstream.Options{SyncsAlways: true}, "replicas"},
		"not with directory": {jetstream.Options{Dir: "x"}, "either a data directory or the URL"},
	} {
		c.o.URL = s.ClientURL()
		e, err := jetstream.Open(c.o)
		if err == nil {
			_ = e.Close()
		}
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want an error about %q", name, err, c.want)
		}
	}
}

func TestTwoEnginesDoNotShareAnExternalJournal(t *testing.T) {
	s := startNATS(t, server.Options{})
	o := jetstream.Options{URL: s.ClientURL(), Flush: jetstream.Interval}
	one, two := open(t, o), open(t, o)
	at, err := one.Journal().Append(&engine.Entry{Topic: "one"})
	if err == nil {
		err = waitFlushed(one.Journal(), at)
	}
	if err != nil {
		t.Fatal(err)
	}
	at, err = two.Journal().Append(&engine.Entry{Topic: "two"})
	if err != nil {
		t.Fatal(err)
	}
	if err := waitFlushed(two.Journal(), at); err == nil || !strings.Contains(err.Error(), "does not end where it should") {
		t.Errorf("waiting for the second one's entry: %v", err)
	}
	if err := two.Close(); err == nil || !strings.Contains(err.Error(), "another process writes to it") {
		t.Errorf("closing the second one: %v", err)
	}
	if n := readAll(t, one.Journal()); n != 1 {
		t.Errorf("%d entries, want that of the first one", n)
	}
}
