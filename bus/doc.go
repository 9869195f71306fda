// Package bus is the bus of one process: publish and subscribe by topic
// pattern with typed payloads, and services that are called by name. It needs
// no server and nothing beyond the standard library; a server (package broker)
// is built on the same Bus, so that a Go function is as much a part of the bus
// as a device on the other side of a socket.
//
// # Ordering
//
// A subscription gets the messages of one publishing goroutine in the order in
// which they were published, one at a time; its handler never runs
// concurrently with itself. Subscriptions are independent of each other: each
// has a queue and a goroutine of its own. Workers(n) gives up the order of one
// subscription for n handlers at a time, Spawn gives it up for a goroutine per
// message. With Direct the handler runs on the publishing goroutine, before
// Publish returns: no queue, no goroutine, no allocation.
//
// # Slow subscribers
//
// A queue is bounded (1,024 messages unless Queue says otherwise) and has a
// policy for when it is full. Block, the default, holds up the publisher until
// there is room or its context ends; DropOldest and DropNewest lose a message,
// count it on the subscription and report it to the Observer. A publisher from
// outside the process (a message with an Origin) is never held up: towards it
// Block acts as DropNewest.
//
// # Groups
//
// Subscriptions with the same Group and an equal pattern share their messages:
// each goes to exactly one of them. Those that are ready take turns; when none
// is, the one for which the least waits gets it, and one whose client is away
// only when no other is there. A handler is ready while a worker of it is free,
// and comes last when its queue is full. Members that must not have a message
// (see Origin and Selective) are passed over; when all must not, nobody gets it.
// As long as one member stays, no message is lost because others end: what
// still waits in their queues is handed to the rest as far as they have room.
// The order of messages is kept by each member for what it gets by publishing,
// and not between members.
//
// # Panics
//
// A handler's panic ends that call only. It is recovered, reported to the
// Observer, and returned by PublishSync.
//
// # Shutdown
//
// Unsubscribe ends a subscription at once: what waits in its queue is
// discarded (in a group: handed on), a handler that runs is not waited for (so a handler may end its
// own subscription). Drain ends it after its queue is empty. Close refuses new
// messages and calls with ErrClosed, drains every subscription and returns when
// the last handler and service has; when its context ends first, the contexts
// of those are cancelled, calls under way end with ErrClosed, and Close returns
// the context's error. Handlers of Direct subscriptions run on their publishers
// and are not waited for. A publisher that a full queue holds up goes on when
// the subscription ends, with ErrClosed when the bus is closed.
//
// # Ownership
//
// Go values are handed to handlers as a function call would: nothing is
// copied, so who publishes a pointer, slice or map shares it. A [Message] that
// is delivered to a Receiver is the publisher's, and valid only until Deliver
// returns; see [Receiver].
package bus
