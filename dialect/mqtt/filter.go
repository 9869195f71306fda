package mqtt

import (
	"strings"
	"sync/atomic"

	"omnibus/bus"
	"omnibus/dialect/mqtt/packet"
)

// filter is one subscription of a client. It is the Tag of the bus's.
type filter struct {
	text    string
	options atomic.Pointer[options]
	sub     *bus.Subscription // nil for filters of services
	shared  bool
	extra   any // what else ends with it
}

// options are the terms of a subscription. They do not change; a client that
// subscribes again to the same filter gives it others.
type options struct {
	qos         uint8
	noLocal     bool
	asPublished bool
	ids         packet.SubscriptionIDs
}

// plainOptions are the terms of most subscriptions, by QoS.
var plainOptions = [3]*options{{qos: 0}, {qos: 1}, {qos: 2}}

func optionsOf(o *packet.Subscription, id uint32) *options {
	if !o.NoLocal && !o.RetainAsPublished && id == 0 {
		return plainOptions[o.QoS]
	}
	return &options{qos: o.QoS, noLocal: o.NoLocal, asPublished: o.RetainAsPublished, ids: packet.SubscriptionIDs(nil).Append(id)}
}

// filters are those of one client, by text. Most clients have few.
type filters struct {
	few  []*filter
	many map[string]*filter // instead of few when there were ever more
	wild int                // filters with wildcards
}

// fewFilters is how many filters are searched one after the other.
const fewFilters = 8

func (f *filters) len() int { return max(len(f.few), len(f.many)) }

func (f *filters) find(text string) *filter {
	if f.many != nil {
		return f.many[text]
	}
	for _, x := range f.few {
		if x.text == text {
			return x
		}
	}
	return nil
}

func (f *filters) add(x *filter) {
	if isWild(x.text) {
		f.wild++
	}
	switch {
	case f.many != nil:
		f.many[x.text] = x
	case len(f.few) < fewFilters:
		f.few = append(f.few, x)
	default:
		f.many = make(map[string]*filter, 2*fewFilters)
		for _, y := range f.few {
			f.many[y.text] = y
		}
		f.few = nil
		f.many[x.text] = x
	}
}

func (f *filters) remove(x *filter) {
	if isWild(x.text) {
		f.wild--
	}
	if f.many != nil {
		delete(f.many, x.text)
		return
	}
	for i, y := range f.few {
		if y == x {
			last := len(f.few) - 1
			f.few[i] = f.few[last]
			f.few[last] = nil
			f.few = f.few[:last]
			return
		}
	}
}

// overlap tells whether a message may match more than one. Filters without
// wildcards differ, so that they do not.
func (f *filters) overlap() bool { return f.wild > 0 && f.len() > 1 }

func isWild(text string) bool { return strings.ContainsAny(text, "+#") }

// all calls each for every filter.
func (f *filters) all(each func(*filter)) {
	for _, x := range f.few {
		each(x)
	}
	for _, x := range f.many {
		each(x)
	}
}

// watching is how many ask for the server's status.
func (f *filters) watching() (n int) {
	f.all(func(x *filter) {
		if isStatus(x.text) {
			n++
		}
	})
	return n
}
