package bench

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"
)

// pace is the time between two messages of a round trip.
const pace = time.Millisecond

// trips times the messages of one publisher to one subscriber. Each message
// carries its number, and so the moment it was due.
type trips struct {
	begin time.Time
	// took is the time of each message, in nanoseconds, 0 if it did not come; late
	// is how long after its time it was sent.
	took []atomic.Int64
	late []float64
}

// due is when a message is to be sent.
func (t *trips) due(i int) time.Time { return t.begin.Add(time.Duration(i) * pace) }

// arrive notes that a message came.
func (t *trips) arrive(payload []byte) {
	if len(payload) < numberAt+8 {
		return
	}
	if i := binary.BigEndian.Uint64(payload[numberAt:]); i < uint64(len(t.took)) {
		t.took[i].Store(max(1, int64(time.Since(t.due(int(i))))))
	}
}

// numberAt is where in a payload the number of the message is, behind that of
// its publisher.
const numberAt = 2

// roundTrip measures how long messages take that are sent at a fixed pace.
func roundTrip(qos byte) func(context.Context, *trial) (*Result, error) {
	return func(ctx context.Context, t *trial) (*Result, error) {
		s, ctx := newStage(ctx, t.dialer(), t.prefix())
		defer s.close()
		f := flow{publishers: 1, subscribers: 1, size: 64, batch: 1, qos: qos}
		warm := int(t.options.warmUp()/pace) + 2
		times := &trips{took: make([]atomic.Int64, warm+int(t.options.Duration/pace)+1)}
		f.each = times.arrive
		all, err := f.setUp(ctx, s, t.options)
		if err != nil {
			return nil, err
		}
		return times.measure(ctx, all, t, warm)
	}
}

// measure sends all messages, of which the first few do not count.
func (t *trips) measure(ctx context.Context, all *traffic, of *trial, warm int) (*Result, error) {
	t.late = make([]float64, len(t.took))
	t.begin = time.Now().Add(10 * time.Millisecond)
	readings := make(chan reading, 1)
	sent := make(chan error, 1)
	go func() {
		sent <- t.send(ctx, all.publishers[0], func(i int) {
			if i == warm-1 { // reading takes a while, which this message is late
				readings <- all.read(of.target)
			}
		})
	}()
	if err := <-sent; err != nil {
		return nil, err
	}
	to := all.read(of.target)
	if err := all.drain(ctx); err != nil {
		return nil, err
	}
	r := &Result{Traffic: between(<-readings, to), Memory: of.target.usage()}
	delivered, expected := all.count()
	r.Traffic.Expected, r.Traffic.Lost = int64(expected), int64(expected)-int64(delivered)
	var took []float64
	for i := warm; i < len(t.took); i++ {
		if n := t.took[i].Load(); n > 0 {
			took = append(took, float64(n)/1e3)
		}
	}
	if len(took) == 0 {
		return nil, errors.New("no message arrived")
	}
	slices.Sort(took)
	r.RoundTrip = &RoundTrip{
		P50: percentile(took, 50), P90: percentile(took, 90), P99: percentile(took, 99), P999: percentile(took, 99.9),
		Max: took[len(took)-1], Late: median(t.late[warm:]),
	}
	return r, nil
}

// send publishes each message when it is due, or as soon after as it can.
func (t *trips) send(ctx context.Context, p *publisher, before func(i int)) error {
	clock := newPacer()
	for i := range t.took {
		before(i)
		clock.until(t.due(i))
		if ctx.Err() != nil {
			return failure(ctx)
		}
		t.late[i] = micros(time.Since(t.due(i)))
		one := p.next(1)
		binary.BigEndian.PutUint64(one[len(one)-64+numberAt:], uint64(i))
		if i%1000 == 0 {
			_ = p.conn.SetWriteDeadline(time.Now().Add(patience))
		}
		if _, err := p.write(one); err != nil {
			return fmt.Errorf("publishing: %w", err)
		}
		p.sent.Add(1)
	}
	return nil
}
