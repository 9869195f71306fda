package mycroft

import (
	"context"
	"runtime/debug"
	"sync"
)

// task is what one message, or event, has a lane do.
type task struct {
	name string // the type, for people
	size int    // bytes held meanwhile
	run  func(ctx context.Context)
}

// lane runs tasks, as many at a time as it has workers: with one, in their
// order. Its goroutines exist only while there are tasks; the client waits for
// them.
type lane struct {
	client  *Client
	workers int
	events  bool // tasks are functions of Events: they run after the end of the client too

	mu      sync.Mutex // guards what follows
	waiting []task
	busy    int
}

// room reports whether a task can be added. As long as one goroutine adds, it
// still can afterwards.
func (l *lane) room(t task) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	bytes := l.client.queued.Load()
	return len(l.waiting) < l.client.o.Queue && (bytes == 0 || bytes+int64(t.size) <= int64(l.client.o.QueueBytes))
}

// add appends a task.
func (l *lane) add(t task) {
	l.client.queued.Add(int64(t.size))
	l.mu.Lock()
	defer l.mu.Unlock()
	l.waiting = append(l.waiting, t)
	if l.busy < l.workers {
		l.busy++
		l.client.running.Go(l.work)
	}
}

// idle reports whether nothing runs or waits.
func (l *lane) idle() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.busy == 0
}

// work runs tasks until none waits.
func (l *lane) work() {
	for {
		l.mu.Lock()
		if len(l.waiting) == 0 {
			l.busy--
			l.waiting = nil
			l.mu.Unlock()
			return
		}
		t := l.waiting[0]
		l.waiting[0] = task{}
		l.waiting = l.waiting[1:]
		l.mu.Unlock()
		switch {
		case l.events: // a function that reports panics is not told of its own
			l.client.contain(t.name, t.run, l.client.log)
		case l.client.life.Err() == nil:
			l.client.contain(t.name, t.run, l.client.report)
		}
		l.client.queued.Add(-int64(t.size))
	}
}

// contain calls a function and reports its panic.
func (c *Client) contain(name string, run func(ctx context.Context), report func(error)) {
	defer func() {
		if p := recover(); p != nil {
			c.counters.panics.Add(1)
			report(&PanicError{Type: name, Value: p, Stack: debug.Stack()})
		}
	}()
	run(c.life)
}
