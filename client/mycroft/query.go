package mycroft

import (
	"context"
	"errors"
	"fmt"
	"time"

	"omnibus/dialect/mycroft/packet"
)

// DefaultHandling is how long OnCollect asks callers to wait when it is given no
// time.
const DefaultHandling = 2 * time.Second

// errNoQuery is reported for a request that nobody collects the answers of.
var errNoQuery = errors.New("a request was not handled: its context has no " + collectKey + ", so nobody collects answers")

// Query is a request whose answers are collected.
type Query struct {
	*Message
	client  *Client
	id      string // of the query
	handler string // of this handling of it
}

// OnCollect has a function called with every request of a type whose answers are
// collected. That it is at work is told to the caller as soon as the request
// comes, with the time it may take: 0 means DefaultHandling. The function
// answers with Succeed or Fail; if it panics it has failed.
func (c *Client) OnCollect(msgType string, takes time.Duration, fn func(ctx context.Context, q *Query)) *Listener {
	if takes <= 0 {
		takes = DefaultHandling
	}
	return c.listen(&Listener{msgType: msgType, take: func(m *Message) func(ctx context.Context) {
		id := objectOf(m.Context).get(collectKey)
		if len(id) == 0 || id[0] != '"' {
			c.report(fmt.Errorf("%w: type %q", errNoQuery, msgType))
			return nil
		}
		q := &Query{Message: m, client: c, id: packet.Text(id), handler: newUUID()}
		// The goroutine that reads must not wait.
		if err := c.emitNow(q.handling(takes)); err != nil {
			c.report(fmt.Errorf("telling that %q is handled: %w", msgType, err))
			return nil
		}
		return q.handle(fn)
	}})
}

// handle calls the function, and fails the query when that panics.
func (q *Query) handle(fn func(ctx context.Context, q *Query)) func(ctx context.Context) {
	return func(ctx context.Context) {
		returned := false
		defer func() {
			if !returned {
				_ = q.client.emitNow(q.answer(nil, false)) // the panic is what is reported
			}
		}()
		fn(ctx, q)
		returned = true
	}
}

// Succeed answers with data, an object.
func (q *Query) Succeed(ctx context.Context, data any) error {
	return q.client.Emit(ctx, q.answer(data, true))
}

// Fail answers that there is no answer.
func (q *Query) Fail(ctx context.Context) error {
	return q.client.Emit(ctx, q.answer(nil, false))
}

// Extend asks the caller to wait that long from now. Callers that use an
// original library do not listen to it.
func (q *Query) Extend(ctx context.Context, takes time.Duration) error {
	return q.client.Emit(ctx, q.handling(takes))
}

// handling is the message that says that the handler is at work.
func (q *Query) handling(takes time.Duration) *Message {
	return q.Reply(q.Type+handlingSuffix, q.tell(nil, member{"timeout", number(takes.Seconds())}), nil)
}

// answer is the message that says what came of it.
func (q *Query) answer(data any, succeeded bool) *Message {
	text, err := encode(data)
	if err == nil && !isObject(text) {
		err = fmt.Errorf("%w: an answer's data must be a JSON object", ErrMessage)
	}
	out := q.Reply(q.Type+responseSuffix, q.tell(objectOf(text), member{"succeeded", boolean(succeeded)}), nil)
	if err != nil {
		out.err = err
	}
	return out
}

// tell is data with what says of which query and handler it is.
func (q *Query) tell(data object, more member) object {
	data.set("query", packet.AppendString(nil, q.id))
	data.set("handler", packet.AppendString(nil, q.handler))
	data.set(more.key, more.value)
	return data
}

func number(x float64) []byte { return fmt.Appendf(nil, "%g", x) }

func boolean(x bool) []byte { return fmt.Appendf(nil, "%t", x) }
