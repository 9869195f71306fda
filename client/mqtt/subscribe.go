package mqtt

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"omnibus/carrier"
	"omnibus/dialect/mqtt/packet"
)

// Subscription is a topic filter and what to do with the messages that match it.
type Subscription struct {
	Filter string
	// QoS is the highest one to get messages with.
	QoS byte
	// Handler is called with each message. Handlers of a client are called one at a time, in the order of the messages,
	// on a goroutine of their own; they may use the client. nil leaves the messages to Options.OnMessage.
	Handler func(m *Message)

	// The rest is for version 5.

	// NoLocal leaves out what this client publishes.
	NoLocal bool
	// RetainAsPublished leaves Message.Retain as it was published.
	RetainAsPublished bool
	// RetainHandling says whether retained messages come: 0 always, 1 for a new subscription, 2 never.
	RetainHandling byte
	User           UserProperties
}

// subscription is one that was made, or is being made.
type subscription struct {
	Subscription
	id     uint32 // its subscription identifier
	before *subscription
}

// maxSubID is the highest subscription identifier.
const maxSubID = 268_435_455

func (s *Subscription) check(o *Options) error {
	switch {
	case !packet.ValidTopicFilter(s.Filter):
		return fmt.Errorf("%w: %.100q is no topic filter", ErrInvalid, s.Filter)
	case s.QoS > 2 || s.RetainHandling > 2:
		return fmt.Errorf("%w: QoS %d and retain handling %d of a subscription to %s, at most 2", ErrInvalid, s.QoS, s.RetainHandling, s.Filter)
	case !validPairs(s.User):
		return fmt.Errorf("%w: the user properties of a subscription to %s are not UTF-8", ErrInvalid, s.Filter)
	}
	return nil
}

// append appends the SUBSCRIBE.
func (s *subscription) append(dst []byte, id uint16, l *link) []byte {
	p := packet.Subscribe{PacketID: id, Filters: []packet.Subscription{{
		Filter: s.Filter, QoS: s.QoS, NoLocal: s.NoLocal, RetainAsPublished: s.RetainAsPublished, RetainHandling: s.RetainHandling,
	}}}
	p.Properties.User = s.User
	if !l.server.NoSubscriptionIDs {
		p.Properties.SubscriptionID = s.id
	}
	return p.Append(dst, l.server.Version)
}

