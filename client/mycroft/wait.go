package mycroft

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"omnibus/dialect/mycroft/packet"
)

// idKey is the member of a request's context that says whose it is. Who answers
// with the original libraries copies it.
const idKey = "omnibus_request"

// wait is a call that waits for one of several types.
type wait struct {
	id      string // of the request; empty when anything will do
	request string // its type
	types   []string
	got     chan *Message
	skipped int // guarded by the client's lock
}

// WaitForMessage waits for the next message of any of the types, from anybody.
// Without a deadline in ctx it waits for Options.Timeout.
func (c *Client) WaitForMessage(ctx context.Context, types ...string) (*Message, error) {
	w := &wait{types: types, got: make(chan *Message, 1)}
	defer c.watchFor(w)()
	return c.await(ctx, w, func(context.Context) error { return nil })
}

// WaitForResponse sends a request and waits for its answer: a message of one of
// the types, by default the request's own with ".response". Without a deadline
// in ctx it waits for Options.Timeout.
//
// The request gets an id in its context (omnibus_request), and the answer is the
// message that carries the same id, as it does when the peer makes it with the
// reply or response of an original library. A message with another id never is.
// A message without any id is taken only if it can be no one else's: no other
// call of this client waits for that type, and nobody at the hub has sent a
// request of the same type within the last ten seconds, or since.
func (c *Client) WaitForResponse(ctx context.Context, m *Message, types ...string) (*Message, error) {
	if len(types) == 0 {
		types = []string{m.Type + responseSuffix}
	}
	w := &wait{id: rand.Text(), request: m.Type, types: types, got: make(chan *Message, 1)}
	request := m.WithContext(idKey, w.id)
	defer c.watchFor(w)()
	return c.await(ctx, w, func(ctx context.Context) error { return c.Emit(ctx, request) })
}

// await begins something and waits for what it brings.
func (c *Client) await(ctx context.Context, w *wait, begin func(context.Context) error) (*Message, error) {
	start := time.Now()
	ctx, cancel := c.timeout(ctx)
	defer cancel()
	err := begin(ctx)
	if err == nil {
		select {
		case m := <-w.got:
			return m, nil
		case <-c.ending:
			return nil, c.Err()
		case <-ctx.Done():
			err = context.Cause(ctx)
		}
	}
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		c.mu.Lock()
		defer c.mu.Unlock()
		return nil, &TimeoutError{What: strings.Join(w.types, " or "), After: time.Since(start), Skipped: w.skipped}
	}
	return nil, fmt.Errorf("waiting for %s: %w", strings.Join(w.types, " or "), err)
}

// watchFor has messages of its types offered to w.
func (c *Client) watchFor(w *wait) (stop func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.waits = append(c.waits, w)
	var list []*Listener
	for _, t := range w.types {
		l := &Listener{msgType: t, inside: true, take: func(m *Message) func(context.Context) {
			if c.isFor(w, m) {
				select {
				case w.got <- m:
				default: // the first has come
				}
			}
			return nil
		}}
		c.register(l)
		list = append(list, l)
	}
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.waits = slices.DeleteFunc(c.waits, func(x *wait) bool { return x == w })
		for _, l := range list {
			c.forget(l)
		}
	}
}

// isFor reports whether a message is what w waits for.
func (c *Client) isFor(w *wait, m *Message) bool {
	if w.id == "" {
		return true
	}
	if id := idOf(m.Context); id != "" {
		return id == w.id
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	others := slices.ContainsFunc(c.waits, func(x *wait) bool {
		return x != w && x.id != "" && slices.Contains(x.types, m.Type)
	})
	if others || c.asked.lately(w.request) {
		w.skipped++
		return false
	}
	return m.Type != w.request // a request without an id is somebody else's
}

// idOf is the id that a context carries, "" when there is none.
func idOf(messageContext json.RawMessage) string {
	if !bytes.Contains(messageContext, []byte(`"`+idKey+`"`)) {
		return ""
	}
	return packet.Text(objectOf(messageContext).get(idKey))
}

const (
	// askedWindow is how long a request of somebody else makes answers that do
	// not say whom they are for ambiguous.
	askedWindow = 10 * time.Second
	// mostAsked bounds the types that are remembered.
	mostAsked = 1024
)

// asked remembers which types others have sent, for a while.
type asked struct {
	at     map[string]time.Time
	forgot time.Time // when all was forgotten last, because there was too much
}

func (a *asked) note(msgType string) {
	now := time.Now()
	if _, ok := a.at[msgType]; !ok && len(a.at) >= mostAsked {
		for t, at := range a.at {
			if now.Sub(at) > askedWindow {
				delete(a.at, t)
			}
		}
		if len(a.at) >= mostAsked {
			clear(a.at)
			a.forgot = now
		}
	}
	if a.at == nil {
		a.at = make(map[string]time.Time)
	}
	a.at[msgType] = now
}

// lately reports whether others may have sent the type.
func (a *asked) lately(msgType string) bool {
	now := time.Now()
	return now.Sub(a.at[msgType]) <= askedWindow || now.Sub(a.forgot) <= askedWindow
}
