package bench

import (
	"context"
	"fmt"
	"time"

	"omnibus/dialect/mqtt/packet"
)

// retained measures what retained messages cost in memory, and how fast one
// subscriber gets them all.
func retained(ctx context.Context, t *trial) (*Result, error) {
	const size = 64
	s, ctx := newStage(ctx, t.dialer(), t.prefix())
	defer s.close()
	n := t.options.Retained
	c, err := s.client(ctx)
	if err != nil {
		return nil, err
	}
	before, err := t.target.settled(ctx)
	if err != nil {
		return nil, err
	}
	if err := s.retain(ctx, c, n, size); err != nil {
		return nil, fmt.Errorf("leaving retained messages: %w", err)
	}
	after, err := t.target.settled(ctx)
	if err != nil {
		return nil, err
	}
	got, inner := newStage(ctx, s.dialer, s.prefix+"-all")
	r, err := got.getAll(inner, t, s.prefix+"/#", n)
	got.close() // before it hears of the removal
	if err != nil {
		return nil, err
	}
	r.Growth = growth(before, after, n, size)
	if err := s.retain(ctx, c, n, 0); err != nil { // an empty one removes what there was
		return nil, fmt.Errorf("removing retained messages: %w", err)
	}
	return r, nil
}

// retain publishes n retained messages and returns when the broker has taken
// them all: it has acknowledged one more message that came behind them.
func (s *stage) retain(ctx context.Context, c *client, n, size int) error {
	const step = 64 << 10
	var b []byte
	payload := make([]byte, size)
	for i := range payload {
		payload[i] = 'x'
	}
	for i := range n {
		p := packet.Publish{Topic: s.topic(i), Payload: payload, Retain: true}
		b = p.Append(b, packet.V311)
		if len(b) < step && i < n-1 {
			continue
		}
		_ = c.conn.SetWriteDeadline(time.Now().Add(patience))
		if _, err := c.write(b); err != nil {
			return err
		}
		if ctx.Err() != nil {
			return failure(ctx)
		}
		b = b[:0]
	}
	last := packet.Publish{Topic: s.prefix, QoS: 1, PacketID: 1}
	_, _, err := c.ask(ctx, last.Append(nil, packet.V311), packet.PUBACK)
	return err
}

// getAll subscribes to the filter and waits until they have come, or no more
// come.
func (s *stage) getAll(ctx context.Context, t *trial, filter string, n int) (*Result, error) {
	c, err := s.client(ctx)
	if err != nil {
		return nil, err
	}
	l := newLane(n, make(chan struct{}, 1))
	from := reading{at: time.Now(), own: ownTime()}
	from.broker, from.known = t.target.cpu()
	ask := packet.Subscribe{PacketID: 1, Filters: []packet.Subscription{{Filter: filter}}}
	if _, err := c.write(ask.Append(nil, packet.V311)); err != nil {
		return nil, err
	}
	s.run(newSubscriber(c, []*lane{l}).run)
	last := uint64(0)
	for l.await(uint64(n), 0) {
		wait, cancel := context.WithTimeout(ctx, 2*time.Second)
		select {
		case <-l.wake:
		case <-wait.Done():
		}
		cancel()
		if ctx.Err() != nil {
			return nil, failure(ctx)
		}
		now := l.n.Load()
		if now == last {
			break
		}
		last = now
	}
	to := reading{at: time.Now(), own: ownTime(), delivered: l.n.Load()}
	to.broker, to.known = t.target.cpu()
	r := &Result{Traffic: between(from, to), Memory: t.target.usage()}
	r.Traffic.Expected, r.Traffic.Lost = int64(n), int64(n)-int64(to.delivered)
	return r, nil
}
