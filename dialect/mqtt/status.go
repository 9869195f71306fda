package mqtt

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"omnibus/auth"
	"omnibus/bus"
	"omnibus/dialect"
	"omnibus/payload"
)

// statusPrefix begins the topics that tell how the server is.
const statusPrefix = "$SYS/"

func isStatus(topic string) bool { return strings.HasPrefix(topic, statusPrefix) }

// statusTree publishes how the server is under $SYS, at an interval, while
// somebody subscribes to it. Nothing of it is retained: who subscribes is told at
// once. What it tells is the answer of the service omnibus.status.
type statusTree struct {
	server   *server
	watchers atomic.Int64

	mu    sync.Mutex // held while it publishes
	ended bool
	peer  dialect.Peer // nil until somebody watches
	timer *time.Timer
}

// watch counts one who subscribes.
func (t *statusTree) watch() {
	if t.server.config.StatusInterval <= 0 {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.watchers.Add(1)
	if t.timer == nil && t.join() {
		t.timer = time.AfterFunc(t.server.config.StatusInterval, t.publish)
	}
}

// unwatch counts some who do no longer. It takes no lock: a session may end while it
// is told.
func (t *statusTree) unwatch(n int) {
	if t.server.config.StatusInterval > 0 {
		t.watchers.Add(int64(-n))
	}
}

// join makes the tree a peer. The caller holds mu.
func (t *statusTree) join() bool {
	if t.ended || t.peer != nil {
		return !t.ended
	}
	p, err := dialect.Join(context.Background(), t.server.env.Port, &dialect.Hello{
		Credentials: auth.Credentials{Dialect: "mqtt"},
		Origin:      origin("$SYS"),
		Internal:    true,
	})
	if err != nil {
		t.server.log.Warn("the status topics cannot be published", "err", err)
		return false
	}
	t.peer = p
	return true
}

// publish tells everybody, and comes again as long as somebody watches.
func (t *statusTree) publish() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.timer = nil
	if t.ended || t.watchers.Load() <= 0 {
		return
	}
	for _, v := range t.values() {
		m := &bus.Message{Topic: v.topic}
		m.Payload.Set(payload.Text, []byte(v.text))
		if _, err := t.peer.Publish(m); err != nil {
			t.server.log.Warn("a status topic was refused", "topic", v.topic, "err", err)
			break
		}
	}
	t.timer = time.AfterFunc(t.server.config.StatusInterval, t.publish)
}

// tell delivers the values that match to those filters that ask for them, as if they
// were retained.
func (t *statusTree) tell(filters []*filter) {
	filters = slices.DeleteFunc(slices.Clone(filters), func(f *filter) bool { return !isStatus(f.text) })
	if len(filters) == 0 {
		return
	}
	t.mu.Lock()
	var all []statusValue
	if t.server.config.StatusInterval > 0 && t.join() {
		all = t.values()
	}
	t.mu.Unlock()
	for _, f := range filters {
		for _, v := range all {
			if f.sub.Pattern().Match(v.topic) {
				m := &bus.Message{Topic: v.topic, Retain: true, Stored: true}
				m.Payload.Set(payload.Text, []byte(v.text))
				f.sub.Deliver(m)
			}
		}
	}
}

// end is called when the last listener has ended.
func (t *statusTree) end() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.ended = true
	if t.timer != nil {
		t.timer.Stop()
	}
	if t.peer != nil {
		t.peer.Leave()
	}
}

type statusValue struct{ topic, text string }

// values asks the broker. The names of the first are those that other brokers use.
func (t *statusTree) values() []statusValue {
	ctx, cancel := context.WithTimeout(context.Background(), t.server.config.CallTimeout)
	defer cancel()
	answer, err := t.peer.Call(ctx, "omnibus.status", new(payload.Value), dialect.CallOptions{})
	var text []byte
	if err == nil {
		text, err = answer.As(payload.JSON)
	}
	var st struct {
		Version       string                      `json:"version"`
		UptimeSeconds int64                       `json:"uptime_seconds"`
		Peers         map[string]int64            `json:"peers"`
		Sessions      map[string]int64            `json:"sessions"`
		Subscriptions int64                       `json:"subscriptions"`
		Retained      int64                       `json:"retained"`
		Services      []string                    `json:"services"`
		Counters      map[string]map[string]int64 `json:"counters"`
	}
	if err == nil {
		err = json.Unmarshal(text, &st)
	}
	if err != nil {
		t.server.log.Warn("the broker does not tell how it is", "err", err)
		return nil
	}
	ours := st.Counters["mqtt"]
	all := []statusValue{
		{"broker/version", "omnibus " + st.Version},
		{"broker/uptime", fmt.Sprintf("%d seconds", st.UptimeSeconds)},
	}
	number := func(topic string, n int64) {
		all = append(all, statusValue{topic, strconv.FormatInt(n, 10)})
	}
	number("broker/clients/connected", st.Peers["mqtt"])
	number("broker/clients/disconnected", st.Sessions["mqtt"])
	number("broker/clients/total", st.Peers["mqtt"]+st.Sessions["mqtt"])
	number("broker/subscriptions/count", st.Subscriptions)
	number("broker/retained messages/count", st.Retained)
	number("broker/services/count", int64(len(st.Services)))
	number("broker/publish/messages/received", ours["messages_received"])
	number("broker/publish/messages/sent", ours["messages_sent"])
	number("broker/publish/messages/dropped", ours["messages_dropped_queue_full"]+ours["messages_dropped_session_full"])
	for _, dialect := range slices.Sorted(maps.Keys(st.Peers)) {
		number("broker/peers/"+dialect, st.Peers[dialect])
	}
	for _, group := range slices.Sorted(maps.Keys(st.Counters)) {
		for _, name := range slices.Sorted(maps.Keys(st.Counters[group])) {
			number("broker/counters/"+group+"/"+name, st.Counters[group][name])
		}
	}
	for i := range all {
		all[i].topic = statusPrefix + all[i].topic
	}
	return all
}
