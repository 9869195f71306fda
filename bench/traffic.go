package bench

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"
)

// flow says who publishes what to whom.
type flow struct {
	publishers  int
	subscribers int
	size        int // of a payload
	batch       int // most packets in a write
	qos         byte

	pairs bool // each publisher has its own subscriber; else everybody gets all
	share bool // but the subscribers share what they get
	stuck bool // and there is one more subscriber, which never reads

	each func(payload []byte) // is given every payload, if it is not nil
}

// traffic is a flow that is set up.
type traffic struct {
	*stage
	publishers []*publisher
}

// setUp connects and subscribes everybody.
func (f flow) setUp(ctx context.Context, s *stage, o *Options) (*traffic, error) {
	t := &traffic{stage: s}
	window := o.Window
	if !f.pairs { // it is for what is underway to one subscriber
		window = max(window/f.publishers, 2)
	}
	batch := max(1, min(f.batch, window/2))
	if f.qos > 0 {
		batch = max(1, min(batch, o.Unacknowledged/2))
	}
	for i := range f.publishers {
		c, err := s.client(ctx)
		if err != nil {
			return nil, err
		}
		m := message{topics: []string{fmt.Sprintf("%s/%d", s.prefix, i)}, size: f.size, qos: f.qos, number: i}
		p := newPublisher(c, m, batch)
		if f.share {
			p.lane(window)
		}
		t.publishers = append(t.publishers, p)
	}
	for i := range f.subscribers {
		if err := f.subscribe(ctx, t, i, window); err != nil {
			return nil, err
		}
	}
	if f.stuck {
		if err := f.never(ctx, s); err != nil {
			return nil, err
		}
	}
	for _, p := range t.publishers {
		if f.qos > 0 {
			p.acked = p.lane(o.Unacknowledged)
		}
		s.run(p.acknowledgements) // without any it notices that the broker hangs up
	}
	return t, nil
}

// filter is what subscriber i subscribes to.
func (f flow) filter(prefix string, i int) string {
	topic := prefix + "/+"
	if f.pairs || f.publishers == 1 {
		topic = fmt.Sprintf("%s/%d", prefix, i*min(1, f.publishers-1))
	}
	if f.share {
		return "$share/" + prefix + "/" + topic
	}
	return topic
}

func (f flow) subscribe(ctx context.Context, t *traffic, i, window int) error {
	c, err := t.client(ctx)
	if err != nil {
		return err
	}
	if err := c.subscribe(ctx, f.qos, f.filter(t.prefix, i)); err != nil {
		return err
	}
	from := t.publishers
	if f.pairs {
		from = from[i : i+1]
	}
	var lanes []*lane
	for _, p := range from {
		if f.share {
			lanes = append(lanes, p.lanes[0])
		} else {
			lanes = append(lanes, p.lane(window))
		}
	}
	one := newSubscriber(c, lanes)
	one.each = f.each
	t.run(one.run)
	return nil
}

// never adds a subscriber that does not read.
func (f flow) never(ctx context.Context, s *stage) error {
	c, err := s.client(ctx)
	if err != nil {
		return err
	}
	if small, ok := c.conn.(interface{ SetReadBuffer(int) error }); ok {
		_ = small.SetReadBuffer(4 << 10) // let it be the broker that has to keep them
	}
	return c.subscribe(ctx, f.qos, f.filter(s.prefix, 0))
}

// delivered is how many messages have arrived so far, and expected how many are
// to.
func (t *traffic) count() (delivered, expected uint64) {
	for _, p := range t.publishers {
		sent := p.sent.Load()
		for _, l := range p.lanes {
			if l != p.acked {
				delivered += l.n.Load()
				expected += sent
			}
		}
	}
	return delivered, expected
}

// reading is the state of the counters at a moment.
type reading struct {
	at          time.Time
	delivered   uint64
	broker, own time.Duration
	known       bool
}

func (t *traffic) read(b *target) reading {
	r := reading{at: time.Now(), own: ownTime()}
	r.broker, r.known = b.cpu()
	r.delivered, _ = t.count()
	return r
}

