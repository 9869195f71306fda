package enginetest

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"sync"

	"omnibus/bus"
	"omnibus/engine"
)

var concurrentCases = []Case{
	case1("concurrent appends keep the order of each and lose none", concurrentAppends),
	case1("a reader that follows misses nothing and sees whole batches", followAppends),
	case1("waiters for a flush are all told", concurrentFlushed),
	case1("trimming under readers gives entries or says trimmed", trimUnderReaders),
}

const appenders, batches = 4, 50

// appendFrom appends batches of growing and shrinking size that say by whom
// and which they are.
func appendFrom(o *opened, who int, done func(last bus.Position)) {
	n := 0
	for i := range batches {
		batch := numbered(n, 1+i%5)
		for k, e := range batch {
			e.Session = strconv.Itoa(who)
			e.Expires = int64(len(batch) - 1 - k) // how many of the batch are still to come
		}
		n += len(batch)
		last, err := o.Journal().Append(batch...)
		if err != nil {
			o.Errorf("appending: %v", err)
			return
		}
		done(last)
	}
}

// checker checks what one reader sees of the work of all appenders.
type checker struct {
	next  [appenders]int
	whose string // batch that is not over yet
	left  int64
}

func (c *checker) see(o *opened, e *engine.Entry) {
	o.Helper()
	who, err := strconv.Atoi(e.Session)
	if err != nil || who >= appenders {
		o.Fatalf("an entry of %q, which nobody appended", e.Session)
	}
	if string(e.Payload) != strconv.Itoa(c.next[who]) {
		o.Fatalf("entry %s of appender %d follows %d", e.Payload, who, c.next[who]-1)
	}
	c.next[who]++
	if c.left > 0 && (e.Session != c.whose || e.Expires != c.left-1) {
		o.Fatalf("a batch of appender %s is interrupted by appender %d", c.whose, who)
	}
	c.whose, c.left = e.Session, e.Expires
}

func (c *checker) end(o *opened) {
	o.Helper()
	want := 0
	for i := range batches {
		want += 1 + i%5
	}
	for who, n := range c.next {
		if n != want {
			o.Errorf("%d entries of appender %d, want %d", n, who, want)
		}
	}
	if c.left > 0 {
		o.Errorf("the last batch lacks %d entries", c.left)
	}
}

func concurrentAppends(o *opened) {
	var work sync.WaitGroup
	for who := range appenders {
		work.Go(func() {
			var before bus.Position
			appendFrom(o, who, func(last bus.Position) {
				if last <= before {
					o.Errorf("appender %d: position %d after %d", who, last, before)
				}
				before = last
				if got, err := o.Journal().Read(o.Context(), last, 1); err != nil || len(got) != 1 || got[0].Position != last {
					o.Errorf("appender %d: reading %d at once: %d entries, %v", who, last, len(got), err)
				}
			})
		})
	}
	work.Wait()
	var c checker
	for _, e := range o.read(0) {
		c.see(o, e)
	}
	c.end(o)
}

func followAppends(o *opened) {
	ctx, cancel := context.WithCancel(o.Context())
	defer cancel()
	var work sync.WaitGroup
	for who := range appenders {
		work.Go(func() { appendFrom(o, who, func(bus.Position) {}) })
	}
	go func() {
		defer cancel()
		work.Wait()
	}()
	defer work.Wait()

	var c checker
	for from := bus.Position(0); ; {
		over := ctx.Err() != nil // all is there before this read begins
		seen := 0
		for e, err := range follow(o, from, 7) {
			if err != nil {
				o.Fatalf("following: %v", err)
			}
			c.see(o, e)
			from = e.Position + 1
			seen++
		}
		if c.left > 0 {
			o.Fatalf("at the end a batch lacks its last %d entries", c.left)
		}
		if over && seen == 0 {
			break
		}
		if seen == 0 {
			_, changed := o.flushed()
			select {
			case <-changed:
			case <-ctx.Done():
			}
		}
	}
	c.end(o)
}

func concurrentFlushed(o *opened) {
	var work sync.WaitGroup
	for who := range appenders {
		work.Go(func() {
			appendFrom(o, who, func(last bus.Position) { o.waitOrError(last) })
		})
	}
	work.Wait()
	_, last := o.Journal().Bounds()
	if now, _ := o.flushed(); now != last {
		o.Errorf("flushed up to %d, want %d", now, last)
	}
}

// waitOrError is waitFlushed for goroutines other than the test's.
func (o *opened) waitOrError(at bus.Position) {
	var before bus.Position
	for {
		now, changed, err := o.Journal().Flushed()
		if now < before {
			o.Errorf("flushed up to %d after %d", now, before)
		}
		if before = now; now >= at {
			return
		}
		if err != nil {
			o.Errorf("flushed up to %d only, want %d: %v", now, at, err)
			return
		}
		select {
		case <-changed:
		case <-o.Context().Done():
			o.Errorf("flushed up to %d only, want %d", now, at)
			return
		}
	}
}

func trimUnderReaders(o *opened) {
	at := o.append(numbered(0, 2000)...)
	var readers sync.WaitGroup
	for range 2 {
		readers.Go(func() {
			for next := 0; next < len(at); {
				got, err := o.Journal().Read(o.Context(), at[next], 10)
				if errors.Is(err, engine.ErrTrimmed) {
					first, _ := o.Journal().Bounds()
					oldest := slices.Index(at, first)
					if oldest <= next {
						o.Errorf("%d was given up, but the oldest is %d", at[next], first)
						return
					}
					next = oldest
					continue
				}
				if err != nil || len(got) == 0 {
					o.Errorf("reading from %d: %d entries, %v", at[next], len(got), err)
					return
				}
				for _, e := range got {
					if e.Position != at[next] || string(e.Payload) != strconv.Itoa(next) {
						o.Errorf("at %d: entry %s at %d, want %d", at[next], e.Payload, e.Position, next)
						return
					}
					next++
				}
			}
		})
	}
	for i := 0; i < len(at); i += 37 {
		o.trim(at[i])
	}
	readers.Wait()
}
