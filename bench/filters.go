package bench

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
)

// perClient is the most filters of a connection, and perPacket of a SUBSCRIBE.
const (
	perClient = 5000
	perPacket = 100
)

// filters measures what filters cost in memory, and then messages each of which
// matches one of them.
func filters(ctx context.Context, t *trial) (*Result, error) {
	s, ctx := newStage(ctx, t.dialer(), t.prefix())
	defer s.close()
	n := t.options.Filters
	crowd := (n + perClient - 1) / perClient
	if _, err := s.crowd(ctx, crowd); err != nil {
		return nil, err
	}
	for _, c := range s.clients {
		c.buf = make([]byte, smallBuffer)
	}
	before, err := t.target.settled(ctx)
	if err != nil {
		return nil, err
	}
	if err := s.subscribeAll(ctx, n); err != nil {
		return nil, err
	}
	after, err := t.target.settled(ctx)
	if err != nil {
		return nil, err
	}
	r, err := s.matching(ctx, t, n)
	if err != nil {
		return nil, err
	}
	r.Growth = growth(before, after, n, 0)
	return r, nil
}

// topic is number i of many, all of the same length, none the beginning of
// another.
func (s *stage) topic(i int) string { return fmt.Sprintf("%s/%03d/%03d/v", s.prefix, i/1000, i%1000) }

// subscribeAll shares n filters out among the clients.
func (s *stage) subscribeAll(ctx context.Context, n int) error {
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	var all sync.WaitGroup
	for k, c := range s.clients {
		all.Go(func() {
			if err := s.subscribeSome(ctx, c, k*perClient, min(n, (k+1)*perClient)); err != nil {
				fail(err)
			}
		})
	}
	all.Wait()
	if ctx.Err() != nil {
		return failure(ctx)
	}
	return nil
}

// subscribeSome subscribes a client to the topics from one number up to another.
func (s *stage) subscribeSome(ctx context.Context, c *client, from, to int) error {
	for from < to {
		var some []string
		for ; from < to && len(some) < perPacket; from++ {
			some = append(some, s.topic(from))
		}
		if err := c.subscribe(ctx, 0, some...); err != nil {
			return err
		}
	}
	return nil
}

// matching measures messages to all topics, in a random order.
func (s *stage) matching(ctx context.Context, t *trial, n int) (*Result, error) {
	subscribers := s.clients
	c, err := s.client(ctx)
	if err != nil {
		return nil, err
	}
	m := message{size: 64}
	for _, i := range rand.Perm(n) {
		m.topics = append(m.topics, s.topic(i))
	}
	p := newPublisher(c, m, max(1, min(16, t.options.Window/2)))
	one := []*lane{p.lane(t.options.Window)}
	for _, c := range subscribers {
		s.run(newSubscriber(c, one).run)
	}
	return (&traffic{stage: s, publishers: []*publisher{p}}).measure(ctx, t.target, t.options)
}