// between is the traffic from one reading to another.
func between(from, to reading) *Traffic {
	n := float64(to.delivered - from.delivered)
	if n == 0 {
		return &Traffic{}
	}
	t := &Traffic{
		Rate:   n / to.at.Sub(from.at).Seconds(),
		OwnCPU: micros(to.own-from.own) / n,
	}
	if from.known && to.known {
		t.BrokerCPU = micros(to.broker-from.broker) / n
	}
	return t
}

func micros(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }

// measure lets the messages flow: a warm-up, the interval that is measured, and
// time for the last to arrive.
func (t *traffic) measure(ctx context.Context, b *target, o *Options) (*Result, error) {
	publishing, stop := context.WithCancel(ctx)
	defer stop()
	var publishers sync.WaitGroup
	for _, p := range t.publishers {
		publishers.Go(func() {
			if err := p.run(publishing); err != nil && publishing.Err() == nil {
				t.fail(err)
			}
		})
	}
	result, err := t.interval(ctx, b, o)
	stop()
	for _, p := range t.publishers { // which a broker that does not read may block
		_ = p.conn.SetWriteDeadline(time.Now().Add(stall))
	}
	publishers.Wait()
	if err != nil {
		return nil, err
	}
	for _, p := range t.publishers {
		_ = p.conn.SetWriteDeadline(time.Time{})
	}
	if err := t.drain(ctx); err != nil {
		return nil, err
	}
	delivered, expected := t.count()
	result.Traffic.Expected = int64(expected)
	result.Traffic.Lost = int64(expected) - int64(delivered)
	if slices.ContainsFunc(t.publishers, func(p *publisher) bool { return p.gaveUp }) {
		result.Notes = append(result.Notes, fmt.Sprintf("publishers have waited for %s in which nothing came, which makes the rate low", stall))
	}
	if n := t.unacknowledged(); n > 0 {
		result.Notes = append(result.Notes, fmt.Sprintf("%d messages were never acknowledged", n))
	}
	return result, nil
}

// silence is how long nothing may arrive, behind the interval, before the
// measurement fails.
const silence = 3 * time.Second

// interval measures in the middle of the traffic. It is longer if nothing has
// come by its end.
func (t *traffic) interval(ctx context.Context, b *target, o *Options) (*Result, error) {
	if err := pause(ctx, o.warmUp()); err != nil {
		return nil, err
	}
	for _, pid := range b.pids {
		forgetPeak(pid)
	}
	from := t.read(b)
	if err := pause(ctx, o.Duration); err != nil {
		return nil, err
	}
	to := t.read(b)
	for to.delivered == from.delivered {
		if to.at.Sub(from.at) > o.Duration+silence {
			return nil, fmt.Errorf("no message arrived within %s", o.Duration+silence)
		}
		if err := pause(ctx, 10*time.Millisecond); err != nil {
			return nil, err
		}
		to = t.read(b)
	}
	return &Result{Traffic: between(from, to), Memory: b.usage()}, nil
}

// usage is the memory of the broker for the report, nil if it is not known.
func (t *target) usage() *Memory {
	now, peak := t.memory()
	if now == 0 {
		return nil
	}
	return &Memory{Resident: now, Peak: max(now, peak)}
}

// drain waits until all messages have arrived, or none has for a while.
func (t *traffic) drain(ctx context.Context) error {
	const (
		step = 5 * time.Millisecond
		most = time.Second
	)
	last, idle := uint64(0), time.Duration(0)
	for idle < most {
		delivered, expected := t.count()
		if delivered >= expected && t.unacknowledged() == 0 {
			return nil
		}
		if idle += step; delivered != last {
			last, idle = delivered, 0
		}
		if err := pause(ctx, step); err != nil {
			return err
		}
	}
	return nil
}

func (t *traffic) unacknowledged() (n uint64) {
	for _, p := range t.publishers {
		if p.acked != nil {
			n += max(p.sent.Load(), p.acked.n.Load()) - p.acked.n.Load()
		}
	}
	return n
}

// run measures the flow.
func (f flow) run(ctx context.Context, t *trial) (*Result, error) {
	s, ctx := newStage(ctx, t.dialer(), t.prefix())
	defer s.close()
	traffic, err := f.setUp(ctx, s, t.options)
	if err != nil {
		return nil, err
	}
	return traffic.measure(ctx, t.target, t.options)
}