// Subscribe subscribes to a filter and returns the QoS that the broker grants when it has confirmed it. A refusal is a
// *RefusedError. The handler may be called before Subscribe returns. A second subscription to the same filter replaces
// the first.
//
// After an error that is no refusal, as of a context that ends, the broker may have subscribed all the same: the
// handler is not called, Options.OnMessage is.
func (c *Client) Subscribe(ctx context.Context, s Subscription) (qos byte, err error) {
	if err := s.check(&c.o); err != nil {
		return 0, err
	}
	sub := &subscription{Subscription: s}
	c.mu.Lock()
	c.lastSub = c.lastSub%maxSubID + 1
	sub.id = c.lastSub
	c.install(sub)
	c.mu.Unlock()
	code, text, err := c.ask(ctx, sub, func(dst []byte, id uint16, l *link) []byte { return sub.append(dst, id, l) })
	if err == nil && code.Failed() {
		err = &RefusedError{What: "subscription", Topic: s.Filter, Reason: code, Text: text}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if err != nil {
		c.withdraw(sub)
		return 0, err
	}
	sub.before = nil
	return byte(code), nil
}

// Unsubscribe ends the subscription to a filter; when it returns the handler is not called any more, but for a call that
// is under way. That there was none is no error.
func (c *Client) Unsubscribe(ctx context.Context, filter string) error {
	if !packet.ValidTopicFilter(filter) {
		return fmt.Errorf("%w: %.100q is no topic filter", ErrInvalid, filter)
	}
	code, text, err := c.ask(ctx, nil, func(dst []byte, id uint16, l *link) []byte {
		p := packet.Unsubscribe{PacketID: id, Filters: []string{filter}}
		return p.Append(dst, l.server.Version)
	})
	if err == nil && code.Failed() {
		err = &RefusedError{What: "unsubscription", Topic: filter, Reason: code, Text: text}
	}
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.subs = slices.DeleteFunc(c.subs, func(s *subscription) bool { return s.Filter == filter })
	return nil
}

// install puts a subscription in the place of the one to the same filter. mu is held.
func (c *Client) install(sub *subscription) {
	for i, s := range c.subs {
		if s.Filter == sub.Filter {
			sub.before = s
			c.subs[i] = sub
			return
		}
	}
	c.subs = append(c.subs, sub)
}

// withdraw undoes install. mu is held.
func (c *Client) withdraw(sub *subscription) {
	i := slices.Index(c.subs, sub)
	switch {
	case i < 0:
	case sub.before != nil:
		c.subs[i] = sub.before
	default:
		c.subs = slices.Delete(c.subs, i, i+1)
	}
}

// ask sends a request and waits for its answer.
func (c *Client) ask(ctx context.Context, sub *subscription, form func(dst []byte, id uint16, l *link) []byte) (code ReasonCode, text string, err error) {
	t := c.token()
	l, err := c.request(ctx, t, sub, form)
	if err != nil {
		return 0, "", err
	}
	l.out.Kick()
	settled, err := t.wait(ctx, c.o.Timeout)
	if !settled {
		return 0, "", err
	}
	code, text = t.code, t.text
	c.drop(t)
	return code, text, err
}

// request queues a request.
func (c *Client) request(ctx context.Context, t *Token, sub *subscription, form func(dst []byte, id uint16, l *link) []byte) (*link, error) {
	for {
		if ctx.Err() != nil {
			return nil, fmt.Errorf("asking the broker: %w", context.Cause(ctx))
		}
		l, err := c.tryRequest(t, sub, form)
		if !errors.Is(err, carrier.ErrFull) {
			return l, err
		}
		if err := c.flush(ctx, l); err != nil {
			return nil, err
		}
	}
}

func (c *Client) tryRequest(t *Token, sub *subscription, form func(dst []byte, id uint16, l *link) []byte) (*link, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	l := c.link.Load()
	switch {
	case c.over != nil:
		return nil, c.over
	case l == nil:
		return nil, ErrDisconnected
	case sub != nil && l.server.NoWildcards && wild(sub.Filter):
		return nil, &RefusedError{What: "subscription", Topic: sub.Filter, Reason: packet.WildcardsNotSupported}
	case c.flight.full():
		return nil, errNoID
	}
	id, e := c.flight.add()
	*e = entry{stage: asked, token: t, sub: sub}
	buf := l.out.Begin()
	before := len(buf)
	buf = form(buf, id, l)
	size := len(buf) - before
	var err error
	if size == 0 || l.server.MaxPacket > 0 && size > l.server.MaxPacket {
		err = errors.Join(ErrTooLarge, l.out.Commit(buf[:before]))
	} else {
		_, err = l.commit(buf, true)
	}
	if err != nil {
		c.flight.takeBack()
		if errors.Is(err, carrier.ErrClosed) {
			err = lost(err)
		}
		return l, err
	}
	return l, nil
}

// answered acts on the answer to a request; its texts are views. The reader calls it.
func (c *Client) answered(kind packet.Type, id uint16, codes []ReasonCode, text string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	e, _ := c.flight.find(id)
	if e == nil || e.stage != asked || (e.sub != nil) != (kind == packet.SUBACK) {
		return broken(packet.ProtocolError, "%s for packet identifier %d, which does not wait for it", kind, id)
	}
	if len(codes) != 1 {
		return broken(packet.ProtocolError, "%s with %d reason codes for one filter", kind, len(codes))
	}
	if t := e.token; t != nil {
		t.code, t.text = codes[0], string([]byte(text))
	} else if e.sub != nil && codes[0].Failed() {
		c.later(&RefusedError{What: "subscription", Topic: e.sub.Filter, Reason: codes[0], Text: string([]byte(text))})
		c.withdraw(e.sub)
	}
	c.settle(id, e, nil)
	return nil
}

var errNoID = errors.New("asking the broker: no packet identifier is free")

func wild(filter string) bool {
	if _, rest, ok := packet.SplitShared(filter); ok {
		filter = rest
	}
	return slices.ContainsFunc([]byte(filter), func(b byte) bool { return b == '+' || b == '#' })
}
