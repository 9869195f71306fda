// Package sysbus is the session bus of QuecPython, sys_bus, on top of package
// bus: topics that are texts or integers, handlers that each run in a goroutine
// of their own, and a table of who is subscribed.
//
// # Topics
//
// A topic is a text or an integer; Text("1") and Int(1) are two topics. Any
// text will do, and nothing in it has a meaning: only an equal topic matches.
// Texts that are valid names of topics (see package topic) are topics of the
// bus that the sysbus was made on, shared with everything else on it: its
// messages reach the handlers here, as Go values or decoded to Go's own terms,
// and what is published here reaches its subscribers. Integers and other texts
// (the empty one, say) never leave this sysbus.
//
// # Ordering
//
// Publish starts a goroutine for each handler and message. There is no order
// between handlers or between messages, and a handler may run concurrently with
// itself. PublishSync runs the handlers in the calling goroutine, one after the
// other in the order in which they subscribed, and returns after the last.
//
// A handler sees the messages whose Publish begins after Subscribe returned and
// before Unsubscribe is called. Values that a server keeps for new subscribers
// are not delivered. The handlers of one message share it.
//
// # Slow subscribers
//
// A handler that blocks holds up nobody but a PublishSync. Nothing is queued
// and nothing is bounded: there are as many goroutines as there are handlers
// that have not returned. On a shared bus Publish is held up, as every
// publisher is, by the full queue of a bus.Subscribe whose policy is bus.Block,
// and by bus.Direct handlers.
//
// # Panics
//
// A handler's panic ends that call only. It is recovered, reported to the
// observer of the bus, and returned by PublishSync, which goes on with the next
// handler.
//
// # Shutdown
//
// Unsubscribe does not wait for handlers that run, so a handler may unsubscribe
// itself. Close ends all subscriptions, waits for their handlers, and closes the
// bus if it is the sysbus's own. Afterwards Subscribe, Publish and PublishSync
// answer bus.ErrClosed.
package sysbus
