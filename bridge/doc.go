// Package bridge joins a broker to a foreign MQTT broker: topics in, topics out.
// A bridge is a peer of the broker on the one side and a client of the other
// broker on the other; it knows no dialect but MQTT's codec and mapping.
//
// # Promises
//
// Messages keep their order in each direction. What goes out is kept in a bounded
// store while the other broker is away: messages of QoS 1 and 2 always, of QoS 0 if
// the settings say so. What finds no place is lost and counted; the oldest stay.
// The store is in memory and ends with the process. What comes in while the
// connection is down is kept by the other broker, if it keeps the session.
//
// A bridge never fails for what the other broker does: it connects again for ever,
// after pauses that grow. Each change of its state is logged once, all is counted.
//
// # Loops
//
// A message does not go back to the broker it came from. In version 5 the
// subscriptions are no-local, and a message carries its identity as a user
// property, by which every Omnibus routes it once, whatever ways it comes (see
// dialect.Hello.Link). Versions before have no place for a mark: there a bridge
// remembers what it has just sent to topics that it also subscribes to, and drops
// one message of the same topic and payload for each. That holds for brokers that
// are joined like a tree; a ring, or two bridges between the same brokers, wants
// version 5 throughout. docs/bridges.md says more of the limits.
//
// # Goroutines
//
// Run owns one that sends, and the client with its own; it returns when all have
// ended. Deliver never blocks.
package bridge
