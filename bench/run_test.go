package bench_test

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"testing"
	"time"

	"omnibus/bench"
)

// quick are options that measure as little as there can be.
func quick(scenarios ...string) bench.Options {
	o := bench.Defaults()
	o.Scenarios = scenarios
	o.Rounds, o.Duration = 1, 100*time.Millisecond
	o.Connections, o.Filters, o.Retained = 50, 250, 500
	return o
}

// measure runs one scenario against a broker and returns what it found.
func measure(t *testing.T, b *toy, o bench.Options) bench.Result {
	t.Helper()
	o.Brokers = []bench.Broker{{Name: "toy", URL: b.url}}
	r, err := bench.Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Scenarios) != 1 || len(r.Scenarios[0].Brokers) != 1 {
		t.Fatalf("there is not one finding: %+v", r)
	}
	return r.Scenarios[0].Brokers[0].Median
}

func TestEveryMessageOfAnHonestBrokerIsCounted(t *testing.T) {
	t.Parallel()
	copies := map[string]uint64{"fan-out": 100}
	acknowledged := []string{"one-to-one-qos1", "one-to-one-qos2", "pairs-qos1", "round-trip-qos1"}
	for _, s := range bench.Scenarios() {
		if s.Name == "idle" || s.Name == "retained" || s.Name == "never-reads" {
			continue // tested below: messages are not all there is to them
		}
		t.Run(s.Name, func(t *testing.T) {
			t.Parallel()
			b := new(toy).start(t)
			r := measure(t, b, quick(s.Name))
			if r.Error != "" {
				t.Fatal(r.Error)
			}
			b.gone()
			want := int64(b.published.Load() * max(1, copies[s.Name]))
			if r.Traffic.Expected != want || r.Traffic.Lost != 0 {
				t.Errorf("expected %d, lost %d; the broker got %d to deliver", r.Traffic.Expected, r.Traffic.Lost, want)
			}
			// One message each millisecond may all miss a short measurement on a busy machine.
			if paced := strings.HasPrefix(s.Name, "round-trip"); r.Traffic.Rate <= 0 && !paced {
				t.Errorf("the rate is %v", r.Traffic.Rate)
			}
			acks := uint64(0)
			for _, name := range acknowledged {
				if name == s.Name {
					acks = b.published.Load()
				}
			}
			if got := b.acks.Load(); got != acks {
				t.Errorf("the subscribers have acknowledged %d messages, want %d", got, acks)
			}
			// The last few may be underway when the connections are closed.
			if n := b.completed.Load(); s.Name == "one-to-one-qos2" && n < acks/2 {
				t.Errorf("the subscribers have completed %d of %d messages", n, acks)
			}
			for _, note := range r.Notes {
				// A busy machine may let everybody wait: that is told, and no fault.
				if runtime.GOOS == "linux" && !strings.HasPrefix(note, "publishers have waited") {
					t.Errorf("it notes %q", note)
				}
			}
		})
	}
}

func TestLossIsCounted(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"one-to-one", "fan-in", "shared", "pairs-qos1", "round-trip"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := (&toy{drop: 10}).start(t)
			o := quick(name)
			o.Duration = 800 * time.Millisecond // longer than a publisher waits for what is lost
			r := measure(t, b, o)
			if r.Error != "" {
				t.Fatal(r.Error)
			}
			if got, want := r.Traffic.Lost, int64(b.dropped.Load()); got != want || got == 0 {
				t.Errorf("%d of %d were lost; the broker has dropped %d", got, r.Traffic.Expected, want)
			}
		})
	}
}

