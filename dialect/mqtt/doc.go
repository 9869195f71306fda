// Package mqtt speaks MQTT 3.1, 3.1.1 and 5.0 as a server: over TCP, TLS, unix
// sockets and WebSocket. The codec is package packet, the meaning of payloads and
// properties package mapping.
//
// # Connections and sessions
//
// A connection is read by one goroutine, which handles each packet, publishes,
// and writes what its packets caused, to whomever, when all that was read has been
// handled: many messages that arrive together leave together, one that arrives
// alone leaves at once. A session is the broker's peer. It ends with its
// connection, or stays until it expires; the connection that continues it first
// ends the one it had.
//
// # Delivery
//
// A subscriber gets a message once, however many of its filters match, with the
// highest QoS of them and all their subscription identifiers. Messages of QoS 0
// wait in the outbox of the connection, which is bounded; what does not fit is
// lost and counted, or ends the connection, as mqtt.slow_clients says. Messages of
// QoS 1 and 2 are sent while the client's receive maximum allows, then wait in the
// session's backlog, which is bounded in number and bytes. Of a message of QoS 2
// that comes in, the identifier is remembered until it is released, so that it is
// published once.
//
// # Errors
//
// What a client does wrong ends its connection, with the reason in CONNACK or
// DISCONNECT for version 5, a line in the log and a counter. Statement ids in
// comments are those of MQTT 5.0.
package mqtt
