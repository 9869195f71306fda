package packet

import (
	"fmt"
	"strings"
)

// Subscribe is the SUBSCRIBE packet (3.8).
type Subscribe struct {
	PacketID uint16
	// Filters has at least one.
	Filters    []Subscription
	Properties SubscribeProperties
}

// Subscription is a topic filter with its options (3.8.3.1).
type Subscription struct {
	Filter string
	QoS    byte
	// The rest is for version 5 alone.

	NoLocal           bool
	RetainAsPublished bool
	// RetainHandling says whether retained messages are sent: 0 always, 1 if the
	// subscription is new, 2 never.
	RetainHandling byte
}

// SubscribeProperties are those of SUBSCRIBE (3.8.2.1).
type SubscribeProperties struct {
	// Present has the properties that were in the packet.
	Present PropertySet
	// SubscriptionID is 0 if there is none.
	SubscriptionID uint32
	User           UserProperties
}

// The options of a subscription (3.8.3.1).
const (
	maskQoS          = 0x03
	flagNoLocal      = 0x04
	flagAsPublished  = 0x08
	maskHandling     = 0x30
	shiftHandling    = 4
	reservedOptions  = 0xC0
	reservedOptions4 = 0xFC
)

// Decode reads the body of a SUBSCRIBE of version v. It uses the memory of
// Filters again.
func (s *Subscribe) Decode(h Header, body []byte, v Version) error {
	filters := s.Filters[:0]
	*s = Subscribe{}
	r := begin(h, SUBSCRIBE, body, v)
	s.PacketID = r.packetID()
	if v >= V5 {
		s.Properties.decode(&r)
	}
	if r.err == nil && len(r.rest) == 0 {
		r.fail(ProtocolError, "has no topic filter (MQTT-3.8.3-2)")
	}
	if n := countStrings(r.rest, 1); n > cap(filters) {
		filters = make([]Subscription, 0, n)
	}
	for len(r.rest) > 0 {
		one := Subscription{Filter: r.filter(v)}
		one.options(&r, v)
		filters = append(filters, one)
	}
	s.Filters = filters
	return r.done()
}

// countStrings is how many strings there are in b, each with some bytes behind it.
func countStrings(b []byte, behind int) (n int) {
	for len(b) > 0 {
		_, rest, ok := cutString(b)
		if !ok || len(rest) < behind {
			return n
		}
		b = rest[behind:]
		n++
	}
	return n
}

func (s *Subscription) options(r *reader, v Version) {
	b := r.byte("subscription options")
	s.QoS = b & maskQoS
	if v >= V5 {
		s.NoLocal = b&flagNoLocal != 0
		s.RetainAsPublished = b&flagAsPublished != 0
		s.RetainHandling = b & maskHandling >> shiftHandling
	}
	if r.err != nil {
		return
	}
	switch {
	case v >= V5 && b&reservedOptions != 0:
		r.fail(MalformedPacket, fmt.Sprintf("subscription options %08b have a reserved bit (MQTT-3.8.3-5)", b))
	case v == V311 && b&reservedOptions4 != 0:
		r.fail(MalformedPacket, fmt.Sprintf("requested QoS %08b has a reserved bit (3.1.1: MQTT-3.8.3-4)", b))
	case s.QoS == 3 && v < V5:
		r.fail(MalformedPacket, "requested QoS is 3 (3.1.1: MQTT-3.8.3-4)")
	case s.QoS == 3:
		r.fail(ProtocolError, "maximum QoS is 3 (3.8.3.1)")
	case s.RetainHandling == 3:
		r.fail(ProtocolError, "retain handling is 3 (3.8.3.1)")
	case s.NoLocal && strings.HasPrefix(s.Filter, sharePrefix):
		r.fail(ProtocolError, "no local with a shared subscription (MQTT-3.8.3-4)")
	}
}

func (p *SubscribeProperties) decode(r *reader) {
	s := r.properties(1<<SubscriptionIdentifier | 1<<UserProperty)
	for s.next() {
		if s.id == SubscriptionIdentifier {
			p.SubscriptionID = s.num
		}
	}
	p.Present, p.User = r.end(&s)
}

// Append appends the packet in the form of version v.
func (s *Subscribe) Append(dst []byte, v Version) []byte {
	w := write(dst, Limits{})
	for w.again() {
		s.write(&w, v)
	}
	return w.packet()
}

func (s *Subscribe) write(w *writer, v Version) {
	w.open(SUBSCRIBE)
	w.uint16(s.PacketID)
	if v >= V5 {
		from := w.properties()
		if id := s.Properties.SubscriptionID; id > maxRemaining {
			w.bad = true
		} else {
			w.b = SubscriptionIDs(w.b).Append(id)
		}
		w.users(s.Properties.User)
		w.length(from)
	}
	for i := range s.Filters {
		one := &s.Filters[i]
		w.text(one.Filter)
		options := one.QoS & maskQoS
		if v >= V5 {
			options |= one.RetainHandling << shiftHandling & maskHandling
			if one.NoLocal {
				options |= flagNoLocal
			}
			if one.RetainAsPublished {
				options |= flagAsPublished
			}
		}
		w.byte(options)
	}
	w.close()
}