// A window that is full of lost messages does not end the traffic.
func TestALossyBrokerGetsMoreThanAWindow(t *testing.T) {
	t.Parallel()
	b := (&toy{drop: 2}).start(t)
	o := quick("one-to-one")
	o.Window, o.Duration = 20, 2*time.Second // several times what a publisher waits
	r := measure(t, b, o)
	if r.Error != "" {
		t.Fatal(r.Error)
	}
	if r.Traffic.Expected <= 40 {
		t.Errorf("only %d messages were sent with a window of %d", r.Traffic.Expected, o.Window)
	}
	if !strings.Contains(strings.Join(r.Notes, " "), "in which nothing came") {
		t.Errorf("it notes %q", r.Notes)
	}
}

func TestABrokerThatAcknowledgesNothing(t *testing.T) {
	t.Parallel()
	b := (&toy{deaf: true}).start(t)
	o := quick("one-to-one-qos1")
	o.Duration = 500 * time.Millisecond // longer than a publisher waits for acknowledgements
	r := measure(t, b, o)
	if r.Error != "" {
		t.Fatal(r.Error)
	}
	if !strings.Contains(strings.Join(r.Notes, " "), "were never acknowledged") {
		t.Errorf("nothing is said about acknowledgements: %+v", r)
	}
}

func TestRoundTripsAreInOrder(t *testing.T) {
	t.Parallel()
	b := new(toy).start(t)
	r := measure(t, b, quick("round-trip"))
	if r.Error != "" {
		t.Fatal(r.Error)
	}
	p := r.RoundTrip
	if p.P50 <= 0 || p.P50 > p.P90 || p.P90 > p.P99 || p.P99 > p.P999 || p.P999 > p.Max {
		t.Errorf("the percentiles are %+v", p)
	}
}

func TestIdleConnectionsAreAllOpenAtOnce(t *testing.T) {
	t.Parallel()
	b := new(toy).start(t)
	r := measure(t, b, quick("idle"))
	if r.Error != "" {
		t.Fatal(r.Error)
	}
	if n := b.most.Load(); n != 50 {
		t.Errorf("%d connections were open, want 50", n)
	}
	if runtime.GOOS == "linux" && r.Growth.Items != 50 {
		t.Errorf("the growth is for %d", r.Growth.Items)
	}
}

func TestRetainedMessagesAreCountedAndRemoved(t *testing.T) {
	t.Parallel()
	b := new(toy).start(t)
	r := measure(t, b, quick("retained"))
	if r.Error != "" {
		t.Fatal(r.Error)
	}
	if r.Traffic.Expected != 500 || r.Traffic.Lost != 0 {
		t.Errorf("%d of %d were lost", r.Traffic.Lost, r.Traffic.Expected)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if n := len(b.retained); n != 0 {
		t.Errorf("%d messages are left behind", n)
	}
}

func TestHealthySubscribersAreComparedWithThemselves(t *testing.T) {
	t.Parallel()
	b := new(toy).start(t)
	r := measure(t, b, quick("never-reads"))
	if r.Error != "" {
		t.Fatal(r.Error)
	}
	if r.Stuck == nil || r.Stuck.Healthy <= 0 || r.Stuck.Kept <= 0 || r.Traffic.Lost != 0 {
		t.Errorf("found %+v and %+v", r.Stuck, r.Traffic)
	}
	if r.Traffic.Expected%9 != 0 {
		t.Errorf("%d deliveries were expected, which is not nine for each message", r.Traffic.Expected)
	}
}

func TestFailuresAreToldAndTheOthersGoOn(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		broker   *toy
		scenario string
		want     string
	}{
		"refused login":        {&toy{refuse: true}, "one-to-one", "the broker refuses: "},
		"refused subscription": {&toy{noShares: true}, "shared", "the broker refuses the subscription to $share/"},
		"closed connection":    {&toy{hangUp: 100}, "one-to-one", "the broker has closed the connection"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := c.broker.start(t)
			o := quick(c.scenario, "idle")
			o.Brokers = []bench.Broker{{Name: "toy", URL: b.url}}
			r, err := bench.Run(t.Context(), o)
			if err != nil {
				t.Fatal(err)
			}
			if !r.Failed() || len(r.Scenarios) != 2 {
				t.Fatalf("found %+v", r)
			}
			if got := r.Scenarios[0].Brokers[0].Median.Error; !strings.Contains(got, c.want) {
				t.Errorf("the error is %q, without %q", got, c.want)
			}
			if got := r.Scenarios[1].Brokers[0].Median.Error; got != "" && name != "refused login" {
				t.Errorf("idle failed, too: %s", got)
			}
		})
	}
}

