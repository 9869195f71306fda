package mycroft

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"time"
)

const (
	collectKey     = "__collect_id__"
	handlingSuffix = ".handling"
	// mostHandlers bounds the handlers that are waited for.
	mostHandlers = 1000
)

// CollectOptions are the terms of CollectResponses. The zero value works.
type CollectOptions struct {
	// Min is how long handlers may take to say that they are at work; 0 means
	// 200 ms. With none then, there are no answers.
	Min time.Duration
	// Max bounds the whole; 0 means 3 s.
	Max time.Duration
	// Until ends the collection with the first answer for which it is true, even
	// before Min has passed; nil is for none.
	Until func(*Answer) bool
}

// Answer is what one handler answered.
type Answer struct {
	*Message
	// Handler is its id.
	Handler string
	// Succeeded is what the handler says of itself.
	Succeeded bool
}

// report is what a handler tells, in the data of its message.
type report struct {
	Query     string  `json:"query"`
	Handler   string  `json:"handler"`
	Timeout   float64 `json:"timeout"` // seconds
	Succeeded bool    `json:"succeeded"`
}

// seconds is a number of seconds as a duration, within reason.
func seconds(s float64) time.Duration {
	return time.Duration(min(max(s, 0), 1e6) * float64(time.Second))
}

// CollectResponses sends a request and collects the answers of all handlers
// that say within Min that they are at work. It returns when each has answered,
// or has been silent for the time it asked for, or after Max. A handler may ask
// for more time; of one that answers twice the last counts. Answers are in the
// order in which their handlers first answered. When ctx ends first they are
// returned with the error.
func (c *Client) CollectResponses(ctx context.Context, m *Message, o CollectOptions) ([]*Answer, error) {
	if o.Min <= 0 {
		o.Min = 200 * time.Millisecond
	}
	if o.Max <= 0 {
		o.Max = 3 * time.Second
	}
	id := newUUID()
	heard := make(chan *Message, 2*mostHandlers)
	defer c.overhear(id, heard, m.Type+handlingSuffix, m.Type+responseSuffix)()
	if err := c.Emit(ctx, m.WithContext(collectKey, id)); err != nil {
		return nil, err
	}
	k := newCollection(o)
	timer := time.NewTimer(time.Until(k.begin.Add(min(o.Min, o.Max))))
	defer timer.Stop()
	for {
		select {
		case got := <-heard:
			if k.take(got, got.Type == m.Type+responseSuffix) {
				return k.answers, nil
			}
		case <-timer.C:
		case <-c.ending:
			return k.answers, c.Err()
		case <-ctx.Done():
			return k.answers, context.Cause(ctx)
		}
		wait := time.Until(k.end())
		if wait <= 0 && len(heard) == 0 {
			return k.answers, nil
		}
		timer.Reset(wait)
	}
}

// overhear has the messages of two types that belong to a query sent to a
// channel.
func (c *Client) overhear(query string, to chan<- *Message, types ...string) (stop func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	var list []*Listener
	for _, t := range types {
		l := &Listener{msgType: t, inside: true, take: func(m *Message) func(context.Context) {
			var r report
			if json.Unmarshal(m.Data, &r) != nil || r.Query != query {
				return nil
			}
			select {
			case to <- m:
			default:
				c.counters.dropped.Add(1)
			}
			return nil
		}}
		c.register(l)
		list = append(list, l)
	}
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		for _, l := range list {
			c.forget(l)
		}
	}
}

// collection is the state of one CollectResponses.
type collection struct {
	o       CollectOptions
	begin   time.Time
	silent  map[string]time.Time // until when to wait for handlers that have not answered
	answers []*Answer
}

func newCollection(o CollectOptions) *collection {
	return &collection{o: o, begin: time.Now(), silent: make(map[string]time.Time)}
}

// take takes what a handler tells. It is true when no more is wanted.
func (k *collection) take(m *Message, answer bool) (enough bool) {
	var r report
	_ = json.Unmarshal(m.Data, &r) // it could be read before
	known := k.find(r.Handler)
	if !answer {
		if _, waiting := k.silent[r.Handler]; known < 0 && (waiting || len(k.silent)+len(k.answers) < mostHandlers) {
			k.silent[r.Handler] = time.Now().Add(seconds(r.Timeout))
		}
		return false
	}
	a := &Answer{Message: m, Handler: r.Handler, Succeeded: r.Succeeded}
	delete(k.silent, r.Handler)
	switch {
	case known >= 0:
		k.answers[known] = a
	case len(k.answers) < mostHandlers:
		k.answers = append(k.answers, a)
	}
	return k.o.Until != nil && k.o.Until(a)
}

func (k *collection) find(handler string) int {
	for i, a := range k.answers {
		if a.Handler == handler {
			return i
		}
	}
	return -1
}

// end is when the collection ends as far as is known.
func (k *collection) end() time.Time {
	end := k.begin.Add(k.o.Min)
	for _, until := range k.silent {
		if until.After(end) {
			end = until
		}
	}
	if last := k.begin.Add(k.o.Max); end.After(last) {
		end = last
	}
	return end
}

// newUUID is a random UUID, the form of ids that the original libraries use.
func newUUID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	h := hex.EncodeToString(b[:])
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
}
