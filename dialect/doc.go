// Package dialect is the contract between the broker and a wire protocol.
//
// A dialect turns what foreign programs say on their own wire into publishing,
// subscribing, calling and exposing, and back. It sees the broker through a
// narrow [Port]; the broker sees it through an even narrower [Subscriber].
// Neither knows the other's package.
//
// # How a dialect is put together
//
// A [Spec] names it and makes its [Config], which holds the defaults. The
// wiring decodes the dialect's section of the configuration into that Config,
// asks it to Validate, and Opens it. What comes back is a list of [Listener]:
// places where the dialect meets the outside. The wiring binds them all before
// any of them runs, so that a taken port is told with the dialect and the
// setting to change and nothing has started yet.
//
// # Joining
//
// Joining is a conversation, so that every protocol's login fits the same
// door: a session says [Hello], the broker answers with a challenge or with a
// [Peer], the session returns the proof, and so on until it is admitted or
// refused. [Join] is for protocols whose login is one step.
//
// # Ownership
//
// A message handed to Peer.Publish is the session's own again when Publish
// returns; a session uses one bus.Message for all it publishes. A message
// handed to Subscriber.Deliver is valid only until Deliver returns. Deliver
// runs on the publisher's goroutine and never blocks: a session appends its
// encoding to its own bounded outbox, or drops the message and counts it.
// Packet ids, aliases and receive windows belong to the dialect.
//
// # Shutdown
//
// When the context of a listener's Run ends, the dialect tells its clients in
// the terms of their protocol, flushes their queues within the grace it was
// given, and returns when every goroutine it started has ended.
package dialect
