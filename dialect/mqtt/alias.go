package mqtt

import (
	"strings"
	"sync"

	"omnibus/dialect/mqtt/packet"
)

// aliases are the topic aliases of the messages to one client (3.3.2.3.4). The
// first topics that are sent get them, for good. The lock is held until the packet
// is queued, so that a client sees the topic before its alias alone.
type aliases struct {
	max uint16

	mu    sync.Mutex // taken before the outbox's
	of    map[string]uint16
	undo  string // the topic that got one last, if that packet is not yet queued
	fresh bool
}

// use sets the alias of a topic in d, if there is one for it.
func (a *aliases) use(topic string, d *packet.Delivery) {
	a.fresh = false
	if alias, ok := a.of[topic]; ok {
		d.TopicAlias, d.OmitTopic = alias, true
		return
	}
	if len(a.of) >= int(a.max) || len(topic) < 4 { // it would not get shorter
		return
	}
	if a.of == nil {
		a.of = make(map[string]uint16)
	}
	topic = strings.Clone(topic)
	a.undo, a.fresh = topic, true
	a.of[topic] = uint16(len(a.of) + 1) // MQTT-3.3.2-9: never above what the client takes
	d.TopicAlias = a.of[topic]
}

// failed takes back what use has given: the packet is not sent.
func (a *aliases) failed() {
	if a != nil && a.fresh {
		delete(a.of, a.undo)
		a.fresh = false
	}
}
