package bus

import (
	"context"
	"sync"
)

// Overflow is what a full queue does with one message more.
type Overflow uint8

// The policies.
const (
	// Block holds up the publisher until there is room.
	Block Overflow = iota
	// DropOldest loses the message that has waited longest.
	DropOldest
	// DropNewest loses the message that just came.
	DropNewest
)

// queue is a bounded first-in first-out of one subscription. Its ring grows
// with use up to the bound.
type queue[T any] struct {
	max    int
	policy Overflow

	mu      sync.Mutex
	ring    []T
	head, n int
	items   sync.Cond     // n is not 0, or closed
	room    chan struct{} // closed when room appears; nil while nobody waits
	closed  bool
}

func newQueue[T any](max int, policy Overflow) *queue[T] {
	q := &queue[T]{max: max, policy: policy}
	q.items.L = &q.mu
	return q
}

// pushed is what became of a message.
type pushed uint8

const (
	queued   pushed = iota
	lost            // this message, by policy or because ctx ended
	replaced        // queued in place of the oldest, which is returned
	refused         // the queue is closed
)

// push adds x. Only with wait it may block, until there is room or ctx ends.
func (q *queue[T]) push(ctx context.Context, x T, wait bool) (what pushed, old T, err error) {
	q.mu.Lock()
	for q.n == q.max && !q.closed {
		if q.policy == DropOldest {
			old = q.take()
			q.put(x)
			q.mu.Unlock()
			return replaced, old, nil
		}
		if q.policy == DropNewest || !wait {
			q.mu.Unlock()
			return lost, old, nil
		}
		if q.room == nil {
			q.room = make(chan struct{})
		}
		room := q.room
		q.mu.Unlock()
		select {
		case <-room:
		case <-ctx.Done():
			return lost, old, ctx.Err()
		}
		q.mu.Lock()
	}
	if q.closed {
		q.mu.Unlock()
		return refused, old, nil
	}
	q.put(x)
	q.mu.Unlock()
	q.items.Signal()
	return queued, old, nil
}

// pop waits for the next message; false when the queue is closed and empty.
func (q *queue[T]) pop() (x T, ok bool) {
	q.mu.Lock()
	for q.n == 0 {
		if q.closed {
			q.mu.Unlock()
			return x, false
		}
		q.items.Wait()
	}
	x = q.take()
	if q.room != nil {
		close(q.room)
		q.room = nil
	}
	q.mu.Unlock()
	return x, true
}

// close takes no more; without drain it returns what waited, to be discarded.
func (q *queue[T]) close(drain bool) (discarded []T) {
	q.mu.Lock()
	q.closed = true
	if !drain {
		for q.n > 0 {
			discarded = append(discarded, q.take())
		}
	}
	if q.room != nil {
		close(q.room)
		q.room = nil
	}
	q.mu.Unlock()
	q.items.Broadcast()
	return discarded
}

func (q *queue[T]) len() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.n
}

func (q *queue[T]) put(x T) {
	if q.n == len(q.ring) {
		q.grow()
	}
	q.ring[q.at(q.n)] = x
	q.n++
}

func (q *queue[T]) take() T {
	var zero T
	x := q.ring[q.head]
	q.ring[q.head] = zero
	q.head = q.at(1)
	if q.n--; q.n == 0 {
		q.head = 0 // where the memory is warm
	}
	return x
}

// at is the place in the ring of the i-th message from the head.
func (q *queue[T]) at(i int) int {
	if i += q.head; i >= len(q.ring) {
		i -= len(q.ring)
	}
	return i
}

func (q *queue[T]) grow() {
	ring := make([]T, min(max(8, 2*len(q.ring)), q.max))
	for i := range q.n {
		ring[i] = q.ring[q.at(i)]
	}
	q.ring, q.head = ring, 0
}