func TestNobodyListens(t *testing.T) {
	o := quick("one-to-one")
	o.Brokers = []bench.Broker{{Name: "nobody", URL: "mqtt://127.0.0.1:1"}}
	r, err := bench.Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if got := r.Scenarios[0].Brokers[0].Median.Error; !strings.Contains(got, "connecting: ") {
		t.Errorf("the error is %q", got)
	}
}

func TestAnInterruptEndsEverything(t *testing.T) {
	t.Parallel()
	b := new(toy).start(t)
	ctx, cancel := context.WithCancel(t.Context())
	o := quick("one-to-one")
	o.Duration = time.Hour
	o.Brokers = []bench.Broker{{Name: "toy", URL: b.url}}
	ended := make(chan error, 1)
	go func() {
		_, err := bench.Run(ctx, o)
		ended <- err
	}()
	for b.published.Load() == 0 {
		runtime.Gosched()
	}
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("the error is %v", err)
	}
}

func TestRoundsGoFromBrokerToBroker(t *testing.T) {
	t.Parallel()
	a, b := new(toy).start(t), new(toy).start(t)
	o := quick("one-to-one")
	o.Rounds = 2
	o.Brokers = []bench.Broker{{Name: "a", URL: a.url}, {Name: "b", URL: b.url}}
	var order []string
	o.Progress = func(line string) {
		before, _, _ := strings.Cut(line, ": one-to-one, ")
		_, after, _ := strings.Cut(line, ", ")
		order = append(order, before+" "+after[:1])
	}
	r, err := bench.Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := strings.Join(order, "; "), "round 1 of 2 a; round 1 of 2 b; round 2 of 2 a; round 2 of 2 b"; got != want {
		t.Errorf("the order is %s, want %s", got, want)
	}
	for _, c := range r.Scenarios[0].Brokers {
		if len(c.Rounds) != 2 || c.Ratios.Rate <= 0 {
			t.Errorf("found %+v", c)
		}
	}
}

func TestOptionsAreChecked(t *testing.T) {
	good := func() bench.Options {
		o := bench.Defaults()
		o.Brokers = []bench.Broker{{Name: "a", URL: "mqtt://127.0.0.1"}}
		return o
	}
	o := good()
	if err := o.Check(); err != nil {
		t.Fatal(err)
	}
	for want, spoil := range map[string]func(*bench.Options){
		"no broker":                  func(o *bench.Options) { o.Brokers = nil },
		"two brokers are called a":   func(o *bench.Options) { o.Brokers = append(o.Brokers, o.Brokers[0]) },
		"none of MQTT":               func(o *bench.Options) { o.Brokers[0].URL = "http://a" },
		"rounds must be from 1":      func(o *bench.Options) { o.Rounds = 0 },
		"window must be from 1":      func(o *bench.Options) { o.Window = 0 },
		"duration must be more":      func(o *bench.Options) { o.Duration = 0 },
		`there is no scenario "x"`:   func(o *bench.Options) { o.Scenarios = []string{"idle", "x"} },
		"the host is missing":        func(o *bench.Options) { o.Brokers[0].URL = "mqtt://:1883" },
		"logs in to nothing":         func(o *bench.Options) { o.Brokers[0].URL = "mqtt://me@a" },
		"connections must be from 1": func(o *bench.Options) { o.Connections = -1 },
	} {
		o := good()
		spoil(&o)
		if err := o.Check(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want %q, got %v", want, err)
		}
	}
}
