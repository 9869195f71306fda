// Package mycroft speaks the message bus of the Mycroft and OVOS voice
// assistants, as their hub: WebSocket text frames that hold a JSON object with
// type, data and context.
//
// The hub greets a newcomer first, then relays every valid frame, byte for
// byte, to every client, its sender included; all clients see one order. It
// drops what is not a JSON object, because one bad frame makes older clients
// reconnect; a client that stops reading is disconnected when its queue is
// full, one that vanishes when it does not answer a ping, and nobody else notices.
// A client that names types gets only those, in the same order.
//
// Every frame with a type also enters the bus: type is the topic, data the
// payload, context the headers. What leaves the bus towards the hub is chosen
// by the export patterns. Services: a message whose type is a service exposed
// outside the hub is answered as "<type>.response"; types named under services:
// or declared by an "omnibus.expose" message can be called from the rest of the
// bus. See docs/dialects/mycroft.md.
//
// A client's frames are handled in order by its own goroutine, which writes what
// arrived together to each receiver at once; the hub's lock is held only to find the
// receivers and append to their bounded outboxes. When the hub ends it drops the
// connections without a close frame, because older clients come back by
// themselves only then.
package mycroft
