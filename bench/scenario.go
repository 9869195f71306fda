package bench

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
)

// Scenario is one thing that is measured.
type Scenario struct {
	Name string
	// About says what happens, in a line.
	About string

	run func(context.Context, *trial) (*Result, error)
}

// Scenarios are all there are, in the order in which they run.
func Scenarios() []Scenario {
	const (
		batch = 16
		small = 64
		large = 1 << 10
	)
	one := flow{publishers: 1, subscribers: 1, size: small, batch: batch}
	with := func(change func(f *flow)) func(context.Context, *trial) (*Result, error) {
		f := one
		change(&f)
		return f.run
	}
	return []Scenario{
		{"one-to-one", "one publisher, one subscriber, QoS 0, 64 bytes, 16 packets in a write", one.run},
		{"one-to-one-1k", "the same with 1 KB", with(func(f *flow) { f.size = large })},
		{"one-by-one", "one publisher, one subscriber, QoS 0, 64 bytes, one packet in a write", with(func(f *flow) { f.batch = 1 })},
		{"one-by-one-1k", "the same with 1 KB", with(func(f *flow) { f.batch, f.size = 1, large })},
		{"fan-out", "one publisher, 100 subscribers, QoS 0", with(func(f *flow) { f.subscribers = 100 })},
		{"fan-in", "50 publishers on a topic each, one subscriber to all, QoS 0", with(func(f *flow) { f.publishers = 50 })},
		{"one-to-one-qos1", "one publisher, one subscriber, both QoS 1", with(func(f *flow) { f.qos = 1 })},
		{"one-to-one-qos2", "one publisher, one subscriber, both QoS 2", with(func(f *flow) { f.qos = 2 })},
		{"pairs-qos1", "ten publishers with a subscriber each, QoS 1", with(func(f *flow) {
			f.publishers, f.subscribers, f.qos, f.pairs = 10, 10, 1, true
		})},
		{"shared", "four publishers, a shared subscription of four, QoS 0", with(func(f *flow) {
			f.publishers, f.subscribers, f.share = 4, 4, true
		})},
		{"round-trip", "one message each millisecond to one subscriber, QoS 0", roundTrip(0)},
		{"round-trip-qos1", "the same, QoS 1", roundTrip(1)},
		{"idle", "10,000 connections that do nothing: memory for each", idle},
		{"filters", "100,000 filters: memory for each, then messages that match one of them", filters},
		{"retained", "100,000 retained messages of 64 bytes: memory for each, then one subscriber gets all", retained},
		{"never-reads", "one publisher, nine subscribers and one that never reads, 1 KB, against ten that read", neverReads},
	}
}

// trial is one measurement: a scenario, a broker, a round.
type trial struct {
	options *Options
	target  *target
}

func (t *trial) dialer() dialer { return dialer{address: t.target.address} }

// prefix is a new one for topics and client identifiers.
func (t *trial) prefix() string {
	var b [5]byte
	_, _ = rand.Read(b[:]) // it never fails
	return "bench" + hex.EncodeToString(b[:])
}

// find returns the scenarios of these names, in the order of the list; all for
// none.
func find(names []string) ([]Scenario, error) {
	all := Scenarios()
	if len(names) == 0 {
		return all, nil
	}
	wanted := make(map[string]bool)
	for _, n := range names {
		wanted[n] = true
	}
	var found []Scenario
	for _, s := range all {
		if wanted[s.Name] || wanted["all"] {
			found = append(found, s)
			delete(wanted, s.Name)
		}
	}
	delete(wanted, "all")
	for n := range wanted {
		return nil, fmt.Errorf("there is no scenario %q; bench --list tells which there are", n)
	}
	return found, nil
}
