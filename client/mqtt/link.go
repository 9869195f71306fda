package mqtt

import (
	"errors"
	"math"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"omnibus/carrier"
	"omnibus/dialect/mqtt/packet"
)

// Server is what a broker told of itself when it accepted a connection.
type Server struct {
	Version Version
	// SessionPresent tells that the broker has kept the session: its subscriptions are in place.
	SessionPresent bool
	// ClientID is the one in use, also if the broker has chosen it.
	ClientID string
	// KeepAlive and SessionExpiry are those that hold; SessionExpiry is in seconds.
	KeepAlive     time.Duration
	SessionExpiry uint32
	// MaxPacket is the largest packet it takes, ReceiveMaximum how many messages of QoS 1 and 2 at a time.
	MaxPacket      int
	ReceiveMaximum int
	// MaxQoS is the highest QoS it takes in a message.
	MaxQoS byte
	// TopicAliasMaximum is how many topic aliases it takes.
	TopicAliasMaximum uint16
	// What it does not have.
	NoRetain, NoWildcards, NoSubscriptionIDs, NoShared bool
	// ResponseInformation is a hint for the names of response topics.
	ResponseInformation string
	User                UserProperties
}

// link is one connection to the broker.
type link struct {
	conn   net.Conn
	out    *carrier.Outbox
	server Server
	timer  *time.Timer // of keep-alive; nil if that is off
	// sent and heard are set by packets, and taken back by the timer.
	sent, heard atomic.Bool
	pinged      atomic.Bool // a PINGREQ is not answered
	pingBy      time.Time   // when its answer must have come; guarded by the client's mu

	once  sync.Once
	cause error // why it is to end, if it is not for what its reader sees; set by once

	// aliases are those of ours by topic; nil if there are none. aliasing is taken after the client's mu, before out's.
	aliasing sync.Mutex
	aliases  map[string]uint16

	// owed are acknowledgements that found no room; guarded by the client's mu.
	owed []owed
	// taken are the messages of QoS 1 and 2 received on it and not acknowledged; guarded by the client's mu.
	taken int

	// behind tells that messages of QoS 1 and 2 were left to the broker, caughtUp that the connection ends for it; guarded by
	// the client's mu.
	behind, caughtUp bool

	// What follows belongs to the reader.
	kick   bool
	topics map[uint16]string // aliases of the broker
	in     carrier.Input
}

// owed is an acknowledgement that is to be sent.
type owed struct {
	kind   packet.Type
	id     uint16
	reason ReasonCode
}

// fail ends the connection for a reason that its reader does not see.
func (l *link) fail(cause error) {
	l.once.Do(func() {
		l.cause = cause
		_ = l.conn.Close() // the reader tells the cause
	})
}

// why is the reason to tell for a connection whose reader failed.
func (l *link) why(err error) error {
	l.once.Do(func() {}) // waits for who fails it, and nobody does from now on
	if l.cause != nil {
		return l.cause
	}
	return err
}

// fits says whether the broker takes a message.
func (l *link) fits(p *packet.Publish) error {
	s := &l.server
	switch {
	case p.QoS > s.MaxQoS:
		return &RefusedError{What: "message", Topic: p.Topic, Reason: packet.QoSNotSupported}
	case p.Retain && s.NoRetain:
		return &RefusedError{What: "message", Topic: p.Topic, Reason: packet.RetainNotSupported}
	case s.MaxPacket > 0 && p.Size(s.Version) > s.MaxPacket: // MQTT-3.2.2-15
		return &tooLarge{p.Topic, p.Size(s.Version), s.MaxPacket}
	}
	return nil
}

// publish queues a PUBLISH. later is that of Outbox.CommitLater.
func (l *link) publish(p *packet.Publish, later bool) (kick bool, err error) {
	if l.aliases == nil {
		return l.queue(p, later)
	}
	l.aliasing.Lock()
	defer l.aliasing.Unlock()
	topic := p.Topic
	fresh := l.alias(p)
	if p.Properties.TopicAlias != 0 && !fresh {
		p.Topic = ""
	}
	kick, err = l.queue(p, later)
	p.Topic, p.Properties.TopicAlias = topic, 0
	if err != nil && fresh { // the broker was not told
		delete(l.aliases, topic)
	}
	return kick, err
}

// alias gives a message the alias of its topic. A fresh one is to be told to the broker together with the topic.
func (l *link) alias(p *packet.Publish) (fresh bool) {
	if a, ok := l.aliases[p.Topic]; ok {
		p.Properties.TopicAlias = a
		return false
	}
	if len(l.aliases) >= int(l.server.TopicAliasMaximum) {
		return false // MQTT-3.2.2-17
	}
	p.Properties.TopicAlias = uint16(len(l.aliases) + 1)
	l.aliases[p.Topic] = p.Properties.TopicAlias
	return true
}

// queue encodes a PUBLISH into the outbox.
func (l *link) queue(p *packet.Publish, later bool) (kick bool, err error) {
	buf := l.out.Begin()
	before := len(buf)
	buf = p.Append(buf, l.server.Version)
	if len(buf) == before {
		return false, errors.Join(&tooLarge{p.Topic, len(p.Payload), packet.MaxSize}, l.out.Commit(buf))
	}
	return l.commit(buf, later)
}

// commit ends what out.Begin began.
func (l *link) commit(buf []byte, later bool) (kick bool, err error) {
	if later {
		kick, err = l.out.CommitLater(buf)
	} else {
		err = l.out.Commit(buf)
	}
	if err == nil && !l.sent.Load() {
		l.sent.Store(true)
	}
	return kick, err
}

// tooLarge is about a packet that the broker does not take.
type tooLarge struct {
	topic       string
	size, limit int
}

func (e *tooLarge) Error() string {
	return "the message to " + e.topic + " is too large: " + strconv.Itoa(e.size) + " bytes, and the broker takes at most " + strconv.Itoa(e.limit)
}

func (e *tooLarge) Is(target error) bool { return target == ErrTooLarge }

// maxOwed is more acknowledgements than a broker that follows the protocol can be owed.
const maxOwed = 2 * math.MaxUint16
