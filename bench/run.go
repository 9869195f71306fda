package bench

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Options say what to measure, and how long.
type Options struct {
	// Brokers are compared with the first of them.
	Brokers []Broker
	// Scenarios are the names of those to run; none or "all" for all.
	Scenarios []string
	// Rounds is how often each is measured.
	Rounds int
	// Duration is how long each is measured.
	Duration time.Duration
	// Window is how many messages may be underway to a subscriber, and
	// Unacknowledged how many a publisher of QoS 1 or 2 may have.
	Window         int
	Unacknowledged int
	// Connections, Filters and Retained are the sizes of the scenarios idle,
	// filters and retained.
	Connections int
	Filters     int
	Retained    int
	// Progress, if not nil, is told what has been measured, a line each.
	Progress func(line string)
}

// Defaults are what is measured unless something else is wanted.
func Defaults() Options {
	return Options{
		Rounds:         3,
		Duration:       2 * time.Second,
		Window:         1000,
		Unacknowledged: 100,
		Connections:    10_000,
		Filters:        100_000,
		Retained:       100_000,
	}
}

// Check tells what is wrong with the options.
func (o *Options) Check() error {
	if len(o.Brokers) == 0 {
		return errors.New("there is no broker to measure")
	}
	seen := make(map[string]bool)
	for i := range o.Brokers {
		b := &o.Brokers[i]
		if seen[b.Name] {
			return fmt.Errorf("two brokers are called %s; name them NAME=…", b.Name)
		}
		seen[b.Name] = true
		if err := b.check(); err != nil {
			return err
		}
	}
	for _, n := range []struct {
		name        string
		value, most int
	}{
		{"rounds", o.Rounds, 1000},
		{"window", o.Window, 1_000_000},
		{"unacknowledged", o.Unacknowledged, 60_000},
		{"connections", o.Connections, 1_000_000},
		{"filters", o.Filters, 1_000_000},
		{"retained", o.Retained, 1_000_000},
	} {
		if n.value < 1 || n.value > n.most {
			return fmt.Errorf("%s must be from 1 to %d, not %d", n.name, n.most, n.value)
		}
	}
	if o.Duration <= 0 {
		return errors.New("duration must be more than zero")
	}
	_, err := find(o.Scenarios)
	return err
}

// warmUp is how long messages flow before they are measured.
func (o *Options) warmUp() time.Duration { return min(o.Duration/4, time.Second) }

// Run measures everything. Scenarios that fail are in the report; an error is
// that of the options, or of the context. In that case the report has the
// scenarios that were finished.
func Run(ctx context.Context, o Options) (*Report, error) {
	if err := o.Check(); err != nil {
		return nil, err
	}
	scenarios, err := find(o.Scenarios)
	if err != nil {
		return nil, err
	}
	report := &Report{Rounds: o.Rounds}
	for _, b := range o.Brokers {
		report.Brokers = append(report.Brokers, b.Name)
	}
	for i := range scenarios {
		s := &scenarios[i]
		rounds := make([][]Result, len(o.Brokers))
		for round := range o.Rounds {
			for j := range o.Brokers {
				r := o.measure(ctx, s, &o.Brokers[j])
				if ctx.Err() != nil {
					return report, context.Cause(ctx)
				}
				if o.Progress != nil {
					o.Progress(fmt.Sprintf("round %d of %d: %s", round+1, o.Rounds, r.line()))
				}
				rounds[j] = append(rounds[j], r)
			}
		}
		report.add(s, rounds)
	}
	return report, nil
}

// measure runs a scenario once.
func (o *Options) measure(ctx context.Context, s *Scenario, b *Broker) Result {
	r, err := o.try(ctx, s, b)
	if err != nil {
		r = &Result{Error: err.Error()}
	}
	r.Scenario, r.Broker = s.Name, b.Name
	return *r
}

func (o *Options) try(ctx context.Context, s *Scenario, b *Broker) (*Result, error) {
	t, err := b.open(ctx)
	if err != nil {
		return nil, err
	}
	defer t.close()
	r, err := s.run(ctx, &trial{options: o, target: t})
	if err == nil && t.blind != "" {
		r.Notes = append(r.Notes, "the CPU time and memory of the broker are not known: "+t.blind)
	}
	return r, err
}
